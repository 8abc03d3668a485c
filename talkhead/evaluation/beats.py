"""Beat Align of SadTalker, "as in Bailando" (Siyao et al. 2022, section 4.2), always beside its chance level.

On speech this number holds almost no information: over 13 real clips it was 0.233 where motion beats shifted in time
gave 0.229. It also depends on choices SadTalker does not tell (frames per second, joints, beats or onsets): the same
clip gives 0.09 to 0.80. Methods must not be ranked by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from talkhead.errors import ShapeError
from talkhead.evaluation.measurement import PROXY_SIGN, Grade, Measurement, measurement_of

F64 = npt.NDArray[np.float64]
Floats = npt.NDArray[np.floating[Any]]
Frames = npt.NDArray[np.intp]

RATE = 25.0
SMOOTHING, TOLERANCE = 5.0, 3.0
"""Frames: of the Gaussian over the speed, and how far apart beats may be. Bailando's numbers, here at `RATE`."""
DEFINITION = "beat_align/25fps-s5-t3"
STILL_DEG = 0.1
"""A head whose angles spread less does not move: a frozen frame is read to some hundredths of a degree."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BeatAlign:
    """Beat Align of a clip.

    Attributes:
        score: 0..1; NaN if nothing moves or nothing is heard. chance: mean score of motion beats shifted in a circle.
        motion_beats: frames. n_audio_beats: how many were heard.
    """

    score: float
    chance: float
    motion_beats: Frames
    n_audio_beats: int


def motion_beats(joints: Floats, smoothing: float = SMOOTHING) -> Frames:
    """Frames at which motion pauses: strict local minima of the smoothed mean speed.

    Args:
        joints: (T, J, 3) positions, or (T, 3) angles, which count as one joint. smoothing: frames.
    Raises:
        ShapeError: another shape.
    """
    from scipy.ndimage import gaussian_filter1d

    values = np.asarray(joints, np.float64)
    values = values[:, None] if values.ndim == 2 else values
    if values.ndim != 3 or values.shape[2] != 3:
        raise ShapeError("joints", np.shape(joints), "(T, J, 3) or (T, 3)")
    if len(values) < 4:
        return np.zeros(0, np.intp)
    speed = gaussian_filter1d(np.linalg.norm(np.diff(values, axis=0), axis=2).mean(1), smoothing)
    return np.flatnonzero((speed[1:-1] < speed[:-2]) & (speed[1:-1] < speed[2:])) + 1


def align_score(from_beats: Floats, to_beats: Floats | Frames, tolerance: float = TOLERANCE) -> float:
    """Mean over beats of `exp(-d^2 / (2 tolerance^2))`, d to the nearest of the others, frames; NaN without beats."""
    if not len(from_beats) or not len(to_beats):
        return float("nan")
    # Among sorted beats the nearest is a neighbour: a table of all pairs would hold gigabytes for an hour of sound.
    others = np.sort(np.asarray(to_beats, np.float64))
    beats = np.asarray(from_beats, np.float64)
    at = np.searchsorted(others, beats)
    before, after = others[np.maximum(at - 1, 0)], others[np.minimum(at, len(others) - 1)]
    nearest = np.minimum(np.abs(beats - before), np.abs(beats - after))
    return float(np.exp(-(nearest**2) / (2 * tolerance**2)).mean())


def chance_score(audio_beats: Floats, beats: Frames, n_frames: int, tolerance: float = TOLERANCE) -> float:
    """Mean score over all circular shifts of the motion beats within `n_frames` frames."""
    scores = [align_score(audio_beats, (beats + shift) % n_frames, tolerance) for shift in range(n_frames)]
    return float(np.mean(scores)) if scores else float("nan")


def beat_align(
    joints: Floats, audio_beats: Floats, *, smoothing: float = SMOOTHING, tolerance: float = TOLERANCE
) -> BeatAlign:
    """For each beat that is heard, how near motion pauses.

    Args:
        joints: (T, J, 3) or (T, 3), at `RATE`. audio_beats: (k,) frames, fractions allowed.
            smoothing, tolerance: frames.
    """
    beats = motion_beats(joints, smoothing)
    return BeatAlign(
        score=align_score(audio_beats, beats, tolerance),
        chance=chance_score(audio_beats, beats, len(joints), tolerance),
        motion_beats=beats,
        n_audio_beats=len(audio_beats),
    )


def beat_measurements(
    angles: Floats, onsets_s: Floats, *, source: str = "mesh", grade: Grade = "proxy"
) -> list[Measurement]:
    """Beat Align, its chance level, and the difference, which is all that may be read.

    Args:
        angles: (T, 3) degrees at `RATE`; NaN where there is no face, which is bridged. onsets_s: (k,) seconds.
        source: of the angles; becomes part of the name if they are a proxy. grade: of the source.
    """
    found = np.isfinite(np.asarray(angles)).all(-1)
    heard = np.asarray(onsets_s) * RATE
    heard = heard[heard < len(angles)]
    moved = _bridged(np.asarray(angles, np.float64), found)
    if not len(moved) or moved.std(0).max() < STILL_DEG:
        moved = np.zeros_like(moved)
    aligned = beat_align(moved, heard)
    why_not = "no onset in the sound" if not len(heard) else "the head does not move"
    why_not = why_not if found.any() else "no frame shows a face"
    rows = [
        ("beat_align", DEFINITION, aligned.score),
        ("beat_align_chance", f"{DEFINITION}/circular-shifts", aligned.chance),
        ("beat_align_gain", f"{DEFINITION}/above-chance", aligned.score - aligned.chance),
    ]
    return [
        measurement_of(
            value,
            why_not,
            name=name + (PROXY_SIGN + source if grade == "proxy" else ""),
            definition=definition,
            grade=grade,
            n_frames=int(found.sum()),
            frames_dropped=int((~found).sum()),
            params={
                "fps": RATE,
                "smoothing_frames": SMOOTHING,
                "tolerance_frames": TOLERANCE,
                "n_audio_beats": aligned.n_audio_beats,
                "n_motion_beats": len(aligned.motion_beats),
            },
        )
        for name, definition, value in rows
    ]


def _bridged(values: F64, found: npt.NDArray[np.bool_]) -> F64:
    if not found.any():
        return np.zeros_like(values)
    at, everywhere = np.flatnonzero(found), np.arange(len(values))
    return np.stack([np.interp(everywhere, at, column[at]) for column in values.T], -1)
