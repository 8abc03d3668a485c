"""Head rotations as vectors about their mean: the form in which tracks of angles are averaged, smoothed and scaled."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from talkhead.coeffs.container import F32
from talkhead.geometry import euler_to_matrix, matrix_to_euler, matrix_to_rotvec, mean_rotation, rotvec_to_matrix

F64 = npt.NDArray[np.float64]


def vectors_about_mean(rot: npt.ArrayLike, mean: F64 | None = None) -> tuple[F64, F64]:
    """Rotation vectors `v_t` with `R_t = exp(v_t) mean`.

    Args:
        rot: (T, 3), radians pitch yaw roll. mean: (3, 3), default the chordal mean of the track.
    Returns:
        vectors (T, 3), radians; mean (3, 3).
    """
    matrices = euler_to_matrix(rot)
    mean = mean_rotation(matrices) if mean is None else mean
    return matrix_to_rotvec(matrices @ mean.T), mean


def rot_of_vectors(vectors: npt.ArrayLike, mean: F64) -> F32:
    """The inverse of `vectors_about_mean`: (T, 3) radians pitch yaw roll."""
    return matrix_to_euler(rotvec_to_matrix(vectors) @ mean).astype(np.float32)
