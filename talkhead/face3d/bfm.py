"""The Basel face model as Deep3DFaceRecon arranges it (Deng et al. 2019), for users who have it.

Its licence forbids handing it on and commercial use. `BFM_model_front.mat` holds a mean of 35 709 vertices, 80 identity
and 64 expression columns in units of 100 mm, multiplied by their standard deviations, and 68 landmarks.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from talkhead.coeffs.bfm import BFM_SPACE, N_EXP, N_ID
from talkhead.coeffs.matfile import read_matrices
from talkhead.errors import InputError
from talkhead.face3d.morphable import ShapeModel

F64 = npt.NDArray[np.float64]

_KEYS = ("meanshape", "idBase", "exBase", "tri", "keypoints")
# Outer corners of the eyes of an adult's face are about 0.9 units apart; a model outside this has another unit.
_EYE_DISTANCE = (0.6, 1.3)
_EYE_CORNERS, _NOSE_TIP, _CHIN, _INNER_EYES = (36, 45), 30, 8, (39, 42)


def load_bfm(path: Path) -> ShapeModel:
    """Read the model, recentred on its vertex centroid as Deep3DFaceRecon does before it uses it.

    Args:
        path: `BFM_model_front.mat`.
    Raises:
        InputError: unreadable, something is missing or of another size, or the face looks elsewhere, lies on its
            side or is measured in another unit than 100 mm.
    """
    try:
        content = read_matrices(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path} as a MATLAB file: {error}") from error
    return _model(content, str(path))


def _model(content: Mapping[str, npt.NDArray[np.float64]], name: str) -> ShapeModel:
    missing = [key for key in _KEYS if key not in content]
    if missing:
        raise InputError(f"{name} lacks {' '.join(missing)}: it is no BFM_model_front.mat")
    mean = content["meanshape"].reshape(-1)
    if len(mean) % 3 or not len(mean):
        raise InputError(f"{name}: meanshape has {len(mean)} numbers, expected three a vertex")
    vertices = mean.reshape(-1, 3)
    landmarks = _indices(content["keypoints"], len(vertices), f"{name}: keypoints").reshape(-1)
    if len(landmarks) != 68:
        raise InputError(f"{name}: {len(landmarks)} keypoints, expected 68")
    _check_axes(vertices[landmarks], name)
    triangles = _indices(content["tri"], len(vertices), f"{name}: tri")
    if triangles.ndim != 2 or triangles.shape[1] != 3:
        raise InputError(f"{name}: tri has shape {triangles.shape}, expected (F, 3)")
    return ShapeModel(
        space=BFM_SPACE,
        mean=(vertices - vertices.mean(0)).astype(np.float32),
        id_basis=_basis(content["idBase"], len(vertices), N_ID, f"{name}: idBase"),
        exp_basis=_basis(content["exBase"], len(vertices), N_EXP, f"{name}: exBase"),
        triangles=triangles,
        landmarks68=landmarks,
    )


def _basis(columns: F64, n_vertices: int, n: int, name: str) -> npt.NDArray[np.float32]:
    if columns.shape != (3 * n_vertices, n):
        raise InputError(f"{name} has shape {columns.shape}, expected ({3 * n_vertices}, {n})")
    if not np.isfinite(columns).all():
        raise InputError(f"{name} has values that are not finite")
    return np.ascontiguousarray(columns.T, np.float32).reshape(n, n_vertices, 3)


def _indices(numbers: F64, n_vertices: int, name: str) -> npt.NDArray[np.int32]:
    """Vertex numbers, counted from 1 in the file."""
    if not numbers.size or not ((numbers >= 1) & (numbers <= n_vertices)).all():
        raise InputError(f"{name} names vertices that are not there")
    return (numbers - 1).astype(np.int32)


def _check_axes(points: F64, name: str) -> None:
    """Raise InputError unless landmarks (68, 3) look to the camera, upright, in units of 100 mm."""
    right, left = points[list(_EYE_CORNERS)]
    eyes = points[list(_EYE_CORNERS)].mean(0)
    distance = float(np.linalg.norm(left - right))
    facts: dict[str, Any] = {
        "x does not grow to the subject's left": left[0] - right[0] > 0.9 * distance,
        "y does not grow upwards": eyes[1] - points[_CHIN][1] > 0.5 * distance,
        "z does not grow to the camera": points[_NOSE_TIP][2] - points[list(_INNER_EYES)].mean(0)[2] > 0,
    }
    wrong = [fact for fact, holds in facts.items() if not holds]
    if wrong:
        raise InputError(f"{name}: {' and '.join(wrong)}: not the model Deep3DFaceRecon prepared")
    if not _EYE_DISTANCE[0] < distance < _EYE_DISTANCE[1]:
        raise InputError(f"{name}: the eyes are {distance:.4g} units apart, expected about 0.9: another unit")
