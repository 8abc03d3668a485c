"""Frames of a clip whose heads are turned as differently as possible: what HeadGAN is shown of a person.

The paper draws references at random; the published code keeps the most diverse ones, found as here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from talkhead.coeffs.container import Coeffs
from talkhead.errors import ShapeError, UsageError
from talkhead.face3d.weak_camera import camera_of
from talkhead.geometry import euler_to_matrix

F64 = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

N_REFERENCES = 8
_FIXED_SIZE = (2, 2)  # a picture, when the coefficients do not say theirs; its size does not change any order


def choose_references(coeffs: Coeffs, n: int = N_REFERENCES) -> Indices:
    """The frames of a clip with the most diverse poses.

    Args:
        coeffs: absolute tracks `rot trans scale`. n: how many.
    Returns:
        (n,) frame numbers, ordered from one extreme pose to the other; fewer frames than that are all taken, once.
    Raises:
        CoeffFileError: a track of the pose is absent or relative. UsageError: `n` is not positive.
    """
    size = _FIXED_SIZE if coeffs.size is None else (int(coeffs.size[0]), int(coeffs.size[1]))
    camera = camera_of(coeffs, size)
    return diverse_poses(euler_to_matrix(camera[:, 1:4]), camera[:, 4], min(n, len(coeffs)))


def diverse_poses(rotation: npt.NDArray[np.floating[Any]], tx: npt.NDArray[np.floating[Any]], n: int) -> Indices:
    """Frames evenly spaced along the first principal component of pose, (n,).

    Pose is the nine entries of the rotation and the horizontal place, each standardised. The component's sign, which is
    a convention, is that which makes its largest entry positive.

    Args:
        rotation: (T, 3, 3). tx: (T,). n: how many; some repeat where there are fewer frames.
    Raises:
        ShapeError: the arrays do not fit together. UsageError: `n` is not positive.
    """
    if n < 1:
        raise UsageError(f"{n} references, expected at least 1")
    if rotation.ndim != 3 or rotation.shape[1:] != (3, 3) or not len(rotation):
        raise ShapeError("rotation", rotation.shape, "(T, 3, 3)")
    if tx.shape != (len(rotation),):
        raise ShapeError("tx", tx.shape, f"({len(rotation)},)")
    features = np.concatenate([rotation.reshape(-1, 9), tx[:, None]], 1).astype(np.float64)
    centred = features - features.mean(0)
    spread = centred.std(0)
    # What does not change (a head that never turns) says nothing, instead of its rounding.
    scaled = centred / np.where(spread > 1e-12 * np.maximum(1, np.abs(features).max(0)), spread, np.inf)
    component = np.linalg.svd(scaled, full_matrices=False)[2][0]
    component = component * np.sign(component[np.argmax(np.abs(component))])
    order = np.argsort(scaled @ component, kind="stable")
    return order[np.linspace(0, len(order) - 1, n).astype(int)]


def middle(references: Indices) -> int:
    """The reference that stands for a person where only one can: the middle one, as when the release is tested."""
    return int(references[len(references) // 2])
