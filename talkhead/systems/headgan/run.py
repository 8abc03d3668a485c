"""Builds the stages of HeadGAN.

What draws comes from a checkpoint of the user's own (`talkhead train`), from the authors' released one if it was
imported, or, by name, is a stand-in that needs none.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

from talkhead.device import resolve_device, resolve_dtype
from talkhead.errors import UsageError, WeightsError
from talkhead.protocols import Listener, RendererFactory, Source, TrainSpec, Weights
from talkhead.systems.headgan.config import SIDE, Letters, TrainConfig
from talkhead.systems.headgan.options import RenderOptions

if TYPE_CHECKING:
    from talkhead.systems.headgan.painters import Painter
    from talkhead.systems.headgan.render import HeadGanRenderer

PUBLISHED = ("headgan-vox", "headgan-vox-noaudio")
"""Entries of the weights manifest, in the order they are looked for."""
WARP, PNCC = "warp", "pncc"
"""Words in place of a checkpoint: the source bent by the mesh; what the networks are shown."""


def build_render(
    weights: Weights, device: str = "auto", dtype: str = "auto", checkpoint: str | Path | None = None
) -> RendererFactory:
    """A factory that prepares photos for rendering; options are the fields of `RenderOptions`.

    Raises:
        WeightsError: no weights are here, or the checkpoint does not hold HeadGAN's generator.
    """
    from talkhead.face3d.morphable import load_builtin
    from talkhead.systems.headgan.render import HeadGanRenderer

    place = resolve_device(device)
    number = resolve_dtype(dtype, place)

    def prepare(source: Source, **words: Any) -> HeadGanRenderer:
        options, model = RenderOptions(**words), load_builtin()
        return HeadGanRenderer(source, _painter(weights, checkpoint, place, number), options, model)

    return prepare


def build_listen(
    device: str = "auto", weights: Weights | None = None, checkpoint: str | Path | None = None, how: str = ""
) -> Listener:
    """Speech -> the 300 values a frame that the networks hear; those of the release hear in their own way.

    Args:
        device: not used. weights, checkpoint: whose networks shall hear; without either, networks that are to learn.
        how: who tells those the letters, a word of `config.Letters`; empty: nobody.
    Raises:
        UsageError: no such word. WeightsError: the checkpoint cannot be read.
    """
    from talkhead.systems.headgan.convert import read_config
    from talkhead.systems.headgan.features import HeadGanListener

    if how and how not in get_args(Letters):
        raise UsageError(f"headgan cannot listen in the way {how!r}", hint=f"ways: {', '.join(get_args(Letters))}")
    if checkpoint in (WARP, PNCC) or (checkpoint is None and weights is None):
        return HeadGanListener(cast(Letters, how or "none"))
    config = read_config(_file(weights, checkpoint))
    return HeadGanListener(compat=True) if config is None else HeadGanListener(config.letters)


def build_train(config: TrainConfig, device: str = "cpu", weights: Weights | None = None) -> TrainSpec:
    """How HeadGAN learns; see `talkhead.systems.headgan.train.HeadGanTraining`."""
    from talkhead.systems.headgan import train

    return train.build_train(config, device, weights)


def _painter(weights: Weights, checkpoint: str | Path | None, device: str, dtype: str) -> Painter:
    from talkhead.face3d.morphable import load_builtin
    from talkhead.systems.headgan.painters import NetworkPainter, PnccPainter, WarpPainter

    model = load_builtin()
    if checkpoint == WARP:
        return WarpPainter(model, SIDE)
    if checkpoint == PNCC:
        return PnccPainter(model, SIDE)
    from talkhead.systems.headgan.convert import load_drawing

    loaded = load_drawing(_file(weights, checkpoint), device, dtype)
    return NetworkPainter(loaded.generator, model, loaded.side, scale=loaded.audio_scale, device=device)


def _file(weights: Weights | None, checkpoint: str | Path | None) -> Path:
    """The checkpoint: the user's own, else a published one that is here."""
    if checkpoint is not None:
        return Path(checkpoint)
    here = None if weights is None else next((name for name in PUBLISHED if weights.has(name)), None)
    if weights is None or here is None:
        raise WeightsError(
            "headgan has no weights here",
            hint="--checkpoint FILE names what `talkhead train headgan` wrote (`--checkpoint warp` needs none and only"
            " bends the photo); `talkhead weights list headgan` tells about the authors' own",
        )
    return weights(here)
