"""Monotone cubic interpolation (Fritsch and Carlson 1980): smooth between the knots, never beyond them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]


def monotone_cubic(knots: npt.ArrayLike, values: npt.ArrayLike, at: npt.ArrayLike, *, flat_ends: bool = False) -> F64:
    """Values between knots, exact at them, held before the first and after the last.

    Args:
        knots: (n,), increasing. values: (n, ...). at: (m,). flat_ends: start and end without speed, as keyframes do,
            because what they join to stands still.
    Returns:
        (m, ...) float64.
    """
    x, y, t = np.asarray(knots, np.float64), np.asarray(values, np.float64), np.asarray(at, np.float64)
    if len(x) == 1:
        return np.repeat(y, len(t), axis=0)
    trailing = (1,) * (y.ndim - 1)
    step = np.diff(x).reshape(-1, *trailing)
    secant = np.diff(y, axis=0) / step
    slope = np.zeros_like(y)
    if not flat_ends:
        slope[0], slope[-1] = secant[0], secant[-1]
    before, after = secant[:-1], secant[1:]
    same_sign = before * after > 0
    # The weighted harmonic mean of Fritsch and Butland 1984, zero at turning points.
    a, b = 2 * step[1:] + step[:-1], step[1:] + 2 * step[:-1]
    total = a * np.where(same_sign, after, 1) + b * np.where(same_sign, before, 1)
    slope[1:-1] = np.where(same_sign, (a + b) * before * after / np.where(same_sign, total, 1), 0)

    t = np.clip(t, x[0], x[-1])
    i = np.clip(np.searchsorted(x, t, side="right") - 1, 0, len(x) - 2)
    h = step[i]
    u = (t - x[i]).reshape(-1, *trailing) / h
    result: F64 = (
        y[i] * (1 + 2 * u) * (1 - u) ** 2
        + y[i + 1] * u**2 * (3 - 2 * u)
        + h * slope[i] * u * (1 - u) ** 2
        - h * slope[i + 1] * u**2 * (1 - u)
    )
    return result
