"""Openings bounded by two curves over a chord: the common geometry of eyes and mouth.

An opening is described in its own frame: x runs along the chord from the image-left corner (0) to the image-right one
(1), y is perpendicular to it, down positive, in units of the chord's length. Curves are tables over x, so a pixel is
inside or outside by two look-ups, anti-aliased by the softness of the comparison, at any resolution and head roll.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from talkhead.face3d.compiled import compiled

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

TABLE = 64  # samples of a curve over the chord


@dataclass(frozen=True, kw_only=True, slots=True)
class LensFrame:
    """`matrix` (2, 3) maps pixels to frame coordinates; `length` is the chord in pixels."""

    matrix: F64
    length: float

    def to_frame(self, pixels: F64) -> F64:
        """(N, 2) pixels -> (N, 2) frame coordinates."""
        result: F64 = pixels @ self.matrix[:, :2].T + self.matrix[:, 2]
        return result


def lens_frame(left: F64, right: F64) -> LensFrame:
    """The frame of a chord between two corners, (2,) pixels each."""
    axis = right - left
    length = max(float(np.hypot(*axis)), 1e-3)
    ex = axis / length
    ey = np.array([-ex[1], ex[0]])
    rows = np.stack([ex, ey]) / length
    return LensFrame(matrix=np.column_stack([rows, -rows @ left]), length=length)


def curve_table(frame: LensFrame, pixels: F64) -> F32:
    """Height of a smooth curve through points (N, 2), ordered along the chord, at `TABLE` positions of x in [0, 1]."""
    dense = _upsampler(len(pixels)) @ frame.to_frame(pixels)
    x = np.maximum.accumulate(dense[:, 0] + np.arange(len(dense)) * 1e-6)
    return np.interp(np.linspace(0, 1, TABLE), x, dense[:, 1]).astype(np.float32)


@lru_cache(maxsize=8)
def _upsampler(n_points: int, per_segment: int = 6) -> F64:
    """Catmull-Rom interpolation as a matrix, ((n-1) * per_segment + 1, n)."""
    n_out = (n_points - 1) * per_segment + 1
    matrix = np.zeros((n_out, n_points))
    for row in range(n_out):
        i, t = min(row // per_segment, n_points - 2), 0.0
        t = row / per_segment - i
        weights = (
            (-0.5 * t + t**2 - 0.5 * t**3),
            (1 - 2.5 * t**2 + 1.5 * t**3),
            (0.5 * t + 2 * t**2 - 1.5 * t**3),
            (-0.5 * t**2 + 0.5 * t**3),
        )
        for k, weight in zip(range(i - 1, i + 3), weights, strict=True):
            if k < 0:  # ghost points continue the curve straight on
                matrix[row, 0] += 2 * weight
                matrix[row, 1] -= weight
            elif k >= n_points:
                matrix[row, -1] += 2 * weight
                matrix[row, -2] -= weight
            else:
                matrix[row, k] += weight
    return matrix


def box_around(pixels: F64, pad: float, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1 of points (N, 2) plus `pad` pixels, clipped to width and height; may be empty."""
    low, high = pixels.min(0) - pad, pixels.max(0) + pad
    return (
        int(np.clip(np.floor(low[0]), 0, size[0])),
        int(np.clip(np.floor(low[1]), 0, size[1])),
        int(np.clip(np.ceil(high[0]), 0, size[0])),
        int(np.clip(np.ceil(high[1]), 0, size[1])),
    )


def fit_affine(points: F64, target: F64) -> F64:
    """Least-squares affine (2, 3) that takes `points` (N, 2) to `target` (N, 2)."""
    design = np.column_stack([points, np.ones(len(points))])
    solution: F64 = np.linalg.lstsq(design, target, rcond=None)[0].T
    return solution


@compiled(fastmath=True)
def look_up(table: F32, x: float) -> float:
    """Linear look-up of a curve table at x in [0, 1], held outside."""
    position = min(max(x, 0.0), 1.0) * (table.shape[0] - 1)
    i = min(int(position), table.shape[0] - 2)
    t = position - i
    return table[i] * (1 - t) + table[i + 1] * t


@compiled(fastmath=True)
def ramp(low: float, high: float, value: float) -> float:
    """Smoothstep of one number."""
    t = min(max((value - low) / (high - low), 0.0), 1.0)
    return t * t * (3.0 - 2.0 * t)


@compiled(fastmath=True)
def sample(texture: npt.NDArray[np.uint8], x: float, y: float, channel: int) -> float:
    """Bilinear sample of one channel at pixel coordinates (centres at +0.5), clamped to the border."""
    h, w = texture.shape[0], texture.shape[1]
    x = min(max(x - 0.5, 0.0), w - 1.001)
    y = min(max(y - 0.5, 0.0), h - 1.001)
    i, j = int(x), int(y)
    fx, fy = x - i, y - j
    a = texture[j, i, channel] * (1 - fx) + texture[j, i + 1, channel] * fx
    b = texture[j + 1, i, channel] * (1 - fx) + texture[j + 1, i + 1, channel] * fx
    return a * (1 - fy) + b * fy
