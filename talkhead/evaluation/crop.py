"""The one square that is cut out of every frame of a clip before it is judged, as the papers prepare their films.

Their detectors put boxes around faces from forehead to chin (S3FD, MTCNN, dlib); the box of the face mesh is such a
box. The square stays where it is for the whole clip: a crop that follows the face would take out the motion of the head
and change every pixel.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from talkhead.errors import FaceNotFoundError
from talkhead.evaluation.columns import Columns
from talkhead.face.landmarks import Landmarks

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]
Box = tuple[float, float, float, float]
"""x0, y0, x1, y1, pixels."""

RATE, MAX_SIZE = 5.0, 800
"""Frames per second and longest side in pixels at which faces are looked for: a square for the clip needs no more."""
_LEFT_EYE, _RIGHT_EYE = slice(36, 42), slice(42, 48)  # of the 68 points


@dataclass(frozen=True, kw_only=True, slots=True)
class CropRule:
    """How a paper cuts its films.

    Attributes:
        around: what is boxed in each frame: the face from forehead to chin, or the 68 points, around the eyes.
        over: how the boxes of all frames become one: each coordinate's median or mean, or the smallest box that holds
            them all. side: of the square, in longer sides of that box. down: how far its middle is below the eyes, in
            longer sides of the 68 points' box; for `around="eyes"`.
    """

    around: Literal["face", "eyes"] = "face"
    over: Literal["median", "mean", "union"] = "median"
    side: float = 2.0
    down: float = 0.0

    @property
    def text(self) -> str:
        """In words."""
        what = "box of the face" if self.around == "face" else "box of 68 points around the eyes"
        return f"{self.over} {what}, {self.side:.3g} times"


@dataclass(frozen=True, kw_only=True, slots=True)
class Square:
    """A square of a film, whatever the size of its frames.

    Attributes:
        x, y: left and upper edge. side: all in widths of the frame.
    """

    x: float
    y: float
    side: float

    def box(self, size: tuple[int, int]) -> tuple[int, int, int, int]:
        """x0, y0, x1, y1 in whole pixels of frames of `size` (width, height), inside them."""
        width, height = size
        side = min(max(round(self.side * width), 1), width, height)
        x0 = min(max(round(self.x * width), 0), width - side)
        y0 = min(max(round(self.y * width), 0), height - side)
        return x0, y0, x0 + side, y0 + side

    def cut(self, frame: U8) -> U8:
        """The square of a frame (H, W, 3), without a copy."""
        x0, y0, x1, y1 = self.box((frame.shape[1], frame.shape[0]))
        return frame[y0:y1, x0:x1]


def box_of(face: Landmarks, rule: CropRule) -> Box:
    """What the rule boxes in one frame."""
    if rule.around == "face":
        return face.bbox
    points = face.view68()[:, :2].astype(np.float64)
    extent = float(np.ptp(points, axis=0).max())
    x, y = (points[_LEFT_EYE].mean(0) + points[_RIGHT_EYE].mean(0)) / 2
    y += rule.down * extent
    return x - extent / 2, y - extent / 2, x + extent / 2, y + extent / 2


def square_of(boxes: F32, rule: CropRule, size: tuple[int, int]) -> Square:
    """The square of a clip.

    A square that does not fit into the picture is moved inside, and made as small as the picture where it is larger:
    nothing is made up beyond an edge.

    Args:
        boxes: (n, 4) of frames that show a face. size: width and height of the frames, pixels.
    """
    width, height = size
    if rule.over == "union":
        whole = np.concatenate([boxes[:, :2].min(0), boxes[:, 2:].max(0)])
    else:
        whole = (np.median if rule.over == "median" else np.mean)(boxes.astype(np.float64), axis=0)
    x0, y0, x1, y1 = whole.tolist()
    side = min(rule.side * max(x1 - x0, y1 - y0), width, height)
    left = min(max((x0 + x1 - side) / 2, 0.0), width - side)
    top = min(max((y0 + y1 - side) / 2, 0.0), height - side)
    return Square(x=left / width, y=top / width, side=side / width)


def find_square(path: Path, rule: CropRule, *, end_s: float | None = None) -> Square:
    """Look through a film, five times a second, for the square to cut; 80 bytes a second are held.

    Args:
        path: of the film. end_s: only so much of it will be judged, seconds.
    Raises:
        MediaError: unreadable. FaceNotFoundError: it shows no face.
    """
    from talkhead.face.mesh import FaceTracker
    from talkhead.media.video import open_clip

    clip = open_clip(path, fps=RATE, end_s=end_s, max_size=MAX_SIZE)
    boxes = _boxes(FaceTracker(RATE, name=str(path)).track_clip(clip), rule)
    if not len(boxes):
        raise FaceNotFoundError(f"{path} shows no face to crop around", hint="--no-crop judges whole frames")
    return square_of(boxes, rule, clip.size)


def _boxes(faces: Iterable[Landmarks | None], rule: CropRule) -> F32:
    held = Columns(4)
    for face in faces:
        if face is not None:
            held.add(*box_of(face, rule))
    return held.table()
