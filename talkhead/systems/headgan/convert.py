"""Checkpoint files of HeadGAN: the sizes of their networks, the names published tensors have here, loading.

A file of ours says its networks' sizes in its metadata. One that does not is taken for a published one
(`latest_net_G.pth` and the like, as `talkhead.weights` converted it): its keys tell which of the published networks it
is, and every key must be known and in its place.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from talkhead.config import from_mapping
from talkhead.errors import InputError, WeightsError
from talkhead.systems.headgan.config import RELEASE, SIDE, NetworkConfig
from talkhead.systems.headgan.features import AudioScale

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from talkhead.systems.headgan.model import Generator

CONFIG_KEY, SIDE_KEY, SCALE_KEY = "talkhead.headgan", "talkhead.headgan.side", "talkhead.headgan.audio_scale"
"""Metadata of files that we wrote: `NetworkConfig` as JSON; the side of the pictures in training, pixels; and
`AudioScale.as_dict` as JSON, where what the network hears was scaled."""

N_DISCRIMINATORS, N_DISCRIMINATOR_LAYERS = 2, 5  # of the published ones: scales, and convolutions of each

_SHARED = "rendering_network.cond_dec.0.norm_0.mlp_shared.0.weight"
_Pairs = Iterator[tuple[str, str]]


def generator_keys(config: NetworkConfig) -> dict[str, str]:
    """Published key -> ours, of every tensor of a generator; a one-to-one map."""
    pairs: dict[str, str] = {}
    if config.flow:
        pairs.update(_encoder("flow_network.enc", "flow.encoder"))
        for k in range(4):
            published = f"flow_network.dec_{'res' if k < 2 else 'main'}.{k % 2}"
            pairs.update(_spade_block(published, f"flow.deep.{k}" if k < 3 else "flow.middle"))
        pairs.update(_plain("flow_network.dec_flow.1", "flow.flow_head.conv"))
        if config.flow_mask:
            pairs.update(_plain("flow_network.dec_mask.1", "flow.mask_head.conv"))
    else:
        pairs.update(_encoder("frames_encoder.cond_enc", "flow.encoder"))
    pairs.update(_encoder("rendering_network.cond_enc", "render.encoder"))
    for k in range(4):
        pairs.update(_spade_block(f"rendering_network.cond_dec.{k}", f"render.looks.{k}"))
    for k in range(3 if config.audio else 0):
        for n in ("1", "2"):
            published, own = f"rendering_network.cond_dec_audio.{k}", f"render.hears.{k}"
            pairs.update(_spectral(f"{published}.conv{n}", f"{own}.conv{n}", has_bias=True))
            pairs.update(_plain(f"{published}.norm{n}.fc", f"{own}.norm{n}.linear"))
    pairs.update(_plain("rendering_network.conv_img.1", "render.head.conv"))
    return pairs


def discriminator_keys() -> dict[str, str]:
    """Published key -> ours, of every tensor of a discriminator (D and D_m have the same)."""
    pairs: dict[str, str] = {}
    last = N_DISCRIMINATOR_LAYERS - 1
    for scale in range(N_DISCRIMINATORS):
        for k in range(N_DISCRIMINATOR_LAYERS):
            published, own = f"discriminator_{scale}.model{k}.0", f"scales.{scale}.layers.{k}"
            if k in (0, last):
                pairs.update(_plain(published, f"{own}.conv"))
                continue
            pairs.update(_spectral(f"{published}.0", f"{own}.conv", has_bias=False))
            pairs.update(_plain(f"{published}.1", f"{own}.norm"))
    return pairs


def renamed(tensors: Mapping[str, Tensor], keys: Mapping[str, str], *, name: str) -> dict[str, Tensor]:
    """Tensors under the names that a map gives them, strictly.

    Args:
        tensors: by one kind of name. keys: that name -> the wanted one, of every tensor. name: for messages.
    Raises:
        WeightsError: keys that are missing or not known; the first few are named.
    """
    problems = []
    for what, found in (("lacks", keys.keys() - tensors.keys()), ("has besides", tensors.keys() - keys.keys())):
        if found:
            more = f" and {len(found) - 3} more" if len(found) > 3 else ""
            problems.append(f"{what} {', '.join(sorted(found)[:3])}{more}")
    if problems:
        raise WeightsError(f"the checkpoint does not fit {name}: it {'; '.join(problems)}")
    return {keys[key]: value for key, value in tensors.items()}


def to_published(tensors: Mapping[str, Tensor], config: NetworkConfig) -> dict[str, Tensor]:
    """A generator's state as the release would have saved it.

    Args:
        tensors: `Generator.state_dict()`. config: its sizes.
    Raises:
        WeightsError: it is not that generator's.
    """
    backwards = {own: published for published, own in generator_keys(config).items()}
    return renamed(tensors, backwards, name="HeadGAN's generator")


def published_config(tensors: Mapping[str, Tensor]) -> NetworkConfig:
    """Which generator some tensors of the published code belong to: with or without flow, mask and sound, how wide.

    Raises:
        WeightsError: none of them.
    """
    head, shared = tensors.get("rendering_network.conv_img.1.weight"), tensors.get(_SHARED)
    if head is None or shared is None or head.ndim != 4:
        raise WeightsError("it is no checkpoint of HeadGAN: it has no rendering network")
    heard = tensors.get("rendering_network.cond_dec_audio.0.norm1.fc.weight")
    try:
        return dataclasses.replace(
            RELEASE,
            width_mult=head.shape[1] / RELEASE.widths[0],
            spade_hidden=len(shared),
            flow=any(key.startswith("flow_network.") for key in tensors),
            flow_mask=any(key.startswith("flow_network.dec_mask.") for key in tensors),
            audio=heard is not None,
            n_audio=RELEASE.n_audio if heard is None else heard.shape[-1],
        )
    except InputError as error:
        raise WeightsError(f"it is no checkpoint of HeadGAN: {error.message}") from error


def checkpoint_metadata(
    config: NetworkConfig, side: int = SIDE, audio_scale: AudioScale | None = None
) -> dict[str, str]:
    """Metadata for a file of ours.

    Args:
        config: sizes of its generator. side: of the pictures it was trained on, pixels. audio_scale: of what it hears.
    """
    found = {CONFIG_KEY: json.dumps(dataclasses.asdict(config)), SIDE_KEY: str(side)}
    if audio_scale is not None and audio_scale.mean is not None:
        found[SCALE_KEY] = json.dumps(audio_scale.as_dict())
    return found


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """A generator's file, read.

    Attributes:
        config: sizes. tensors: by our names, on the CPU. side: of the pictures in training, pixels. audio_scale: of
            what it hears.
    """

    config: NetworkConfig
    tensors: Mapping[str, Tensor]
    side: int = SIDE
    audio_scale: AudioScale = dataclasses.field(default_factory=AudioScale)


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a generator.

    Args:
        path: a safetensors file of ours, or a published generator converted to one.
    Raises:
        WeightsError: no such file, or it holds something else.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise WeightsError(f"no weights at {path}")
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path} is no safetensors file: {error}") from error
    try:
        if CONFIG_KEY not in about:
            config = published_config(tensors)
            ours = renamed(tensors, generator_keys(config), name="HeadGAN's generator")
            return Checkpoint(config=config, tensors=ours)
        config = from_mapping(json.loads(about[CONFIG_KEY]), NetworkConfig, where="sizes")
        scale = AudioScale.from_dict(json.loads(about.get(SCALE_KEY, "{}")))
        return Checkpoint(config=config, tensors=tensors, side=int(about.get(SIDE_KEY, SIDE)), audio_scale=scale)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error.message}", hint=error.hint) from error
    except (InputError, ValueError, TypeError, AttributeError) as error:
        raise WeightsError(f"{path}: what it says of its networks cannot be read: {error}") from error


def read_config(path: Path) -> NetworkConfig | None:
    """Sizes of a checkpoint's networks, from its metadata alone; None of the release's files, which tell nothing.

    Raises:
        WeightsError: no such file, no safetensors file, or sizes that are not understood.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise WeightsError(f"no weights at {path}")
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
        return (
            from_mapping(json.loads(about[CONFIG_KEY]), NetworkConfig, where="sizes") if CONFIG_KEY in about else None
        )
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path} is no safetensors file: {error}") from error
    except (InputError, ValueError) as error:
        raise WeightsError(f"{path}: what it says of its networks cannot be read: {error}") from error


def load_generator(path: Path, device: str = "cpu", dtype: str = "float32") -> Generator:
    """The generator of a checkpoint, for use only: eval mode, spectral norms divided in, laid out for convolutions.

    Args:
        path: as in `read_checkpoint`. device, dtype: as resolved by `talkhead.device`.
    Raises:
        WeightsError: the file does not hold a generator, or not exactly one.
    """
    return _generator(read_checkpoint(path), path, device, dtype)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Drawing:
    """All that drawing needs of a checkpoint.

    Attributes:
        generator: for use only. side: of the pictures it was trained on, pixels. audio_scale: of what it hears.
    """

    generator: Generator
    side: int
    audio_scale: AudioScale


def load_drawing(path: Path, device: str = "cpu", dtype: str = "float32") -> Drawing:
    """Generator, side and scale of a checkpoint; args and errors as `load_generator`."""
    read = read_checkpoint(path)
    generator = _generator(read, path, device, dtype)
    return Drawing(generator=generator, side=read.side, audio_scale=read.audio_scale)


def for_use(network: Generator, device: str | torch.device = "cpu", dtype: torch.dtype | None = None) -> Generator:
    """A copy of a generator that only draws: see `load_generator`."""
    import torch

    from talkhead.nn.spectral import folded

    return folded(network).to(device, dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]


def _generator(read: Checkpoint, path: Path, device: str, dtype: str) -> Generator:
    import torch

    from talkhead.systems.headgan.model import Generator
    from talkhead.weights.load import fill

    with torch.device("meta"):
        network = Generator(read.config)
    fill(network, read.tensors, name=f"HeadGAN's generator ({path.name})")
    return for_use(network, device, getattr(torch, dtype))


def _encoder(published: str, own: str) -> _Pairs:
    for k in range(3):
        # The first stage counts its padding.
        stage = f"{published}.{k}.{0 if k else 1}"
        yield from _spectral(f"{stage}.0", f"{own}.stages.{k}.conv", has_bias=False)
        yield from _plain(f"{stage}.1", f"{own}.stages.{k}.norm")


def _spade_block(published: str, own: str) -> _Pairs:
    for k in range(2):
        yield from _spectral(f"{published}.conv_{k}", f"{own}.conv{k + 1}", has_bias=True)
        norm = f"{published}.norm_{k}"
        for part, ours in (("mlp_shared.0", "shared"), ("mlp_gamma", "gamma"), ("mlp_beta", "beta")):
            yield from _plain(f"{norm}.{part}", f"{own}.norm{k + 1}.{ours}")


def _spectral(published: str, own: str, *, has_bias: bool) -> _Pairs:
    for theirs, ours in (("weight_orig", "weight"), ("weight_u", "u"), ("weight_v", "v")):
        yield f"{published}.{theirs}", f"{own}.{ours}"
    if has_bias:
        yield f"{published}.bias", f"{own}.bias"


def _plain(published: str, own: str) -> _Pairs:
    for part in ("weight", "bias"):
        yield f"{published}.{part}", f"{own}.{part}"
