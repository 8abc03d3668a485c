"""SadTalker's coefficient files: MATLAB matrices `coeff_3dmm` of the Deep3DFaceRecon layout (Deng et al. 2019).

A row is 64 expression codes, 3 angles, 3 translations, and in files about photos and clips 3 numbers of the alignment:
factor and position (y up) of the picture that was cut out. `full_3dmm` of such files holds all 257 numbers of the first
frame, of which the first 80 are the identity.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from talkhead.coeffs.bfm import N_EXP, N_GAMMA, N_ID, N_TEX, SIDE, SPACE, scale_of_depth
from talkhead.coeffs.container import Coeffs
from talkhead.coeffs.layout import ALIGNMENT, REFERENCE_EXP, REFERENCE_POSE, space_family
from talkhead.coeffs.matfile import read_matrices
from talkhead.errors import CoeffFileError
from talkhead.files import atomic_output

__all__ = ["DEFAULT_FPS", "SPACE", "read_mat", "write_mat"]

log = logging.getLogger(__name__)

F32 = npt.NDArray[np.float32]

_EXP, _ANGLES, _TRANS, _ALIGN = slice(0, 64), slice(64, 67), slice(67, 70), slice(70, 73)
_WIDTHS = (70, 73)
# Columns of `full_3dmm`: identity, expression, texture, angles, lighting, translation.
_FULL = np.cumsum([N_ID, N_EXP, N_TEX, 3, N_GAMMA, 3])
DEFAULT_FPS = 25.0


def read_mat(path: str | os.PathLike[str], fps: float = DEFAULT_FPS) -> Coeffs:
    """Import a `.mat` file.

    Args:
        path: the file. fps: of its rows; the format does not say.
    Returns:
        `exp`, `rot`, `trans`, `scale` of the aligned picture of 224 pixels; of files 73 wide the extra tensor
        `alignment`, (T, 3); where there is a `full_3dmm`, `id` and the extra tensors `tex` (80,) and `gamma` (27,).
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
    extra: dict[str, F32] = {}
    if rows.shape[1] == _ALIGN.stop:
        extra[ALIGNMENT] = rows[:, _ALIGN].copy()
    identity = None
    full = content.get("full_3dmm")
    if full is not None and full.ndim == 2 and len(full) and full.shape[1] >= N_ID:
        first = _finite(full[0], "full_3dmm", path)
        identity = first[:N_ID].copy()
        if len(first) == _FULL[-1]:
            extra["tex"], extra["gamma"] = first[_FULL[1] : _FULL[2]].copy(), first[_FULL[3] : _FULL[4]].copy()
    return Coeffs(
        space=SPACE,
        fps=fps,
        n_frames=len(rows),
        id=identity,
        exp=rows[:, _EXP].copy(),
        rot=rows[:, _ANGLES].copy(),
        trans=rows[:, _TRANS].copy(),
        scale=scale_of_depth(rows[:, _TRANS.stop - 1]),
        size=np.array([SIDE, SIDE], np.float32),
        extra=extra,
    )


def write_mat(path: str | os.PathLike[str], coeffs: Coeffs, overwrite: bool = False) -> None:
    """Export `exp`, `rot` and `trans` as SadTalker reads them; what is missing is 0.

    SadTalker's rows are absolute: to relative tracks, the face's own codes are added, which files made for a face carry
    (extra tensors `reference_exp` and `reference_pose`). Without them the rows are offsets, and a warning says so.

    Args:
        path: the file. coeffs: of space `bfm`; with the extra tensor `alignment` rows are 73 wide, else 70, and with
            `id` there is a `full_3dmm`, (1, 257), of the first frame. overwrite: replace a file already there.
    Raises:
        CoeffFileError: the codes are not of space `bfm`, or not 64 of them.
    """
    if coeffs.exp is not None and (space_family(coeffs.space) != SPACE or coeffs.exp.shape[1] != N_EXP):
        raise CoeffFileError(
            f"a .mat file holds {N_EXP} codes of space {SPACE}, these are {coeffs.exp.shape[1]} of {coeffs.space}",
            hint=f"convert them first with edit --space {SPACE}",
        )
    from scipy.io import savemat

    rows = _absolute_rows(coeffs)
    alignment = coeffs.extra.get(ALIGNMENT)
    if alignment is not None and alignment.shape == (len(coeffs), 3):
        rows = np.concatenate([rows, alignment.astype(np.float32)], axis=1)  # (T, 73)
    content = {"coeff_3dmm": rows}
    if coeffs.id is not None and len(coeffs.id) == N_ID and space_family(coeffs.space) == SPACE:
        content["full_3dmm"] = _full_row(coeffs.id, rows[0], coeffs)
    with atomic_output(path, overwrite, error=CoeffFileError) as temporary, temporary.open("wb") as stream:
        savemat(stream, content)


def _absolute_rows(coeffs: Coeffs) -> F32:
    """`coeff_3dmm` without an alignment, (T, 70)."""
    rows = np.zeros((len(coeffs), _TRANS.stop), np.float32)
    own = np.zeros(_TRANS.stop, np.float32)
    unknown = []
    for name, columns in ((REFERENCE_EXP, _EXP), (REFERENCE_POSE, slice(_ANGLES.start, _TRANS.stop))):
        if (reference := coeffs.extra.get(name)) is not None and reference.shape == own[columns].shape:
            own[columns] = reference
        else:
            unknown.append(columns)
    offsets = []
    for name, columns, track in (
        ("exp", _EXP, coeffs.exp), ("rot", _ANGLES, coeffs.rot), ("trans", _TRANS, coeffs.trans)
    ):  # fmt: skip
        if track is None:
            rows[:, columns] = own[columns]
        elif name not in coeffs.relative:
            rows[:, columns] = track
        else:
            rows[:, columns] = own[columns] + track
            offsets += [name] if any(part.start <= columns.start < part.stop for part in unknown) else []
    if offsets:
        log.warning(
            "%s relative to a face whose own codes are not in the file: the .mat holds offsets, where SadTalker expects"
            " absolute values",
            " and ".join(offsets) + (" is" if len(offsets) == 1 else " are"),
        )
    return rows


def _full_row(identity: F32, row: F32, coeffs: Coeffs) -> F32:
    """`full_3dmm` of the first frame, (1, 257); texture and lighting are 0 where they are not known."""
    tex, gamma = np.zeros(N_TEX, np.float32), np.zeros(N_GAMMA, np.float32)
    for name, part in (("tex", tex), ("gamma", gamma)):
        if (known := coeffs.extra.get(name)) is not None and known.shape == part.shape:
            part[:] = known
    return np.concatenate([identity, row[_EXP], tex, row[_ANGLES], gamma, row[_TRANS]])[None]


def _finite(value: npt.NDArray[np.float64], name: str, path: str | os.PathLike[str]) -> F32:
    with np.errstate(over="ignore"):
        array = value.astype(np.float32)
    if not np.isfinite(array).all():
        raise CoeffFileError(f"{path}: {name} has values that are not finite")
    return array
