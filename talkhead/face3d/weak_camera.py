"""The weak-perspective camera as seven numbers (HeadGAN's `c`), as a 3 x 4 matrix, and as tracks of coefficients.

`u = s (R p)_x + tx`, `v = -s (R p)_y + ty`, depth `-s (R p)_z + tz`, in pixels from the picture's upper left corner;
the seven numbers are `s, pitch, yaw, roll, tx, ty, tz`, angles in radians. Coefficient files hold the same camera with
`trans` in model units from the picture's centre, so that they do not depend on where a crop starts.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from talkhead.coeffs.container import Coeffs
from talkhead.errors import CoeffFileError, ShapeError, UsageError
from talkhead.face.crop import Crop
from talkhead.face3d.camera import IMAGE_FLIP
from talkhead.geometry import euler_to_matrix, matrix_to_euler

F64 = npt.NDArray[np.float64]

N_CAMERA = 7
SCALE, ROT, SHIFT = 0, slice(1, 4), slice(4, 7)
"""Columns of a camera row."""


def camera_of(coeffs: Coeffs, size: tuple[int, int]) -> F64:
    """Absolute tracks `rot trans scale` -> camera rows.

    Args:
        coeffs: of a picture of `size` (width, height) pixels.
    Returns:
        (T, 7) float64.
    Raises:
        CoeffFileError: one of the tracks is absent or relative.
    """
    rot, trans, scale = pose_tracks(coeffs)
    shift = trans * scale[:, None] * [1.0, -1.0, -1.0] + [size[0] / 2, size[1] / 2, 0.0]
    return np.concatenate([scale[:, None], rot, shift], 1)


def with_camera(coeffs: Coeffs, camera: npt.ArrayLike, size: tuple[int, int]) -> Coeffs:
    """The inverse of `camera_of`: coefficients with camera rows (T, 7) as their absolute pose.

    Raises:
        ShapeError: there are not as many rows as frames, or not seven numbers in each.
        UsageError: a scale is not positive.
    """
    rows = np.asarray(camera, np.float64)
    if rows.shape != (len(coeffs), N_CAMERA):
        raise ShapeError("camera", rows.shape, f"({len(coeffs)}, {N_CAMERA})")
    scale = rows[:, SCALE]
    if not (scale > 0).all():
        raise UsageError(f"a camera has a scale of {scale.min():g}, expected more than 0")
    trans = (rows[:, SHIFT] - [size[0] / 2, size[1] / 2, 0.0]) * [1.0, -1.0, -1.0] / scale[:, None]
    tracks: dict[str, Any] = {"rot": rows[:, ROT], "trans": trans, "scale": scale, "size": np.array(size)}
    arrays = {name: np.ascontiguousarray(value, np.float32) for name, value in tracks.items()}
    return coeffs.replace(relative=coeffs.relative - arrays.keys(), **arrays)


def pose_tracks(coeffs: Coeffs) -> tuple[F64, F64, F64]:
    """`rot` (T, 3), `trans` (T, 3), `scale` (T,) in float64.

    Raises:
        CoeffFileError: one of them is absent or relative.
    """
    tracks = []
    for name in ("rot", "trans", "scale"):
        track = getattr(coeffs, name)
        if track is None:
            raise CoeffFileError(f"there is no {name} track, so the head has no place in the picture")
        if name in coeffs.relative:
            raise CoeffFileError(f"{name} is relative to a photo's own; add the photo's coefficients first")
        tracks.append(track.astype(np.float64))
    return tracks[0], tracks[1], tracks[2]


def into_crop(coeffs: Coeffs, crop: Crop, size: tuple[int, int]) -> Coeffs:
    """The same heads as a crop of their picture shows them.

    Args:
        coeffs: absolute pose in a picture of `size` (width, height) pixels. crop: of that picture, perhaps turned.
    Returns:
        Pose in the pixels of the crop, `size` the crop's; `landmarks`, if any, moved too.
    Raises:
        CoeffFileError: a track of the pose is absent or relative.
    """
    camera = camera_of(coeffs, size)
    points = crop.to_crop(camera[:, SHIFT])
    moved = _moved(coeffs, camera, points, 1 / crop.scale, _angle(crop), (crop.size, crop.size))
    kept = coeffs.landmarks
    landmarks = None if kept is None else crop.to_crop(kept).astype(np.float32)
    return moved.replace(landmarks=landmarks, crop=crop.flat)


def out_of_crop(coeffs: Coeffs, crop: Crop, size: tuple[int, int]) -> Coeffs:
    """The inverse of `into_crop`: heads of a crop as the picture of `size` (width, height) pixels shows them.

    Raises:
        CoeffFileError: a track of the pose is absent or relative.
    """
    camera = camera_of(coeffs, (crop.size, crop.size))
    points = crop.to_source(camera[:, SHIFT])
    moved = _moved(coeffs, camera, points, crop.scale, -_angle(crop), size)
    kept = coeffs.landmarks
    landmarks = None if kept is None else crop.to_source(kept).astype(np.float32)
    return moved.replace(landmarks=landmarks, crop=None)


def _moved(coeffs: Coeffs, camera: F64, points: F64, zoom: float, angle: float, size: tuple[int, int]) -> Coeffs:
    rows = camera.copy()
    rows[:, SCALE] *= zoom
    rows[:, ROT] = matrix_to_euler(euler_to_matrix([0.0, 0.0, angle]) @ euler_to_matrix(camera[:, ROT]))
    rows[:, SHIFT] = points
    return with_camera(coeffs, rows, size)


def _angle(crop: Crop) -> float:
    """By how much the crop turns its picture, radians, as roll: its matrix turns it back, with y down."""
    return math.atan2(crop.matrix[1, 0], crop.matrix[0, 0])


def affine_camera(vertices: npt.ArrayLike, points: npt.ArrayLike) -> F64:
    """The affine camera `points ~ P [vertices; 1]` by least squares (HeadGAN, algorithm 1, step 3).

    Args:
        vertices: (M, 3), model units. points: (M, 3), pixels of the picture.
    Returns:
        P, (3, 4).
    Raises:
        ShapeError: the point sets differ in shape.
    """
    x, y = np.asarray(vertices, np.float64), np.asarray(points, np.float64)
    if x.shape != y.shape or x.ndim != 2 or x.shape[1] != 3:
        raise ShapeError("points", y.shape, f"{x.shape} = (M, 3)")
    homogeneous = np.concatenate([x, np.ones((len(x), 1))], 1)
    return np.linalg.lstsq(homogeneous, y, rcond=None)[0].T


def decompose_affine(matrix: npt.ArrayLike, *, orthogonal: bool = True) -> tuple[F64, F64, F64]:
    """Scale, rotation and shift of affine cameras (HeadGAN, algorithm 1, step 4).

    `s` is the mean length of the first two rows, `r1 r2` are these rows at length 1, `r3 = r1 x r2`.

    Args:
        matrix: (..., 3, 4). orthogonal: put the nearest rotation in place of `r1 r2 r3`, which need not be one, since
            nothing keeps `r1` and `r2` at a right angle (our addition; the release leaves them).
    Returns:
        s (...), R (..., 3, 3), t (..., 3): still in the picture's axes, see `rotation_from_image_axes`.
    Raises:
        ShapeError: `matrix` has another shape.
    """
    p = np.asarray(matrix, np.float64)
    if p.shape[-2:] != (3, 4):
        raise ShapeError("matrix", p.shape, "(..., 3, 4)")
    lengths = np.linalg.norm(p[..., :2, :3], axis=-1)
    first, second = p[..., 0, :3] / lengths[..., :1], p[..., 1, :3] / lengths[..., 1:]
    rotation = np.stack([first, second, np.cross(first, second)], -2)
    if orthogonal:
        u, _, vt = np.linalg.svd(rotation)
        rotation = u @ vt
    return lengths.mean(-1), rotation, p[..., 3]


def camera_from_affine(matrix: npt.ArrayLike, *, orthogonal: bool = True) -> F64:
    """Affine cameras (..., 3, 4) of a picture with y down and z away -> camera rows (..., 7), without the axis flip."""
    scale, rotation, shift = decompose_affine(matrix, orthogonal=orthogonal)
    return np.concatenate([scale[..., None], matrix_to_euler(IMAGE_FLIP @ rotation), shift], -1)
