"""Which stretches of a video become clips, and the one square that each is seen through."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from talkhead.face.crop import Crop
from talkhead.face.landmarks import Landmarks

U8 = npt.NDArray[np.uint8]
F64 = npt.NDArray[np.float64]

MAX_GAP = 5
"""Frames without a face that a clip bridges: a hand, a blink of the detector. More of them end it."""
MAX_JUMP, MAX_ZOOM = 0.5, 1.4
"""Faces move less than half their height between frames (at 25 a second) and do not grow by 40 %: that is a cut."""
THUMBNAIL, MAX_CHANGE = 32, 40.0
"""Between frames of one shot, thumbnails change by below 12 grey levels on average; at a cut by 45 and more."""


@dataclass(slots=True)
class Span:
    """Consecutive frames of one shot that show a face.

    Attributes:
        start: number of the first frame. found: the face in each; the first and the last are never None.
    """

    start: int
    found: list[Landmarks | None] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.found)

    @property
    def boxes(self) -> F64:
        """(n, 4) x0 y0 x1 y1 of the frames that show the face, pixels."""
        return np.array([face.bbox for face in self.found if face is not None])

    @property
    def missing(self) -> float:
        """Share of frames that do not show it."""
        return sum(face is None for face in self.found) / len(self.found)


def cut_spans(frames: Iterable[tuple[U8, Landmarks | None]], max_length: int) -> Iterator[Span]:
    """Cut a tracked video at scene cuts, where the face is lost or jumps, and after `max_length` frames.

    Args:
        frames: pictures, (H, W, 3) uint8 RGB, and the face in each; one pass, one frame at a time.
        max_length: frames of a span, at most.
    """
    import cv2

    span: Span | None = None
    before: U8 | None = None
    last_box: F64 | None = None
    for number, (picture, face) in enumerate(frames):
        small = cv2.resize(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), (THUMBNAIL, THUMBNAIL), interpolation=3)
        is_cut = before is not None and float(cv2.absdiff(small, before).mean()) > MAX_CHANGE
        before = np.asarray(small, np.uint8)
        box = None if face is None else np.array(face.bbox)
        if span is not None:
            is_lost = face is None and all(f is None for f in span.found[-MAX_GAP:])
            jumped = box is not None and last_box is not None and _jumps(last_box, box)
            if is_cut or is_lost or jumped or len(span) >= max_length:
                yield _trimmed(span)
                span = None
        if span is None and face is not None:
            span = Span(number)
        if span is not None:
            span.found.append(face)
        last_box = box if box is not None else last_box
    if span is not None:
        yield _trimmed(span)


def _jumps(before: F64, now: F64) -> bool:
    height, tall = before[3] - before[1], now[3] - now[1]
    moved = np.linalg.norm(_middles(before[None])[0] - _middles(now[None])[0])
    return bool(moved > MAX_JUMP * height or not 1 / MAX_ZOOM < tall / max(height, 1.0) < MAX_ZOOM)


def _trimmed(span: Span) -> Span:
    while span.found[-1] is None:
        span.found.pop()
    return span


def wandering(boxes: npt.ArrayLike, crop: Crop) -> float:
    """How far the middle of the face wanders along x or y, as a share of the crop's side; boxes as in `fixed_crop`."""
    middles = _middles(np.asarray(boxes, np.float64))
    return float(np.ptp(middles, axis=0).max() / (crop.scale * crop.size))


def _middles(boxes: F64) -> F64:
    return (boxes[:, :2] + boxes[:, 2:]) / 2
