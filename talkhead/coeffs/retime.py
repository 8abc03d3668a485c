"""Another frame rate or another duration."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from talkhead.coeffs.container import Coeffs
from talkhead.coeffs.interpolate import monotone_cubic
from talkhead.coeffs.layout import PER_FRAME, is_per_frame
from talkhead.coeffs.rotation import rot_of_vectors, vectors_about_mean
from talkhead.errors import UsageError

MAX_FPS = 1000.0
# Longer sound is refused too.
MAX_DURATION_S = 24 * 3600.0


def resample(coeffs: Coeffs, fps: float) -> Coeffs:
    """The same motion at another frame rate; frame i still starts at i / fps. A single frame stays one.

    Raises:
        UsageError: `fps` is not in (0, 1000].
    """
    if not 0 < fps <= MAX_FPS:
        raise UsageError(f"frame rate {fps:g}: expected more than 0 and at most {MAX_FPS:g}")
    if fps == coeffs.fps or len(coeffs) == 1:
        return coeffs.replace(fps=fps)
    n_frames = max(1, round(len(coeffs) * fps / coeffs.fps))
    return _at_positions(coeffs, np.arange(n_frames) * (coeffs.fps / fps)).replace(fps=fps)


def stretch(coeffs: Coeffs, factor: float) -> Coeffs:
    """The same motion `factor` times as long, at the same frame rate. A single frame is held.

    Raises:
        UsageError: `factor` is not positive, or the result is longer than 24 h.
    """
    if not 0 < factor < np.inf:
        raise UsageError(f"duration factor {factor:g}: expected a positive number")
    if coeffs.duration_s * factor > MAX_DURATION_S:
        raise UsageError(f"the result would last {coeffs.duration_s * factor / 3600:.1f} h, more than 24 h")
    n_frames = max(1, round(len(coeffs) * factor))
    if n_frames == len(coeffs):
        return coeffs
    return _at_positions(coeffs, np.arange(n_frames) / factor)


def cut(coeffs: Coeffs, start_s: float = 0.0, end_s: float | None = None) -> Coeffs:
    """The frames that start in [`start_s`, `end_s`).

    Raises:
        UsageError: nothing would be left.
    """
    first = round(start_s * coeffs.fps)
    last = len(coeffs) if end_s is None else min(round(end_s * coeffs.fps), len(coeffs))
    if start_s < 0 or first >= len(coeffs):
        raise UsageError(f"start at {start_s:g} s: the coefficients last {coeffs.duration_s:g} s")
    if last <= first:
        raise UsageError(f"nothing between start {start_s:g} s and end {end_s:g} s")
    return coeffs.at(slice(first, last))


def _at_positions(coeffs: Coeffs, positions: npt.NDArray[np.float64]) -> Coeffs:
    """All tracks at fractional frame numbers; unknown ones take the nearest frame, which suits any meaning."""
    frames = np.arange(len(coeffs))
    nearest = np.clip(np.rint(positions).astype(np.intp), 0, len(coeffs) - 1)
    changes: dict[str, Any] = {}
    for name, track in coeffs.tensors().items():
        if name == "rot":
            vectors, mean = vectors_about_mean(track)
            changes[name] = rot_of_vectors(monotone_cubic(frames, vectors, positions), mean)
        elif name in PER_FRAME:
            changes[name] = monotone_cubic(frames, track, positions).astype(np.float32)
    extra = {k: v[nearest] if is_per_frame(k, v.shape, len(coeffs)) else v for k, v in coeffs.extra.items()}
    return coeffs.replace(n_frames=len(positions), extra=extra, **changes)
