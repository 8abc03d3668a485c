"""The picture the 3DMM regressor sees: a face brought to a fixed place and size by five landmarks.

Deng et al. 2019, with the reference points and numbers of the published code (OpenTalker/SadTalker cd4c046).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from talkhead.coeffs import bfm
from talkhead.errors import ShapeError

U8 = npt.NDArray[np.uint8]
F64 = npt.NDArray[np.float64]

SIDE = int(bfm.SIDE)
_RESCALE = 102.0
"""Pixels of the aligned picture per unit of the reference face."""

# x, y, z of eyes, nose and mouth corners of the mean face, y up; left is image left.
REFERENCE: F64 = np.array(
    [
        [-0.31148657, 0.29036078, 0.13377953],
        [0.30979887, 0.28972036, 0.13179526],
        [0.00325350, -0.04617932, 0.55244243],
        [-0.25216928, -0.38133916, 0.22405732],
        [0.24846620, -0.38128236, 0.22235769],
    ]
)
REFERENCE.setflags(write=False)

_SCALES = (0.02, 50.0)
"""Beyond these the five points are no face: 50 is a face of four pixels, 0.02 one fifty times the picture."""
_WHOLE = 4 * SIDE
"""A square that grows beyond this is resized only where the picture lies: the same but for single grey levels."""


def five_points(landmarks68: npt.ArrayLike, height: int) -> npt.NDArray[np.float32]:
    """Eyes, nose tip and mouth corners of 68 landmarks, with y up.

    Args:
        landmarks68: (68, 2), pixels of the square, y down. height: of the square, pixels.
    Returns:
        (5, 2) float32.
    Raises:
        ShapeError: not 68 points.
    """
    points = np.array(landmarks68, np.float32)
    if points.shape != (68, 2):
        raise ShapeError("landmarks68", points.shape, "(68, 2)")
    points[:, 1] = height - 1 - points[:, 1]
    eyes = [points[[36, 39]].mean(0), points[[42, 45]].mean(0)]
    return np.array([*eyes, points[30], points[48], points[54]], np.float32)


def mean_five_points(width: int, height: int) -> npt.NDArray[np.float32]:
    """Where the five points of a picture are taken to be when no face is seen in it, (5, 2) float32, y up."""
    return ((REFERENCE[:, :2] + 1) / 2 * np.array([width, height])).astype(np.float32)


def fit_alignment(five: npt.ArrayLike) -> tuple[float, float, float] | None:
    """Scale and shift of an affine camera that sees the reference face at these points (least squares).

    Args:
        five: (5, 2), pixels, y up.
    Returns:
        s, the factor by which the picture is resized, and t.x, t.y, where the reference's origin lies in it, pixels.
        None where the points are no face.
    """
    points = np.asarray(five, np.float64)
    if not np.isfinite(points).all():
        return None
    solution = np.linalg.lstsq(np.concatenate([REFERENCE, np.ones((5, 1))], 1), points, rcond=None)[0]
    size = float(np.linalg.norm(solution[:3], axis=0).mean())
    if not _SCALES[0] <= _RESCALE / max(size, 1e-9) <= _SCALES[1]:
        return None
    return _RESCALE / size, float(solution[3, 0]), float(solution[3, 1])


def aligned_face(square: U8, landmarks68: npt.ArrayLike | None) -> tuple[U8, F64]:
    """The regressor's picture of a face.

    Args:
        square: (S, S, 3) uint8 RGB, or any other size. landmarks68: (68, 2) in its pixels, y down; None, or points that
            make no face, take the mean face's place.
    Returns:
        (224, 224, 3) uint8 RGB, black beyond the square, and (5,) float64: width and height of the square, then s, t.x,
        t.y of `fit_alignment`.
    Raises:
        ShapeError: not 68 points.
    """
    height, width = square.shape[:2]
    found = None if landmarks68 is None else fit_alignment(five_points(landmarks68, height))
    fitted = found or fit_alignment(mean_five_points(width, height))
    assert fitted is not None
    scale, x, y = fitted
    new_width, new_height = max(int(width * scale), 1), max(int(height * scale), 1)
    left = int(new_width / 2 - SIDE / 2 + (x - width / 2) * scale)
    top = int(new_height / 2 - SIDE / 2 + (height / 2 - y) * scale)
    picture = _window(square, (new_width, new_height), left, top)
    return picture, np.array([width, height, scale, x, y], np.float64)


def _window(square: U8, size: tuple[int, int], left: int, top: int) -> U8:
    """The 224 pixels from (left, top) on of the square resized to `size`."""
    out = np.zeros((SIDE, SIDE, 3), np.uint8)
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + SIDE, size[0]), min(top + SIDE, size[1])
    if x1 <= x0 or y1 <= y0:
        return out
    picture = Image.fromarray(square)
    if max(size) <= _WHOLE:
        seen = np.asarray(picture.resize(size, Image.Resampling.BICUBIC))[y0:y1, x0:x1]
    else:
        step_x, step_y = square.shape[1] / size[0], square.shape[0] / size[1]
        box = (x0 * step_x, y0 * step_y, min(x1 * step_x, square.shape[1]), min(y1 * step_y, square.shape[0]))
        seen = np.asarray(picture.resize((x1 - x0, y1 - y0), Image.Resampling.BICUBIC, box=box))
    out[y0 - top : y1 - top, x0 - left : x1 - left] = seen
    return out
