"""Checkpoints: published names and ours, both ways, and what is refused."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch
from safetensors.torch import save_file

from talkhead.errors import WeightsError
from talkhead.systems.headgan.config import RELEASE, NetworkConfig
from talkhead.systems.headgan.convert import (
    CONFIG_KEY,
    SCALE_KEY,
    SIDE_KEY,
    checkpoint_metadata,
    discriminator_keys,
    for_use,
    generator_keys,
    load_drawing,
    load_generator,
    published_config,
    read_checkpoint,
    renamed,
    to_published,
)
from talkhead.systems.headgan.features import AudioScale
from talkhead.systems.headgan.model import Generator
from talkhead.systems.headgan.model_discriminators import Discriminator, MouthDiscriminator

TINY = NetworkConfig(width_mult=1 / 16, spade_hidden=4)
# As in the recorded key lists of the release.
N_KEYS = {"": 232, "noaudio": 196, "noflow": 148}


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return Generator(TINY).eval()


def written(path, tensors, metadata=None):
    save_file({key: value.contiguous() for key, value in tensors.items()}, path, metadata=metadata)
    return path


def given(n=1, side=32):
    g = torch.Generator().manual_seed(0)
    return [torch.rand(n, c, side, side, generator=g) for c in (9, 3, 3)] + [torch.randn(n, 300, generator=g)]


@pytest.mark.parametrize(
    ("config", "n_keys"),
    [
        (RELEASE, N_KEYS[""]),
        (dataclasses.replace(RELEASE, audio=False), N_KEYS["noaudio"]),
        (dataclasses.replace(RELEASE, flow=False, flow_mask=False), N_KEYS["noflow"]),
    ],
)
def test_every_tensor_has_one_published_name(config, n_keys):
    keys = generator_keys(config)
    with torch.device("meta"):
        own = Generator(config).state_dict()
    assert len(keys) == n_keys == len(set(keys.values()))
    assert set(keys.values()) == own.keys()
    assert published_config({theirs: own[ours] for theirs, ours in keys.items()}) == config


@pytest.mark.parametrize("network", [lambda: Discriminator(4), lambda: MouthDiscriminator(300, 4)])
def test_so_have_the_discriminators(network):
    assert set(discriminator_keys().values()) == network().state_dict().keys()
    assert discriminator_keys()["discriminator_1.model3.0.1.bias"] == "scales.1.layers.3.norm.bias"


def test_there_and_back(network):
    own = network.state_dict()
    published = to_published(own, TINY)
    assert published["rendering_network.cond_dec.1.norm_0.mlp_gamma.weight"] is own["render.looks.1.norm1.gamma.weight"]
    assert published["flow_network.enc.0.1.0.weight_u"] is own["flow.encoder.stages.0.conv.u"]
    back = renamed(published, generator_keys(TINY), name="it")
    assert back.keys() == own.keys() and all(back[key] is own[key] for key in own)


def test_our_files_say_their_sizes(network, tmp_path):
    path = written(tmp_path / "own.safetensors", network.state_dict(), checkpoint_metadata(TINY, 128))
    loaded = load_generator(path)
    assert loaded.config == TINY and not loaded.training
    with torch.no_grad():
        assert (loaded(*given()).image - network(*given()).image).abs().max() < 1e-4
    drawing = load_drawing(path, dtype="bfloat16")
    assert drawing.side == 128 and drawing.audio_scale.mean is None
    assert next(drawing.generator.parameters()).dtype == torch.bfloat16


def test_the_scale_of_what_is_heard_is_kept(network, tmp_path):
    scale = AudioScale(torch.arange(84.0).numpy(), torch.full((84,), 2.0).numpy())
    path = written(tmp_path / "own.safetensors", network.state_dict(), checkpoint_metadata(TINY, 64, scale))
    found = load_drawing(path).audio_scale
    assert found.mean.tolist() == scale.mean.tolist() and found.std.tolist() == scale.std.tolist()


def test_published_files_are_known_by_their_keys(network, tmp_path):
    published = to_published(network.state_dict(), TINY)
    path = written(tmp_path / "published.safetensors", published)
    assert read_checkpoint(path).config == TINY and read_checkpoint(path).side == 256
    with torch.no_grad():
        assert (load_generator(path)(*given()).image - network(*given()).image).abs().max() < 1e-4


def test_what_does_not_fit_is_refused(network, tmp_path):
    whole = to_published(network.state_dict(), TINY)
    key = "rendering_network.conv_img.1.bias"
    lacking = written(tmp_path / "lacking.safetensors", {k: v for k, v in whole.items() if k != key})
    with pytest.raises(WeightsError, match=rf"lacking\.safetensors: .* lacks {key}"):
        load_generator(lacking)
    more = written(tmp_path / "more.safetensors", {**whole, "module.epoch": torch.zeros(1)})
    with pytest.raises(WeightsError, match=r"has besides module\.epoch"):
        load_generator(more)
    other = written(tmp_path / "other.safetensors", {"encoder.weight": torch.zeros(1)})
    with pytest.raises(WeightsError, match="no checkpoint of HeadGAN"):
        load_generator(other)
    narrow = {**whole, "rendering_network.conv_img.1.weight": torch.zeros(3, 1, 7, 7)}
    with pytest.raises(WeightsError, match="has other shapes for"):
        load_generator(written(tmp_path / "narrow.safetensors", narrow))
    empty = {**whole, "rendering_network.conv_img.1.weight": torch.zeros(3, 0, 7, 7)}
    with pytest.raises(WeightsError, match="width_mult is 0"):
        load_generator(written(tmp_path / "empty.safetensors", empty))
    with pytest.raises(WeightsError, match="no weights at"):
        load_generator(tmp_path / "absent.safetensors")
    (tmp_path / "text.safetensors").write_text("no tensors")
    with pytest.raises(WeightsError, match="no safetensors file"):
        load_generator(tmp_path / "text.safetensors")
    with pytest.raises(WeightsError, match="does not fit HeadGAN's generator"):
        to_published({"a": torch.zeros(1)}, TINY)


@pytest.mark.parametrize(
    "metadata",
    [
        {CONFIG_KEY: "no json"},
        {CONFIG_KEY: json.dumps({"width": 1})},
        {CONFIG_KEY: json.dumps({"width_mult": 0.3})},
        {CONFIG_KEY: "{}", SIDE_KEY: "large"},
        {CONFIG_KEY: "{}", SCALE_KEY: json.dumps({"mean": [1.0], "std": [1.0]})},
    ],
)
def test_metadata_that_cannot_be_read(network, tmp_path, metadata):
    path = written(tmp_path / "own.safetensors", network.state_dict(), metadata)
    with pytest.raises(WeightsError, match="what it says of its networks cannot be read"):
        read_checkpoint(path)


def test_a_generator_for_use_is_a_copy(network):
    used = for_use(network)
    assert not any(p.requires_grad for p in used.parameters()) and all(p.requires_grad for p in network.parameters())
    assert "flow.middle.conv1.u" not in used.state_dict()
    assert used.render.head.conv.weight.is_contiguous(memory_format=torch.channels_last)
