"""Several looks of the mesh network at one face, averaged: the crop a bit larger, smaller, tilted, mirrored.

One look places points with an error of 0.8 % of the eye distance that changes with the crop; six looks 0.3 %
(talking clips, against the mean of 32 looks). The mirrored half also cancels the network's left-right bias.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from talkhead.face.crop import Crop, square_crop
from talkhead.face.landmarks import Landmarks
from talkhead.face.providers import Detection, FaceProvider
from talkhead.face.topology import MIRROR, N_SKIN, OUTER_EYE_CORNERS

U8 = npt.NDArray[np.uint8]
F64 = npt.NDArray[np.float64]
ROI_WIDTH = 1.5
"""Side of the network's square in units of the longer side of the mesh's upright box; what it was trained on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Roi:
    """Where to look: a turned square. center: (2,) pixels. side: pixels. angle: radians, as in `square_crop`."""

    center: F64
    side: float
    angle: float

    def far_from(self, other: Roi) -> bool:
        """Whether the squares differ by more than the network shrugs off: 6 % of the side, 8 % in size, 6 degrees."""
        shift = float(np.linalg.norm(self.center - other.center)) / other.side
        turn = abs((self.angle - other.angle + math.pi) % (2 * math.pi) - math.pi)
        return shift > 0.06 or abs(math.log(self.side / other.side)) > 0.08 or turn > math.radians(6)


@dataclass(frozen=True, kw_only=True, slots=True)
class Looks:
    """The mean of several looks.

    Attributes:
        points: (478, 3), as in `Landmarks`. presence: mean probability of a face, 0..1.
        deviation: root mean square difference of single looks, in eye distances.
    """

    points: F64
    presence: float
    deviation: float

    @property
    def landmarks(self) -> Landmarks:
        """The same as a value for other packages."""
        return Landmarks(points=self.points, deviation=self.deviation)


def roi_of_detection(found: Detection) -> Roi:
    """The first square to look at, from a detector's box and its eyes."""
    x, y = found.keypoints[1] - found.keypoints[0]
    return Roi(center=found.center, side=ROI_WIDTH * found.side, angle=math.atan2(y, x))


def roi_of_points(points: F64) -> Roi:
    """The square to look at, from landmarks: the box of the skin points along the eye line, enlarged."""
    x, y = (points[OUTER_EYE_CORNERS[1]] - points[OUTER_EYE_CORNERS[0]])[:2]
    angle = math.atan2(y, x)
    c, s = math.cos(angle), math.sin(angle)
    upright = points[:N_SKIN, :2] @ np.array([[c, -s], [s, c]])
    low, high = upright.min(0), upright.max(0)
    middle = np.array([[c, -s], [s, c]]) @ ((low + high) / 2)
    return Roi(center=middle, side=max(1.0, ROI_WIDTH * float((high - low).max())), angle=angle)


def look_often(image: U8, roi: Roi, n_looks: int, eyes: FaceProvider) -> Looks:
    """The mean of `n_looks` looks at one square.

    Args:
        image: (H, W, 3) uint8 RGB. roi: where. n_looks: >= 1; even numbers are half mirrored. eyes: the provider.
    """
    import cv2

    view, to_image = _nearby(image, roi, eyes.mesh_size)
    all_points, presences = [], []
    for widen, turn, mirrored in variants(n_looks):
        crop = square_crop(roi.center, roi.side * widen, eyes.mesh_size, roi.angle + turn)
        crop = Crop(matrix=_after(to_image, crop.matrix), size=crop.size)
        pixels = crop.cut(view)
        look = eyes.look(np.asarray(cv2.flip(pixels, 1), np.uint8) if mirrored else pixels)
        points = look.points
        if mirrored:
            points = points[MIRROR] * (-1, 1, 1) + (crop.size, 0, 0)
        all_points.append(crop.to_source(points))
        presences.append(look.presence)
    stack = np.array(all_points)
    points = stack.mean(0)
    eye_distance = max(1e-9, float(np.linalg.norm(points[OUTER_EYE_CORNERS[0]] - points[OUTER_EYE_CORNERS[1]])))
    spread = np.sqrt(((stack - points)[..., :2] ** 2).sum(-1).mean(0)).mean() / eye_distance
    points = _carried(points, to_image)
    return Looks(points=points, presence=float(np.mean(presences)), deviation=float(spread))


@cache
def variants(n_looks: int) -> tuple[tuple[float, float, bool], ...]:
    """Widening (about 1), tilt (radians, about 0) and mirroring of each look; fixed, so results repeat."""
    if n_looks == 1:
        return ((1.0, 0.0, False),)
    steps = (n_looks + 1) // 2
    widths = np.linspace(0.9, 1.1, steps) if steps > 1 else np.ones(1)
    # Tilts run through the same range in another order, so that width and tilt do not go together.
    tilts = (np.linspace(-0.09, 0.09, steps) if steps > 1 else np.zeros(1))[np.argsort(np.sin(np.arange(steps) * 2.4))]
    pairs = [(float(w), float(t * sign), sign < 0) for w, t in zip(widths, tilts, strict=True) for sign in (1, -1)]
    return tuple(pairs[:n_looks])


def _nearby(image: U8, roi: Roi, mesh_size: int) -> tuple[U8, F64]:
    """The part of the picture that looks need, reduced if it is much finer than the network's input.

    Returns:
        pixels, and (2, 3) affine part -> picture.
    """
    import cv2

    reduce = int(roi.side / mesh_size / 1.1)
    if reduce < 2:
        return image, np.array([[1.0, 0, 0], [0, 1.0, 0]])
    reach = roi.side * 0.85
    height, width = image.shape[:2]
    x0, y0 = (int(np.clip(v, 0, n - reduce)) for v, n in zip(roi.center - reach, (width, height), strict=True))
    x1, y1 = (int(np.clip(v, 0, n)) for v, n in zip(roi.center + reach, (width, height), strict=True))
    size = (max(1, (x1 - x0) // reduce), max(1, (y1 - y0) // reduce))
    part = image[y0 : y0 + size[1] * reduce, x0 : x0 + size[0] * reduce]
    small = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)
    return small, np.array([[reduce, 0.0, x0], [0.0, reduce, y0]])


def _after(to_image: F64, crop: F64) -> F64:
    """(2, 3) affine crop -> part, from crop -> picture and part -> picture (axis-aligned)."""
    scale = to_image[0, 0]
    return np.concatenate([crop[:, :2] / scale, (crop[:, 2:] - to_image[:, 2:]) / scale], 1)


def _carried(points: F64, to_image: F64) -> F64:
    moved: F64 = points * to_image[0, 0] + np.array([to_image[0, 2], to_image[1, 2], 0.0])
    return moved
