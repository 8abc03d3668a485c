"""Files of other programs, told apart by suffix and columns: SadTalker `.mat`, ARKit and OpenFace `.csv`."""

from __future__ import annotations

import os
from pathlib import Path

from talkhead.coeffs.arkit import read_arkit, write_arkit
from talkhead.coeffs.container import Coeffs
from talkhead.coeffs.deep3d_mat import DEFAULT_FPS, read_mat, write_mat
from talkhead.coeffs.layout import Space
from talkhead.coeffs.openface import read_openface
from talkhead.coeffs.tables import read_table
from talkhead.errors import UsageError

SUFFIXES = (".mat", ".csv")


def is_neighbour(path: str | os.PathLike[str]) -> bool:
    """Whether the name is one of another program's coefficient files."""
    return Path(path).suffix.lower() in SUFFIXES


def import_neighbour(path: str | os.PathLike[str], space: Space, fps: float | None = None) -> Coeffs:
    """Read another program's coefficients.

    Args:
        path: `.mat` (SadTalker), or `.csv` (OpenFace if it has its columns, else ARKit). space: whose named controls
            ARKit's shapes move. fps: rate of its rows, where the file does not say.
    Raises:
        CoeffFileError: unreadable, or not what its suffix says. UsageError: another suffix.
    """
    suffix = _known_suffix(path)
    if suffix == ".mat":
        return read_mat(path, fps or DEFAULT_FPS)
    table = read_table(path)
    by_openface = any(column in table for column in ("pose_Rx", "gaze_angle_x", "AU01_r", "AU01_c", "x_67"))
    return read_openface(path, fps) if by_openface else read_arkit(path, space, fps)


def export_neighbour(path: str | os.PathLike[str], coeffs: Coeffs, space: Space, overwrite: bool = False) -> None:
    """Write coefficients for another program.

    Args:
        path: `.mat` (SadTalker, codes of `bfm`) or `.csv` (ARKit). coeffs: any. space: of the codes, for ARKit.
        overwrite: replace a file already there.
    Raises:
        CoeffFileError: the codes do not fit the format. UsageError: another suffix.
    """
    if _known_suffix(path) == ".mat":
        write_mat(path, coeffs, overwrite)
    else:
        write_arkit(path, coeffs, space, overwrite)


def _known_suffix(path: str | os.PathLike[str]) -> str:
    if not is_neighbour(path):
        raise UsageError(f"{path}: expected a name ending in {' or '.join(SUFFIXES)}")
    return Path(path).suffix.lower()
