"""HeadGAN's generators against recorded output of the published code, with stand-in weights."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from talkhead.systems.headgan.convert import generator_keys, load_generator, published_config, renamed
from talkhead.systems.headgan.model import Generator
from talkhead.systems.headgan.model_flow import bent

# Limits of the recording: largest difference and its root mean square.
FEATURES, FLOW_BLOCK, FLOW = (1e-4, 5e-6), (1e-4, 1e-5), (2e-3, 5e-5)
MASK_LOGIT, MASK, BENT = (1e-4, 1e-5), (5e-5, 4e-6), (5e-4, 2e-5)
BLOCK, IMAGE = (3e-4, 3e-5), (3e-4, 1e-5)


@pytest.fixture(scope="module")
def trained(stand_in):
    """`trained(record)` -> the generator as it is trained."""

    def make(record):
        tensors = stand_in(record)
        config = published_config(tensors)
        with torch.device("meta"):
            network = Generator(config)
        network.load_state_dict(renamed(tensors, generator_keys(config), name=record), assign=True)
        return network.eval()

    return make


@pytest.fixture(scope="module")
def used(stand_in, tmp_path_factory):
    """`used(record)` -> the generator as a converted file is loaded for use."""

    def make(record):
        path = tmp_path_factory.mktemp("weights") / f"{record}.safetensors"
        save_file({key: value.contiguous() for key, value in stand_in(record).items()}, path)
        return load_generator(path)

    return make


def inputs(recorded):
    """Stacks, reference PNCC, reference, sound of a recording."""
    pncc, ref_pncc, ref_rgb = (
        torch.from_numpy(recorded[name]).permute(0, 3, 1, 2).float() / 255
        for name in ("pncc_u8", "ref_pncc_u8", "ref_rgb_u8")
    )
    stacks = torch.stack([pncc[i : i + 3].flatten(0, 1) for i in range(2)])
    return stacks, ref_pncc, (ref_rgb - 0.5) / 0.5, torch.from_numpy(recorded["audio"])


def strided(value, cells):
    """The recording's sample of an inner map: 16 channels, about `cells` x `cells` places."""
    step = max(1, value.shape[2] // cells)
    return value[:, :: value.shape[1] // 16, ::step, ::step]


def watched(network):
    """What inner parts of a generator give, by the recording's names; filled while it draws."""
    seen = {}

    def keep(name):
        # Clones: what follows may work in place.
        return lambda _module, _given, found: seen.update({name: found.clone()})

    if network.config.flow:
        for k, block in enumerate([*network.flow.deep, network.flow.middle]):
            block.register_forward_hook(keep(f"flow_block{k + 1}"))
    for k, block in enumerate(network.render.looks):
        block.register_forward_hook(keep(f"spade{k + 1}"))
    for k, block in enumerate(network.render.hears or ()):
        block.register_forward_hook(keep(f"adain{k + 1}"))
    for k, stage in enumerate(network.render.encoder.stages):
        stage.register_forward_hook(keep(f"x{k + 1}"))
    network.render.head.register_forward_hook(keep("pre_tanh"))
    return seen


def check_inner(seen, features, bent_features, recorded, cells, assert_close):
    for k in range(3):
        assert_close(strided(features[k], cells), recorded[f"h{k + 1}_s"], *FEATURES)
        assert_close(strided(seen[f"x{k + 1}"], cells), recorded[f"x{k + 1}_s"], *FEATURES)
        assert_close(strided(bent_features[k], cells), recorded[f"hbar{k + 1}_s"], *BENT)
        assert_close(strided(seen[f"adain{k + 1}"], cells), recorded[f"adain{k + 1}_s"], *BLOCK)
    for k in range(4):
        assert_close(strided(seen[f"flow_block{k + 1}"], cells), recorded[f"flow_block{k + 1}_s"], *FLOW_BLOCK)
        assert_close(strided(seen[f"spade{k + 1}"], cells), recorded[f"spade{k + 1}_s"], *BLOCK)


def test_whole_generator_at_64_pixels(trained, golden, assert_close):
    network, recorded = trained("generator"), golden("generator_64")
    stacks, ref_pncc, reference, audio = inputs(recorded)
    seen = watched(network)
    features = network.encode(ref_pncc, reference).repeated(2)
    flowed = network.flow.decode(features.h3, stacks)
    drawn = network.draw(stacks, features, audio)

    assert_close(flowed.raw, recorded["flow_raw"], *FLOW)
    assert_close(flowed.mask_logit, recorded["mask_logit"], *MASK_LOGIT)
    assert_close(drawn.mask, recorded["mask"], *MASK)
    assert_close(drawn.flow, recorded["flow"], *FLOW)
    assert_close(drawn.warped, recorded["warped"], *BENT)
    assert_close(seen["pre_tanh"], recorded["pre_tanh"], *IMAGE)
    assert_close(drawn.image, recorded["image"], *IMAGE)
    check_inner(seen, features, bent(features, drawn.flow), recorded, 8, assert_close)


def test_generator_as_it_is_used(used, golden, assert_close):
    network, recorded = used("generator"), golden("generator_64")
    stacks, ref_pncc, reference, audio = inputs(recorded)
    drawn = network.draw(stacks, network.encode(ref_pncc, reference), audio)
    assert_close(drawn.flow, recorded["flow"], *FLOW)
    assert_close(drawn.image, recorded["image"], *IMAGE)


def test_without_audio(trained, golden, assert_close):
    network, recorded = trained("generator_noaudio"), golden("generator_64")
    stacks, ref_pncc, reference, _ = inputs(recorded)
    seen = watched(network)
    drawn = network.draw(stacks, network.encode(ref_pncc, reference))
    assert_close(drawn.image, recorded["noaudio.image"], *IMAGE)
    for k in (1, 4):
        assert_close(strided(seen[f"spade{k}"], 8), recorded[f"noaudio.spade{k}_s"], *BLOCK)


def test_without_flow(trained, golden, assert_close):
    network, recorded = trained("generator_noflow"), golden("generator_64")
    stacks, ref_pncc, reference, audio = inputs(recorded)
    features = network.encode(ref_pncc, reference).repeated(2)
    drawn = network.draw(stacks, features, audio)
    assert drawn.flow is None and drawn.mask is None
    assert_close(strided(features.h3, 8), recorded["noflow.hbar3_s"], *BENT)
    assert_close(drawn.image, recorded["noflow.image"], *IMAGE)


@pytest.mark.slow
def test_whole_generator_at_256_pixels(trained, golden, assert_close):
    network, recorded = trained("generator"), golden("generator_256")
    stacks, ref_pncc, reference, audio = inputs(recorded)
    seen = watched(network)
    features = network.encode(ref_pncc, reference)
    first = network.draw(stacks[:1], features, audio[:1])
    assert_close(first.image[..., ::4, ::4], recorded["image0_s"], *IMAGE)
    assert_close(first.flow[..., ::4, ::4], recorded["flow0_s"], *FLOW)

    drawn = network.draw(stacks[1:], features, audio[1:])
    assert_close(drawn.image, recorded["image"], *IMAGE)
    assert_close(drawn.flow, recorded["flow"], *FLOW)
    assert_close(drawn.mask[..., ::2, ::2], recorded["mask_s"], *MASK)
    assert_close(drawn.warped[..., ::2, ::2], recorded["warped_s"], *BENT)
    check_inner(seen, features, bent(features, drawn.flow), recorded, 16, assert_close)


@pytest.mark.slow
def test_without_audio_at_256_pixels(trained, golden, assert_close):
    network, recorded = trained("generator_noaudio"), golden("generator_256")
    stacks, ref_pncc, reference, _ = inputs(recorded)
    drawn = network.draw(stacks[1:], network.encode(ref_pncc, reference))
    assert_close(drawn.image[..., ::2, ::2], recorded["noaudio.image_s"], *IMAGE)


@pytest.mark.parametrize(
    ("record", "flow", "render"),
    [
        ("generator", 30_604_610 + 1_569, 21_144_323),
        ("generator_noaudio", 30_604_610 + 1_569, 15_301_955),
        ("generator_noflow", 637_440, 21_144_323),
    ],
)
def test_every_published_parameter_has_its_place(trained, record, flow, render):
    network = trained(record)
    assert sum(value.numel() for value in network.flow.parameters()) == flow
    assert sum(value.numel() for value in network.render.parameters()) == render
