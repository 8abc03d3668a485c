"""Triangle numbers of a batch of meshes by PyTorch: the contract of `rasterizer`, on any device.

Every pair of a triangle and a pixel in its box is one element of a long vector; the nearest depth of each pixel is a
scattered minimum, and so is the lowest number among the triangles that have it, hence no order of work shows. The
arithmetic is that of `rasterizer.rasterize_reference` in float64, operation by operation.
"""

from __future__ import annotations

import torch
from torch import Tensor

from talkhead.errors import ShapeError
from talkhead.face3d.rasterizer import EMPTY

_PAIRS = 1 << 22
"""Pairs that are worked on at a time: some 0.5 GB."""


def rasterize_ids(vertices: Tensor, triangles: Tensor, height: int, width: int, *, cull: bool = True) -> Tensor:
    """Visible triangles of a batch of meshes.

    Args:
        vertices: (N, V, 3) pixels. triangles: (F, 3) integers on the same device. height, width: of the pictures.
        cull: drop triangles seen from behind.
    Returns:
        (N, height, width) int32, -1 where empty.
    Raises:
        ShapeError: an array has another shape.
    """
    check_mesh(vertices, triangles)
    out = torch.full((len(vertices), height * width), EMPTY, dtype=torch.int32, device=vertices.device)
    if not len(vertices) or not len(triangles):
        return out.view(-1, height, width)
    corners, drawn = _front_corners(vertices.double()[:, triangles.long()], cull)  # (N, F, 3, 3)
    boxes = _boxes(corners[..., :2], drawn, height, width)  # (N, F, 4)
    per_frame = _areas(boxes).sum(1)
    for part in _parts(per_frame.tolist()):
        out[part] = _draw(corners[part], boxes[part], height, width)
    return out.view(-1, height, width)


def check_mesh(vertices: Tensor, triangles: Tensor) -> None:
    """Raise ShapeError unless vertices are (N, V, 3) and triangles (F, 3)."""
    if vertices.ndim != 3 or vertices.shape[2] != 3:
        raise ShapeError("vertices", tuple(vertices.shape), "(N, V, 3)")
    if triangles.ndim != 2 or triangles.shape[1] != 3:
        raise ShapeError("triangles", tuple(triangles.shape), "(F, 3)")


def _front_corners(corners: Tensor, cull: bool) -> tuple[Tensor, Tensor]:
    """Corners (N, F, 3, 3) so that the doubled area is positive, and which triangles (N, F) are drawn at all."""
    a, b, c = corners[..., :2].unbind(2)
    area = (b[..., 0] - a[..., 0]) * (c[..., 1] - a[..., 1]) - (c[..., 0] - a[..., 0]) * (b[..., 1] - a[..., 1])
    drawn = (area != 0) & area.isfinite()
    if cull:
        drawn &= area < 0
    swapped = corners[:, :, [0, 2, 1]]
    return torch.where((area < 0)[..., None, None], swapped, corners), drawn


def _boxes(xy: Tensor, drawn: Tensor, height: int, width: int) -> Tensor:
    """Pixel boxes left, top, right, bottom, (N, F, 4) int64; empty where nothing is drawn."""
    limit = torch.tensor([width, height], dtype=xy.dtype, device=xy.device)
    xy = torch.where(drawn[..., None, None], xy, torch.zeros_like(xy))
    low = (xy.amin(2) - 0.5).floor().clamp(min=0).minimum(limit)
    high = (xy.amax(2) + 0.5).ceil().clamp(min=0).minimum(limit)
    high = torch.where(drawn[..., None], high.maximum(low), low)
    return torch.cat([low, high], -1).long()


def _areas(boxes: Tensor) -> Tensor:
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def _parts(per_frame: list[int]) -> list[slice]:
    """Runs of frames with at most `_PAIRS` pairs, or one frame."""
    parts, start, total = [], 0, 0
    for i, n in enumerate(per_frame):
        if i > start and total + n > _PAIRS:
            parts.append(slice(start, i))
            start, total = i, 0
        total += n
    return [*parts, slice(start, len(per_frame))]


def _draw(corners: Tensor, boxes: Tensor, height: int, width: int) -> Tensor:
    """Triangle numbers (N, H * W) of corners (N, F, 3, 3) in boxes (N, F, 4)."""
    n, f = boxes.shape[:2]
    areas = _areas(boxes).flatten()
    owner = torch.repeat_interleave(areas)  # (pairs,), numbers of triangles of the whole batch
    first = areas.cumsum(0) - areas
    inside = torch.arange(len(owner), device=owner.device) - first[owner]
    box = boxes.reshape(-1, 4)[owner]
    across = box[:, 2] - box[:, 0]
    x, y = box[:, 0] + inside % across, box[:, 1] + inside // across
    corner = corners.reshape(-1, 3, 3)[owner]
    px, py = x + 0.5, y + 0.5
    a, b, c = corner.unbind(1)
    (e0, in0), (e1, in1), (e2, in2) = _edge(b, c, px, py), _edge(c, a, px, py), _edge(a, b, px, py)
    total = e0 + e1 + e2
    hit = in0 & in1 & in2 & (total > 0)
    where = (e0 / total) * a[:, 2] + (e1 / total) * b[:, 2] + (e2 / total) * c[:, 2]
    owner, where, pixel = owner[hit], where[hit], (y * width + x)[hit]
    cell = owner // f * (height * width) + pixel
    nearest = torch.full((n * height * width,), torch.inf, dtype=where.dtype, device=where.device)
    nearest.scatter_reduce_(0, cell, where, "amin")
    wins = where == nearest[cell]
    lowest = torch.full((n * height * width,), f, dtype=torch.int64, device=where.device)
    lowest.scatter_reduce_(0, cell[wins], owner[wins] % f, "amin")
    return torch.where(lowest < f, lowest, EMPTY).to(torch.int32).view(n, -1)


def _edge(a: Tensor, b: Tensor, px: Tensor, py: Tensor) -> tuple[Tensor, Tensor]:
    """Edge function of a -> b (positive inside) and whether the pixel is on its inner side, all (pairs,)."""
    ax, ay, bx, by = a[:, 0], a[:, 1], b[:, 0], b[:, 1]
    flip = (bx < ax) | ((bx == ax) & (by < ay))
    sx, sy, ex, ey = (
        torch.where(flip, bx, ax),
        torch.where(flip, by, ay),
        torch.where(flip, ax, bx),
        torch.where(flip, ay, by),
    )
    value = (ex - sx) * (py - sy) - (ey - sy) * (px - sx)
    value = torch.where(flip, -value, value)
    top_left = ((ay == by) & (bx > ax)) | (by < ay)
    return value, torch.where(top_left, value >= 0, value > 0)
