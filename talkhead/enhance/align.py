"""Where the face lies in each frame, held steady over time, and the crop that face restoration networks are used to.

The networks were trained on FFHQ-aligned faces (Karras et al. 2019). Their answer to a face moved by a fraction of a
pixel differs in texture, so that trembling landmarks make skin and hair swim. Positions are therefore smoothed with no
lag: each frame's are those of a parabola through the frames around it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from talkhead.face.crop import Crop
from talkhead.face.landmarks import Landmarks
from talkhead.face.topology import MOUTH_CORNERS, OVAL

F64 = npt.NDArray[np.float64]
T = TypeVar("T")

FACE_SIZE = 512
TEMPLATE = np.array(
    [
        [192.98138, 239.94708],
        [318.90277, 240.1936],
        [256.63416, 314.01935],
        [201.26117, 371.41043],
        [313.08905, 371.15118],
    ]
)
"""(5, 2): eyes, tip of the nose, corners of the mouth in a 512-pixel crop: where FFHQ's alignment puts them on average,
as the published restoration tools (facexlib, used by GFPGAN and CodeFormer) have it; there pixel 0 is centred at 0."""

EYE_CORNERS = ((33, 133), (362, 263))
NOSE_TIP = 4

REACH_S = 0.2
"""Frames this far to either side count: 5 at 25 fps, which halves the trembling and keeps motion up to 3 Hz."""
JUMP = 0.6
"""A face that moves by more eye distances than this between frames, or changes size by so much, is another shot."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the face lies in one frame.

    Attributes:
        points: (41, 2) pixels: eyes, nose tip, mouth corners, then the 36 points of the face's oval.
        share: 1 where the face is seen on both sides in time, less near a stretch where it is not.
    """

    points: F64
    share: float = 1.0

    @property
    def oval(self) -> F64:
        """The outline of the face, (36, 2) pixels."""
        return self.points[len(TEMPLATE) :]

    @property
    def crop(self) -> Crop:
        """The aligned square of 512 pixels."""
        return aligned_crop(self.points[: len(TEMPLATE)])


def place_points(landmarks: Landmarks) -> F64:
    """The points that place a face, (41, 2): see `Place`."""
    points = landmarks.points[:, :2]
    eyes = [points[list(corners)].mean(0) for corners in EYE_CORNERS]
    five = np.stack([*eyes, points[NOSE_TIP], *points[list(MOUTH_CORNERS)]])
    return np.concatenate([five, points[list(OVAL)]])


def aligned_crop(five: F64) -> Crop:
    """The similarity that brings five points nearest to the template, least squares.

    Args:
        five: eyes, nose tip, mouth corners, (5, 2) pixels. Of the corners only their middle counts, as in FFHQ's
            alignment: a pucker or a smile must not change the size of the crop.
    """
    here, there = _with_mouth_middle(five), _with_mouth_middle(TEMPLATE + 0.5)
    weights = np.array([1.0, 1.0, 1.0, 2.0])
    p, q = ((points @ (1, 1j)) for points in (there, here))
    p_mean, q_mean = weights @ p / weights.sum(), weights @ q / weights.sum()
    turn = weights @ (np.conj(p - p_mean) * (q - q_mean)) / (weights @ np.abs(p - p_mean) ** 2)
    shift = q_mean - turn * p_mean
    matrix = np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])
    return Crop(matrix=matrix, size=FACE_SIZE)


def _with_mouth_middle(five: F64) -> F64:
    return np.concatenate([five[:3], five[3:5].mean(0, keepdims=True)])


@dataclass(frozen=True, slots=True)
class _Sight:
    """What was seen in one frame: points or nothing, and the number of the shot."""

    points: F64 | None
    shot: int


def steadied(seen: Iterable[tuple[T, F64 | None]], reach: int) -> Iterator[tuple[T, Place | None]]:
    """Smooth positions over time, without lag.

    Args:
        seen: per frame, anything that is to travel with it (the frame), and its points, (K, 2) pixels, or None.
        reach: frames to either side that count.
    Yields:
        The same frames in order, each with its place. Gaps of at most `reach` frames are bridged; a longer one gives
        None, and frames towards it a falling share. No more than `2 reach + 1` frames are held back.
    """
    ahead = 2 * reach
    waiting: deque[T] = deque()
    known: deque[_Sight] = deque(maxlen=2 * ahead + 1)
    last: F64 | None = None
    shot = 0
    for item, points in seen:
        if points is not None:
            shot += last is not None and _has_jumped(last, points)
            last = points
        waiting.append(item)
        known.append(_Sight(points, shot))
        if len(waiting) > ahead:
            yield waiting.popleft(), _settled(known, len(known) - 1 - ahead, reach)
    while waiting:
        yield waiting.popleft(), _settled(known, len(known) - 1 - len(waiting), reach)


def _settled(known: deque[_Sight], index: int, reach: int) -> Place | None:
    """The place of one frame, from those around it."""
    if not _is_placed(known, index, reach):
        return None
    around = range(max(0, index - reach), min(len(known), index + reach + 1))
    away = min((abs(i - index) for i in around if not _is_placed(known, i, reach)), default=reach + 1)
    same_shot = [i for i in around if known[i].points is not None and known[i].shot == known[index].shot]
    steps = np.array(same_shot, np.float64) - index
    points = np.stack([np.asarray(known[i].points) for i in same_shot])  # (T, K, 2)
    share = away / (reach + 1)
    return Place(_at_zero(steps, points, reach), share * share * (3 - 2 * share))


def _is_placed(known: deque[_Sight], index: int, reach: int) -> bool:
    """Whether the face is seen in this frame, or in one before and one after that are near enough in time."""
    if known[index].points is not None:
        return True
    before = next((i for i in range(index - 1, max(-1, index - reach - 1), -1) if known[i].points is not None), None)
    after = next((i for i in range(index + 1, min(len(known), index + reach + 1)) if known[i].points is not None), None)
    if before is None or after is None:
        return False
    return after - before <= reach + 1 and known[before].shot == known[after].shot


def _at_zero(steps: F64, points: F64, reach: int) -> F64:
    """The value at step 0 of the parabola that fits best (a line or a constant where there are few points).

    Nearer frames count more (tricube weights, Cleveland 1979), so that frames do not enter or leave with a jerk.
    """
    weights = (1 - np.abs(steps / (reach + 1)) ** 3) ** 1.5  # the root of the tricube: it scales both sides
    degree = min(2, len(steps) - 1)
    powers = np.vander(steps / (reach + 1), degree + 1, increasing=True)  # (T, 3)
    fit, *_ = np.linalg.lstsq(powers * weights[:, None], points.reshape(len(steps), -1) * weights[:, None], rcond=None)
    return np.asarray(fit[0].reshape(points.shape[1:]))


def _has_jumped(before: F64, after: F64) -> bool:
    """Whether this can only be a cut, or another face."""
    spread = [float(np.linalg.norm(points[1] - points[0])) + 1e-6 for points in (before, after)]
    moved = float(np.linalg.norm(after[:2].mean(0) - before[:2].mean(0)))
    return moved > JUMP * max(spread) or abs(spread[1] - spread[0]) > JUMP * max(spread)
