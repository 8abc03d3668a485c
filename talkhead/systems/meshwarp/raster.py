"""The two inner loops of a frame: triangles -> backward map, and the composite of moving layers over the photo."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from talkhead.face3d.compiled import compiled

F32 = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]

OUTSIDE = np.float32(-30000.0)  # map value of pixels no triangle covers: samples as transparent


@compiled()
def _crossing(xa: Any, ya: Any, xb: Any, yb: Any, y: Any) -> Any:
    """Where an edge crosses a row; the same number from either end, or two triangles would leave a crack."""
    if ya < yb:
        return xa + (y - ya) * (xb - xa) / (yb - ya)
    return xb + (y - yb) * (xa - xb) / (ya - yb)


@compiled()  # no fast maths: fused or reordered products would differ between an edge's two triangles
def rasterize_map(
    vertices: F32,
    triangles: npt.NDArray[np.int32],
    texture_xy: F32,
    surface: F32,
    spans: npt.NDArray[np.int32],
    depth: F32,
    xy: F32,
    gain: F32,
) -> None:
    """Z-buffered backward map: where in the texture each pixel looks, scanline by scanline.

    Args:
        vertices: (V, 3) float32, pixels and depth away from the camera. triangles: (F, 3).
        texture_xy: (V, 2) position in the texture. surface: (V, 2) shading gain and solidity: 1 hides the background
            whatever the matte says, -1 shows it.
        spans: (H, 2) first and last + 1 column of each row that is worth filling. depth: (H, W) work space.
        xy: (H, W, 2), overwritten; uncovered pixels become `OUTSIDE`. gain: (H, W, 2) interpolated surface, overwritten
            where covered.
    """
    height = depth.shape[0]
    half = np.float32(0.5)
    for y in range(height):
        for x in range(spans[y, 0], spans[y, 1]):
            depth[y, x] = np.float32(1e30)
            xy[y, x, 0] = OUTSIDE
            xy[y, x, 1] = OUTSIDE
    for f in range(triangles.shape[0]):
        i, j, k = triangles[f, 0], triangles[f, 1], triangles[f, 2]
        x0, y0 = vertices[i, 0], vertices[i, 1]
        x1, y1 = vertices[j, 0], vertices[j, 1]
        x2, y2 = vertices[k, 0], vertices[k, 1]
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if abs(area) < np.float32(1e-6):
            continue
        top = max(int(np.ceil(min(y0, y1, y2) - half)), 0)
        bottom = min(int(np.ceil(max(y0, y1, y2) - half)), height)
        inv = np.float32(1.0) / area
        # barycentric slopes, then one plane equation per attribute: value = at vertex 0 + slope . (x - x0, y - y0)
        l1x, l1y = (y2 - y0) * inv, (x0 - x2) * inv
        l2x, l2y = (y0 - y1) * inv, (x1 - x0) * inv
        z0, dz1, dz2 = vertices[i, 2], vertices[j, 2] - vertices[i, 2], vertices[k, 2] - vertices[i, 2]
        zx, zy = dz1 * l1x + dz2 * l2x, dz1 * l1y + dz2 * l2y
        a0, b0, c0, s0 = texture_xy[i, 0], texture_xy[i, 1], surface[i, 0], surface[i, 1]
        a1, a2 = texture_xy[j, 0] - a0, texture_xy[k, 0] - a0
        b1, b2 = texture_xy[j, 1] - b0, texture_xy[k, 1] - b0
        c1, c2 = surface[j, 0] - c0, surface[k, 0] - c0
        s1, s2 = surface[j, 1] - s0, surface[k, 1] - s0
        ax, ay = a1 * l1x + a2 * l2x, a1 * l1y + a2 * l2y
        bx, by = b1 * l1x + b2 * l2x, b1 * l1y + b2 * l2y
        cx, cy = c1 * l1x + c2 * l2x, c1 * l1y + c2 * l2y
        sx, sy = s1 * l1x + s2 * l2x, s1 * l1y + s2 * l2y
        for y in range(top, bottom):
            yc = np.float32(y) + half
            lo, hi = np.float32(1e30), np.float32(-1e30)
            if (y0 <= yc) != (y1 <= yc):
                x = _crossing(x0, y0, x1, y1, yc)
                lo, hi = min(lo, x), max(hi, x)
            if (y1 <= yc) != (y2 <= yc):
                x = _crossing(x1, y1, x2, y2, yc)
                lo, hi = min(lo, x), max(hi, x)
            if (y2 <= yc) != (y0 <= yc):
                x = _crossing(x2, y2, x0, y0, yc)
                lo, hi = min(lo, x), max(hi, x)
            if hi < lo:
                continue
            left = max(int(np.ceil(lo - half)), spans[y, 0])
            right = min(int(np.ceil(hi - half)), spans[y, 1])
            dy = yc - y0
            zr, ar, br = z0 + zy * dy, a0 + ay * dy, b0 + by * dy
            cr, sr = c0 + cy * dy, s0 + sy * dy
            for x in range(left, right):
                dx = np.float32(x) + half - x0
                z = zr + zx * dx
                if z < depth[y, x]:
                    depth[y, x] = z
                    xy[y, x, 0] = ar + ax * dx
                    xy[y, x, 1] = br + bx * dx
                    gain[y, x, 0] = cr + cx * dx
                    gain[y, x, 1] = sr + sx * dx


@compiled(fastmath=True)
def composite(
    photo: U8,
    plate: U8,
    warped: U8,
    xy: F32,
    gain: F32,
    spans: npt.NDArray[np.int32],
    offset: float,
    zoom: float,
    out: U8,
) -> None:
    """Moving foreground over the filled background, and the photo itself where nothing moves.

    `out = (1 - m) photo + m (a * gain * foreground + (1 - a) plate)`, m = min(1, 2 |flow|) in pixels, so zero motion
    copies the photo bit for bit.

    Args:
        photo, plate: (H, W, 3) uint8. warped: (H, W, 4) uint8 foreground colour and matte.
        xy: (H, W, 2) texture positions, pixel centres at integers. gain: (H, W, 2) shading and solidity.
        spans: (H, 2) columns with foreground; the plate alone is seen beside them. offset, zoom: texture position =
            (photo position + offset) * zoom - 0.5. out: (H, W, 3) uint8, overwritten.
    """
    one, two, half, zero, full = np.float32(1), np.float32(2), np.float32(0.5), np.float32(0), np.float32(255)
    still_px, still_gain = np.float32(1e-4), np.float32(1e-3)
    per_pixel, shift = np.float32(1.0 / zoom), np.float32(0.5 / zoom - offset - 0.5)
    to_unit = np.float32(1.0 / 255.0)
    for y in range(out.shape[0]):
        fy0 = shift - np.float32(y)
        left, right = spans[y, 0], spans[y, 1]
        for x in range(out.shape[1]):
            if x < left or x >= right:
                for c in range(3):
                    out[y, x, c] = plate[y, x, c]
                continue
            u = xy[y, x, 0]
            if u <= OUTSIDE:
                for c in range(3):
                    out[y, x, c] = plate[y, x, c]
                continue
            fx, fy = u * per_pixel + shift - np.float32(x), xy[y, x, 1] * per_pixel + fy0
            motion = fx * fx + fy * fy
            g = gain[y, x, 0]
            solid = gain[y, x, 1]
            matte = max(np.float32(warped[y, x, 3]) * to_unit * (one + min(solid, zero)), solid)
            if motion < still_px and abs(g - one) < still_gain:
                for c in range(3):
                    out[y, x, c] = photo[y, x, c]
            elif matte <= zero and motion > half:
                for c in range(3):
                    out[y, x, c] = plate[y, x, c]
            elif matte >= one and motion > half:
                for c in range(3):
                    out[y, x, c] = np.uint8(min(np.float32(warped[y, x, c]) * g + half, full))
            else:
                m = min(one, two * np.sqrt(motion))
                for c in range(3):
                    moved = matte * np.float32(warped[y, x, c]) * g + (one - matte) * np.float32(plate[y, x, c])
                    still = np.float32(photo[y, x, c]) * (one + matte * (g - one))
                    value = still + m * (moved - still) + half
                    out[y, x, c] = np.uint8(min(max(value, zero), full))


@compiled(fastmath=True)
def soften_folds(
    xy: F32, zoom: float, jump: float, box: npt.NDArray[np.int64], spans: npt.NDArray[np.int32], frame: U8, out: U8
) -> None:
    """Anti-alias contours where the mesh folds over itself: blur across the line where the map jumps.

    Args:
        xy: (H, W, 2) texture positions. zoom: texture pixels per photo pixel. jump: photo pixels a step may differ from
            an even one before its ends belong to different surfaces. box: x0, y0, x1, y1 to look at.
        spans: (H, 2) columns of each row in which the map is filled.
        frame: the box's pixels, (y1 - y0, x1 - x0, 3) uint8, read. out: (H, W, 3) uint8, written at the contours.
    """
    limit, even = np.float32(jump * zoom), np.float32(zoom)
    x0, y0, x1, y1 = box
    for y in range(y0 + 1, y1 - 2):
        left = max(x0 + 1, spans[y, 0], spans[y + 1, 0])
        right = min(x1 - 2, spans[y, 1] - 1, spans[y + 1, 1])
        for x in range(left, right):
            u, v = xy[y, x, 0], xy[y, x, 1]
            across = abs(xy[y, x + 1, 0] - u - even) > limit or abs(xy[y, x + 1, 1] - v) > limit
            down = abs(xy[y + 1, x, 0] - u) > limit or abs(xy[y + 1, x, 1] - v - even) > limit
            if not (across or down):
                continue
            dx, dy = (1, 0) if across else (0, 1)
            for step in range(2):
                yy, xx = y + step * dy, x + step * dx
                j, i = yy - y0, xx - x0
                for c in range(3):
                    value = np.uint32(frame[j - dy, i - dx, c]) + np.uint32(frame[j + dy, i + dx, c])
                    out[yy, xx, c] = np.uint8((value + 2 * np.uint32(frame[j, i, c]) + 2) >> 2)
