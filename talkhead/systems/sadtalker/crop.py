"""What of a photo the networks see: the box around the head, found from 68 landmarks.

Geometry of the published code (OpenTalker/SadTalker cd4c046). Its box numbers are kept as they are, because they decide
which pixels the networks see; where they made it stretch or misplace a face (a box that leaves the picture, the box of
a reduced picture), `box` is what is really shown.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from talkhead.errors import InputError, ShapeError
from talkhead.systems.sadtalker.config import Preprocess

U8 = npt.NDArray[np.uint8]
F64 = npt.NDArray[np.float64]
Size = tuple[int, int]
Box = tuple[int, int, int, int]

_CROP_SIZE = 512  # decides how far large photos are reduced, whatever size is drawn
_REDUCE = 0.5
_EYES, _MOUTH, _LIFT = 2.0, 1.8, 0.1  # half a side in eye and eye-to-mouth distances; how far the centre is lowered
_BORDER, _MIN_BORDER = 0.1, 3
_MIN_SIDE = 8  # pixels; less is no face


@dataclass(frozen=True, kw_only=True, slots=True)
class SadCrop:
    """The boxes around a head.

    Attributes:
        size: width and height of the photo. rsize: the same after reduction, the *working size*; boxes are in its
            pixels. shrink: how many times a photo with a very large face is reduced, usually 1.
        outer: x0, y0, x1, y1 of the wide box, inside the picture. quad: x0, y0, x1, y1 of the square around the head,
            from the corner of `outer`; it may leave the picture.
    """

    size: Size
    rsize: Size
    shrink: int
    outer: Box
    quad: tuple[float, float, float, float]

    @property
    def inner(self) -> Box:
        """The square around the head in whole pixels of the working size; it may leave the picture."""
        x0, y0 = self.outer[:2]
        left, top, right, bottom = (int(value) for value in self.quad)
        return x0 + left, y0 + top, x0 + right, y0 + bottom

    def box(self, preprocess: Preprocess) -> Box:
        """x0, y0, x1, y1 of what is drawn, in pixels of the working size, inside the picture."""
        if preprocess == "resize":
            return 0, 0, *self.rsize
        if preprocess in ("extcrop", "extfull"):
            return self.outer
        x0, y0, x1, y1 = self.inner
        return x0, y0, min(x1, self.outer[2]), min(y1, self.outer[3])

    def display(self, preprocess: Preprocess) -> Size:
        """Width and height whose proportions the drawn square takes when it is shown.

        They are those of `box`, so that faces are never stretched; a box that is square but for rounding is square.
        """
        x0, y0, x1, y1 = self.box(preprocess)
        width, height = x1 - x0, y1 - y0
        return (width, width) if abs(width - height) <= 1 else (width, height)


def crop_of(landmarks68: npt.ArrayLike, size: Size) -> SadCrop:
    """The boxes around a head.

    Args:
        landmarks68: iBUG points, (68, 2), pixels of the photo. size: its width and height.
    Raises:
        ShapeError: not 68 points. InputError: the points make no face, or it lies outside the picture.
    """
    points = np.asarray(landmarks68, np.float64)
    if points.shape != (68, 2):
        raise ShapeError("landmarks68", points.shape, "(68, 2)")
    center, half = _square_around(points)
    x, y = half, np.array([-half[1], half[0]])
    corners = np.array([center - x - y, center - x + y, center + x + y, center + x - y])
    side = 2 * float(np.hypot(*x))
    if not (np.isfinite(corners).all() and side >= _MIN_SIDE):
        raise InputError(f"the landmarks make no face: its box has a side of {side:.3g} pixels")
    shrink = max(1, math.floor(side / _CROP_SIZE * _REDUCE))
    rsize = size
    if shrink > 1:
        rsize = (round(size[0] / shrink), round(size[1] / shrink))
        corners, side = corners / shrink, side / shrink
    outer = _outer_box(corners, side, rsize)
    if outer[2] - outer[0] < rsize[0] or outer[3] - outer[1] < rsize[1]:
        corners = corners - outer[:2]
    quad = _bounded(corners + 0.5, rsize)
    crop = SadCrop(size=size, rsize=rsize, shrink=shrink, outer=outer, quad=quad)
    for x0, y0, x1, y1 in (outer, crop.box("crop")):
        if x1 - x0 < 1 or y1 - y0 < 1:
            raise InputError(f"the face lies outside the picture of {size[0]}x{size[1]} pixels")
    return crop


def cut(image: U8, crop: SadCrop | None, preprocess: Preprocess) -> U8:
    """The part of a photo or frame that is drawn.

    Args:
        image: (H, W, 3) uint8 RGB of the size the crop was made for. crop: None only with `resize`. preprocess: which
            part.
    Returns:
        Pixels of the working size, uint8 RGB, perhaps a view.
    Raises:
        ShapeError: the image has another size.
    """
    if crop is None or preprocess == "resize":
        return image
    if (image.shape[1], image.shape[0]) != crop.size:
        raise ShapeError("image", image.shape, f"({crop.size[1]}, {crop.size[0]}, 3)")
    if crop.rsize != crop.size:
        image = np.asarray(cv2.resize(image, crop.rsize, interpolation=cv2.INTER_LINEAR), np.uint8)
    x0, y0, x1, y1 = crop.box(preprocess)
    return image[y0:y1, x0:x1]


def squared(picture: U8, side: int) -> U8:
    """A picture stretched to the square the networks work on, (side, side, 3), as published: bilinear."""
    return np.ascontiguousarray(cv2.resize(picture, (side, side), interpolation=cv2.INTER_LINEAR), np.uint8)


def to_square(
    points: npt.ArrayLike, crop: SadCrop | None, preprocess: Preprocess, side: int, size: Size | None = None
) -> F64:
    """Points of the photo as points of the square.

    Args:
        points: (..., 2), pixels of the photo. crop, preprocess: as in `cut`. side: of the square. size: of the photo,
            where there is no crop that knows it.
    """
    scale, offset = _way(crop, preprocess, side, size)
    return np.asarray(points, np.float64) * scale + offset


def from_square(
    points: npt.ArrayLike, crop: SadCrop | None, preprocess: Preprocess, side: int, size: Size | None = None
) -> F64:
    """Points of the square as points of the photo; the inverse of `to_square`."""
    scale, offset = _way(crop, preprocess, side, size)
    return (np.asarray(points, np.float64) - offset) / scale


def wflw98_to_68(points: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """The iBUG 68 points of a face given by the 98 of WFLW, (98, 2) -> (68, 2) float32.

    Raises:
        ShapeError: not 98 points.
    """
    p = np.asarray(points, np.float32)
    if p.shape != (98, 2):
        raise ShapeError("points", p.shape, "(98, 2)")
    brow_a = (p[[34, 35, 36, 37]] + p[[41, 40, 39, 38]]) / 2
    brow_b = (p[[42, 43, 44, 45]] + p[[50, 49, 48, 47]]) / 2
    eyes = [60, 61, 63, 64, 65, 67, 68, 69, 71, 72, 73, 75]
    parts = [p[0:33:2], p[[33]], brow_a, brow_b, p[[46]], p[51:60], p[eyes], p[76:96]]
    return np.concatenate(parts).astype(np.float32)


def _square_around(points: F64) -> tuple[F64, F64]:
    """Centre of the square around a head, and the vector from it to the middle of its right side."""
    eye_a, eye_b = points[36:42].mean(0), points[42:48].mean(0)
    between = (eye_a + eye_b) / 2
    eyes = eye_b - eye_a
    down = (points[48] + points[54]) / 2 - between
    right = eyes + np.array([down[1], -down[0]])
    length = float(np.hypot(*right))
    reach = max(_EYES * float(np.hypot(*eyes)), _MOUTH * float(np.hypot(*down)))
    return between + _LIFT * down, right * (reach / length) if length > 0 else np.zeros(2)


def _outer_box(corners: F64, side: float, size: Size) -> Box:
    border = max(round(_BORDER * side), _MIN_BORDER)
    low, high = np.floor(corners.min(0)), np.ceil(corners.max(0))
    return (
        max(int(low[0]) - border, 0),
        max(int(low[1]) - border, 0),
        min(int(high[0]) + border, size[0]),
        min(int(high[1]) + border, size[1]),
    )


def _bounded(corners: F64, size: Size) -> tuple[float, float, float, float]:
    # Up to a quarter turn these are the corners the published code picks; beyond, its box would be empty.
    low, high = corners.min(0), corners.max(0)
    # The published code bounds the height by the width. In wide pictures that is kept, `box` puts it right; in tall
    # ones it would cut the chin off a face that fills the width.
    bottom = min(float(high[1]), max(size))
    return max(float(low[0]), 0.0), max(float(low[1]), 0.0), min(float(high[0]), size[0]), bottom


def _way(crop: SadCrop | None, preprocess: Preprocess, side: int, size: Size | None) -> tuple[F64, F64]:
    """Scale and offset, (2,) each, from the photo to the square."""
    if crop is None or preprocess == "resize":
        whole = size if crop is None else crop.size
        assert whole is not None
        return side / np.array(whole, np.float64), np.zeros(2)
    x0, y0, x1, y1 = crop.box(preprocess)
    stretch = side / np.array([x1 - x0, y1 - y0], np.float64)
    return stretch * np.array(crop.rsize) / np.array(crop.size), -stretch * np.array([x0, y0])
