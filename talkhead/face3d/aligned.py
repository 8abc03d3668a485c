"""Head motion between two cameras: a picture seen from afar (`meshwarp`), a picture aligned to the face (`bfm`).

Both place a head the same way, `scale * (R p + trans)` from the middle of the picture; the aligned camera is a
perspective one, whose scale follows from the depth of the head (`talkhead.coeffs.bfm`). Where an aligned picture lies
in the photo is not in its coefficients, so absolute places hold up to one constant: the first frame's head is in the
middle and of the usual size. That is how files of pictures of another size are read anyway: only changes count.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from talkhead.coeffs.bfm import DISTANCE, FOCAL, SIDE, depth_of_scale, scale_of_depth
from talkhead.coeffs.container import Coeffs
from talkhead.coeffs.layout import ALIGNMENT, EXTRA_OF
from talkhead.face3d.convert import HeadFrame
from talkhead.geometry import euler_to_matrix, matrix_to_euler

F64 = npt.NDArray[np.float64]

_USUAL_SCALE = FOCAL / DISTANCE  # pixels per unit of a head at depth 0


def into_aligned(coeffs: Coeffs, head: HeadFrame) -> Coeffs:
    """Head motion as the aligned camera sees it.

    Args:
        coeffs: with tracks of a head in a picture. head: where its head frame lies in that of the other model.
    Returns:
        `rot` in the other head frame; `trans` with the depth that gives the size of `scale`; both stay relative where
        they are. Absolute places are those in an aligned picture whose middle is the first frame's head.
    """
    turn = _rotations(coeffs) @ head.rotation.T if "rot" not in coeffs.relative else _rotations(coeffs)
    changes: dict[str, Any] = {"crop": None, "size": None}
    relative = set(coeffs.relative)
    if coeffs.rot is not None and "rot" not in relative:
        changes["rot"] = matrix_to_euler(turn).astype(np.float32)
    zoom = _zoom(coeffs)
    if coeffs.trans is not None or coeffs.scale is not None:
        place = np.zeros((len(coeffs), 3)) if coeffs.trans is None else coeffs.trans.astype(np.float64)
        if coeffs.trans is None and "scale" in relative:
            relative.add("trans")
        if coeffs.trans is not None and "trans" not in relative:
            place = place - place[0] / zoom[:, None]
        place = head.scale * place - _pivot(turn, head.shift, "trans" in relative)
        place[:, 2] = depth_of_scale(_USUAL_SCALE * zoom)
        changes["trans"] = place.astype(np.float32)
    if coeffs.scale is not None:
        changes["scale"] = (zoom if "scale" in relative else _USUAL_SCALE * zoom).astype(np.float32)
    if {"trans", "scale"} & (changes.keys() - relative):
        changes["size"] = np.array([SIDE, SIDE], np.float32)
    return coeffs.replace(relative=frozenset(relative), **changes)


def out_of_aligned(coeffs: Coeffs, head: HeadFrame) -> Coeffs:
    """Head motion of the aligned camera as a camera far away sees it.

    Args:
        coeffs: of space `bfm`. With the extra tensor `alignment` every frame was aligned on its own, and the head moved
            as the aligned pictures did; without it all frames show one picture.
        head: where the head frame of the model that is wanted lies in that of `bfm`.
    Returns:
        `rot` in the wanted head frame, `trans` without depth, `scale` that says the same; relative where they were.
        Absolute places are those in the aligned picture of the first frame. What only `bfm` knows is dropped.
    """
    turn = _rotations(coeffs)
    changes: dict[str, Any] = {"crop": None, "extra": {k: v for k, v in coeffs.extra.items() if k not in EXTRA_OF}}
    relative = set(coeffs.relative)
    if coeffs.rot is not None and "rot" not in relative:
        changes["rot"] = matrix_to_euler(turn @ head.rotation).astype(np.float32)
    scale = None if coeffs.scale is None else coeffs.scale.astype(np.float64)
    if scale is None and coeffs.trans is not None:
        scale = scale_of_depth(coeffs.trans[:, 2]).astype(np.float64)
        if "trans" in relative:
            scale = scale / _USUAL_SCALE
            relative.add("scale")
    place = None if coeffs.trans is None else coeffs.trans.astype(np.float64)
    aligned = coeffs.extra.get(ALIGNMENT)
    if aligned is not None and scale is not None and not relative & {"trans", "scale"}:
        scale, place = _unaligned(aligned.astype(np.float64), scale, place)
    if place is not None:
        place = (place + _pivot(turn, head.shift, "trans" in relative)) / head.scale
        place[:, 2] = 0.0
        changes["trans"] = place.astype(np.float32)
    if scale is not None:
        changes["scale"] = (scale if "scale" in relative else scale * head.scale).astype(np.float32)
    if not {"trans", "scale"} & (changes.keys() - relative):
        changes["size"] = None
    return coeffs.replace(relative=frozenset(relative), **changes)


def _unaligned(alignment: F64, scale: F64, place: F64 | None) -> tuple[F64, F64 | None]:
    """Size and place in the first frame's aligned picture of heads that were each aligned on their own.

    A point `scale * q` of an aligned picture lies at `t + scale / s * q` (x right, y up) of the square it was cut from,
    with factor s and position t of the alignment.
    """
    factor, position = np.maximum(alignment[:, 0], 1e-6), alignment[:, 1:]
    true_scale = scale * factor[0] / factor
    if place is not None:
        place = place.copy()
        place[:, :2] += (position - position[0]) * (factor / scale)[:, None]
    return true_scale, place


def _zoom(coeffs: Coeffs) -> F64:
    """Size of the head relative to its rest, or to the first frame, (T,)."""
    if coeffs.scale is None:
        return np.ones(len(coeffs))
    scale = np.maximum(coeffs.scale.astype(np.float64), 1e-6)
    return scale if "scale" in coeffs.relative else scale / scale[0]


def _rotations(coeffs: Coeffs) -> F64:
    """Rotations of the head, (T, 3, 3), as they are in the file."""
    if coeffs.rot is None:
        return np.broadcast_to(np.eye(3), (len(coeffs), 3, 3))
    return euler_to_matrix(coeffs.rot)


def _pivot(turn: F64, shift: F64, relative: bool) -> F64:
    """How a head that turns about one origin moves the other, `shift` away from it, (T, 3)."""
    moved: F64 = turn @ shift
    return moved - shift if relative else moved
