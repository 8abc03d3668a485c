"""Triangle numbers of a batch of meshes on a CUDA device: one Triton kernel, by the contract of `rasterizer`.

A program owns a tile of pixels of one frame and goes through all triangles in order, passing over those whose box does
not meet the tile; a face of a thousand triangles needs no binning. Importing this file needs Triton.
"""

from __future__ import annotations

import torch
import triton  # type: ignore[import-untyped, unused-ignore]
import triton.language as tl  # type: ignore[import-untyped, unused-ignore]
from torch import Tensor

from talkhead.face3d.rasterizer import EMPTY
from talkhead.face3d.rasterizer_torch import check_mesh

TILE = 16
N_WARPS = 2


def rasterize_ids(vertices: Tensor, triangles: Tensor, height: int, width: int, *, cull: bool = True) -> Tensor:
    """Visible triangles of a batch of meshes, the arithmetic in float64.

    Args, returns, errors: as of `rasterizer_torch.rasterize_ids`. Products may be fused with sums, so a depth tie or a
    pixel centre on an edge that no other triangle shares may fall out differently.
    """
    check_mesh(vertices, triangles)
    n, f = len(vertices), len(triangles)
    out = torch.full((n, height, width), EMPTY, dtype=torch.int32, device=vertices.device)
    if n and f:
        corners = vertices.double()[:, triangles.long()].contiguous()  # (N, F, 3, 3)
        grid = (triton.cdiv(width, TILE), triton.cdiv(height, TILE), n)
        _tile[grid](corners, out, f, height, width, cull, TILE, EMPTY, num_warps=N_WARPS)
    return out


@triton.jit  # type: ignore[misc, unused-ignore]
def _edge(ax, ay, bx, by, px, py):  # type: ignore[no-untyped-def, unused-ignore]  # noqa: ANN001, ANN202
    """Edge function of a -> b, from its lower end always, so that neighbours get exactly opposite numbers."""
    flip = (bx < ax) | ((bx == ax) & (by < ay))
    sx, sy = tl.where(flip, bx, ax), tl.where(flip, by, ay)
    ex, ey = tl.where(flip, ax, bx), tl.where(flip, ay, by)
    value = (ex - sx) * (py - sy) - (ey - sy) * (px - sx)
    value = tl.where(flip, -value, value)
    owned = (((ay == by) & (bx > ax)) | (by < ay)).to(tl.float64)
    # A number, not a truth value: Triton's interpreter does not spread those over a tile.
    return value, (value >= 0) & (value + owned > 0)


@triton.jit  # type: ignore[misc, unused-ignore]
def _tile(corners, out, n_triangles, height, width, cull, tile: tl.constexpr, empty: tl.constexpr):  # type: ignore[no-untyped-def, unused-ignore]  # noqa: ANN001, ANN202
    """Fill one tile: corners (N, F, 3, 3) float64 -> out (N, H, W) int32."""
    column, row, frame = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    x = column * tile + tl.arange(0, tile)
    y = row * tile + tl.arange(0, tile)
    px, py = (x.to(tl.float64) + 0.5)[None, :], (y.to(tl.float64) + 0.5)[:, None]
    left, top = (column * tile).to(tl.float64), (row * tile).to(tl.float64)
    depth = tl.full((tile, tile), float("inf"), tl.float64)
    chosen = tl.full((tile, tile), empty, tl.int32)
    base = corners + frame.to(tl.int64) * n_triangles * 9
    for f in range(n_triangles):
        at = base + f * 9
        ax, ay = tl.load(at), tl.load(at + 1)
        bx, by = tl.load(at + 3), tl.load(at + 4)
        cx, cy = tl.load(at + 6), tl.load(at + 7)
        area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
        # Anything not finite fails one of these comparisons.
        meets = (tl.maximum(tl.maximum(ax, bx), cx) > left) & (tl.minimum(tl.minimum(ax, bx), cx) < left + tile)
        meets &= (tl.maximum(tl.maximum(ay, by), cy) > top) & (tl.minimum(tl.minimum(ay, by), cy) < top + tile)
        meets &= (area < 0) | ((area > 0) & (cull == 0))
        meets &= tl.abs(area) < float("inf")
        if meets:
            az, bz, cz = tl.load(at + 2), tl.load(at + 5), tl.load(at + 8)
            swapped = area < 0
            ux, uy, uz = tl.where(swapped, cx, bx), tl.where(swapped, cy, by), tl.where(swapped, cz, bz)
            vx, vy, vz = tl.where(swapped, bx, cx), tl.where(swapped, by, cy), tl.where(swapped, bz, cz)
            e0, in0 = _edge(ux, uy, vx, vy, px, py)
            e1, in1 = _edge(vx, vy, ax, ay, px, py)
            e2, in2 = _edge(ax, ay, ux, uy, px, py)
            total = e0 + e1 + e2
            covered = in0 & in1 & in2 & (total > 0)
            safe = tl.where(covered, total, 1.0)
            where = (e0 / safe) * az + (e1 / safe) * uz + (e2 / safe) * vz
            nearer = covered & (where < depth)
            depth = tl.where(nearer, where, depth)
            chosen = tl.where(nearer, f, chosen)
    at_pixel = out + frame.to(tl.int64) * height * width + y[:, None] * width + x[None, :]
    tl.store(at_pixel, chosen, mask=(y[:, None] < height) & (x[None, :] < width))
