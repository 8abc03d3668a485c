"""Edits of coefficients: `exp-pc1 2.0`, `yaw +=5`, `smile 0:0,1:1` and so on, as pure functions.

A list of `Edit`s is applied in one fixed order, whatever the order they are given in: `start end`, `retime`,
`id-from`, `mirror`, `neutral`, `smooth`, the scalings, `scale`, then everything that adds or sets values, `space` last.
Keyframe seconds are therefore seconds of the result.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from talkhead.coeffs.change import (
    AXES,
    Curve,
    Mode,
    change_au,
    change_component,
    change_control,
    change_eyelids,
    change_scale,
    change_tongue,
    change_track,
    id_from,
    mirror,
    neutral,
    scale_exp,
    scale_pose,
)
from talkhead.coeffs.container import Coeffs
from talkhead.coeffs.convert import Conversion, convert_space
from talkhead.coeffs.keyframes import Keyframes
from talkhead.coeffs.layout import Space
from talkhead.coeffs.retime import cut, resample, stretch
from talkhead.coeffs.smooth import smooth
from talkhead.errors import UsageError

# Gaze of value 1: about as far as eyes turn before the head follows.
GAZE_FULL = math.radians(25)


@dataclass(frozen=True, kw_only=True, slots=True)
class EditKind:
    """What one edit takes.

    Attributes:
        name: without the leading dashes. unit: of its values, for help texts. mode: what a plain number does.
        low, high: range of its values. takes: keyframes, one number, one word, a coefficient file, or nothing.
        help: one line. rank: place in the order of application. stales: whether a `landmarks` track no longer fits.
    """

    name: str
    unit: str = ""
    mode: Mode = "set"
    low: float = -math.inf
    high: float = math.inf
    takes: Literal["keyframes", "number", "word", "coeffs", "nothing"] = "keyframes"
    help: str
    rank: int
    stales: bool = True


# Named controls a space may offer; a space says in `Space.controls` which it has.
CONTROLS = {
    "jaw-open": "drop the jaw",
    "lip-open": "part the lips",
    "lip-close": "close the lips",
    "pucker": "push the lips forward, small",
    "funnel": "round the lips, open",
    "mouth-wide": "stretch the mouth sideways",
    "smile": "raise the mouth corners",
    "frown": "lower the mouth corners",
    "lip-press": "press the lips together",
    "lip-tuck": "lower lip under the upper teeth, as for f and v",
    "upper-lip-raise": "raise the upper lip",
    "lower-lip-depress": "lower the lower lip",
    "brow-raise": "raise the brows",
    "brow-furrow": "draw the brows together",
    "cheek-raise": "raise the cheeks",
    "nose-wrinkle": "wrinkle the nose",
}

_TIME, _CONTENT, _SCALING, _SIZE, _VALUES, _SPACE = 0, 2, 6, 7, 8, 10
_KINDS = (
    EditKind(name="start", unit="s", low=0, takes="number", rank=_TIME, stales=False, help="drop what comes before"),
    EditKind(name="end", unit="s", low=0, takes="number", rank=_TIME, stales=False, help="drop what comes after"),
    EditKind(
        name="retime", takes="word", rank=_TIME + 1, stales=False,
        help="30fps: another frame rate; 10s: another duration; 1.5: so many times as long",
    ),
    EditKind(name="id-from", takes="coeffs", rank=_CONTENT, stales=False, help="identity codes of another file"),
    EditKind(name="mirror", takes="nothing", rank=_CONTENT + 1, help="swap left and right"),
    EditKind(name="neutral", low=0, high=1, rank=_CONTENT + 2, help="fade out expression, blinks and gaze (1: all)"),
    EditKind(name="smooth", unit="s", low=0, takes="number", rank=_CONTENT + 3, help="smooth away what is shorter"),
    EditKind(name="exp-scale", low=0, high=10, rank=_SCALING, help="make expressions so many times as strong"),
    EditKind(name="pose-scale", low=-10, high=10, rank=_SCALING, help="make head motion so many times as large"),
    *(EditKind(name=f"pose-scale-{axis}", low=-10, high=10, rank=_SCALING, help=f"the same, {axis} only")
      for axis in (*AXES, "trans")),
    *(EditKind(name=name, mode="add", low=-2, high=2, rank=_VALUES, help=text) for name, text in CONTROLS.items()),
    EditKind(name="tongue", mode="add", low=0, high=1, rank=_VALUES, help="raise the tongue's tip (1: to the teeth)"),
    EditKind(name="blink", mode="add", low=-1, high=1, rank=_VALUES, help="close both eyes (1: shut)"),
    EditKind(name="blink-left", mode="add", low=-1, high=1, rank=_VALUES, help="close the subject's left eye"),
    EditKind(name="blink-right", mode="add", low=-1, high=1, rank=_VALUES, help="close the subject's right eye"),
    EditKind(name="gaze-x", mode="add", low=-2, high=2, rank=_VALUES, help="look to image right (1: 25 degrees)"),
    EditKind(name="gaze-y", mode="add", low=-2, high=2, rank=_VALUES, help="look up (1: 25 degrees)"),
    EditKind(name="pitch", unit="degrees", low=-90, high=90, rank=_VALUES, help="look down"),
    EditKind(name="yaw", unit="degrees", low=-89, high=89, rank=_VALUES, help="turn the nose to image right"),
    EditKind(name="roll", unit="degrees", low=-180, high=180, rank=_VALUES, help="tilt the head to image left"),
    EditKind(name="trans-x", unit="100 mm", mode="add", rank=_VALUES, help="move to image right"),
    EditKind(name="trans-y", unit="100 mm", mode="add", rank=_VALUES, help="move up"),
    EditKind(name="trans-z", unit="100 mm", mode="add", rank=_VALUES, help="move to the camera"),
    EditKind(name="scale", mode="multiply", low=0, rank=_SIZE, help="make the head so many times as large"),
    EditKind(name="space", takes="word", rank=_SPACE, stales=False, help="convert codes to another face model"),
)  # fmt: skip
EDITS = {kind.name: kind for kind in _KINDS}
_NUMBERED = {
    "exp-pc": EditKind(
        name="exp-pcN", unit="standard deviations", mode="add", low=-20, high=20, rank=_VALUES,
        help="move the N-th expression component (from 1)",
    ),
    "au": EditKind(name="auN", low=0, high=5, rank=_VALUES, stales=False, help="intensity of action unit N"),
}  # fmt: skip
_NUMBERED_NAME = re.compile(r"(exp-pc|au)0*([1-9]\d{0,3})")
_RETIME = re.compile(r"([-+\d.eE]+)(fps|s|x)?")
_MODES: dict[str, tuple[Mode, Callable[[float], float]]] = {
    "+=": ("add", lambda v: v),
    "-=": ("add", lambda v: -v),
    "*=": ("multiply", lambda v: v),
    "=": ("set", lambda v: v),
}


def edit_kind(name: str) -> EditKind:
    """What the edit `name` (e.g. `yaw`, `exp-pc3`, `au12`) takes.

    Raises:
        UsageError: there is no such edit.
    """
    if name in EDITS:
        return EDITS[name]
    numbered = _NUMBERED_NAME.fullmatch(name)
    if numbered:
        return _NUMBERED[numbered[1]]
    raise UsageError(f"unknown edit {name!r}", hint="known edits: exp-pcN auN " + " ".join(EDITS))


def is_edit(name: str) -> bool:
    """Whether `edit_kind` knows the name."""
    return name in EDITS or _NUMBERED_NAME.fullmatch(name) is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class Edit:
    """One change. Make it with `parse_edit`, or directly for `id-from`.

    Attributes:
        name: of its `EditKind`, with its number. mode: set, add or multiply. keyframes: its value over time.
        word: the value of `retime` and `space`. coeffs: the coefficients of `id-from`.
    Raises:
        UsageError: the name is unknown, what it takes is missing, or a value is out of range.
    """

    name: str
    mode: Mode = "set"
    keyframes: Keyframes | None = None
    word: str = ""
    coeffs: Coeffs | None = None

    def __post_init__(self) -> None:
        kind = edit_kind(self.name)
        given = {
            "keyframes": self.keyframes is not None,
            "number": self.keyframes is not None and len(self.keyframes.keys) == 1,
            "word": bool(self.word),
            "coeffs": self.coeffs is not None,
            "nothing": self.keyframes is None and not self.word,
        }
        if not given[kind.takes]:
            raise UsageError(f"{self.name}: expected {_EXPECTED[kind.takes]}")
        for _, value in self.keyframes.keys if self.keyframes else ():
            # What is added may have either sign.
            low = -kind.high if self.mode == "add" else kind.low
            if not low <= value <= kind.high:
                raise UsageError(
                    f"{self.name} {value:g}{' ' + kind.unit if kind.unit else ''}: {_range(low, kind.high)}"
                )

    @property
    def kind(self) -> EditKind:
        """What this edit takes."""
        return edit_kind(self.name)

    @property
    def length_s(self) -> float:
        """When its last keyframe is, seconds; 0 of an edit that holds all the time."""
        return self.keyframes.keys[-1][0] if self.keyframes else 0.0

    @property
    def number(self) -> float:
        """The value of an edit without keyframes."""
        assert self.keyframes is not None
        return self.keyframes.keys[0][1]


_EXPECTED = {
    "keyframes": "a number or keyframes seconds:value,...",
    "number": "one number",
    "word": "a value",
    "coeffs": "coefficients",
    "nothing": "no value",
}


def parse_edit(name: str, text: str = "") -> Edit:
    """Read one edit as it stands on a command line.

    `=5` sets, `+=5` and `-=5` add, `*=1.2` multiplies; a plain number does what suits the edit (`EditKind.mode`). All
    of them take keyframes: `+=0:0,1:5`.

    Args:
        name: e.g. `yaw`, `exp-pc1`. text: its value; empty for `mirror` and for `neutral` (which is then 1).
    Raises:
        UsageError: unknown name, unreadable value, or a value out of range.
    """
    kind = edit_kind(name)
    if kind.takes in ("word", "coeffs", "nothing"):
        return Edit(name=name, word=text)
    mode, text = kind.mode, text.strip() or ("1" if name == "neutral" else "")
    for prefix, (its_mode, change) in _MODES.items():
        if text.startswith(prefix):
            if kind.takes == "number" or kind.rank not in (_SIZE, _VALUES):
                raise UsageError(f"{name} {text}: expected a plain value")
            return Edit(name=name, mode=its_mode, keyframes=_keyframes(name, text[len(prefix) :]).mapped(change))
    return Edit(name=name, mode=mode, keyframes=_keyframes(name, text))


def apply_edits(
    coeffs: Coeffs, edits: Iterable[Edit], *, space: Space | None = None, conversion: Conversion | None = None
) -> Coeffs:
    """Apply edits in their fixed order (top of this file); a track that is missing is made, as an offset.

    Args:
        coeffs: any. edits: in any order; of two that set the same thing the later wins. space: of the codes; needed by
            `exp-pcN`, named controls and `mirror`. conversion: knows the way to other spaces; needed by `space`.
    Returns:
        New coefficients. `landmarks`, measured on the unedited motion, are dropped when the motion changed.
    Raises:
        UsageError: an edit does not fit these coefficients. CoeffFileError: the codes belong to another space.
    """
    ordered = sorted(edits, key=lambda edit: edit.kind.rank)
    targets = [edit for edit in ordered if edit.name == "space"]
    # Each conversion loses something: only the last is done.
    ordered = [edit for edit in ordered if edit.name != "space" or edit is targets[-1]]
    times = {edit.name: edit.number for edit in ordered if edit.name in ("start", "end")}
    if times:
        coeffs = cut(coeffs, times.get("start", 0.0), times.get("end"))
    for edit in ordered:
        if edit.name not in times:
            coeffs = _apply(coeffs, edit, space, conversion)
    if coeffs.landmarks is not None and len(coeffs.tensors()) > 1 and any(edit.kind.stales for edit in ordered):
        coeffs = coeffs.replace(landmarks=None)
    return coeffs


def _apply(coeffs: Coeffs, edit: Edit, space: Space | None, conversion: Conversion | None) -> Coeffs:
    name = edit.name
    if name == "retime":
        return _retime(coeffs, edit.word)
    if name == "id-from":
        assert edit.coeffs is not None
        return id_from(coeffs, edit.coeffs)
    if name == "mirror":
        return mirror(coeffs, space)
    if name == "smooth":
        return smooth(coeffs, edit.number)
    if name == "space":
        return convert_space(coeffs, edit.word, conversion)
    assert edit.keyframes is not None
    curve = edit.keyframes.at(len(coeffs), coeffs.fps)
    if name == "neutral":
        return neutral(coeffs, curve)
    if name == "exp-scale":
        return scale_exp(coeffs, curve)
    if name.startswith("pose-scale"):
        part = name.removeprefix("pose-scale").lstrip("-")
        return scale_pose(coeffs, curve, parts=(part,) if part else (*AXES, "trans"))
    return _apply_value(coeffs, edit, curve, space)


def _apply_value(coeffs: Coeffs, edit: Edit, curve: Curve, space: Space | None) -> Coeffs:
    name, mode = edit.name, edit.mode
    numbered = _NUMBERED_NAME.fullmatch(name)
    if numbered and numbered[1] == "au":
        return change_au(coeffs, int(numbered[2]), curve, mode)
    if numbered:
        return change_component(coeffs, int(numbered[2]), curve, mode, space)
    if name in CONTROLS:
        return change_control(coeffs, name, curve, mode, space)
    if name in _EYES:
        return change_eyelids(coeffs, _EYES[name], curve, mode)
    if name == "tongue":
        return change_tongue(coeffs, curve, mode)
    if name == "scale":
        return change_scale(coeffs, curve, mode)
    track, axis, unit = ("rot", AXES.index(name), math.radians(1)) if name in AXES else _PLACES[name]
    return change_track(coeffs, track, axis, curve if mode == "multiply" else curve * unit, mode)


_EYES = {"blink": (0, 1), "blink-left": (0,), "blink-right": (1,)}
_PLACES = {
    "trans-x": ("trans", 0, 1.0),
    "trans-y": ("trans", 1, 1.0),
    "trans-z": ("trans", 2, 1.0),
    "gaze-x": ("gaze", 0, GAZE_FULL),
    "gaze-y": ("gaze", 1, GAZE_FULL),
}


def _retime(coeffs: Coeffs, word: str) -> Coeffs:
    found = _RETIME.fullmatch(word.strip())
    try:
        number, unit = (float(found[1]), found[2]) if found else (math.nan, None)
    except ValueError:
        number, unit = math.nan, None
    if math.isnan(number):
        raise UsageError(f"retime {word!r}: not understood", hint="give 30fps, 10s, or a factor such as 1.5")
    if unit == "fps":
        return resample(coeffs, number)
    return stretch(coeffs, number / coeffs.duration_s if unit == "s" else number)


def _keyframes(name: str, text: str) -> Keyframes:
    try:
        return Keyframes.parse(text)
    except UsageError as cause:
        raise UsageError(f"{name}: {cause.message}", hint=cause.hint) from cause


def _range(low: float, high: float) -> str:
    if math.isinf(high):
        return "expected a finite number" if math.isinf(low) else f"expected {low:g} or more"
    return f"expected {low:g} to {high:g}"
