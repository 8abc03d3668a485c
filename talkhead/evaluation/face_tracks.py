"""Faces of film frames -> tracks and crops, as SyncNet's published evaluation makes them (Chung and Zisserman 2016).

A track is one face followed through consecutive frames. Its crop shows the lower face large; position and size are
smoothed by medians that see zeros beyond the ends, so that the first and last six crops are too small. Published scores
have that, so ours do. Their boxes are those of the detector S3FD, which was trained on boxes from forehead to chin
(WIDER FACE); `Landmarks.bbox` of the face mesh is such a box.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from talkhead.errors import ShapeError, UsageError

U8 = npt.NDArray[np.uint8]
F64 = npt.NDArray[np.float64]
Box = tuple[float, float, float, float]
"""x0, y0, x1, y1, pixels."""

MIN_TRACK = 100
"""A track needs to be seen in more frames than this to be scored."""
LEAST_MIN_TRACK = 6
"""The medians of a track of fewer frames than seven are zero; SyncNet needs six."""
MIN_OVERLAP = 0.5
MAX_GAP = 25  # frames from one sight to the next
MIN_SIDE = 100.0  # pixels, mean of the larger of width and height

CROP_SIDE = 224
MARGIN = 0.4  # of the box's half side, beyond it on three sides, twice that below
MEDIAN = 13  # frames
PADDING = 110  # gray level outside the frame


@dataclass(frozen=True, kw_only=True, slots=True)
class FaceTrack:
    """One face through consecutive frames.

    Attributes:
        first: number of its first frame. boxes: (n, 4) x0, y0, x1, y1 in each frame, pixels, interpolated where the
            face was not found. n_found: frames in which it was.
    Raises:
        ShapeError: no boxes.
    """

    first: int
    boxes: F64
    n_found: int

    def __post_init__(self) -> None:
        if self.boxes.ndim != 2 or self.boxes.shape[1] != 4 or not len(self.boxes):
            raise ShapeError("boxes", self.boxes.shape, "(n, 4)")

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def end(self) -> int:
        """Number of the frame after its last."""
        return self.first + len(self.boxes)

    @property
    def side(self) -> float:
        """Mean width or height, whichever is larger, pixels."""
        x0, y0, x1, y1 = self.boxes.T
        return float(max((x1 - x0).mean(), (y1 - y0).mean()))


@dataclass(frozen=True, kw_only=True, slots=True)
class CropPlace:
    """Where one crop lies in a frame that has `padding` gray pixels on every side: rows y0..y1, columns x0..x1."""

    padding: int
    y0: int
    y1: int
    x0: int
    x1: int


def find_tracks(
    faces: Iterable[Sequence[Box]], *, min_track: int = MIN_TRACK, min_side: float = MIN_SIDE
) -> list[FaceTrack]:
    """Link the faces of consecutive frames of one shot.

    A face continues a track whose last box it overlaps by more than half (intersection over union), at most 25 frames
    later; boxes between are interpolated. Cuts are not looked for: a face rarely overlaps the one before a cut.

    Args:
        faces: of each frame, at 25 per second. min_track: a track needs more sights than this. min_side: mean side
            above which it is scored, pixels.
    Returns:
        Tracks in order of their first face; maybe none.
    Raises:
        UsageError: `min_track` is less than 6.
    """
    if min_track < LEAST_MIN_TRACK:
        raise UsageError(f"min_track is {min_track}; crops and SyncNet need at least {LEAST_MIN_TRACK}")
    rest = [(number, list(boxes)) for number, boxes in enumerate(faces) if boxes]
    tracks = []
    while sights := _taken(rest):
        if len(sights) <= min_track:
            continue
        numbers, boxes = np.array([number for number, _ in sights]), np.array([box for _, box in sights], np.float64)
        everywhere = np.arange(numbers[0], numbers[-1] + 1)
        filled = np.stack([np.interp(everywhere, numbers, column) for column in boxes.T], 1)
        track = FaceTrack(first=int(numbers[0]), boxes=filled, n_found=len(sights))
        if track.side > min_side:
            tracks.append(track)
    return tracks


def crop_places(boxes: npt.NDArray[np.floating[Any]]) -> list[CropPlace]:
    """Where a track's crops lie.

    Args:
        boxes: (n, 4) of consecutive frames.
    """
    from scipy.ndimage import median_filter

    x0, y0, x1, y1 = np.asarray(boxes, np.float64).T
    raw = np.stack([np.maximum(x1 - x0, y1 - y0) / 2, (x0 + x1) / 2, (y0 + y1) / 2])
    places = []
    for half, x, y in median_filter(raw, (1, MEDIAN), mode="constant").T:
        padding = int(half * (1 + 2 * MARGIN))
        middle_x, middle_y = x + padding, y + padding
        places.append(
            CropPlace(
                padding=padding,
                y0=int(middle_y - half),
                y1=int(middle_y + half * (1 + 2 * MARGIN)),
                x0=int(middle_x - half * (1 + MARGIN)),
                x1=int(middle_x + half * (1 + MARGIN)),
            )
        )
    return places


def cut_crop(frame: U8, place: CropPlace) -> U8:
    """One crop.

    Args:
        frame: (H, W, 3) uint8 RGB. place: in it.
    Returns:
        (224, 224, 3) uint8 RGB.
    Raises:
        ShapeError: the crop does not touch the padded frame, or has no size.
    """
    import cv2

    height, width = frame.shape[:2]
    # Cut first, pad what is missing then: the padded frame would be several times as large.
    rows = np.clip([place.y0, place.y1], 0, height + 2 * place.padding) - place.padding
    columns = np.clip([place.x0, place.x1], 0, width + 2 * place.padding) - place.padding
    (top, bottom), (left, right) = rows, columns
    if top >= bottom or left >= right:
        raise ShapeError("frame", frame.shape, f"a frame that holds rows {place.y0}..{place.y1} with its padding")
    part = frame[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    out = np.full((bottom - top, right - left, 3), PADDING, np.uint8)
    above, before = max(-top, 0), max(-left, 0)
    out[above : above + part.shape[0], before : before + part.shape[1]] = part
    return np.asarray(cv2.resize(out, (CROP_SIDE, CROP_SIDE), interpolation=cv2.INTER_LINEAR), np.uint8)


def whole_crop(frame: U8) -> U8:
    """The whole frame as a crop, for clips that are crops of faces already (Prajwal et al. 2020, on LRS pictures).

    Args:
        frame: (H, W, 3) uint8 RGB.
    Returns:
        (224, 224, 3) uint8 RGB.
    """
    import cv2

    return np.asarray(cv2.resize(frame, (CROP_SIDE, CROP_SIDE), interpolation=cv2.INTER_LINEAR), np.uint8)


def _taken(rest: list[tuple[int, list[Box]]]) -> list[tuple[int, Box]]:
    """Take the longest continuation of the first face that is left out of `rest`; empty if none is left."""
    sights: list[tuple[int, Box]] = []
    for number, boxes in rest:
        if sights and number - sights[-1][0] > MAX_GAP:
            break
        for box in list(boxes):
            if not sights or _overlap(box, sights[-1][1]) > MIN_OVERLAP:
                boxes.remove(box)
                sights.append((number, box))
                break
    return sights


def _overlap(a: Box, b: Box) -> float:
    """Intersection over union."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0.0) * max(height, 0.0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return shared / union if union > 0 else 0.0
