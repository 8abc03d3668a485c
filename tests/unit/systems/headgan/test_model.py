"""Shapes, invariants and ablations of the generator, at small widths."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from talkhead.errors import InputError, ShapeError, UsageError
from talkhead.nn.initialise import xavier_
from talkhead.systems.headgan.config import PAPER, RELEASE, NetworkConfig, TrainConfig
from talkhead.systems.headgan.model import Generator
from talkhead.systems.headgan.model_discriminators import Discriminator, MouthDiscriminator, mouths_of
from talkhead.systems.headgan.model_flow import bent

TINY = NetworkConfig(width_mult=1 / 8, spade_hidden=16)
SIDE = 64


def made(config=TINY, seed=0):
    """A generator whose flow is a few pixels and whose answers differ from place to place."""
    torch.manual_seed(seed)
    network = Generator(config)
    xavier_(network, gain=1.0)
    with torch.no_grad():
        if config.flow:
            network.flow.flow_head.conv.weight.mul_(0.05)
        for _ in range(3):  # spectral norms find their vectors
            network(*inputs(1)[:3], inputs(1)[3] if config.audio else None)
    return network.eval()


def inputs(n=2, side=SIDE, seed=1):
    """Stack, reference PNCC, reference, sound; smooth pictures, since a flow multiplies its rounding by their slope."""
    g = torch.Generator().manual_seed(seed)
    drawn = [torch.rand(n, c, 6, 6, generator=g) for c in (9, 3, 3)]
    drawn = [torch.nn.functional.interpolate(some, (side, side), mode="bicubic").clamp(0, 1) for some in drawn]
    return drawn[0], drawn[1], drawn[2] * 2 - 1, torch.randn(n, 300, generator=g)


def count(module):
    return sum(value.numel() for value in module.parameters())


@pytest.mark.parametrize(
    ("config", "flow", "render"),
    [
        (PAPER, 30_604_610, 21_144_323),
        (dataclasses.replace(PAPER, audio=False), 30_604_610, 15_301_955),
        (RELEASE, 30_604_610 + 1_569, 21_144_323),
        (dataclasses.replace(PAPER, flow=False), 637_440, 21_144_323),
    ],
)
def test_parameters_of_full_width(config, flow, render):
    with torch.device("meta"):
        network = Generator(config)
    assert (count(network.flow), count(network.render)) == (flow, render)


@pytest.mark.parametrize(
    ("network", "wanted"),
    [
        (lambda: Discriminator(), 5_537_410),
        (lambda: MouthDiscriminator(300), 6_145_666),
        (lambda: MouthDiscriminator(0), 5_531_266),
    ],
)
def test_parameters_of_the_discriminators(network, wanted):
    with torch.device("meta"):
        assert count(network()) == wanted


@pytest.mark.parametrize(("side", "config"), [(256, PAPER), (SIDE, TINY)])
def test_every_row_of_the_tables_has_its_size(side, config):
    first, second, third = config.widths
    seen = {}
    with torch.device("meta"):
        network = Generator(config)
        for name, module in network.named_modules():
            module.register_forward_hook(
                lambda _m, _given, found, name=name: (
                    seen.update({name: found}) if isinstance(found, torch.Tensor) else None
                )
            )
        given = [torch.empty(1, c, side, side) for c in (9, 3, 3)]
        drawn = network(*given, torch.empty(1, 300))

    deep, middle, whole = (third, side // 4), (second, side // 2), (first, side)
    rows = {
        **{f"flow.encoder.stages.{k}": size for k, size in enumerate((whole, middle, deep))},
        **{f"flow.deep.{k}": deep for k in range(3)},
        "flow.middle": middle,
        "flow.flow_head": (2, side),
        **{f"render.encoder.stages.{k}": size for k, size in enumerate((whole, middle, deep))},
        **{f"render.looks.{k}": size for k, size in enumerate((deep, middle, whole, whole))},
        **{f"render.hears.{k}": size for k, size in enumerate((deep, middle, whole))},
        "render.head": (3, side),
    }
    for name, (channels, size) in rows.items():
        assert seen[name].shape == (1, channels, size, size), name
    assert drawn.image.shape == drawn.warped.shape == (1, 3, side, side)
    assert drawn.flow.shape == (1, 2, side, side) and drawn.mask is None


def test_widths_at_an_eighth():
    assert TINY.widths == (4, 16, 64)
    with pytest.raises(InputError, match="width_mult is 0.3"):
        NetworkConfig(width_mult=0.3)
    with pytest.raises(InputError, match="flow_mask without flow"):
        NetworkConfig(flow=False, flow_mask=True)
    with pytest.raises(InputError, match="spade_hidden is 0"):
        NetworkConfig(spade_hidden=0)


def test_old_frames_change_only_what_is_drawn():
    network = made()
    stack, ref_pncc, reference, audio = inputs(1)
    features = network.encode(ref_pncc, reference)
    changed = stack.clone()
    changed[:, :3] += 0.2
    with torch.no_grad():
        before, after = network.draw(stack, features, audio), network.draw(changed, features, audio)
    assert not torch.allclose(before.image, after.image, atol=1e-4)
    # What is known of the source does not know of the driver.
    assert torch.equal(features.h3, network.encode(ref_pncc, reference).h3)


def test_sound_is_refused_where_nobody_listens():
    stack, ref_pncc, reference, audio = inputs(1)
    deaf = made(dataclasses.replace(TINY, audio=False))
    with pytest.raises(UsageError, match="does not listen"):
        deaf(stack, ref_pncc, reference, audio)
    with pytest.raises(UsageError, match="given no sound"):
        made()(stack, ref_pncc, reference)
    assert deaf(stack, ref_pncc, reference).image.shape == (1, 3, SIDE, SIDE)
    with pytest.raises(ShapeError, match="audio"):
        made()(stack, ref_pncc, reference, audio[:, :84])


def test_zero_flow_bends_nothing():
    network = made()
    stack, ref_pncc, reference, audio = inputs(1, side=60)  # no power of two either
    with torch.no_grad():
        network.flow.flow_head.conv.weight.zero_()
        network.flow.flow_head.conv.bias.zero_()
        features = network.encode(ref_pncc, reference)
        drawn = network.draw(stack, features, audio)
        assert drawn.flow.abs().max() == 0
        assert torch.equal(drawn.warped, reference)
        for k, value in enumerate(bent(features, drawn.flow)):
            assert torch.equal(value, features[k])


def test_constant_flow_moves_every_scale_by_its_share():
    network = made()
    _, ref_pncc, reference, _ = inputs(1)
    features = network.encode(ref_pncc, reference)
    flow = torch.tensor([4.0, 0.0])[None, :, None, None].expand(1, 2, SIDE, SIDE)
    moved = bent(features, flow)
    for k, shift in ((0, 4), (1, 2), (2, 1), (3, 4)):
        assert torch.equal(moved[k][..., :-shift], features[k][..., shift:]), k


def test_the_mask_weighs_the_flow():
    network = made(dataclasses.replace(TINY, flow_mask=True))
    stack, ref_pncc, reference, audio = inputs(1)
    with torch.no_grad():
        flowed = network.flow.decode(network.encode(ref_pncc, reference).h3, stack)
        drawn = network(stack, ref_pncc, reference, audio)
    assert torch.equal(drawn.flow, flowed.raw * drawn.mask)
    assert drawn.mask.min() >= 0 and drawn.mask.max() <= 1 and drawn.mask.std() > 0


def test_without_flow_the_source_is_seen_as_it_is():
    network = made(dataclasses.replace(TINY, flow=False))
    stack, ref_pncc, reference, audio = inputs(1)
    drawn = network(stack, ref_pncc, reference, audio)
    assert drawn.flow is None and drawn.mask is None and torch.equal(drawn.warped, reference)
    assert not any(name.startswith("flow.") and "encoder" not in name for name in network.state_dict())


def test_without_the_residual_blocks_forget_their_input():
    with_it, without = made(), made(dataclasses.replace(TINY, spade_residual=False))
    without.load_state_dict(with_it.state_dict())
    given = inputs(1)
    assert not torch.allclose(with_it(*given).image, without(*given).image, atol=1e-3)


def test_one_sample_is_the_same_in_a_batch_of_three():
    network, given = made(), inputs(3)
    with torch.no_grad():
        together = network(*given)
        for k in range(3):
            alone = network(*(value[k : k + 1] for value in given))
            assert (alone.image - together.image[k : k + 1]).abs().max() < 1e-5
            assert (alone.flow - together.flow[k : k + 1]).abs().max() < 1e-4


def test_one_source_serves_many_frames():
    network = made()
    stack, ref_pncc, reference, audio = inputs(3)
    with torch.no_grad():
        features = network.encode(ref_pncc[:1], reference[:1])
        drawn = network.draw(stack, features, audio)
        alone = network.draw(stack[2:], features, audio[2:])
        assert (alone.image - drawn.image[2:]).abs().max() < 1e-5
        with pytest.raises(ShapeError, match="features"):
            network.draw(stack, network.encode(ref_pncc[:2], reference[:2]), audio)


def test_sizes_are_checked():
    network = made()
    stack, ref_pncc, reference, audio = inputs(1)
    with pytest.raises(ShapeError, match="reference has shape"):
        network.encode(ref_pncc[..., :62], reference[..., :62])
    with pytest.raises(ShapeError, match="reference_pncc"):
        network.encode(stack, reference)
    with pytest.raises(ShapeError, match="stack"):
        network.draw(stack[:, :6], network.encode(ref_pncc, reference), audio)


def test_mouths_stay_inside_the_picture():
    x = torch.arange(20.0)[None, None, None, :].expand(2, 1, 16, 20)
    cut = mouths_of(x, torch.tensor([[10, 8], [1, 99]]), 8)
    assert cut.shape == (2, 1, 8, 8)
    assert cut[0, 0, 0].tolist() == list(range(6, 14)) and cut[1, 0, 0].tolist() == list(range(8))
    with pytest.raises(ShapeError, match="at least 18"):
        mouths_of(x, torch.tensor([[10, 8], [1, 99]]), 18)


def test_mouth_discriminator_hears_or_does_not():
    mouth = torch.randn(2, 3, 16, 16)
    with pytest.raises(UsageError, match="hears 5 values"):
        MouthDiscriminator(5, 4).judge(mouth, None)
    with pytest.raises(UsageError, match="hears 0 values"):
        MouthDiscriminator(0, 4).judge(mouth, torch.randn(2, 5))
    network = MouthDiscriminator(5, 4).eval()
    one, other = (network.judge(mouth, torch.randn(2, 5))[0][-1] for _ in range(2))
    assert not torch.equal(one, other)


def test_the_mouth_is_a_quarter_of_the_picture():
    assert TrainConfig().mouth_side == 64
    assert TrainConfig(side=128).mouth_side == 32
    assert TrainConfig(side=36).mouth_side % 2 == 0
