"""Values over time, as people type them: `0.5` or `0:0,1:20,2:0`."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from talkhead.coeffs.interpolate import monotone_cubic
from talkhead.errors import UsageError


@dataclass(frozen=True, slots=True)
class Keyframes:
    """A value over time: constant, or through keys with smooth passages between them; held before and after.

    Attributes:
        keys: (seconds, value), seconds not decreasing; two keys at the same second make a jump.
    Raises:
        UsageError: no keys, a number that is not finite, negative or decreasing seconds.
    """

    keys: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        if not self.keys or not all(math.isfinite(t) and math.isfinite(v) for t, v in self.keys):
            raise UsageError("keyframes need finite seconds and values")
        times = [t for t, _ in self.keys]
        if times != sorted(times) or times[0] < 0:
            raise UsageError(
                f"keyframe seconds {' '.join(f'{t:g}' for t in times)}: expected them to rise from 0 or more"
            )

    @classmethod
    def parse(cls, text: str) -> Keyframes:
        """Read `value` or `t0:v0,t1:v1,...`.

        Raises:
            UsageError: the text is neither.
        """
        try:
            if ":" not in text:
                return cls(((0.0, float(text)),))
            pairs = [part.split(":") for part in text.split(",")]
            return cls(tuple((float(second), float(value)) for second, value in pairs))
        except ValueError as cause:
            raise UsageError(
                f"{text!r} is no value", hint="give a number, or keyframes as seconds:value,seconds:value"
            ) from cause

    def at(self, n_frames: int, fps: float) -> npt.NDArray[np.float64]:
        """The values of frames 0 to `n_frames` - 1, (n_frames,); frame i is at i / fps seconds."""
        seconds = np.arange(n_frames) / fps
        result = np.full(n_frames, self.keys[0][1])
        for piece in self._pieces():
            times, values = np.array(piece).T
            after = seconds >= times[0]
            result[after] = monotone_cubic(times, values, seconds[after], flat_ends=True)
        return result

    def mapped(self, function: Callable[[float], float]) -> Keyframes:
        """The same keys with other values."""
        return Keyframes(tuple((t, function(v)) for t, v in self.keys))

    def _pieces(self) -> list[list[tuple[float, float]]]:
        """Runs of keys between jumps."""
        pieces = [[self.keys[0]]]
        for key in self.keys[1:]:
            if key[0] == pieces[-1][-1][0]:
                pieces.append([key])
            else:
                pieces[-1].append(key)
        return pieces
