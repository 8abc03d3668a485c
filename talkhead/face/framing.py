"""A photo as it will be shown: transparency composed, cut, brought to a size; landmarks follow."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from talkhead.face.landmarks import Landmarks

U8 = npt.NDArray[np.uint8]
Box = tuple[int, int, int, int]
"""x0, y0, x1, y1, pixels."""


def on_white(image: U8, alpha: U8 | None) -> U8:
    """A picture (H, W, 3) with its transparency (H, W) composed on white; without transparency, itself."""
    if alpha is None:
        return image
    a = alpha[..., None].astype(np.float32) / 255
    return np.asarray(image * a + 255 * (1 - a) + 0.5).astype(np.uint8)


def cut_box(image: U8, landmarks: Landmarks, box: Box) -> tuple[U8, Landmarks]:
    """The pixels inside a box of the picture, (H, W, 3) -> (y1 - y0, x1 - x0, 3), and the landmarks in them."""
    x0, y0, x1, y1 = box
    points = landmarks.points.copy()
    points[:, :2] -= (x0, y0)
    return image[y0:y1, x0:x1], Landmarks(points=points, deviation=landmarks.deviation)


def brought_to(image: U8, landmarks: Landmarks, longer: int | None) -> tuple[U8, Landmarks]:
    """A picture resized so that its longer side has so many pixels; None leaves it.

    Args:
        image: (H, W, 3) uint8. landmarks: in its pixels. longer: pixels.
    """
    import cv2

    height, width = image.shape[:2]
    if longer is None or longer == max(height, width):
        return image, landmarks
    factor = longer / max(height, width)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    points = landmarks.points * (size[0] / width, size[1] / height, factor)
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_LANCZOS4
    resized = np.asarray(cv2.resize(image, size, interpolation=way), np.uint8)
    return resized, Landmarks(points=points, deviation=landmarks.deviation)
