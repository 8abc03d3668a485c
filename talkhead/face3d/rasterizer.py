"""Triangles -> pixels, by one contract (docs/face-model.md): exact visibility, barycentrics, attribute images, PNCC.

Vertices are pixels: x right, y down, depth away from the camera; pixel (row, column) is sampled at its centre
(column + 0.5, row + 0.5). The nearest depth wins, ties go to the lower triangle number; a centre that lies on an edge
belongs to the triangle whose top or left edge it is, so triangles that share an edge never both own a pixel. Front
faces are counter-clockwise as a viewer sees them.

`rasterize` is the compiled path, `rasterize_reference` its slow twin in numpy; both give the same triangles, and so
does `rasterize_ids`, which leaves the rest of a `Raster` out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from talkhead.errors import ShapeError
from talkhead.face3d.compiled import compiled

if TYPE_CHECKING:
    import torch

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
AnyFloat = npt.NDArray[np.floating[Any]]

EMPTY = -1


@dataclass(frozen=True, slots=True)
class Raster:
    """What each pixel shows.

    Attributes:
        tri_id: (N, H, W) int32, -1 where empty. bary: (N, H, W, 3) float32 weights of the triangle's corners in its
            own order, summing to 1; 0 where empty. depth: (N, H, W) float32, infinite where empty.
    """

    tri_id: I32
    bary: F32
    depth: F32


def rasterize(
    vertices: AnyFloat,
    triangles: I32,
    height: int,
    width: int,
    *,
    cull: bool = True,
    camera_z: AnyFloat | None = None,
) -> Raster:
    """Visible triangles of a batch of meshes.

    Args:
        vertices: (N, V, 3) or (V, 3), pixels. triangles: (F, 3). height, width: of the picture.
        cull: drop triangles seen from behind.
        camera_z: (N, V) or (V,) positive distances along the optical axis; given, barycentrics are
            perspective-correct (depth stays linear in the picture, as a z-buffer needs it).
    Raises:
        ShapeError: an array has another shape.
    """
    v, t, z = _checked(vertices, triangles, camera_z)
    n = len(v)
    tri_id = np.full((n, height, width), EMPTY, np.int32)
    bary = np.zeros((n, height, width, 3), np.float32)
    depth = np.full((n, height, width), np.inf)
    for i in range(n):
        _fill(v[i], t, z[i], cull, tri_id[i], bary[i], depth[i])
    return Raster(tri_id, bary, depth.astype(np.float32))


def rasterize_reference(
    vertices: AnyFloat,
    triangles: I32,
    height: int,
    width: int,
    *,
    cull: bool = True,
    camera_z: AnyFloat | None = None,
) -> Raster:
    """The same as `rasterize`, slowly: plain numpy, for tests."""
    v, t, z = _checked(vertices, triangles, camera_z)
    tri_id = np.full((len(v), height, width), EMPTY, np.int32)
    bary = np.zeros((len(v), height, width, 3), np.float32)
    depth = np.full((len(v), height, width), np.inf)
    px, py = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    for n in range(len(v)):
        for f, corners in enumerate(t):
            order = _front_order(v[n], corners, cull)
            if order is None:
                continue
            a, b, c = v[n, order[0]], v[n, order[1]], v[n, order[2]]
            (e0, in0), (e1, in1), (e2, in2) = _edge(b, c, px, py), _edge(c, a, px, py), _edge(a, b, px, py)
            total = e0 + e1 + e2
            with np.errstate(divide="ignore", invalid="ignore"):
                weights = np.stack([e0, e1, e2], -1) / total[..., None]
                where = weights @ np.array([a[2], b[2], c[2]])
                visible = in0 & in1 & in2 & (total > 0) & (where < depth[n])
                shares = weights / z[n, order]
                shares = shares / shares.sum(-1, keepdims=True)
            depth[n][visible] = where[visible]
            tri_id[n][visible] = f
            back = [list(order).index(corner) for corner in corners]
            bary[n][visible] = shares[visible][:, back]
    return Raster(tri_id, bary, depth.astype(np.float32))


def rasterize_ids(vertices: AnyFloat, triangles: I32, height: int, width: int, *, cull: bool = True) -> I32:
    """`Raster.tri_id` of `rasterize`, bit for bit, several times as fast: all that flat colours need.

    Args, errors: as of `rasterize`.
    Returns:
        (N, height, width) int32, -1 where empty.
    """
    v, t, _ = _checked(vertices, triangles, None)
    tri_id = np.empty((len(v), height, width), np.int32)
    _fill_ids(v, t, cull, tri_id, np.empty((height, width)))
    return tri_id


def interpolate(attributes: AnyFloat, triangles: I32, raster: Raster) -> F32:
    """Attributes (V, C) of the mesh as pictures (N, H, W, C); 0 where empty."""
    corners = np.asarray(attributes, np.float32)[triangles[np.maximum(raster.tri_id, 0)]]  # (N, H, W, 3, C)
    picture: F32 = np.einsum("nhwk,nhwkc->nhwc", raster.bary, corners)
    return picture


def interpolate_differentiable(
    attributes: torch.Tensor, vertices: torch.Tensor, triangles: torch.Tensor, tri_id: torch.Tensor
) -> torch.Tensor:
    """`interpolate` with gradients in the attributes and in the vertices.

    Barycentrics are computed again from where the chosen triangles are; which triangle is seen stays as it is, so
    gradients are those of pixels inside triangles.

    Args:
        attributes: (V, C) or (N, V, C). vertices: (N, V, 3) pixels. triangles: (F, 3) int64. tri_id: (N, H, W).
    Returns:
        (N, H, W, C), 0 where empty.
    """
    import torch

    n, height, width = tri_id.shape
    if attributes.ndim == 2:
        attributes = attributes.expand(n, -1, -1)
    corners = triangles[tri_id.clamp(min=0).long()].reshape(n, -1)  # (N, H * W * 3)

    def gathered(values: torch.Tensor) -> torch.Tensor:
        index = corners[..., None].expand(-1, -1, values.shape[-1])
        return torch.gather(values, 1, index).reshape(n, height, width, 3, -1)

    xy = gathered(vertices[..., :2])
    ys, xs = torch.meshgrid(
        torch.arange(height, device=xy.device) + 0.5, torch.arange(width, device=xy.device) + 0.5, indexing="ij"
    )
    offset = xy - torch.stack([xs, ys], -1).to(xy)[:, :, None]  # corners seen from the pixel
    nxt, last = offset.roll(-1, 3), offset.roll(-2, 3)
    areas = nxt[..., 0] * last[..., 1] - nxt[..., 1] * last[..., 0]  # (N, H, W, 3)
    covered = (tri_id >= 0)[..., None]
    total = torch.where(covered, areas.sum(-1, keepdim=True), torch.ones_like(areas[..., :1]))
    weights = torch.where(covered, areas / total, torch.zeros_like(areas))
    return torch.einsum("nhwk,nhwkc->nhwc", weights, gathered(attributes))


def pncc_colors(mean: AnyFloat) -> F32:
    """Colours of the projected normalised coordinate code: the mean shape (V, 3) scaled to [0, 1] axis by axis."""
    low, high = mean.min(0), mean.max(0)
    return ((mean - low) / (high - low)).astype(np.float32)


def pncc(mean: AnyFloat, triangles: I32, raster: Raster, mode: Literal["flat", "smooth"] = "flat") -> F32:
    """Projected normalised coordinate code of a rastered face (HeadGAN, section 3.1), (N, H, W, 3) in [0, 1].

    Args:
        mean: the model's mean shape, (V, 3). triangles, raster: what was drawn.
        mode: `flat` gives every triangle the colour of its centre, `smooth` interpolates the corners' colours.
    """
    colors = pncc_colors(mean)
    if mode == "smooth":
        return interpolate(colors, triangles, raster)
    centres = colors[triangles].mean(1)
    picture: F32 = np.where((raster.tri_id >= 0)[..., None], centres[np.maximum(raster.tri_id, 0)], np.float32(0))
    return picture


def rasterize_map(
    vertices: AnyFloat, triangles: I32, attributes: AnyFloat, height: int, width: int, *, cull: bool = False
) -> tuple[F32, npt.NDArray[np.bool_]]:
    """Attributes of the visible surface straight as a picture, without the triangle numbers: the fast way.

    Rows of each triangle are filled as spans in float32; pixels on shared edges may go to either triangle.

    Args:
        vertices: (V, 3) pixels. triangles: (F, 3). attributes: (V, C). height, width: of the picture.
        cull: drop triangles seen from behind.
    Returns:
        (H, W, C) float32, 0 where empty; coverage (H, W) bool.
    Raises:
        ShapeError: an array has another shape.
    """
    v, t, _ = _checked(vertices, triangles, None)
    if attributes.ndim != 2 or len(attributes) != v.shape[1]:
        raise ShapeError("attributes", attributes.shape, f"({v.shape[1]}, C)")
    picture = np.zeros((height, width, attributes.shape[1]), np.float32)
    depth = np.full((height, width), np.inf, np.float32)
    _fill_map(v[0].astype(np.float32), t, np.ascontiguousarray(attributes, np.float32), cull, picture, depth)
    return picture, np.isfinite(depth)


def _checked(vertices: AnyFloat, triangles: I32, camera_z: AnyFloat | None) -> tuple[F64, I32, F64]:
    v = np.ascontiguousarray(vertices, np.float64)
    v = v[None] if v.ndim == 2 else v
    if v.ndim != 3 or v.shape[2] != 3:
        raise ShapeError("vertices", np.shape(vertices), "(N, V, 3) or (V, 3)")
    t = np.ascontiguousarray(triangles, np.int32)
    if t.ndim != 2 or t.shape[1] != 3:
        raise ShapeError("triangles", t.shape, "(F, 3)")
    if t.size and (t.min() < 0 or t.max() >= v.shape[1]):
        raise ShapeError("vertices", v.shape, f"at least {t.max() + 1} vertices for these triangles")
    z = np.ones(v.shape[:2]) if camera_z is None else np.atleast_2d(np.asarray(camera_z, np.float64))
    if z.shape != v.shape[:2]:
        raise ShapeError("camera_z", z.shape, f"{v.shape[:2]}")
    return v, t, np.ascontiguousarray(z)


def _front_order(v: F64, corners: I32, cull: bool) -> tuple[int, int, int] | None:
    """The corners so that the doubled area is positive (clockwise with y down); None if it is not drawn."""
    i, j, k = (int(c) for c in corners)
    area = (v[j, 0] - v[i, 0]) * (v[k, 1] - v[i, 1]) - (v[k, 0] - v[i, 0]) * (v[j, 1] - v[i, 1])
    if area == 0 or not np.isfinite(area) or (area > 0 and cull):
        return None
    return (i, j, k) if area > 0 else (i, k, j)


def _edge(a: F64, b: F64, px: F64, py: F64) -> tuple[F64, npt.NDArray[np.bool_]]:
    """Edge function of a -> b (positive inside) and whether the pixel is on its inner side."""
    # From the lower end, always: the neighbour across the edge then gets exactly the negative number.
    flip = (b[0], b[1]) < (a[0], a[1])
    s, e = (b, a) if flip else (a, b)
    value = (e[0] - s[0]) * (py - s[1]) - (e[1] - s[1]) * (px - s[0])
    value = -value if flip else value
    top_left = (a[1] == b[1] and b[0] > a[0]) or b[1] < a[1]
    return value, value >= 0 if top_left else value > 0


@compiled(inline="always")
def _edge_value(ax: float, ay: float, bx: float, by: float, px: float, py: float) -> float:
    if bx < ax or (bx == ax and by < ay):
        return -((ax - bx) * (py - by) - (ay - by) * (px - bx))
    return (bx - ax) * (py - ay) - (by - ay) * (px - ax)


@compiled(inline="always")
def _owns_edge(ax: float, ay: float, bx: float, by: float) -> bool:
    return (ay == by and bx > ax) or by < ay


@compiled()
def _fill(v: F64, triangles: I32, z: F64, cull: bool, tri_id: I32, bary: F32, depth: F64) -> None:
    height, width = tri_id.shape
    for f in range(triangles.shape[0]):
        i, j, k = triangles[f, 0], triangles[f, 1], triangles[f, 2]
        area = (v[j, 0] - v[i, 0]) * (v[k, 1] - v[i, 1]) - (v[k, 0] - v[i, 0]) * (v[j, 1] - v[i, 1])
        if area == 0 or not np.isfinite(area) or (area > 0 and cull):
            continue
        swapped = area < 0
        if swapped:
            j, k = k, j
        ax, ay, bx, by, cx, cy = v[i, 0], v[i, 1], v[j, 0], v[j, 1], v[k, 0], v[k, 1]
        own0, own1, own2 = _owns_edge(bx, by, cx, cy), _owns_edge(cx, cy, ax, ay), _owns_edge(ax, ay, bx, by)
        left = int(max(0.0, min(float(width), np.floor(min(ax, bx, cx) - 0.5))))
        right = int(max(0.0, min(float(width), np.ceil(max(ax, bx, cx) + 0.5))))
        top = int(max(0.0, min(float(height), np.floor(min(ay, by, cy) - 0.5))))
        bottom = int(max(0.0, min(float(height), np.ceil(max(ay, by, cy) + 0.5))))
        for y in range(top, bottom):
            for x in range(left, right):
                px, py = x + 0.5, y + 0.5
                e0 = _edge_value(bx, by, cx, cy, px, py)
                if e0 < 0 or (e0 == 0 and not own0):
                    continue
                e1 = _edge_value(cx, cy, ax, ay, px, py)
                if e1 < 0 or (e1 == 0 and not own1):
                    continue
                e2 = _edge_value(ax, ay, bx, by, px, py)
                if e2 < 0 or (e2 == 0 and not own2):
                    continue
                total = e0 + e1 + e2
                if total <= 0:
                    continue
                w0, w1, w2 = e0 / total, e1 / total, e2 / total
                where = w0 * v[i, 2] + w1 * v[j, 2] + w2 * v[k, 2]
                if not where < depth[y, x]:
                    continue
                depth[y, x] = where
                tri_id[y, x] = f
                w0, w1, w2 = w0 / z[i], w1 / z[j], w2 / z[k]
                total = w0 + w1 + w2
                bary[y, x, 0] = w0 / total
                bary[y, x, 1] = (w2 if swapped else w1) / total
                bary[y, x, 2] = (w1 if swapped else w2) / total


@compiled(inline="always")
def _line(ax: float, ay: float, bx: float, by: float) -> tuple[float, float, float, float, float]:
    """An edge as numbers of its own: start x y, run, rise, and the sign that the canonical direction costs."""
    if bx < ax or (bx == ax and by < ay):
        return bx, by, ax - bx, ay - by, -1.0
    return ax, ay, bx - ax, by - ay, 1.0


@compiled()
def _fill_ids(v: F64, triangles: I32, cull: bool, tri_id: I32, depth: F64) -> None:
    """`_fill` without barycentrics; what an edge adds per row is worked out per row, by the same operations."""
    n, height, width = tri_id.shape
    for frame in range(n):
        tri_id[frame] = EMPTY
        depth[:] = np.inf
        for f in range(triangles.shape[0]):
            i, j, k = triangles[f, 0], triangles[f, 1], triangles[f, 2]
            ax, ay, bx, by, cx, cy = (
                v[frame, i, 0],
                v[frame, i, 1],
                v[frame, j, 0],
                v[frame, j, 1],
                v[frame, k, 0],
                v[frame, k, 1],
            )
            area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
            if area == 0 or not np.isfinite(area) or (area > 0 and cull):
                continue
            if area < 0:
                j, k = k, j
                bx, by, cx, cy = cx, cy, bx, by
            az, bz, cz = v[frame, i, 2], v[frame, j, 2], v[frame, k, 2]
            own0, own1, own2 = _owns_edge(bx, by, cx, cy), _owns_edge(cx, cy, ax, ay), _owns_edge(ax, ay, bx, by)
            sx0, sy0, run0, rise0, sign0 = _line(bx, by, cx, cy)
            sx1, sy1, run1, rise1, sign1 = _line(cx, cy, ax, ay)
            sx2, sy2, run2, rise2, sign2 = _line(ax, ay, bx, by)
            left = int(max(0.0, min(float(width), np.floor(min(ax, bx, cx) - 0.5))))
            right = int(max(0.0, min(float(width), np.ceil(max(ax, bx, cx) + 0.5))))
            top = int(max(0.0, min(float(height), np.floor(min(ay, by, cy) - 0.5))))
            bottom = int(max(0.0, min(float(height), np.ceil(max(ay, by, cy) + 0.5))))
            for y in range(top, bottom):
                py = y + 0.5
                row0, row1, row2 = run0 * (py - sy0), run1 * (py - sy1), run2 * (py - sy2)
                for x in range(left, right):
                    px = x + 0.5
                    e0 = sign0 * (row0 - rise0 * (px - sx0))
                    if e0 < 0 or (e0 == 0 and not own0):
                        continue
                    e1 = sign1 * (row1 - rise1 * (px - sx1))
                    if e1 < 0 or (e1 == 0 and not own1):
                        continue
                    e2 = sign2 * (row2 - rise2 * (px - sx2))
                    if e2 < 0 or (e2 == 0 and not own2):
                        continue
                    total = e0 + e1 + e2
                    if total <= 0:
                        continue
                    where = (e0 / total) * az + (e1 / total) * bz + (e2 / total) * cz
                    if where < depth[y, x]:
                        depth[y, x] = where
                        tri_id[frame, y, x] = f


@compiled(inline="always")
def _crossing(ax: Any, ay: Any, bx: Any, by: Any, y: Any) -> Any:
    """Where an edge crosses a row; from the upper end, always, so that neighbours leave no crack."""
    if ay < by:
        return ax + (y - ay) * (bx - ax) / (by - ay)
    return bx + (y - by) * (ax - bx) / (ay - by)


@compiled(fastmath=True)
def _fill_map(v: F32, triangles: I32, attributes: F32, cull: bool, picture: F32, depth: F32) -> None:
    height, width, channels = picture.shape
    half = np.float32(0.5)
    start, slope_x, slope_y = np.empty((3, channels), np.float32)
    for f in range(triangles.shape[0]):
        i, j, k = triangles[f, 0], triangles[f, 1], triangles[f, 2]
        x0, y0, x1, y1, x2, y2 = v[i, 0], v[i, 1], v[j, 0], v[j, 1], v[k, 0], v[k, 1]
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if abs(area) < np.float32(1e-6) or (cull and area > 0):
            continue
        inverse = np.float32(1.0) / area
        ux, uy = (y2 - y0) * inverse, (x0 - x2) * inverse
        wx, wy = (y0 - y1) * inverse, (x1 - x0) * inverse
        dz1, dz2 = v[j, 2] - v[i, 2], v[k, 2] - v[i, 2]
        zx, zy = dz1 * ux + dz2 * wx, dz1 * uy + dz2 * wy
        for c in range(channels):
            d1, d2 = attributes[j, c] - attributes[i, c], attributes[k, c] - attributes[i, c]
            start[c], slope_x[c], slope_y[c] = attributes[i, c], d1 * ux + d2 * wx, d1 * uy + d2 * wy
        top = max(int(np.ceil(min(y0, y1, y2) - half)), 0)
        bottom = min(int(np.ceil(max(y0, y1, y2) - half)), height)
        for y in range(top, bottom):
            yc = np.float32(y) + half
            low, high = np.float32(1e30), np.float32(-1e30)
            if (y0 <= yc) != (y1 <= yc):
                x = _crossing(x0, y0, x1, y1, yc)
                low, high = min(low, x), max(high, x)
            if (y1 <= yc) != (y2 <= yc):
                x = _crossing(x1, y1, x2, y2, yc)
                low, high = min(low, x), max(high, x)
            if (y2 <= yc) != (y0 <= yc):
                x = _crossing(x2, y2, x0, y0, yc)
                low, high = min(low, x), max(high, x)
            if high < low:
                continue
            left, right = max(int(np.ceil(low - half)), 0), min(int(np.ceil(high - half)), width)
            for px in range(left, right):
                dx, dy = np.float32(px) + half - x0, yc - y0
                where = v[i, 2] + zx * dx + zy * dy
                if where < depth[y, px]:
                    depth[y, px] = where
                    for c in range(channels):
                        picture[y, px, c] = start[c] + slope_x[c] * dx + slope_y[c] * dy
