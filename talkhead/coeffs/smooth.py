"""Smoothing of tracks, without delay. Rotations are smoothed as rotation vectors about the sequence mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from talkhead.coeffs.container import F32, Coeffs
from talkhead.coeffs.layout import PER_FRAME
from talkhead.coeffs.rotation import rot_of_vectors, vectors_about_mean
from talkhead.errors import UsageError

F64 = npt.NDArray[np.float64]
Filter = Callable[[npt.ArrayLike], F64]
# Full width at half maximum of a Gaussian in standard deviations.
_FWHM = 2.3548


def smooth(coeffs: Coeffs, seconds: float) -> Coeffs:
    """Smooth every per-frame track; movements much shorter than `seconds` disappear.

    Args:
        coeffs: any. seconds: full width at half maximum of the Gaussian; 0 changes nothing.
    Raises:
        UsageError: `seconds` is negative or not finite.
    """
    if not 0 <= seconds < np.inf:
        raise UsageError(f"smoothing over {seconds} s: expected 0 or more")
    if seconds == 0 or len(coeffs) == 1:
        return coeffs
    sigma = min(seconds * coeffs.fps / _FWHM, float(len(coeffs)))
    changes: dict[str, Any] = {
        name: smooth_rot(track, lambda x: gaussian(x, sigma)) if name == "rot" else gaussian(track, sigma).astype("f4")
        for name, track in coeffs.tensors().items()
        if name in PER_FRAME
    }
    return coeffs.replace(**changes)


def smooth_rot(rot: npt.ArrayLike, smoother: Filter) -> F32:
    """Apply a filter to head angles by way of rotation vectors about their mean.

    Args:
        rot: (T, 3), radians pitch yaw roll. smoother: (T, 3) -> (T, 3), e.g. `adaptive`.
    Returns:
        (T, 3) float32, radians.
    """
    vectors, mean = vectors_about_mean(rot)
    return rot_of_vectors(smoother(vectors), mean)


def gaussian(track: npt.ArrayLike, sigma: float) -> F64:
    """Gaussian smoothing along the first axis; the ends are mirrored.

    Args:
        track: (T, ...). sigma: standard deviation in frames; 0 copies.
    Returns:
        (T, ...) float64.
    """
    values = np.array(track, np.float64)
    if sigma <= 0 or len(values) < 2:
        return values
    radius = int(np.ceil(4 * sigma))
    taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    return _filtered(values, taps / taps.sum())


def savitzky_golay(track: npt.ArrayLike, window: int, order: int = 2) -> F64:
    """Least-squares polynomial smoothing along the first axis (Savitzky and Golay 1964); the ends are mirrored.

    Args:
        track: (T, ...). window: odd number of frames. order: degree of the polynomial, below `window`.
    Returns:
        (T, ...) float64.
    Raises:
        UsageError: `window` is even or not above `order`.
    """
    if window % 2 == 0 or window <= order:
        raise UsageError(f"window {window} with order {order}: expected an odd window above the order")
    values = np.array(track, np.float64)
    if len(values) < 2:
        return values
    steps = np.arange(window) - window // 2
    return _filtered(values, np.linalg.pinv(steps[:, None] ** np.arange(order + 1))[0])


def adaptive(track: npt.ArrayLike, sigma: float = 2.0, noise: npt.ArrayLike | None = None) -> F64:
    """Smooth where a track only trembles, keep it where it moves, so that lips still meet on p, b and m.

    What Gaussian smoothing would take away is given back, in all columns at once, as far as it stands out of the noise
    in any of them (a shrinkage rule; a closure shows in several codes at the same time).

    Args:
        track: (T, n). sigma: of the Gaussian, frames. noise: standard deviation of the noise per column, (n,) or one
            number; default the median absolute third difference, which slow motion leaves alone.
    Returns:
        (T, n) float64.
    """
    values = np.array(track, np.float64)
    if sigma <= 0 or len(values) < 5:
        return values
    slow = gaussian(values, sigma)
    detail = values - slow
    # Third differences of white noise have 20 times its variance; 0.6745 is the normal distribution's median deviation.
    level = np.median(np.abs(np.diff(values, 3, axis=0)), axis=0) / 0.6745 / np.sqrt(20) if noise is None else noise
    floor = np.maximum(np.asarray(level, np.float64), 1e-9 + 1e-6 * np.abs(values).max())
    excess = gaussian(((detail / floor) ** 2).max(axis=1), 0.5) / _NOISE_PEAK
    kept = excess**2 / (1 + excess**2)
    result: F64 = slow + detail * kept[:, None]
    return result


# Squared deviation, in noise variances, at which half the detail is kept; noise alone rarely passes 3 deviations.
_NOISE_PEAK = 12.0


def box(track: npt.ArrayLike, width: int) -> F64:
    """Running mean; the ends are repeated, and an even width reaches one frame further back than ahead.

    Args:
        track: (T, ...). width: frames; 1 copies.
    Returns:
        (T, ...) float64.
    Raises:
        UsageError: `width` is less than 1.
    """
    if width < 1:
        raise UsageError(f"a mean over {width} frames: expected at least 1")
    values = np.asarray(track, np.float64)
    before = width // 2
    ends = [(before, width - 1 - before)] + [(0, 0)] * (values.ndim - 1)
    summed = np.cumsum(np.pad(values, ends, mode="edge"), axis=0)
    total = summed[width - 1 :].copy()
    total[1:] -= summed[:-width]
    return np.asarray(total / width, np.float64)


def _filtered(values: F64, taps: F64) -> F64:
    radius = len(taps) // 2
    padded = np.pad(values, [(radius, radius)] + [(0, 0)] * (values.ndim - 1), mode="symmetric")
    result = np.zeros_like(values)
    for i, tap in enumerate(taps):
        result += tap * padded[i : i + len(values)]
    return result
