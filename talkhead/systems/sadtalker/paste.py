"""The drawn square back into the photo, or shown by itself in its right proportions.

The published code clones every frame seamlessly (Poisson) onto the whole picture. `feather` is one pass over the box
with a mask made once, and takes the step in colour out of the seam; `poisson` clones as published, on the box alone.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from talkhead.errors import ShapeError
from talkhead.face.seam import Seam, feather_mask
from talkhead.systems.sadtalker.config import Blend, Preprocess
from talkhead.systems.sadtalker.crop import Box, SadCrop, Size

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]

_MIN_CLONED = 8  # pixels; OpenCV's cloning needs an inside
_MARGIN = 2


def display_frame(frame: U8, display: Size) -> U8:
    """A drawn square in the proportions of what was drawn.

    Args:
        frame: (S, S, 3) uint8. display: width and height of what was drawn, any unit.
    Returns:
        (int(S height / width), S, 3) uint8, as published; the frame itself where that is square.
    """
    side = frame.shape[1]
    height = max(int(side * display[1] / display[0]), 1)
    if height == frame.shape[0]:
        return frame
    return np.asarray(cv2.resize(frame, (side, height), interpolation=cv2.INTER_LINEAR), np.uint8)


class Paster:
    """Puts drawn squares into a photo.

    Args:
        photo: (H, W, 3) uint8 RGB. crop: where the square was cut. preprocess: `full` or `extfull`. blend: `feather` or
            `poisson`.
    Raises:
        ShapeError: the photo is not the one the crop was made for.
    """

    def __init__(self, photo: U8, crop: SadCrop, preprocess: Preprocess, blend: Blend = "feather") -> None:
        if (photo.shape[1], photo.shape[0]) != crop.size:
            raise ShapeError("photo", photo.shape, f"({crop.size[1]}, {crop.size[0]}, 3)")
        self._photo = photo
        self.box = photo_box(crop, preprocess)
        x0, y0, x1, y1 = self.box
        self._under = np.ascontiguousarray(photo[y0:y1, x0:x1])
        is_cloned = blend == "poisson" and min(x1 - x0, y1 - y0) >= _MIN_CLONED
        self._seam = None if is_cloned else Seam(self._under, feather_mask(self.box, crop.size))

    @property
    def size(self) -> Size:
        """Width and height of the pasted frames: the photo's."""
        return self._photo.shape[1], self._photo.shape[0]

    def paste(self, frame: U8) -> U8:
        """The photo with a drawn square in it.

        Args:
            frame: (S, S, 3) uint8 RGB.
        Returns:
            (H, W, 3) uint8 RGB, a fresh array.
        """
        out = self._photo.copy()
        if self._seam is None:
            self._clone(frame, out)
        else:
            x0, y0, x1, y1 = self.box
            out[y0:y1, x0:x1] = self._seam.blended(frame)
        return out

    def _clone(self, frame: U8, out: U8) -> None:
        """Clone as published into the box of `out`; the picture beyond a small margin takes no part."""
        x0, y0, x1, y1 = self.box
        patch = cv2.resize(frame, (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR)
        left, top = max(x0 - _MARGIN, 0), max(y0 - _MARGIN, 0)
        around = out[top : y1 + _MARGIN, left : x1 + _MARGIN]
        center = ((x0 + x1) // 2 - left, (y0 + y1) // 2 - top)
        mask = np.full(patch.shape[:2], 255, np.uint8)
        around[:] = cv2.seamlessClone(patch, np.ascontiguousarray(around), mask, center, cv2.NORMAL_CLONE)


def photo_box(crop: SadCrop, preprocess: Preprocess) -> Box:
    """x0, y0, x1, y1 of what was drawn, in pixels of the photo and inside it."""
    x0, y0, x1, y1 = crop.box(preprocess)
    across, down = crop.size[0] / crop.rsize[0], crop.size[1] / crop.rsize[1]
    left, top = min(round(x0 * across), crop.size[0] - 1), min(round(y0 * down), crop.size[1] - 1)
    right, bottom = min(round(x1 * across), crop.size[0]), min(round(y1 * down), crop.size[1])
    return left, top, max(right, left + 1), max(bottom, top + 1)
