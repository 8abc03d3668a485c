"""SadTalker's coefficient files: MATLAB matrices `coeff_3dmm` of the Deep3DFaceRecon layout (Deng et al. 2019).

A row is 64 expression codes, 3 angles, 3 translations, and in files about photos 3 numbers of the crop. `full_3dmm` of
such files holds all 257, of which the first 80 are the identity. Axes, angles and the unit are ours already; the camera
is a perspective one at distance 10 with focal length 1015 in a picture of 224 pixels.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from talkhead.coeffs.container import Coeffs
from talkhead.coeffs.layout import space_family
from talkhead.coeffs.matfile import read_matrices
from talkhead.errors import CoeffFileError
from talkhead.files import atomic_output

SPACE = "bfm"
_EXP, _ANGLES, _TRANS = slice(0, 64), slice(64, 67), slice(67, 70)
_WIDTHS = (70, 73)
_N_ID = 80
_FOCAL, _DISTANCE, _SIDE = 1015.0, 10.0, 224.0
DEFAULT_FPS = 25.0


def read_mat(path: str | os.PathLike[str], fps: float = DEFAULT_FPS) -> Coeffs:
    """Import a `.mat` file: `exp`, `rot`, `trans`, `scale` of the aligned picture of 224 pixels, and `id` if there.

    Args:
        path: the file. fps: of its rows; the format does not say.
    Raises:
        CoeffFileError: unreadable, no `coeff_3dmm`, or not (T, 70) or (T, 73) of finite numbers.
    """
    try:
        content = read_matrices(Path(path).read_bytes())
    except (OSError, ValueError) as cause:
        raise CoeffFileError(f"cannot read {path} as a MATLAB file: {cause}") from cause
    if "coeff_3dmm" not in content:
        raise CoeffFileError(f"{path} has no matrix coeff_3dmm")
    rows = _finite(content["coeff_3dmm"], "coeff_3dmm", path)
    if rows.ndim != 2 or rows.shape[1] not in _WIDTHS or not len(rows):
        raise CoeffFileError(f"{path}: coeff_3dmm has shape {rows.shape}, expected (T, 70) or (T, 73)")
    identity = None
    full = content.get("full_3dmm")
    if full is not None and full.ndim == 2 and len(full) and full.shape[1] >= _N_ID:
        identity = _finite(full[0, :_N_ID], "full_3dmm", path)
    return Coeffs(
        space=SPACE,
        fps=fps,
        n_frames=len(rows),
        id=identity,
        exp=rows[:, _EXP].copy(),
        rot=rows[:, _ANGLES].copy(),
        trans=rows[:, _TRANS].copy(),
        scale=apparent_scale(rows[:, 69]),
        size=np.array([_SIDE, _SIDE], np.float32),
    )


def apparent_scale(depth: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Pixels per unit of a head in the aligned picture, by the third coordinate of its translation, (T,)."""
    return (_FOCAL / np.maximum(_DISTANCE - depth, 1.0)).astype(np.float32)


def write_mat(path: str | os.PathLike[str], coeffs: Coeffs, overwrite: bool = False) -> None:
    """Export `exp`, `rot` and `trans` as `coeff_3dmm`, (T, 70); what is missing is 0.

    Raises:
        CoeffFileError: the codes are not of space `bfm`, or not 64 of them.
    """
    if coeffs.exp is not None and (space_family(coeffs.space) != SPACE or coeffs.exp.shape[1] != _EXP.stop):
        raise CoeffFileError(
            f"a .mat file holds 64 codes of space {SPACE}, these are {coeffs.exp.shape[1]} of {coeffs.space}",
            hint=f"convert them first with edit --space {SPACE}",
        )
    from scipy.io import savemat

    rows = np.zeros((len(coeffs), _TRANS.stop), np.float32)
    for columns, track in ((_EXP, coeffs.exp), (_ANGLES, coeffs.rot), (_TRANS, coeffs.trans)):
        if track is not None:
            rows[:, columns] = track
    with atomic_output(path, overwrite, error=CoeffFileError) as temporary, temporary.open("wb") as stream:
        savemat(stream, {"coeff_3dmm": rows})


def _finite(value: npt.NDArray[np.float64], name: str, path: str | os.PathLike[str]) -> npt.NDArray[np.float32]:
    with np.errstate(over="ignore"):
        array = value.astype(np.float32)
    if not np.isfinite(array).all():
        raise CoeffFileError(f"{path}: {name} has values that are not finite")
    return array
