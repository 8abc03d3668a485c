"""The changes behind `edit`: each takes coefficients and a value per frame, and returns new coefficients.

A track that is missing is made as an offset of zero from the source's own rest (`Coeffs.relative`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from talkhead.coeffs.container import F32, Coeffs
from talkhead.coeffs.file import require_space
from talkhead.coeffs.layout import MAYBE_RELATIVE, Space
from talkhead.coeffs.rotation import rot_of_vectors, vectors_about_mean
from talkhead.errors import CoeffFileError, UsageError

Mode = Literal["set", "add", "multiply"]
Curve = npt.NDArray[np.float64]

AXES = ("pitch", "yaw", "roll")
# Closure below 0 is an eye opened wider than usual.
WIDEST, SHUT = -0.5, 1.0


def change_component(coeffs: Coeffs, number: int, curve: Curve, mode: Mode, space: Space | None) -> Coeffs:
    """Move one expression component.

    Args:
        coeffs: any. number: of the component, from 1. curve: (T,), standard deviations (factors for `multiply`).
        mode: set, add or multiply. space: of the codes.
    Raises:
        UsageError: no such component, or no space. CoeffFileError: the codes belong to another space.
    """
    space = _known_space(coeffs, space, f"exp-pc{number}")
    if not 1 <= number <= len(space.exp_std):
        raise UsageError(f"exp-pc{number}: space {space.name} has components 1 to {len(space.exp_std)}")
    unit = 1.0 if mode == "multiply" else float(space.exp_std[number - 1])
    coeffs = _with_exp(coeffs, space)
    return change_track(coeffs, "exp", number - 1, curve * unit, mode)


def change_control(coeffs: Coeffs, name: str, curve: Curve, mode: Mode, space: Space | None) -> Coeffs:
    """Move the expression along a named direction; `set` and `multiply` act on the part of the codes along it.

    Args:
        coeffs: any. name: key of `space.controls`. curve: (T,), 1 is as strong as people naturally do it.
        mode: set, add or multiply. space: of the codes.
    Raises:
        UsageError: the space has no such control, or there is no space. CoeffFileError: the codes are of another one.
    """
    space = _known_space(coeffs, space, name)
    if name not in space.controls:
        hint = (
            f"it has {' '.join(space.controls)}"
            if space.controls
            else ("it has none: exp-pcN moves its components, and edit --space converts to a space with names")
        )
        raise UsageError(f"space {space.name} has no control {name!r}", hint=hint)
    coeffs = _with_exp(coeffs, space)
    exp = _array(coeffs.exp)
    wanted = _combined(along_control(exp, space, name), curve, mode)
    moved = exp + (wanted - along_control(exp, space, name))[:, None] * space.controls[name]
    return coeffs.replace(exp=moved.astype(np.float32))


def along_control(exp: npt.ArrayLike, space: Space, name: str) -> Curve:
    """How far codes lie along a control: (T, n_exp) -> (T,), 1 where they are the control itself."""
    direction = np.asarray(space.controls[name], np.float64)
    found: Curve = np.asarray(exp, np.float64) @ direction / max(float(direction @ direction), 1e-12)
    return found


def change_eyelids(coeffs: Coeffs, eyes: Sequence[int], curve: Curve, mode: Mode) -> Coeffs:
    """Close eyes (0: subject's left, 1: right) by `curve`, (T,), kept between `WIDEST` and `SHUT`."""
    eyelid = np.array(_tracks(coeffs, "eyelid", 2))
    for eye in eyes:
        eyelid[:, eye] = np.clip(_combined(eyelid[:, eye], curve, mode), WIDEST, SHUT)
    return coeffs.replace(eyelid=eyelid)


def change_tongue(coeffs: Coeffs, curve: Curve, mode: Mode) -> Coeffs:
    """Raise the tip of the tongue by `curve`, (T,), kept in 0..1."""
    old = np.zeros(len(coeffs)) if coeffs.tongue is None else coeffs.tongue
    return coeffs.replace(tongue=np.clip(_combined(old, curve, mode), 0, 1).astype(np.float32))


def change_track(coeffs: Coeffs, track: str, column: int, curve: Curve, mode: Mode) -> Coeffs:
    """Change one column of `exp`, `rot`, `trans` or `gaze` by `curve`, (T,), in the track's own unit."""
    values = np.array(_tracks(coeffs, track, 2 if track == "gaze" else 3))
    values[:, column] = _combined(values[:, column], curve, mode)
    return _replaced(coeffs, track, values)


def change_scale(coeffs: Coeffs, curve: Curve, mode: Mode) -> Coeffs:
    """Change the size of the head by `curve`, (T,): pixels per unit, or factors where the track is relative.

    An absolute head stays where it is in the picture, wherever that is.

    Raises:
        UsageError: a size of zero or below.
    """
    old = np.ones(len(coeffs)) if coeffs.scale is None else coeffs.scale
    scale = _combined(old, curve, mode)
    if not (scale > 0).all():
        raise UsageError(f"scale would become {scale.min():g}, expected more than 0")
    if coeffs.trans is not None and coeffs.scale is not None and not coeffs.relative & {"trans", "scale"}:
        coeffs = coeffs.replace(trans=(coeffs.trans * (old / scale)[:, None]).astype(np.float32))
    return _replaced(coeffs, "scale", scale.astype(np.float32))


def change_au(coeffs: Coeffs, number: int, curve: Curve, mode: Mode) -> Coeffs:
    """Change the intensity of action unit `number` by `curve`, (T,), kept at 0 or above; made if it is missing."""
    names = coeffs.au_names
    matching = [i for i, name in enumerate(names) if re.fullmatch(rf"(?:AU)?0*{number}(?:\D.*)?", name, re.IGNORECASE)]
    track = np.zeros((len(coeffs), 0), np.float32) if coeffs.au is None else np.array(coeffs.au)
    if not matching:
        matching, names = [len(names)], (*names, f"AU{number:02d}")
        track = np.concatenate([track, np.zeros((len(coeffs), 1), np.float32)], axis=1)
    for column in matching:
        track[:, column] = np.maximum(_combined(track[:, column], curve, mode), 0)
    return coeffs.replace(au=track, au_names=names)


def scale_exp(coeffs: Coeffs, curve: Curve) -> Coeffs:
    """Make expressions `curve`, (T,), times as strong, about the neutral face (or the source's rest, where relative).

    The tongue goes along, up to the teeth.

    Raises:
        UsageError: there is no expression.
    """
    if coeffs.exp is None:
        raise UsageError("exp-scale: these coefficients have no expression")
    scaled = coeffs.replace(exp=(coeffs.exp * curve[:, None]).astype(np.float32))
    return scaled if scaled.tongue is None else change_tongue(scaled, curve, "multiply")


def scale_pose(coeffs: Coeffs, curve: Curve, parts: Sequence[str] = (*AXES, "trans")) -> Coeffs:
    """Make head motion `curve`, (T,), times as large, about its mean (about the source's pose, where relative).

    Args:
        coeffs: with a pose. curve: factors. parts: among `pitch yaw roll trans`.
    Raises:
        UsageError: none of these is there.
    """
    axes = [AXES.index(part) for part in parts if part in AXES]
    changes: dict[str, Any] = {}
    if axes and coeffs.rot is not None:
        vectors, mean = vectors_about_mean(coeffs.rot, np.eye(3) if "rot" in coeffs.relative else None)
        vectors[:, axes] *= curve[:, None]
        changes["rot"] = rot_of_vectors(vectors, mean)
    if "trans" in parts and coeffs.trans is not None:
        centre = 0.0 if "trans" in coeffs.relative else coeffs.trans.mean(0)
        changes["trans"] = (centre + (coeffs.trans - centre) * curve[:, None]).astype(np.float32)
    if not changes:
        raise UsageError(f"pose-scale: these coefficients have no {' or '.join(parts)}")
    return coeffs.replace(**changes)


def neutral(coeffs: Coeffs, strength: Curve) -> Coeffs:
    """Fade expression, tongue, blinks and gaze out; the pose stays.

    Args:
        coeffs: any. strength: (T,), 0 keeps, 1 leaves nothing: the neutral face, or the source's rest where relative.
    """
    kept, tracks = 1 - strength, coeffs.tensors()
    faded: dict[str, Any] = {
        name: (tracks[name].T * kept).T.astype(np.float32)
        for name in ("exp", "eyelid", "gaze", "tongue")
        if name in tracks
    }
    return coeffs.replace(**faded)


def mirror(coeffs: Coeffs, space: Space | None) -> Coeffs:
    """Swap left and right in the motion, as a mirror does. Identity codes stay: the face is not another one.

    Raises:
        UsageError: there is an expression and the space does not know how to mirror it.
    """
    changes: dict[str, Any] = {}
    if coeffs.exp is not None:
        space = _known_space(coeffs, space, "mirror")
        if space.mirror is None:
            raise UsageError(f"mirror: space {space.name} has no mirror map")
        changes["exp"] = (coeffs.exp @ space.mirror.T).astype(np.float32)
    if coeffs.rot is not None:
        changes["rot"] = coeffs.rot * np.array([1, -1, -1], np.float32)
    if coeffs.trans is not None:
        changes["trans"] = coeffs.trans * np.array([-1, 1, 1], np.float32)
    if coeffs.gaze is not None:
        changes["gaze"] = coeffs.gaze * np.array([-1, 1], np.float32)
    if coeffs.eyelid is not None:
        changes["eyelid"] = coeffs.eyelid[:, ::-1]
    return coeffs.replace(**changes)


def id_from(coeffs: Coeffs, other: Coeffs) -> Coeffs:
    """These coefficients with the identity codes of `other`.

    Raises:
        CoeffFileError: `other` has no identity codes, or its space differs.
    """
    if other.id is None:
        raise CoeffFileError("id-from: these coefficients have no identity codes")
    require_space(coeffs, other.space)
    return coeffs.replace(id=other.id, space=other.space)


def _combined(old: npt.ArrayLike, curve: Curve, mode: Mode) -> Curve:
    before = np.asarray(old, np.float64)
    result: Curve = curve if mode == "set" else before + curve if mode == "add" else before * curve
    return result


def _tracks(coeffs: Coeffs, name: str, width: int) -> F32:
    found = coeffs.tensors().get(name)
    return np.zeros((len(coeffs), width), np.float32) if found is None else found


def _replaced(coeffs: Coeffs, name: str, values: F32) -> Coeffs:
    made = {name} & MAYBE_RELATIVE - coeffs.tensors().keys()
    changes: dict[str, Any] = {name: values}
    return coeffs.replace(relative=coeffs.relative | made, **changes)


def _with_exp(coeffs: Coeffs, space: Space) -> Coeffs:
    if coeffs.exp is not None:
        return coeffs
    zeros = np.zeros((len(coeffs), len(space.exp_std)), np.float32)
    return _replaced(coeffs.replace(space=space.name), "exp", zeros)


def _known_space(coeffs: Coeffs, space: Space | None, name: str) -> Space:
    if space is None:
        raise UsageError(f"{name}: the face model of space {coeffs.space} is needed and unknown")
    require_space(coeffs, space.name)
    if coeffs.exp is not None and coeffs.exp.shape[1] != len(space.exp_std):
        raise CoeffFileError(f"exp has {coeffs.exp.shape[1]} components, space {space.name} has {len(space.exp_std)}")
    return space


def _array(track: F32 | None) -> F32:
    assert track is not None
    return track
