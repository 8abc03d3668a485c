"""OpenFace 2 CSV files (Baltrusaitis et al. 2018): action units, head pose, gaze and landmarks, import only.

OpenFace measures in camera axes (x right, y down, z away), rotations as `Rx Ry Rz`, millimetres, and gaze in the
camera's frame, not the head's.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import numpy.typing as npt

from talkhead.coeffs.container import Coeffs
from talkhead.coeffs.tables import Table, read_table
from talkhead.errors import CoeffFileError
from talkhead.geometry import matrix_to_euler, rotvec_to_matrix

F64 = npt.NDArray[np.float64]

SPACE = "openface"
_FLIP = np.diag([1.0, -1.0, -1.0])
_MM_PER_UNIT = 100.0
DEFAULT_FPS = 30.0


def read_openface(path: str | os.PathLike[str], fps: float | None = None) -> Coeffs:
    """Import what OpenFace measured of the face seen most; frames without success are bridged linearly.

    Args:
        path: CSV of `FeatureExtraction` or `FaceLandmarkVid`. fps: default by the `timestamp` column.
    Returns:
        Those of `au rot trans scale gaze landmarks` whose columns are there. `scale` is relative: distance of the
        middle frame over distance. `params["frames_without_face"]` counts what was bridged.
    Raises:
        CoeffFileError: unreadable, none of these columns, or no successful frame.
    """
    table = read_table(path)
    rows = _rows_of_one_face(table)
    found = table.numbers("success")[rows] > 0 if "success" in table else np.ones(len(rows), bool)
    if not found.any():
        raise CoeffFileError(f"{path}: OpenFace saw a face in none of {len(rows)} frames")
    tracks = _tracks(table)
    if not tracks:
        raise CoeffFileError(f"{path} has none of the columns OpenFace writes", hint="e.g. AU12_r, pose_Rx")
    bridged = {name: _bridged(values[rows], found).astype(np.float32) for name, values in tracks.items()}
    fields: dict[str, Any] = dict(bridged)
    return Coeffs(
        space=SPACE,
        fps=fps or _rate(table, rows),
        n_frames=len(rows),
        au_names=tuple(_au_columns(table)),
        relative=frozenset({"scale"}),
        params={"frames_without_face": int((~found).sum())},
        **fields,
    )


def _tracks(table: Table) -> dict[str, F64]:
    tracks: dict[str, F64] = {}
    names = _au_columns(table)
    if names:
        tracks["au"] = table.matrix(names)
    rotation = None
    if "pose_Rx" in table:
        angles = table.matrix(["pose_Rx", "pose_Ry", "pose_Rz"])
        x, y, z = (rotvec_to_matrix(angles[:, [i]] * np.eye(3)[i]) for i in range(3))
        rotation = _FLIP @ (x @ y @ z) @ _FLIP
        tracks["rot"] = matrix_to_euler(rotation)
    if "pose_Tx" in table:
        place = table.matrix(["pose_Tx", "pose_Ty", "pose_Tz"]) / _MM_PER_UNIT
        distance = np.maximum(place[:, 2], 1e-3)
        tracks["trans"] = place * [1, -1, 0]
        tracks["scale"] = np.median(distance) / distance
    if "gaze_angle_x" in table:
        right, down = table.numbers("gaze_angle_x"), table.numbers("gaze_angle_y")
        looking = np.stack([np.tan(right), -np.tan(down), np.ones(len(right))], 1)
        if rotation is not None:
            looking = np.einsum("tji,tj->ti", rotation, looking)
        tracks["gaze"] = np.stack([np.arctan2(looking[:, i], looking[:, 2]) for i in (0, 1)], 1)
    if "x_67" in table:
        tracks["landmarks"] = np.stack([table.matrix(f"{axis}_{i}" for i in range(68)) for axis in "xy"], -1)
    return tracks


def _au_columns(table: Table) -> list[str]:
    """Intensities, then presences: AU01_r, ..., AU01_c, ..."""
    units = [name for name in table.columns if name.startswith("au") and name[2:-2].isdigit()]
    return [f"AU{name[2:]}" for kind in ("_r", "_c") for name in units if name.endswith(kind)]


def _rows_of_one_face(table: Table) -> npt.NDArray[np.intp]:
    if "face_id" not in table:
        return np.arange(len(table))
    faces, counts = np.unique(table.numbers("face_id"), return_counts=True)
    return np.flatnonzero(table.numbers("face_id") == faces[counts.argmax()])


def _bridged(values: F64, found: npt.NDArray[np.bool_]) -> F64:
    if found.all():
        return values
    flat = values.reshape(len(values), -1)
    times, known = np.arange(len(values)), np.flatnonzero(found)
    return np.stack([np.interp(times, known, column[known]) for column in flat.T], 1).reshape(values.shape)


def _rate(table: Table, rows: npt.NDArray[np.intp]) -> float:
    if "timestamp" not in table or len(rows) < 2:
        return DEFAULT_FPS
    step = float(np.median(np.diff(table.numbers("timestamp")[rows])))
    # Timestamps have three digits: 0.033 is meant as 30 and 0.04 as 25 frames per second.
    return float(round(1 / step)) if step > 0 else DEFAULT_FPS
