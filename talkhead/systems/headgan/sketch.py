"""68 landmarks as a drawing of lines: what the ablation `landmarks` (section 5.4) shows the networks instead of PNCC.

Along each part of the face neighbouring points are joined by straight lines, two pixels wide, as in the published code.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from talkhead.errors import ShapeError, UsageError

U8 = npt.NDArray[np.uint8]
F64 = npt.NDArray[np.float64]

_PARTS: tuple[tuple[int, ...], ...] = (
    tuple(range(17)), tuple(range(17, 22)), tuple(range(22, 27)), tuple(range(27, 31)), tuple(range(31, 36)),
    (*range(36, 42), 36), (*range(42, 48), 42), (*range(48, 60), 48), (*range(60, 68), 60),
)  # fmt: skip
"""Jaw, brows, bridge and wings of the nose, eyes, outer and inner lips."""


def draw_sketch(landmarks: npt.NDArray[np.floating[Any]], side: int, *, compat: bool = False) -> U8:
    """Draw one face.

    Args:
        landmarks: (68, 2) or more rows, pixels, x then y; cut to whole pixels. side: of the square picture.
        compat: find the lines as the published code does, by an iterative fit: its rounding moves single pixels, since
            places are truncated. Some ten times as slow.
    Returns:
        (side, side) uint8: 1 on lines, 0 elsewhere.
    Raises:
        ShapeError: another shape. UsageError: `side` is not positive.
    """
    if landmarks.ndim != 2 or len(landmarks) < 68 or landmarks.shape[1] != 2:
        raise ShapeError("landmarks", landmarks.shape, "(68, 2)")
    if side < 1:
        raise UsageError(f"a picture of {side} pixels is empty")
    points = np.trunc(np.asarray(landmarks, np.float64))
    picture = np.zeros((side, side), np.uint8)
    for part in _PARTS:
        for first, second in zip(part[:-1], part[1:], strict=True):
            _draw_line(picture, points[first], points[second], compat)
    return picture


def _draw_line(picture: U8, first: F64, second: F64, compat: bool) -> None:
    """A sample for every pixel along the axis on which two points (2,) are farther apart; the last one left out."""
    way = np.abs(second - first)
    axis = 1 if way[1] > way[0] else 0
    low, high = (first, second) if first[axis] < second[axis] else (second, first)
    along = np.linspace(low[axis], high[axis], int(high[axis] - low[axis]))
    if not len(along):
        return
    if compat:
        slope, start = _fitted(np.stack([first, second])[:, [axis, 1 - axis]])
        across = slope * along + start
    else:
        across = low[1 - axis] + (along - low[axis]) * ((high - low)[1 - axis] / (high - low)[axis])
    x, y = (along, across) if axis == 0 else (across, along)
    _dab(picture, x, y)


def _fitted(points: F64) -> F64:
    """Slope and start of the line through two points (2, 2), by Levenberg and Marquardt's method."""
    from scipy.optimize import OptimizeWarning, curve_fit

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OptimizeWarning)  # two points leave no error to estimate
        found, _ = curve_fit(lambda x, slope, start: slope * x + start, points[:, 0], points[:, 1])
    return np.asarray(found, np.float64)


def _dab(picture: U8, x: F64, y: F64) -> None:
    """Put a brush of 2 x 2 pixels on pixels, itself and those to its left and above; pushed in at the border."""
    height, width = picture.shape
    column, row = np.trunc(x).astype(int), np.trunc(y).astype(int)
    for down in (-1, 0):
        for right in (-1, 0):
            picture[np.clip(row + down, 0, height - 1), np.clip(column + right, 0, width - 1)] = 1
