"""ARKit's 52 blend shapes as CSV, the layout of face capture apps: `Timecode,BlendshapeCount,EyeBlinkLeft,...`.

Shapes without a named control of ours (jaw forward, tongue, cheek puff and others) are ignored on import and 0 on
export. Head and eyeball angles are left out: recorders differ in their units and signs.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from talkhead.coeffs.container import Coeffs
from talkhead.coeffs.file import require_space
from talkhead.coeffs.layout import Space
from talkhead.coeffs.tables import Table, read_table
from talkhead.errors import CoeffFileError, UsageError
from talkhead.files import atomic_output

F64 = npt.NDArray[np.float64]

# fmt: off
SHAPES = (
    "EyeBlinkLeft", "EyeLookDownLeft", "EyeLookInLeft", "EyeLookOutLeft", "EyeLookUpLeft", "EyeSquintLeft",
    "EyeWideLeft", "EyeBlinkRight", "EyeLookDownRight", "EyeLookInRight", "EyeLookOutRight", "EyeLookUpRight",
    "EyeSquintRight", "EyeWideRight", "JawForward", "JawRight", "JawLeft", "JawOpen", "MouthClose", "MouthFunnel",
    "MouthPucker", "MouthRight", "MouthLeft", "MouthSmileLeft", "MouthSmileRight", "MouthFrownLeft", "MouthFrownRight",
    "MouthDimpleLeft", "MouthDimpleRight", "MouthStretchLeft", "MouthStretchRight", "MouthRollLower", "MouthRollUpper",
    "MouthShrugLower", "MouthShrugUpper", "MouthPressLeft", "MouthPressRight", "MouthLowerDownLeft",
    "MouthLowerDownRight", "MouthUpperUpLeft", "MouthUpperUpRight", "BrowDownLeft", "BrowDownRight", "BrowInnerUp",
    "BrowOuterUpLeft", "BrowOuterUpRight", "CheekPuff", "CheekSquintLeft", "CheekSquintRight", "NoseSneerLeft",
    "NoseSneerRight", "TongueOut",
)
# fmt: on
# Control -> the shapes whose mean is its value; a pair of sides moves the face evenly.
CONTROL_SHAPES: Mapping[str, tuple[str, ...]] = {
    "jaw-open": ("JawOpen",),
    "lip-close": ("MouthClose",),
    "pucker": ("MouthPucker",),
    "funnel": ("MouthFunnel",),
    "mouth-wide": ("MouthStretchLeft", "MouthStretchRight"),
    "smile": ("MouthSmileLeft", "MouthSmileRight"),
    "frown": ("MouthFrownLeft", "MouthFrownRight"),
    "lip-press": ("MouthPressLeft", "MouthPressRight"),
    "lip-tuck": ("MouthRollLower",),
    "upper-lip-raise": ("MouthUpperUpLeft", "MouthUpperUpRight"),
    "lower-lip-depress": ("MouthLowerDownLeft", "MouthLowerDownRight"),
    "brow-raise": ("BrowInnerUp", "BrowOuterUpLeft", "BrowOuterUpRight"),
    "brow-furrow": ("BrowDownLeft", "BrowDownRight"),
    "cheek-raise": ("CheekSquintLeft", "CheekSquintRight"),
    "nose-wrinkle": ("NoseSneerLeft", "NoseSneerRight"),
}
# An eye shape of 1 turns the eye about this far.
_LOOK = np.radians(30.0)
# A wide eye of 1 in closure, below the open eye.
_WIDE = 0.3
DEFAULT_FPS = 60.0


def read_arkit(path: str | os.PathLike[str], space: Space, fps: float | None = None) -> Coeffs:
    """Import blend shapes as motion relative to rest.

    Args:
        path: CSV with a column per shape (any subset, capital letters or not). space: with the named controls.
        fps: rows per second; default by the `Timecode` column, or else 60.
    Returns:
        `exp` and `gaze` relative, `eyelid`.
    Raises:
        CoeffFileError: unreadable, or not one known shape in it.
    """
    table = read_table(path)
    if not any(shape in table for shape in SHAPES):
        raise CoeffFileError(f"{path} has no column named like an ARKit blend shape", hint="e.g. jawOpen")
    exp = np.zeros((len(table), len(space.exp_std)))
    for control, shapes in CONTROL_SHAPES.items():
        if control in space.controls:
            value = np.mean([_shape(table, shape) for shape in shapes], axis=0)
            gain = _closing_gain(space) if control == "lip-close" else 1.0
            exp += gain * value[:, None] * space.controls[control]
    closure = [_shape(table, f"EyeBlink{side}") - _WIDE * _shape(table, f"EyeWide{side}") for side in ("Left", "Right")]
    look = {name: _shape(table, f"EyeLook{name}") for name in
            ("InLeft", "OutLeft", "UpLeft", "DownLeft", "InRight", "OutRight", "UpRight", "DownRight")}  # fmt: skip
    # The subject's left is image right: there looks the left eye outwards, the right one inwards.
    x = (look["OutLeft"] - look["InLeft"] + look["InRight"] - look["OutRight"]) / 2
    y = (look["UpLeft"] - look["DownLeft"] + look["UpRight"] - look["DownRight"]) / 2
    return Coeffs(
        space=space.name,
        fps=fps or _rows_per_second(table),
        n_frames=len(table),
        exp=exp.astype(np.float32),
        eyelid=np.clip(np.stack(closure, 1), -0.5, 1).astype(np.float32),
        gaze=(np.stack([x, y], 1) * _LOOK).astype(np.float32),
        relative=frozenset({"exp", "gaze"}),
    )


def write_arkit(path: str | os.PathLike[str], coeffs: Coeffs, space: Space, overwrite: bool = False) -> None:
    """Export expression, eyelids and gaze as blend shapes.

    The controls that together come nearest to the expression (`control_amounts`) are spread over their shapes.
    `MouthClose` stays 0: it takes back what an open jaw opens, and here the jaw opens no more than the lips do.

    Args:
        path: CSV to write. coeffs: any. space: of the codes. overwrite: replace a file already there.
    Raises:
        CoeffFileError: codes of another space. UsageError: nothing to export.
    """
    require_space(coeffs, space.name)
    if coeffs.exp is None and coeffs.eyelid is None and coeffs.gaze is None:
        raise UsageError("nothing to export: these coefficients have no expression, eyelids or gaze")
    values = dict.fromkeys(SHAPES, np.zeros(len(coeffs)))
    if coeffs.exp is not None:
        for control, amount in control_amounts(coeffs.exp, space).items():
            values |= dict.fromkeys(CONTROL_SHAPES[control], np.minimum(amount, 1))
    if coeffs.eyelid is not None:
        for side, closure in zip(("Left", "Right"), coeffs.eyelid.T.astype(np.float64), strict=True):
            values[f"EyeBlink{side}"] = np.clip(closure, 0, 1)
            values[f"EyeWide{side}"] = np.clip(-closure / _WIDE, 0, 1)
    if coeffs.gaze is not None:
        right, up = np.clip(coeffs.gaze.T.astype(np.float64) / _LOOK, -1, 1)
        values |= dict.fromkeys(("EyeLookOutLeft", "EyeLookInRight"), np.maximum(right, 0))
        values |= dict.fromkeys(("EyeLookInLeft", "EyeLookOutRight"), np.maximum(-right, 0))
        values |= dict.fromkeys(("EyeLookUpLeft", "EyeLookUpRight"), np.maximum(up, 0))
        values |= dict.fromkeys(("EyeLookDownLeft", "EyeLookDownRight"), np.maximum(-up, 0))
    with atomic_output(path, overwrite, error=CoeffFileError) as temporary:
        temporary.write_text(_as_csv(values, coeffs), encoding="utf-8")


def control_amounts(exp: npt.ArrayLike, space: Space) -> dict[str, F64]:
    """How much of each control that has a shape an expression holds: name -> (T,), 0 to 1.

    Least squares within bounds, by coordinate descent over all frames at once. The mouth opening counts more than the
    rest, because it is what one looks at, and a little ridge shares an expression between controls that are alike.
    """
    codes = np.asarray(exp, np.float64)
    names = [name for name in CONTROL_SHAPES if name in space.controls and name != "lip-close"]
    matrix = np.stack([space.controls[name] for name in names], 1).astype(np.float64)  # (n_exp, n_controls)
    if space.opening is not None:
        weight = _OPENING_WEIGHT * np.linalg.norm(matrix, axis=0).mean()
        matrix = np.concatenate([matrix, weight * (space.opening @ matrix)[None]])
        codes = np.concatenate([codes, weight * (codes @ space.opening)[:, None]], axis=1)
    gram, target = matrix.T @ matrix, codes @ matrix
    gram[np.diag_indices(len(names))] *= 1 + _RIDGE
    amounts = np.zeros_like(target)
    for _ in range(_SWEEPS):
        for i in range(len(names)):
            step = (target[:, i] - amounts @ gram[:, i]) / gram[i, i]
            amounts[:, i] = np.clip(amounts[:, i] + step, 0, 1)
    return dict(zip(names, amounts.T, strict=True))


# Chosen on the sample clips: re-imported openings correlate above 0.99 with their own and keep 0.9 of their size.
_OPENING_WEIGHT, _RIDGE, _SWEEPS = 22.0, 0.03, 100


def _closing_gain(space: Space) -> float:
    """How much `lip-close` takes back what `jaw-open` opens."""
    if space.opening is None or "jaw-open" not in space.controls:
        return 1.0
    opened = float(space.opening @ space.controls["jaw-open"])
    closed = float(space.opening @ space.controls["lip-close"])
    return -opened / closed if closed < 0 < opened else 1.0


def _shape(table: Table, shape: str) -> F64:
    return table.numbers(shape) if shape in table else np.zeros(len(table))


def _rows_per_second(table: Table) -> float:
    """Rows that share a second, in the middle of the recording; of a short one, frames told at the turn of a second."""
    if "Timecode" not in table:
        return DEFAULT_FPS
    cells = [cell.rpartition(":") for cell in table.text("Timecode")]
    seconds = np.array([cell[0] for cell in cells])
    _, counts = np.unique(seconds, return_counts=True)
    if len(counts) > 2:
        return float(np.median(counts[1:-1]))
    if len(counts) == 2:
        last = cells[int(np.argmax(seconds != seconds[0])) - 1][2].partition(".")[0]
        if last.isdecimal() and int(last) > 0:
            return int(last) + 1.0
    return DEFAULT_FPS


def _as_csv(values: Mapping[str, F64], coeffs: Coeffs) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["Timecode", "BlendshapeCount", *SHAPES])
    rate = round(coeffs.fps)
    for frame in range(len(coeffs)):
        second = int(frame / coeffs.fps)
        within = min(round(frame - second * coeffs.fps), rate - 1)
        code = f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}:{within:02d}.000"
        writer.writerow([code, len(SHAPES), *(f"{values[shape][frame]:.6f}" for shape in SHAPES)])
    return text.getvalue()
