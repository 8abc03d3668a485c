"""The two inner loops of a frame: triangles -> backward map, and the composite of moving layers over the photo."""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]

OUTSIDE = np.float32(-30000.0)  # map value of pixels no triangle covers: samples as transparent


@numba.njit(cache=True, nogil=True, fastmath=True, boundscheck=False)  # type: ignore[misc]
def rasterize_attributes(vertices: F32, triangles: npt.NDArray[np.int32], attributes: F32, depth: F32, out: F32) -> None:
    """Fill `out` with z-buffered, linearly interpolated vertex attributes, scanline by scanline.

    Args:
        vertices: (V, 3) float32, pixels and depth away from the camera. triangles: (F, 3).
        attributes: (V, 3). depth: (H, W) work space. out: (H, W, 3), overwritten; uncovered pixels become `OUTSIDE`.
    """
    height, width = depth.shape
    depth[:] = np.float32(1e30)
    out[:] = OUTSIDE
    for f in range(triangles.shape[0]):
        i, j, k = triangles[f, 0], triangles[f, 1], triangles[f, 2]
        x0, y0 = vertices[i, 0], vertices[i, 1]
        x1, y1 = vertices[j, 0], vertices[j, 1]
        x2, y2 = vertices[k, 0], vertices[k, 1]
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if abs(area) < 1e-9:
            continue
        top = max(int(np.ceil(min(y0, y1, y2) - 0.5)), 0)
        bottom = min(int(np.ceil(max(y0, y1, y2) - 0.5)), height)
        inv = np.float32(1.0) / area
        # plane equations: value = a + bx * (x - x0) + by * (y - y0)
        l1x, l1y = (y2 - y0) * inv, (x0 - x2) * inv
        l2x, l2y = (y0 - y1) * inv, (x1 - x0) * inv
        z0, dz1, dz2 = vertices[i, 2], vertices[j, 2] - vertices[i, 2], vertices[k, 2] - vertices[i, 2]
        zx, zy = dz1 * l1x + dz2 * l2x, dz1 * l1y + dz2 * l2y
        a0, b0, c0 = attributes[i, 0], attributes[i, 1], attributes[i, 2]
        a1, a2 = attributes[j, 0] - a0, attributes[k, 0] - a0
        b1, b2 = attributes[j, 1] - b0, attributes[k, 1] - b0
        c1, c2 = attributes[j, 2] - c0, attributes[k, 2] - c0
        ax, ay = a1 * l1x + a2 * l2x, a1 * l1y + a2 * l2y
        bx, by = b1 * l1x + b2 * l2x, b1 * l1y + b2 * l2y
        cx, cy = c1 * l1x + c2 * l2x, c1 * l1y + c2 * l2y
        for y in range(top, bottom):
            yc = np.float32(y) + np.float32(0.5)
            lo, hi = np.float32(1e30), np.float32(-1e30)
            for e in range(3):
                if e == 0:
                    xa, ya, xb, yb = x0, y0, x1, y1
                elif e == 1:
                    xa, ya, xb, yb = x1, y1, x2, y2
                else:
                    xa, ya, xb, yb = x2, y2, x0, y0
                if (ya <= yc) != (yb <= yc):
                    x = xa + (yc - ya) * (xb - xa) / (yb - ya)
                    lo, hi = min(lo, x), max(hi, x)
            if hi < lo:
                continue
            left = max(int(np.ceil(lo - np.float32(0.5))), 0)
            right = min(int(np.ceil(hi - np.float32(0.5))), width)
            dy = yc - y0
            for x in range(left, right):
                dx = np.float32(x) + np.float32(0.5) - x0
                z = z0 + zx * dx + zy * dy
                if z < depth[y, x]:
                    depth[y, x] = z
                    out[y, x, 0] = a0 + ax * dx + ay * dy
                    out[y, x, 1] = b0 + bx * dx + by * dy
                    out[y, x, 2] = c0 + cx * dx + cy * dy


@numba.njit(cache=True, nogil=True, fastmath=True, boundscheck=False)  # type: ignore[misc]
def to_maps(attributes: F32, offset: float, factor: float, map_x: F32, map_y: F32) -> None:
    """Split source positions (pixels, centre at +0.5) into the two maps of a remap into an enlarged texture.

    Args:
        attributes: (H, W, 3) from `rasterize_attributes`. offset: border of the texture in photo pixels.
        factor: enlargement of the texture. map_x, map_y: (H, W), overwritten.
    """
    for y in range(attributes.shape[0]):
        for x in range(attributes.shape[1]):
            map_x[y, x] = (attributes[y, x, 0] + offset) * factor - 0.5
            map_y[y, x] = (attributes[y, x, 1] + offset) * factor - 0.5


@numba.njit(cache=True, nogil=True, fastmath=True, boundscheck=False)  # type: ignore[misc]
def composite(photo: U8, plate: U8, warped: U8, attributes: F32, out: U8) -> None:
    """Moving foreground over the filled background, and the photo itself where nothing moves.

    `out = (1 - m) photo + m (a * gain * foreground + (1 - a) plate)`, m = min(1, 2 |flow|) in pixels, so zero motion
    copies the photo bit for bit.

    Args:
        photo, plate: (H, W, 3) uint8. warped: (H, W, 4) uint8 foreground colour and matte. attributes: (H, W, 3)
            source x, y in pixels and shading gain. out: (H, W, 3) uint8, overwritten.
    """
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            u, v, gain = attributes[y, x, 0], attributes[y, x, 1], attributes[y, x, 2]
            fx, fy = u - x - np.float32(0.5), v - y - np.float32(0.5)
            shade = abs(gain - np.float32(1.0)) if u > OUTSIDE else np.float32(0.0)
            motion = fx * fx + fy * fy
            if motion < 1e-4 and shade < 1e-3:
                for c in range(3):
                    out[y, x, c] = photo[y, x, c]
                continue
            m = min(np.float32(1.0), np.float32(2.0) * np.sqrt(motion))
            if u <= OUTSIDE:
                for c in range(3):
                    out[y, x, c] = plate[y, x, c]
                continue
            a = np.float32(warped[y, x, 3]) * np.float32(1.0 / 255.0)
            for c in range(3):
                moved = a * np.float32(warped[y, x, c]) * gain + (1 - a) * np.float32(plate[y, x, c])
                still = np.float32(photo[y, x, c]) * (1 + a * (gain - 1))
                value = still + m * (moved - still) + np.float32(0.5)
                out[y, x, c] = np.uint8(min(max(value, np.float32(0.0)), np.float32(255.0)))
