"""Square crops around a face, and the affine way back to the picture."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from talkhead.errors import ShapeError, UsageError
from talkhead.face.landmarks import Landmarks

# Beyond this reduction the crop is already an average of 36 pixels per sample; finer filtering only costs time.
MAX_OVERSAMPLING = 6


@dataclass(frozen=True, kw_only=True, slots=True)
class Crop:
    """A square of a picture, perhaps turned, sampled at `size` x `size` pixels.

    Attributes:
        matrix: (2, 3) affine crop -> picture in continuous pixels (pixel i covers [i, i+1)).
        size: side of the crop in its own pixels.
    """

    matrix: npt.NDArray[np.float64]
    size: int

    def __post_init__(self) -> None:
        if self.matrix.shape != (2, 3):
            raise ShapeError("matrix", self.matrix.shape, "(2, 3)")

    @property
    def scale(self) -> float:
        """Picture pixels per crop pixel."""
        return math.hypot(self.matrix[0, 0], self.matrix[1, 0])

    @property
    def flat(self) -> npt.NDArray[np.float32]:
        """(6,) row-major, as a coefficient file stores it."""
        return self.matrix.reshape(6).astype(np.float32)

    def to_source(self, points: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Crop -> picture for points (..., 2) or (..., 3); depth is scaled alike."""
        return _transformed(np.asarray(points, np.float64), self.matrix, self.scale)

    def to_crop(self, points: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Picture -> crop for points (..., 2) or (..., 3); depth is scaled alike."""
        turn = np.linalg.inv(self.matrix[:, :2])
        back = np.concatenate([turn, -turn @ self.matrix[:, 2:]], 1)
        return _transformed(np.asarray(points, np.float64), back, 1 / self.scale)

    def cut(self, image: npt.NDArray[np.uint8], *, border: int | None = None) -> npt.NDArray[np.uint8]:
        """Sample the crop, averaging where it is coarser than the picture.

        Args:
            image: (H, W) or (H, W, C). border: value outside the picture; None repeats its edge.
        Returns:
            (size, size) or (size, size, C), same dtype.
        """
        import cv2

        fine = min(MAX_OVERSAMPLING, max(1, math.ceil(self.scale - 0.25)))
        # Centres instead of corners: cv2 counts from the middle of pixel 0.
        step = self.matrix[:, :2] / fine
        to_picture = np.concatenate([step, self.matrix[:, 2:] + (step.sum(1, keepdims=True) - 1) / 2], 1)
        mode = cv2.BORDER_REPLICATE if border is None else cv2.BORDER_CONSTANT
        side = self.size * fine
        out = cv2.warpAffine(
            image, to_picture, (side, side), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=mode, borderValue=[border or 0] * 4,
        )  # fmt: skip
        if fine > 1:
            out = cv2.resize(out, (self.size, self.size), interpolation=cv2.INTER_AREA)
        return np.asarray(out, image.dtype)


def square_crop(center: npt.ArrayLike, side: float, size: int, angle: float = 0.0) -> Crop:
    """A crop of `side` picture pixels around a point, turned so that a face tilted by `angle` stands upright.

    Args:
        center: x, y in picture pixels. side: in picture pixels. size: in crop pixels.
        angle: radians, clockwise as the viewer sees it, from image right to the face's own right-hand axis.
    Raises:
        UsageError: side or size is not positive.
    """
    if not side > 0 or size < 1:
        raise UsageError(f"a crop of {side:g} picture pixels sampled at {size} pixels is empty")
    x, y = np.asarray(center, np.float64)
    c, s = math.cos(angle) * side / size, math.sin(angle) * side / size
    half = size / 2
    return Crop(matrix=np.array([[c, -s, x - half * (c - s)], [s, c, y - half * (s + c)]]), size=size)


def face_crop(landmarks: Landmarks, size: int, *, width: float = 2.0, lift: float = 0.0, upright: bool = False) -> Crop:
    """The square around a face that renderers and networks like to work on.

    Args:
        landmarks: of the face. size: crop pixels. width: side in units of the longer side of the face's box.
        lift: shift of the centre towards the top of the head, in the same unit. upright: turn the eyes level.
    """
    x0, y0, x1, y1 = landmarks.bbox
    side = max(x1 - x0, y1 - y0)
    angle = landmarks.roll
    up = np.array([math.sin(angle), -math.cos(angle)])
    center = np.array([(x0 + x1) / 2, (y0 + y1) / 2]) + lift * side * up
    return square_crop(center, width * side, size, angle if upright else 0.0)


def fixed_crop(boxes: npt.ArrayLike, picture: tuple[int, int], size: int, margin: float) -> Crop:
    """The square through which a clip or photo is seen, HeadGAN's way: the median box squared by its height, a margin.

    Where the square would look out of the picture it is moved inside, and made as small as the picture if it must.
    (The published code cuts it at the border, and squeezes what is left.)

    Args:
        boxes: (n, 4) x0 y0 x1 y1 of the face, pixels. picture: width and height. size: side of the result, pixels.
        margin: how much longer the side is than the box is high.
    Raises:
        ShapeError: no boxes.
    """
    values = np.asarray(boxes, np.float64)
    if values.ndim != 2 or values.shape[1] != 4 or not len(values):
        raise ShapeError("boxes", values.shape, "(n, 4), n at least 1")
    box = np.median(values, axis=0)
    side = min(float(box[3] - box[1]) * (1 + margin), *picture)
    middle = [
        float(np.clip(c, side / 2, n - side / 2)) for c, n in zip(((box[:2] + box[2:]) / 2), picture, strict=True)
    ]
    return square_crop(middle, side, size)


def _transformed(
    points: npt.NDArray[np.float64], matrix: npt.NDArray[np.float64], scale: float
) -> npt.NDArray[np.float64]:
    if points.shape[-1:] not in ((2,), (3,)):
        raise ShapeError("points", points.shape, "(..., 2) or (..., 3)")
    flat = points[..., :2] @ matrix[:, :2].T + matrix[:, 2]
    return np.concatenate([flat, points[..., 2:] * scale], -1)
