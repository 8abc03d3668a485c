"""Identity and expression codes of tracked faces: ridge least squares in the head frame, alternating with the pose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from talkhead.face.topology import INNER_LIP_LOWER, INNER_LIP_UPPER, OUTER_LIP_LOWER, OUTER_LIP_UPPER
from talkhead.face3d import eyes
from talkhead.face3d.morphable import FaceModel
from talkhead.face3d.pose import Z_WEIGHT, Poses, solve_poses

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

LIPS = sorted({*INNER_LIP_UPPER, *INNER_LIP_LOWER, *OUTER_LIP_UPPER, *OUTER_LIP_LOWER})


@dataclass(frozen=True, kw_only=True, slots=True)
class FitConfig:
    """How codes and poses are fitted.

    Attributes:
        rounds: alternations of pose and codes.
        ridge: weight of the squared codes, in standard deviations, against squared distances in model units. The
            noise of detected points is about 0.004 units, and neighbours err together.
        lip_weight: squared errors of lip points count this much more. z_weight: factor on squared depth residuals.
        depth_detected: share of the detector's depth in `PhotoFit.vertices`, the rest is the model's.
        calibration_s: seconds of a video that decide about the identity. calibration_frames: at most this many of them.
        steadiness: scale of the noise that temporal smoothing expects; 0 switches it off.
        chunk: frames that are fitted together.
    """

    rounds: int = 3
    ridge: float = 5e-5
    lip_weight: float = 3.0
    z_weight: float = Z_WEIGHT
    depth_detected: float = 0.5
    calibration_s: float = 20.0
    calibration_frames: int = 200
    steadiness: float = 1.0
    chunk: int = 256


DEFAULTS = FitConfig()


class CodeSolver:
    """Ridge-regularised codes of posed faces; all matrices are made once."""

    def __init__(self, model: FaceModel, config: FitConfig) -> None:
        self._model, self._config = model, config
        self._pose_weights = model.pose_weights.astype(np.float64)
        weights = np.ones((len(model.mean), 3))
        weights[LIPS] = config.lip_weight
        weights[eyes.IRIS.ravel()] = 0.0
        weights[:, 2] *= config.z_weight
        self._weights = weights.ravel()
        self._exp_solve = self._normal(model.exp_basis, model.space.exp_std)
        both = np.concatenate([model.id_basis, model.exp_basis])
        self._both_solve = self._normal(both, np.concatenate([model.space.id_std, model.space.exp_std]))

    def _normal(self, basis: F32, std: F32) -> F64:
        """The matrix that takes weighted offsets (V * 3) to codes."""
        flat = basis.reshape(len(basis), -1).astype(np.float64)
        weighted = flat * self._weights
        # A padded component has no deviation; the huge ridge keeps its code at exactly nothing.
        ridge = self._config.ridge / np.maximum(std.astype(np.float64), 1e-9) ** 2
        return np.linalg.solve(weighted @ flat.T + np.diag(ridge), weighted)

    def fit_person(self, points: F64) -> tuple[F64, F64, Poses]:
        """One identity for all frames (T, 478, 3); returns id (n_id,), exp (T, n_exp), poses."""
        model = self._model
        id_coeffs, exp = np.zeros(model.n_id), np.zeros((len(points), model.n_exp))
        for _ in range(self._config.rounds):
            poses = self._poses(points, id_coeffs, exp)
            offset = self._offsets(poses.undo(points), model.shape(id_coeffs)) + (model.shape(id_coeffs) - model.mean)
            codes = offset.reshape(len(points), -1) @ self._both_solve.T
            id_coeffs, exp = np.median(codes[:, : model.n_id], axis=0), codes[:, model.n_id :]
        exp, poses = self.fit_frames(points, id_coeffs)
        return id_coeffs, exp, poses

    def fit_frames(self, points: F64, id_coeffs: F64) -> tuple[F64, Poses]:
        """Expressions (T, n_exp) and poses of frames (T, 478, 3) of a known person."""
        person = self._model.shape(id_coeffs)
        exp = np.zeros((len(points), self._model.n_exp))
        for _ in range(self._config.rounds):
            poses = self._poses(points, id_coeffs, exp)
            offset = self._offsets(poses.undo(points), person)
            exp = offset.reshape(len(points), -1) @ self._exp_solve.T
        return exp, self._poses(points, id_coeffs, exp)

    def _poses(self, points: F64, id_coeffs: F64, exp: F64) -> Poses:
        shapes = self._model.shape(id_coeffs, exp)
        return solve_poses(shapes, points, self._pose_weights, z_weight=self._config.z_weight)

    @staticmethod
    def _offsets(head: F64, person: F64) -> F64:
        """Frames minus the person's neutral face, with the lids put where they rest."""
        return eyes.set_lid_gaps(head, eyes.lid_gaps(person)) - person
