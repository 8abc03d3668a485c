"""The drawn square back into the photo, or shown by itself in its right proportions.

The published code clones every frame seamlessly (Poisson) onto the whole picture. `feather` is one pass over the box
with a mask made once, and takes the step in colour out of the seam; `poisson` clones as published, on the box alone.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from talkhead.errors import ShapeError
from talkhead.systems.sadtalker.config import Blend, Preprocess
from talkhead.systems.sadtalker.crop import Box, SadCrop, Size

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]

FEATHER = 0.1
"""Width of the soft border, of the box's shorter side: chins end at 0.85 to 0.9 of the box around a head."""
_GRID = 32  # cells a side on which the step in colour is measured; squares of 256 and 512 divide evenly
_RING = 3  # of these cells lie in the seam
_TOLERANCE = 8.0  # grey levels from the usual step; a cell that differs more shows another thing, not another colour
_MANY = 0.25  # of the ring's cells; a step that fewer agree on is taken back
_REACH = 0.1  # of the box: how far along the seam steps are averaged
_DOUBT = 0.5  # of a full neighbourhood: how much of it must agree to leave the usual step by half
_DEPTH = 0.15  # of the box: how far a correction reaches into the picture
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
        self._joint = None if is_cloned else _Joint(self._under, feather_mask(self.box, crop.size))

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
        if self._joint is None:
            self._clone(frame, out)
        else:
            x0, y0, x1, y1 = self.box
            out[y0:y1, x0:x1] = self._joint.blended(frame)
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


def feather_mask(box: Box, size: Size) -> F32:
    """Share of the drawn square in each pixel of the box.

    0 at the border of the box, 1 in the middle, and 1 up to the border where that is the picture's own.

    Args:
        box: x0, y0, x1, y1. size: of the picture.
    Returns:
        (y1 - y0, x1 - x0) float32.
    """
    x0, y0, x1, y1 = box
    width = max(FEATHER * min(x1 - x0, y1 - y0), 1.0)
    across = _ramp(x1 - x0, width, x0 > 0, x1 < size[0])
    down = _ramp(y1 - y0, width, y0 > 0, y1 < size[1])
    # Distance to the nearest point of the inside, so that the corners are round.
    depth = 1 - np.minimum(np.hypot(1 - across[None], 1 - down[:, None]), 1)
    mask: F32 = (depth * depth * (3 - 2 * depth)).astype(np.float32)
    return mask


def _ramp(length: int, width: float, *ends: bool) -> npt.NDArray[np.float64]:
    """0 at the soft ends of a line of pixels, rising to 1 over `width`."""
    steps = np.arange(length, dtype=np.float64)
    ramp = np.ones(length)
    for is_soft, distance in zip(ends, (steps, steps[::-1]), strict=True):
        if is_soft:
            ramp = np.minimum(ramp, distance / width)
    return ramp


class _Joint:
    """The seam between a photo and what is drawn over a box of it."""

    def __init__(self, under: U8, mask: F32) -> None:
        self._under = under
        self._mask, self._rest = mask, 1 - mask
        self._colours = _cells(under)
        ring = np.ones((_GRID, _GRID), bool)
        ring[_RING:-_RING, _RING:-_RING] = False
        place = (np.argwhere(np.ones_like(ring)) + 0.5) / _GRID
        self._ring = ring.reshape(-1)
        apart = np.linalg.norm(place[:, None] - place[None, self._ring], axis=-1)  # (cells, ring)
        self._near: F32 = np.exp(-0.5 * (apart / _REACH) ** 2).astype(np.float32)
        self._doubt = np.float32(_DOUBT * self._near.sum(1).max())
        self._depth: F32 = np.exp(-0.5 * (apart.min(1, keepdims=True) / _DEPTH) ** 2).astype(np.float32)

    def blended(self, frame: U8) -> U8:
        """The box with the drawn square in it, (H, W, 3) uint8."""
        height, width = self._under.shape[:2]
        is_enlarged = min(height, width) >= frame.shape[0]
        patch = cv2.resize(frame, (width, height), interpolation=cv2.INTER_CUBIC if is_enlarged else cv2.INTER_AREA)
        step = cv2.resize(self._colour_step(frame), (width, height), interpolation=cv2.INTER_LINEAR)
        cv2.add(patch, step, patch, dtype=cv2.CV_8U)
        return np.asarray(cv2.blendLinear(patch, self._under, self._mask, self._rest), np.uint8)

    def _colour_step(self, frame: U8) -> F32:
        """What to add to a frame so that it meets the photo's colours at the seam, (32, 32, 3) grey levels.

        Coarse colours of photo and frame are compared in a ring along the border. The step that most cells agree on is
        a colour the networks shifted; around it, places may differ a little. Cells that differ much say nothing:
        something moved there. So the correction neither follows what moves nor flickers with it.
        """
        found = (self._colours - _cells(frame))[self._ring]  # (ring, 3)
        usual = np.median(found, axis=0)
        trust = _trust(found - usual)
        usual = (trust * found).sum(0) / max(float(trust.sum()), 1e-6)
        trust = _trust(found - usual)
        local = self._near @ np.concatenate([trust * (found - usual), trust], 1)  # (cells, 4)
        step = usual * min(float(trust.mean()) / _MANY, 1.0) + local[:, :3] / (local[:, 3:] + self._doubt)
        return np.ascontiguousarray((step * self._depth).reshape(_GRID, _GRID, 3), np.float32)


def _trust(differences: F32) -> F32:
    """How far cells are believed, (n, 3) grey levels -> (n, 1) in [0, 1]."""
    trust: F32 = np.exp(-0.5 * (differences**2).sum(1, keepdims=True) / _TOLERANCE**2)
    return trust


def _cells(picture: U8) -> F32:
    """Mean colours of a picture's cells, (32 32, 3) float32."""
    coarse = cv2.resize(picture, (_GRID, _GRID), interpolation=cv2.INTER_AREA)
    return np.asarray(coarse, np.float32).reshape(-1, 3)
