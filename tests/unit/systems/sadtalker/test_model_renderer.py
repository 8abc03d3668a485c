"""The folded renderer draws what the trained one does; small widths, weights of no special value."""

import dataclasses

import pytest
import torch

from talkhead.systems.sadtalker import kernels
from talkhead.systems.sadtalker.config import RendererConfig
from talkhead.systems.sadtalker.model_renderer import Renderer, Trace, cut, heat_maps, identity_grid, warp
from talkhead.systems.sadtalker.model_renderer_fast import FastRenderer, combine, fold, separable_heat, translated
from talkhead.systems.sadtalker.winograd import WinogradKernel

pytestmark = pytest.mark.usefixtures("without_gradients")

TINY = RendererConfig(
    expansion=8,
    max_width=32,
    volume_width=4,
    depth=4,
    n_resblocks=1,
    n_keypoints=5,
    motion_expansion=4,
    motion_max_width=32,
    motion_blocks=3,
    compress=2,
    spade_hidden=8,
)


def scene(config=TINY, side=32, n=3, seed=0):
    """A picture, its keypoints and those of `n` frames."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(1, 3, side, side, generator=generator)
    source = torch.randn(1, config.n_keypoints, 3, generator=generator) * 0.4
    return image, source, source + 0.2 * torch.randn(n, config.n_keypoints, 3, generator=generator)


@pytest.mark.parametrize(
    ("change", "side"),
    [({}, 32), ({}, 64), ({"n_down": 1}, 16), ({"n_down": 3}, 64), ({"motion_blocks": 4, "n_keypoints": 3}, 64)],
)
@pytest.mark.parametrize("make", [kernels.Kernel, WinogradKernel])
def test_fast_is_plain(change, side, make, lively):
    config = dataclasses.replace(TINY, **change)
    image, source, driving = scene(config, side)
    plain = lively(Renderer(config))
    expected = plain.trace(image.expand(3, -1, -1, -1), source.expand(3, -1, -1), driving)
    fast = FastRenderer(plain, torch.float32, make)
    found = fast.trace(fast.encode(image, source), driving)
    for field in dataclasses.fields(Trace):
        wanted = getattr(expected, field.name)
        wanted = wanted[:1] if field.name == "volume" else wanted
        torch.testing.assert_close(getattr(found, field.name), wanted, atol=5e-4, rtol=1e-3, msg=field.name)
    assert found.prediction.std() > 0.05
    assert (found.prediction[0] - found.prediction[1]).abs().max() > 0.01


def test_draw_is_the_prediction_and_frames_do_not_depend_on_the_batch(lively):
    image, source, driving = scene()
    fast = fold(lively(Renderer(TINY)))
    encoded = fast.encode(image, source)
    together = fast.draw(encoded, driving)
    torch.testing.assert_close(together, fast.trace(encoded, driving).prediction, atol=0, rtol=0)
    for k in range(3):
        torch.testing.assert_close(fast.draw(encoded, driving[k : k + 1])[0], together[k], atol=2e-5, rtol=0)


def test_the_picture_is_encoded_once(lively, monkeypatch):
    image, source, driving = scene()
    fast = fold(lively(Renderer(TINY)))
    encoded = fast.encode(image, source)
    monkeypatch.setattr(fast, "encoder", None)
    assert fast.draw(encoded, driving).shape == (3, 3, 32, 32)


def test_drawing_twice_gives_the_same_bits(lively):
    image, source, driving = scene()
    fast = fold(lively(Renderer(TINY)))
    encoded = fast.encode(image, source)
    assert torch.equal(fast.draw(encoded, driving), fast.draw(encoded, driving))


def test_the_decoder_is_one_graph_to_the_compiler(lively):
    image, source, driving = scene()
    fast = FastRenderer(lively(Renderer(TINY)), torch.float32)
    encoded = fast.encode(image, source)
    expected = fast.draw(encoded, driving)
    compiled = torch.compile(fast.decoder, backend="eager", fullgraph=True, dynamic=False)
    torch.testing.assert_close(compiled(fast.condition(encoded, driving)), expected, atol=1e-5, rtol=0)


def test_bfloat16_comes_close(lively):
    image, source, driving = scene(side=64)
    plain = lively(Renderer(TINY))
    exact = plain(image.expand(3, -1, -1, -1), source.expand(3, -1, -1), driving)
    fast = fold(plain, dtype=torch.bfloat16)
    drawn = fast.draw(fast.encode(image, source), driving)
    assert drawn.dtype == torch.float32
    assert -10 * torch.log10(((drawn - exact) ** 2).mean()) > 40


def test_sides_that_cannot_be_halved_are_refused(lively):
    image, source, driving = scene(side=48)
    plain = lively(Renderer(TINY))
    with pytest.raises(ValueError, match="48"):
        plain(image, source, driving[:1])
    with pytest.raises(ValueError, match="multiples of 32"):
        fold(plain).encode(image, source)


def test_gradients_reach_every_weight(lively):
    image, source, driving = scene()
    plain = lively(Renderer(TINY)).train()
    with torch.enable_grad():
        plain(image, source, driving[:1]).sum().backward()
    missing = [name for name, weight in plain.named_parameters() if weight.grad is None or not weight.grad.any()]
    # What a batch norm follows needs no bias, and the first of softmax's logits none either.
    assert [name for name in missing if not name.endswith("bias")] == []


def test_translated_is_warp_by_constant_flows():
    generator = torch.Generator().manual_seed(1)
    volume = torch.randn(1, 2, 3, 5, 6, generator=generator)
    shift = torch.randn(2, 4, 3, generator=generator)
    grid = identity_grid((3, 5, 6), volume.device)
    for b in range(2):
        for k in range(4):
            expected = warp(volume, (grid + shift[b, k])[None])[0]
            torch.testing.assert_close(translated(volume, shift)[b, k], expected, atol=1e-5, rtol=0)


def test_separable_heat_is_the_gaussian():
    keypoints = torch.tensor([[[0.1, -0.3, 0.9], [2.0, 0.0, 0.0]]])
    expected = heat_maps(identity_grid((4, 6, 5), keypoints.device), keypoints)
    torch.testing.assert_close(separable_heat(keypoints, (4, 6, 5)), expected, atol=1e-6, rtol=0)


def test_combined_translations_are_the_weighted_flows():
    generator = torch.Generator().manual_seed(2)
    mask = cut(torch.rand(2, 4, 3, 4, 5, generator=generator).softmax(1))
    shift = torch.randn(2, 3, 3, generator=generator)
    grid = identity_grid((3, 4, 5), mask.device)
    flows = torch.cat((grid.expand(2, 1, 3, 4, 5, 3), grid + shift[:, :, None, None, None]), 1)
    torch.testing.assert_close(combine(mask, shift), (flows * mask[..., None]).sum(1), atol=1e-6, rtol=0)


def test_small_shares_are_cut_and_nothing_is_scaled_up():
    mask = torch.tensor([0.0005, 0.001, 0.9985])
    assert torch.equal(cut(mask), torch.tensor([0.0, 0.001, 0.9985]))
