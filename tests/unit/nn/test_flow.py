import pytest
import torch

from talkhead.errors import ShapeError
from talkhead.nn.flow import halved, warp


def constant(flow, H, W, B=1):
    return torch.tensor(flow, dtype=torch.float32)[None, :, None, None].expand(B, 2, H, W)


def plain_warp(x, flow):
    """The same, pixel by pixel in float64."""
    B, C, H, W = x.shape
    out = torch.zeros(B, C, H, W, dtype=torch.float64)
    for b in range(B):
        for v in range(H):
            for u in range(W):
                px = min(max(u + float(flow[b, 0, v, u]), 0.0), W - 1.0)
                py = min(max(v + float(flow[b, 1, v, u]), 0.0), H - 1.0)
                u0, v0 = min(int(px), W - 2), min(int(py), H - 2)
                a, b_ = px - u0, py - v0
                four = x[b, :, v0 : v0 + 2, u0 : u0 + 2].double()
                out[b, :, v, u] = (
                    (1 - b_) * ((1 - a) * four[:, 0, 0] + a * four[:, 0, 1])
                    + b_ * ((1 - a) * four[:, 1, 0] + a * four[:, 1, 1])
                )  # fmt: skip
    return out


@pytest.mark.parametrize("size", [(16, 16), (12, 20), (7, 9)])
def test_warp_is_bilinear_with_the_border_repeated(size):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, *size, generator=generator)
    flow = torch.randn(2, 2, *size, generator=generator) * 6
    assert torch.allclose(warp(x, flow).double(), plain_warp(x, flow), atol=2e-5)


@pytest.mark.parametrize("size", [(64, 64), (60, 100)])
def test_whole_pixels_are_copied_exactly(size):
    x = torch.randn(1, 2, *size)
    assert torch.equal(warp(x, constant((0, 0), *size)), x)
    moved = warp(x, constant((3, -2), *size))
    assert torch.equal(moved[..., 2:, :-3], x[..., :-2, 3:])
    assert torch.equal(moved[..., :, -3:], moved[..., :, -4:-3].expand(1, 2, size[0], 3))


def test_half_the_size_has_half_the_flow():
    flow = torch.stack(torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="xy"))[None]
    small = halved(flow)
    assert small.shape == (1, 2, 4, 4)
    assert torch.allclose(small[0, 0, 1], torch.tensor([0.25, 1.25, 2.25, 3.25]))
    # A picture moved by 4 pixels, made smaller, is the smaller picture moved by 2.
    x = torch.randn(1, 1, 16, 16)
    moved = torch.nn.functional.avg_pool2d(warp(x, constant((4, 0), 16, 16)), 2)
    again = warp(torch.nn.functional.avg_pool2d(x, 2), halved(constant((4, 0), 16, 16)))
    assert torch.allclose(moved[..., :-2], again[..., :-2], atol=1e-6)


def test_gradients_reach_picture_and_flow():
    x = torch.randn(1, 2, 6, 6, dtype=torch.float32, requires_grad=True)
    flow = (0.3 + 0.4 * torch.rand(1, 2, 6, 6)).requires_grad_()
    warp(x, flow).square().sum().backward()
    step = 1e-2
    direction = torch.randn_like(flow)
    with torch.no_grad():
        up, down = (warp(x, flow + s * step * direction).square().sum() for s in (1, -1))
    assert x.grad.abs().min() >= 0 and x.grad.abs().max() > 0
    assert (flow.grad * direction).sum().item() == pytest.approx(((up - down) / (2 * step)).item(), rel=1e-2, abs=1e-2)


def test_half_precision_keeps_its_format():
    x = torch.randn(1, 2, 8, 8).bfloat16()
    assert torch.equal(warp(x, constant((1, 0), 8, 8))[..., :-1], x[..., 1:])


def test_sizes_must_agree():
    with pytest.raises(ShapeError, match="flow"):
        warp(torch.zeros(1, 3, 8, 8), torch.zeros(1, 2, 8, 4))
