"""How far coefficients move a face: what a quantiser may round, and what its rounding did to the landmarks.

Everything is in eye distances (between the outer eye corners of the mean face), so that it holds at any picture size.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from talkhead.coeffs.container import Coeffs
from talkhead.errors import ShapeError
from talkhead.face3d import eyes
from talkhead.face3d.morphable import FaceModel
from talkhead.geometry import euler_to_matrix, project

F64 = npt.NDArray[np.float64]

# A code of the mouth moves a fifth of the points: the percentile sees it, the mean of all points hardly would.
_PERCENTILE = 90.0
# The eyes are small and looked at: half the error of the face is allowed where an iris looks.
_GAZE_WEIGHT = 2.0
# The tip of the tongue goes about this far up, and shows between parted lips only. It is no point of the mesh.
_TONGUE_WAY = 0.1


def leverage(model: FaceModel) -> Mapping[str, F64]:
    """How far one unit of each coefficient moves the landmarks in the picture, eye distances.

    Args:
        model: the face model of the codes.
    Returns:
        Track name -> (columns,). Of whole-face tracks it is what the tenth of the points that move most moves at least;
        `eyelid` and `gaze` are measured at the lids and irises. `trans` is in eye distances per model unit, `scale` per
        unit of its logarithm.
    """
    mean = model.mean.astype(np.float64)
    unit = float(eyes.eye_distance(mean))
    turns = np.stack([np.cross(axis, mean) for axis in np.eye(3)])
    shut = eyes.close_eyelids(mean, [1.0, 1.0]) - mean
    lid = float(np.linalg.norm(shut[..., :2], axis=-1).max()) / unit
    iris = _GAZE_WEIGHT * eyes.EYEBALL_RADIUS / eyes.UNITS_PER_EYE_DISTANCE
    return {
        "exp": _typical(model.exp_basis.astype(np.float64)) / unit,
        "rot": _typical(turns[..., :2]) / unit,
        "trans": np.full(3, 1.0 / unit),
        "scale": _typical(mean[None, :, :2]) / unit,
        "eyelid": np.full(2, lid),
        "gaze": np.full(2, iris),
        "tongue": np.full(1, _TONGUE_WAY),
    }


def landmark_errors(coeffs: Coeffs, other: Coeffs, model: FaceModel) -> F64:
    """How far apart two versions of one motion put the mesh points, eye distances.

    Tracks that are relative move a mean face in the middle of the picture, absent ones leave it.

    Args:
        coeffs: the true motion, T frames, its scale in pixels. other: as many frames of it. model: of the codes.
    Returns:
        (T, 478), distances in the picture over the eye distance that the true size gives.
    Raises:
        ShapeError: the lengths differ.
    """
    if len(coeffs) != len(other):
        raise ShapeError("other", (len(other),), f"({len(coeffs)},) frames")
    unit = float(eyes.eye_distance(model.mean))
    gap = _seen(coeffs, model)[..., :2] - _seen(other, model)[..., :2]
    errors: F64 = np.linalg.norm(gap, axis=-1) / (unit * _scale(coeffs)[:, None])
    return errors


def _typical(moves: F64) -> F64:
    """Of displacements (n, V, 2 or 3), the percentile of their lengths, (n,)."""
    found: F64 = np.percentile(np.linalg.norm(moves, axis=-1), _PERCENTILE, axis=-1)
    return found


def _scale(coeffs: Coeffs) -> F64:
    return np.ones(len(coeffs)) if coeffs.scale is None else coeffs.scale.astype(np.float64)


def _seen(coeffs: Coeffs, model: FaceModel) -> F64:
    zeros = functools.partial(np.zeros, dtype=np.float64)
    vertices = model.shape(coeffs.id, zeros((len(coeffs), model.n_exp)) if coeffs.exp is None else coeffs.exp)
    if coeffs.eyelid is not None:
        vertices = eyes.close_eyelids(vertices, coeffs.eyelid)
    if coeffs.gaze is not None:
        vertices = eyes.aim_gaze(vertices, coeffs.gaze)
    turns = zeros((len(coeffs), 3)) if coeffs.rot is None else coeffs.rot
    trans = zeros((len(coeffs), 3)) if coeffs.trans is None else coeffs.trans.astype(np.float64)
    return project(vertices, euler_to_matrix(turns), trans, _scale(coeffs), (0, 0))
