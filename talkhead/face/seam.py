"""A drawn square put into a box of a picture: a soft border, and the step in colour taken out of the seam.

One pass over the box with a mask made once; systems that draw a square around the head and keep the rest of the photo
(SadTalker's `full` modes, HeadGAN's whole pictures) share it.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]
Box = tuple[int, int, int, int]
"""x0, y0, x1, y1, pixels."""

FEATHER = 0.1
"""Width of the soft border, of the box's shorter side: chins end at 0.85 to 0.9 of the box around a head."""
_GRID = 32  # cells a side on which the step in colour is measured; squares of 256 and 512 divide evenly
_RING = 3  # of these cells lie in the seam
_TOLERANCE = 8.0  # grey levels from the usual step; a cell that differs more shows another thing, not another colour
_MANY = 0.25  # of the ring's cells; a step that fewer agree on is taken back
_REACH = 0.1  # of the box: how far along the seam steps are averaged
_DOUBT = 0.5  # of a full neighbourhood: how much of it must agree to leave the usual step by half
_DEPTH = 0.15  # of the box: how far a correction reaches into the picture


def feather_mask(box: Box, size: tuple[int, int]) -> F32:
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


class Seam:
    """The seam between a photo and what is drawn over a box of it.

    Args:
        under: the box of the photo, (H, W, 3) uint8 RGB. mask: share of the drawn square in each pixel, (H, W) float32.
    """

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
