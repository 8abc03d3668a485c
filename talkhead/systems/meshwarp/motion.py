"""Coefficients -> the driven face of one photo, frame by frame: what relative and absolute tracks mean here."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from talkhead.coeffs.container import Coeffs
from talkhead.errors import CoeffFileError
from talkhead.face.landmarks import Landmarks
from talkhead.face.topology import CHIN, MOUTH_CORNERS
from talkhead.face3d.fit import PhotoFit, fit_like
from talkhead.face3d.lips import closing_codes
from talkhead.face3d.morphable import FaceModel
from talkhead.face3d.posed import EyeMotion
from talkhead.geometry import euler_to_matrix, matrix_to_euler
from talkhead.systems.meshwarp.config import (
    PITCH_LIMIT_DEG,
    ROLL_LIMIT_DEG,
    UNITS_PER_EYE_DISTANCE,
    YAW_LIMIT_DEG,
)
from talkhead.systems.meshwarp.mesh import Pose, smoothstep

log = logging.getLogger(__name__)

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

_LIMITS = np.radians([PITCH_LIMIT_DEG, YAW_LIMIT_DEG, ROLL_LIMIT_DEG])
_SOFT = 0.7  # compression of the rotation starts at this share of its limit
_WORTH_SAYING = np.radians(2.0)  # a turn held back by less than this goes unnoticed
_STRETCH = 0.2  # closure up to which lids are warped; more would stretch the lashes into spikes
_LID_GAIN = 1.35  # half-closed painted lids read as more open than they are: they come down a little further
_ROUNDING = (0.03, 0.10)  # narrowing at which lips come to stand before the teeth, start and end, eye distances
_FLARED = (0.015, 0.045)  # opening beyond what the jaw gives at which such lips are drawn off the teeth again (sh)
_SMILE_YIELDS = 0.5  # who smiles in the photo gives up this share of the smile for a fully rounded u


@dataclass(frozen=True, kw_only=True, slots=True)
class FrameMotion:
    """What one frame needs: `face` (478, 3) head frame, `pose`, `closure` (2,) of the subject's left and right eye.

    `skin` is the face as the mesh shows it: its lids come down only a little, the rest is painted. `pursing` is how far
    rounded lips stand before the teeth, `tongue` how far its tip is raised, both 0..1. `speaks`: the expression is
    relative, so what the photo shows between its lips must not flash up whenever they pass through their own opening.
    """

    face: F64
    skin: F64
    pose: Pose
    closure: F64
    pursing: float = 0.0
    tongue: float = 0.0
    speaks: bool = False


class MotionResolver:
    """Turns coefficient rows into driven faces of one photo.

    Args:
        fit: of the photo. landmarks, size: of the photo, to refit it under the driver's identity. model: face model.
        coeffs: the motion; its `relative` tracks are offsets from the photo's rest. aside: where the middle of the
            whole photo is, of which this may be a part, from this picture's middle, (2,) pixels: heads that come
            nearer grow about it.
    Raises:
        CoeffFileError: `exp` is in another face model's space.
    """

    def __init__(
        self,
        fit: PhotoFit,
        landmarks: Landmarks,
        model: FaceModel,
        coeffs: Coeffs,
        aside: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        if coeffs.exp is not None and coeffs.space != model.space.name:
            raise CoeffFileError(
                f"exp is in space {coeffs.space}, this renderer needs {model.space.name}",
                hint="make the coefficients with this version, or convert them with edit --space",
            )
        self._model, self._coeffs, self._fit = model, coeffs, fit
        rest = fit.coeffs
        assert rest.rot is not None and rest.trans is not None and rest.scale is not None
        self._rest_rotation = euler_to_matrix(rest.rot[0])
        self._rest_trans, self._rest_scale = rest.trans[0].astype(np.float64), float(rest.scale[0])
        self._aside = np.array([aside[0], -aside[1], 0.0]) / self._rest_scale
        own = fit_like(fit, landmarks, coeffs, model).coeffs
        assert own.rot is not None and own.trans is not None and own.scale is not None
        self._own_rotation = euler_to_matrix(own.rot[0])
        self._own_trans, self._own_scale = own.trans[0].astype(np.float64), float(own.scale[0])
        self._own_exp = np.zeros(model.n_exp) if own.exp is None else own.exp[0].astype(np.float64)
        self._eyes = EyeMotion.of(replace(fit, coeffs=own), model)
        assert own.gaze is not None
        self._own_gaze = own.gaze[0].astype(np.float64)
        self._closing = closing_codes(fit.vertices, model)
        self._smile = smile_codes(fit.vertices - model.offset(self._own_exp), fit.vertices, model)
        self._width = _width_of(model)
        self._opening = np.asarray(model.space.opening, np.float64)
        self._chin_drop = -np.asarray(model.exp_basis[:, CHIN, 1], np.float64) / UNITS_PER_EYE_DISTANCE
        self._warned = False

    def at(self, t: int) -> FrameMotion:
        """The driven face of frame `t`."""
        c = self._coeffs
        face, pursing = self._fit.vertices, 0.0
        if c.exp is not None:
            pursing = self._pursing(c.exp[t])
            codes = self._spoken(c.exp[t]) if "exp" in c.relative else c.exp[t] - self._own_exp
            face = face + self._model.offset(codes)
        if c.gaze is not None:
            face = face + self._eyes.gaze(c.gaze[t] + (self._own_gaze if "gaze" in c.relative else 0))
        closing, skin = np.zeros(2), face
        if c.eyelid is not None:
            beyond = c.eyelid[t] - self._eyes.closure
            warped = np.where(beyond > 0, _STRETCH * np.tanh(beyond / _STRETCH), beyond)
            skin = face + self._eyes.lids(self._eyes.closure + warped)
            room = np.maximum(1 - self._eyes.closure, 0.2)
            closing = 1 - (1 - np.clip(beyond / room, 0, 1)) ** _LID_GAIN
            lowered = np.where(beyond > 0, self._eyes.closure + room * closing, c.eyelid[t])
            face = face + self._eyes.lids(lowered)
        tongue = 0.0 if c.tongue is None else float(np.clip(c.tongue[t], 0, 1))
        return FrameMotion(
            face=face, skin=skin, pose=self._pose(t), closure=closing, pursing=pursing, tongue=tongue,
            speaks=c.exp is not None and "exp" in c.relative,
        )  # fmt: skip

    def _pursing(self, exp: F32) -> float:
        """How far lips are rounded and not flared, 0..1: o and u hide the teeth, sh shows them clenched."""
        flare = (self._opening - self._chin_drop) @ exp
        return self._rounding(exp) * (1 - float(smoothstep(*_FLARED, flare)))

    def _rounding(self, exp: F32) -> float:
        """How far an expression brings the corners of the mouth together, 0..1."""
        return float(smoothstep(*_ROUNDING, -(self._width @ exp)))

    def _spoken(self, offset: F32) -> F64:
        """Relative codes on this photo: on its own lips closed, and on less of its smile where lips are rounded."""
        codes: F64 = offset + self._closing - _SMILE_YIELDS * self._rounding(offset) * self._smile
        return codes

    def _pose(self, t: int) -> Pose:
        c = self._coeffs
        rotation, trans, scale = self._rest_rotation, self._rest_trans, self._rest_scale
        if c.rot is not None:
            given = euler_to_matrix(c.rot[t])
            offset = given if "rot" in c.relative else given @ self._own_rotation.T
            rotation = self._limited(offset) @ rotation
        if c.trans is not None:
            trans = trans + c.trans[t] - (0 if "trans" in c.relative else self._own_trans)
        if c.scale is not None:
            zoom = float(c.scale[t]) / (1 if "scale" in c.relative else self._own_scale)
            scale = scale * zoom
            if "scale" in c.relative:
                trans = trans + self._aside * (1 / zoom - 1)
        return Pose(rotation=rotation, trans=trans, scale=scale)

    def _limited(self, offset: F64) -> F64:
        """Compress a rotation away from the photo softly towards the limits; say so once."""
        angles = matrix_to_euler(offset)
        size = np.abs(angles) / _LIMITS
        if (size <= _SOFT).all():
            return offset
        over = np.maximum(size - _SOFT, 0) / (1 - _SOFT)
        limited = np.sign(angles) * _LIMITS * np.where(size > _SOFT, _SOFT + (1 - _SOFT) * np.tanh(over), size)
        lost = np.abs(angles) - np.abs(limited)
        if not self._warned and lost.max() > _WORTH_SAYING:
            worst = int(np.argmax(lost))
            log.warning(
                "the head turns %.0f degrees (%s) away from the photo; %.0f are shown: a photo has no more",
                np.degrees(np.abs(angles[worst])), ("pitch", "yaw", "roll")[worst],
                np.degrees(np.abs(limited[worst])),
            )  # fmt: skip
            self._warned = True
        return euler_to_matrix(limited)


def smile_codes(relaxed: F64, face: F64, model: FaceModel) -> F64:
    """Expression codes of the smile that makes the photo's mouth wider than the person's relaxed one; (n_exp,).

    Args:
        relaxed, face: (478, 3) without and with the photo's expression, head frame. model: with a `smile` control.
    """
    direction = model.space.controls["smile"].astype(np.float64)
    wider = (_width(face) - _width(relaxed)) / max(float(direction @ _width_of(model)), 1e-6)
    return float(np.clip(wider, 0.0, 2.0)) * direction


def _width_of(model: FaceModel) -> F64:
    """Distance of the mouth's corners per unit of each code, eye distances, (n_exp,)."""
    left, right = MOUTH_CORNERS
    return np.asarray(model.exp_basis[:, right, 0] - model.exp_basis[:, left, 0], np.float64) / UNITS_PER_EYE_DISTANCE


def _width(face: F64) -> float:
    left, right = MOUTH_CORNERS
    return float(face[right, 0] - face[left, 0]) / UNITS_PER_EYE_DISTANCE
