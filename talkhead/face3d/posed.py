"""Coefficients and a photo's own vertices -> the vertices of every frame, posed and projected.

This is the geometry half of rendering: the photo's vertices, moved by the difference between the frame's expression and
the photo's, lids closed, irises turned, head posed. At the photo's own coefficients it returns the photo's landmarks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from talkhead.coeffs.container import Coeffs
from talkhead.errors import CoeffFileError
from talkhead.face.topology import N_POINTS
from talkhead.face3d import eyes
from talkhead.face3d.fit import PhotoFit
from talkhead.face3d.morphable import FaceModel
from talkhead.geometry import euler_to_matrix, matrix_to_euler, project

F64 = npt.NDArray[np.float64]


def absolute(coeffs: Coeffs, base: PhotoFit) -> Coeffs:
    """The same motion with every track present and absolute: relative tracks added to the photo's, absent ones held.

    `exp` relative to rest is added to the photo's own expression; `rot` composes as `R_offset R_photo`; `scale`
    multiplies.

    Raises:
        CoeffFileError: the codes belong to another space than the photo's.
    """
    own = base.coeffs
    if coeffs.exp is not None and coeffs.space != own.space:
        raise CoeffFileError(f"codes of space {coeffs.space} cannot move a face of space {own.space}")
    tracks: dict[str, Any] = {}
    for name in ("exp", "rot", "trans", "scale", "eyelid", "gaze"):
        held = np.repeat(getattr(own, name), len(coeffs), axis=0)
        given = getattr(coeffs, name)
        if given is None:
            tracks[name] = held
        elif name not in coeffs.relative:
            tracks[name] = given
        elif name == "scale":
            tracks[name] = given * held
        elif name == "rot":
            tracks[name] = _composed(given, base)
        else:
            tracks[name] = given + held
    return coeffs.replace(space=own.space, id=own.id, relative=frozenset(), **tracks)


def head_vertices(coeffs: Coeffs, base: PhotoFit, model: FaceModel) -> F64:
    """Vertices of every frame in the head frame, (T, 478, 3), model units.

    Args:
        coeffs: absolute tracks (`absolute`). base: the photo. model: the face model of both.
    """
    own = base.coeffs
    assert coeffs.exp is not None and own.exp is not None
    moved = base.vertices + model.offset(coeffs.exp.astype(np.float64) - own.exp[0])
    motion = EyeMotion.of(base, model)
    if coeffs.eyelid is not None:
        moved = moved + motion.lids(coeffs.eyelid)
    if coeffs.gaze is not None:
        moved = moved + motion.gaze(coeffs.gaze)
    return moved


@dataclass(frozen=True, slots=True)
class EyeMotion:
    """What lids and gaze add to a photo's vertices; exactly 0 at the photo's own closure and gaze.

    Attributes:
        opened: (478, 3) the photo's vertices with its lids opened. shut: the same with them back at `closure` (2,).
        aimed: (478, 3) the photo's irises at their own gaze. vertices: (478, 3) of the photo.
    """

    opened: F64
    shut: F64
    aimed: F64
    vertices: F64
    closure: F64

    @classmethod
    def of(cls, base: PhotoFit, model: FaceModel) -> EyeMotion:
        """Prepare a photo whose coefficients have `eyelid` and `gaze`."""
        assert base.coeffs.eyelid is not None and base.coeffs.gaze is not None
        closure = base.coeffs.eyelid[0].astype(np.float64)
        opened = eyes.open_eyelids(base.vertices, closure, rest=model.mean)
        aimed = eyes.aim_gaze(base.vertices, base.coeffs.gaze[0].astype(np.float64))
        return cls(opened, eyes.close_eyelids(opened, closure), aimed, base.vertices, closure)

    def lids(self, eyelid: npt.ArrayLike) -> F64:
        """What lids (..., 2) add, (..., 478, 3)."""
        moved: F64 = eyes.close_eyelids(self.opened, eyelid) - self.shut
        return moved

    def gaze(self, gaze: npt.ArrayLike) -> F64:
        """What a gaze (..., 2) adds, (..., 478, 3)."""
        moved: F64 = eyes.aim_gaze(self.vertices, gaze) - self.aimed
        return moved


def project_frames(vertices: F64, coeffs: Coeffs, size: tuple[int, int]) -> F64:
    """Head-frame vertices (T, V, 3) in the picture by the frames' poses: (T, V, 3) pixels, y down, depth away."""
    assert coeffs.rot is not None and coeffs.trans is not None and coeffs.scale is not None
    return project(vertices, euler_to_matrix(coeffs.rot), coeffs.trans, coeffs.scale, size)


def predict_landmarks(coeffs: Coeffs, base: PhotoFit, model: FaceModel) -> F64:
    """Where the photo's mesh points are in every frame, (T, 478, 3) pixels of the photo."""
    whole = absolute(coeffs, base)
    vertices = head_vertices(whole, base, model)
    assert vertices.shape[1] == N_POINTS
    return project_frames(vertices, whole, base.size)


def _composed(offset: npt.NDArray[np.float32], base: PhotoFit) -> npt.NDArray[np.float32]:
    return matrix_to_euler(euler_to_matrix(offset) @ base.rotation).astype(np.float32)
