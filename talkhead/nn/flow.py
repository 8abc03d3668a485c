"""Dense flow in pixels: bending pictures and feature maps by it, and taking it to smaller ones."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from talkhead.errors import ShapeError


def warp(x: Tensor, flow: Tensor) -> Tensor:
    """Backward warp: output(u, v) = x(u + flow_x, v + flow_y), bilinear; outside, the nearest pixel of the border.

    Coordinates are float32 whatever the number format of `x`. A flow of whole pixels copies pixels exactly.

    Args:
        x: picture or features, (B, C, H, W). flow: where each output pixel looks, from itself, (B, 2, H, W), pixels,
            x then y.
    Returns:
        (B, C, H, W).
    Raises:
        ShapeError: sizes differ.
    """
    B, _, H, W = x.shape
    if flow.shape != (B, 2, H, W):
        raise ShapeError("flow", tuple(flow.shape), f"({B}, 2, {H}, {W})")
    flow = flow.float()
    # PyTorch's coordinates are halves of the side: exact in float32 only where the side is a power of two.
    width, height = _power_of_two(W), _power_of_two(H)
    u = (torch.arange(W, device=x.device) + flow[:, 0]).clamp(0, W - 1)
    v = (torch.arange(H, device=x.device)[:, None] + flow[:, 1]).clamp(0, H - 1)
    grid = torch.stack(((u + 0.5) * (2.0 / width) - 1.0, (v + 0.5) * (2.0 / height) - 1.0), -1)  # (B, H, W, 2)
    padded = functional.pad(x.float(), (0, width - W, 0, height - H)) if (width, height) != (W, H) else x.float()
    return functional.grid_sample(padded, grid, padding_mode="border", align_corners=False).to(x.dtype)


def halved(flow: Tensor) -> Tensor:
    """The flow of a picture half as large: means of 2 x 2, in its pixels; (B, 2, H, W) -> (B, 2, H/2, W/2)."""
    return functional.avg_pool2d(flow, 2) * 0.5


def _power_of_two(n: int) -> int:
    return 1 << (n - 1).bit_length()
