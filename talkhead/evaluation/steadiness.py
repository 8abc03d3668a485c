"""Practical numbers of one clip: jitter, blinks, open mouth, frozen frames, faces found, speed of the work."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from talkhead.audio.prosody import runs
from talkhead.errors import ShapeError, UsageError
from talkhead.evaluation.head_pose import RIGID_POINTS
from talkhead.evaluation.measurement import Measurement, measurement_of
from talkhead.evaluation.mesh_readings import MeshReadings
from talkhead.face.topology import N_POINTS, OUTER_EYE_CORNERS

F64 = npt.NDArray[np.float64]
Floats = npt.NDArray[np.floating[Any]]
U8 = npt.NDArray[np.uint8]

SMOOTHING_FRAMES, SMOOTHING_ORDER = 7, 2  # Savitzky and Golay 1964
PER_MILLE = 1000.0
CLOSED_EYE = 0.6  # of the running median of the eye aspect
MEDIAN_S, LONGEST_BLINK_S, BLINK_GAP_FRAMES = 3.0, 0.48, 1
OPEN_MOUTH = 0.03  # eye distances between the inner lips


class Jitter:
    """How much points tremble: their distance from a smooth path, and their second difference; streamed.

    Both are mean lengths over points and frames, in thousandths of the mean eye distance. The path is a parabola
    through 7 frames, read in the middle, and at both ends of a run of frames also beside the middle. A frame without a
    face ends a run.
    """

    def __init__(self) -> None:
        self._window: deque[F64] = deque(maxlen=SMOOTHING_FRAMES)
        self._run = 0
        self._jitter, self._n_jitter = 0.0, 0
        self._accel, self._n_accel = 0.0, 0
        self._eyes, self._n_eyes = 0.0, 0
        self.n_dropped = 0

    def add(self, points: Floats | None) -> None:
        """Take in the mesh of the next frame, (478, 3) pixels; None where no face was seen.

        Raises:
            ShapeError: another shape.
        """
        if points is None:
            self.n_dropped += 1
            self._end_run()
            return
        if points.shape != (N_POINTS, 3):
            raise ShapeError("points", points.shape, f"({N_POINTS}, 3)")
        eyes = points[OUTER_EYE_CORNERS[0], :2] - points[OUTER_EYE_CORNERS[1], :2]
        self.add_points(points[list(RIGID_POINTS), :2], float(np.linalg.norm(eyes)))

    def add_points(self, points: Floats, eye_distance: float) -> None:
        """Take in any points of the next frame, (K, 2), and the eye distance in the same unit."""
        self._window.append(np.asarray(points, np.float64))
        self._run += 1
        self._eyes += eye_distance
        self._n_eyes += 1
        if self._run >= 3:
            bend = self._window[-1] - 2 * self._window[-2] + self._window[-3]
            self._accel += float(np.linalg.norm(bend, axis=-1).mean())
            self._n_accel += 1
        middle = SMOOTHING_FRAMES // 2
        if self._run == SMOOTHING_FRAMES:
            self._take(slice(0, middle + 1))
        elif self._run > SMOOTHING_FRAMES:
            self._take(slice(middle, middle + 1))

    def _take(self, frames: slice) -> None:
        away = np.einsum("st,tkd->skd", _away_from_parabola()[frames], np.stack(self._window))
        self._jitter += float(np.linalg.norm(away, axis=-1).mean(1).sum())
        self._n_jitter += len(away)

    def _end_run(self) -> None:
        if self._run >= SMOOTHING_FRAMES:
            self._take(slice(SMOOTHING_FRAMES // 2 + 1, None))
        self._window.clear()
        self._run = 0

    def measurements(self) -> list[Measurement]:
        """`jitter~mesh` and `accel~mesh`; call once, after the last frame."""
        self._end_run()
        eyes = self._eyes / self._n_eyes if self._n_eyes else float("nan")
        why_not = f"no {SMOOTHING_FRAMES} frames in a row show a face"
        rows = [
            ("jitter~mesh", "jitter/savgol-7-2", self._jitter, self._n_jitter),
            ("accel~mesh", "accel/second-difference", self._accel, self._n_accel),
        ]
        return [
            measurement_of(
                PER_MILLE * total / n / eyes if n else float("nan"),
                why_not,
                name=name,
                definition=definition,
                grade="proxy",
                unit="permille of eyes",
                n_frames=n,
                frames_dropped=self.n_dropped,
            )
            for name, definition, total, n in rows
        ]


@cache
def _away_from_parabola() -> F64:
    """(7, 7): what is left of 7 values after the parabola of least squares is taken out."""
    powers = np.vander(np.arange(SMOOTHING_FRAMES) - SMOOTHING_FRAMES // 2, SMOOTHING_ORDER + 1).astype(np.float64)
    return np.eye(SMOOTHING_FRAMES) - powers @ np.linalg.pinv(powers)


def find_blinks(eye_aspect: F64, fps: float = 25.0) -> list[tuple[int, int]]:
    """First and last frame of each blink.

    An eye is closed below 0.6 of the running median of 3 s; single open frames between are bridged; what lasts more
    than 0.48 s is no blink.

    Args:
        eye_aspect: (T,), finite. fps: frames per second.
    """
    from scipy.ndimage import median_filter

    if not len(eye_aspect):
        return []
    usual = median_filter(eye_aspect, round(MEDIAN_S * fps) | 1, mode="nearest")
    merged: list[tuple[int, int]] = []
    for start, end in runs(eye_aspect < CLOSED_EYE * usual).tolist():
        if merged and start - merged[-1][1] - 1 <= BLINK_GAP_FRAMES:
            merged[-1] = (merged[-1][0], end - 1)
        else:
            merged.append((start, end - 1))
    longest = max(1, round(LONGEST_BLINK_S * fps))
    return [(first, last) for first, last in merged if last - first + 1 <= longest]


def face_measurements(readings: MeshReadings) -> list[Measurement]:
    """Blinks and opening of the mouth."""
    found = readings.found
    n, n_found = len(found), int(found.sum())
    blinks, n_blinks = float("nan"), 0
    if n_found and found.mean() >= 0.5:
        at = np.flatnonzero(found)
        aspect = np.interp(np.arange(n), at, readings.eye_aspect[at])
        n_blinks = len(find_blinks(aspect, readings.fps))
        blinks = n_blinks / (n / readings.fps) * 60
    gap = readings.gap[found]
    why_not = "no frame shows a face" if n else "no frames"
    open_definition = "mouth_open/inner-lips"
    rows = [
        ("blink_rate~mesh", "blink/ear-0.6-median-3s", blinks, "per min", "fewer than half of the frames show a face"),
        ("mouth_open~mesh", f"{open_definition}/mean", float(gap.mean()) if n_found else np.nan, "eyes", why_not),
        ("mouth_open_p95~mesh", f"{open_definition}/p95", _percentile(gap, 95), "eyes", why_not),
        (
            "mouth_open_share~mesh",
            f"{open_definition}/above-0.03",
            float((gap > OPEN_MOUTH).mean()) if n_found else np.nan,
            "",
            why_not,
        ),
    ]
    return [
        measurement_of(
            value,
            reason,
            name=name,
            definition=definition,
            grade="proxy",
            unit=unit,
            n_frames=n_found,
            frames_dropped=n - n_found,
            params={"fps": readings.fps, **({"n_blinks": n_blinks} if name == "blink_rate~mesh" else {})},
        )
        for name, definition, value, unit, reason in rows
    ]


def found_measurement(share: float, n_frames: int) -> Measurement:
    """The share of frames that show a face."""
    return measurement_of(
        share, "no frames", name="face_found", definition="face_found/share", grade="exact", n_frames=n_frames
    )


class FrozenFrames:
    """Counts frames that are identical to the one before, streamed."""

    def __init__(self) -> None:
        self._last: U8 | None = None
        self._n, self._n_frozen = 0, 0

    def add(self, frame: U8) -> bool:
        """Whether this frame, (H, W, 3) uint8, repeats the one before; it is kept until the next call."""
        is_frozen = self._last is not None and np.array_equal(self._last, frame)
        self._last = frame
        self._n += 1
        self._n_frozen += is_frozen
        return is_frozen

    def measurement(self) -> Measurement:
        """The share of frames after the first."""
        return measurement_of(
            self._n_frozen / (self._n - 1) if self._n > 1 else float("nan"),
            "fewer than two frames",
            name="frozen",
            definition="frozen/identical-to-previous",
            grade="exact",
            n_frames=max(self._n - 1, 0),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkTime:
    """How long a clip took to make.

    Attributes:
        work_s: processing, without loading models. media_s: length of the clip. n_frames: of it. load_s: loading
            models. device, threads: what it ran on. All of these only where they are known.
    Raises:
        UsageError: a time is not positive.
    """

    work_s: float
    media_s: float
    n_frames: int
    load_s: float | None = None
    device: str = ""
    threads: int = 0

    def __post_init__(self) -> None:
        if self.work_s <= 0 or self.media_s <= 0:
            raise UsageError(f"{self.work_s:g} s of work on {self.media_s:g} s of video: both must be positive")

    def measurements(self) -> list[Measurement]:
        """`rtf`, processing over media time (below 1: faster than it plays), and `work_fps`."""
        params: dict[str, float | int | str] = {"work_s": self.work_s}
        known = (("load_s", self.load_s), ("device", self.device or None), ("threads", self.threads or None))
        params.update({name: value for name, value in known if value is not None})
        rows = [
            ("rtf", "rtf/work-over-media", self.work_s / self.media_s, ""),
            ("work_fps", "rtf/frames-per-second", self.n_frames / self.work_s, "fps"),
        ]
        return [
            Measurement(
                name=name,
                definition=definition,
                grade="exact",
                value=value,
                unit=unit,
                n_frames=self.n_frames,
                params=params,
            )
            for name, definition, value, unit in rows
        ]


def _percentile(values: F64, percent: float) -> float:
    return float(np.percentile(values, percent)) if len(values) else float("nan")
