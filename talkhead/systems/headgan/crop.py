"""The square through which the published code sees a video, to the last rounding; ours is `face.crop.fixed_crop`.

Needed to treat pictures as those were that a published checkpoint was trained on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from talkhead.errors import FaceNotFoundError, ShapeError
from talkhead.face import HEAD_MARGIN

U8 = npt.NDArray[np.uint8]
F64 = npt.NDArray[np.float64]
Box = npt.NDArray[np.floating[Any]]

MAX_MOTION_DATA, MAX_MOTION_REENACT = 0.45, 0.35
"""How far boxes of a video may move, of the mean of the picture's width and height, in training and in use."""


@dataclass(frozen=True, slots=True)
class PublishedCrop:
    """Where a video is cut.

    Attributes:
        box: (4,) x0 y0 x1 y1 of the face, squared, before the margin. cut: the same of the crop, whole pixels inside
            the picture; not square at its border.
    """

    box: F64
    cut: tuple[int, int, int, int]

    def face(self, frame: U8, side: int = 256) -> U8:
        """What is seen of a frame (H, W, 3), squeezed to a square: (side, side, 3) uint8.

        By Pillow, which averages where it makes smaller.
        """
        from PIL import Image

        x0, y0, x1, y1 = self.cut
        part = Image.fromarray(np.ascontiguousarray(frame[y0:y1, x0:x1]))
        return np.asarray(part.resize((side, side), Image.Resampling.BILINEAR), np.uint8)


def filled(boxes: Sequence[Box | None]) -> F64:
    """Boxes of all frames, (T, 4): a missing one is the next that was found, or at the end the last.

    Raises:
        FaceNotFoundError: there is none. ShapeError: one is not four numbers.
    """
    found = [i for i, box in enumerate(boxes) if box is not None]
    if not found:
        raise FaceNotFoundError(f"no face found in any of {len(boxes)} frames")
    rows = []
    for i in range(len(boxes)):
        box = np.asarray(boxes[next((k for k in found if k >= i), found[-1])], np.float64)
        if box.shape != (4,):
            raise ShapeError(f"box {i}", box.shape, "(4,)")
        rows.append(box)
    return np.stack(rows)


def moves_too_far(boxes: F64, picture: tuple[int, int], limit: float) -> bool:
    """Whether a side of the boxes (T, 4) wanders over more than `limit` of the picture's mean size (width, height)."""
    return bool(np.ptp(boxes, axis=0).max() > limit * (picture[0] + picture[1]) / 2)


def published_crop(boxes: F64, picture: tuple[int, int], *, lower: float = 0.0) -> PublishedCrop:
    """The median box, as wide as it is high, with the margin, inside the picture.

    Args:
        boxes: (T, 4) x0 y0 x1 y1 of the face, pixels. picture: width and height.
        lower: by how much of its height the box is moved down.
    Raises:
        ShapeError: no boxes.
    """
    if boxes.ndim != 2 or boxes.shape[1] != 4 or not len(boxes):
        raise ShapeError("boxes", boxes.shape, "(T, 4), T at least 1")
    x0, y0, x1, y1 = np.median(boxes, axis=0)
    height = y1 - y0
    y0, y1 = y0 + lower * height, y1 + lower * height
    middle = (x0 + x1) / 2
    box = np.array([middle - height / 2, y0, middle + height / 2, y1])
    grown = box + np.array([-1, -1, 1, 1]) * (HEAD_MARGIN / 2) * height
    width, tall = picture
    left, top, right, bottom = (int(v) for v in np.clip(grown, 0, [width, tall, width, tall]))
    return PublishedCrop(box, (left, top, right, bottom))
