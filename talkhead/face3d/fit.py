"""Mesh points -> coefficients: one photo (`fit_photo`) or a stream of frames (`VideoFitter`, `fit_video`).

Algorithm 1 of HeadGAN (Doukas et al. 2021) with fixes: pose from the points that rest on the skull, depth residuals
counting less, ridge-regularised codes, several rounds, one identity per person, lids and gaze measured apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from talkhead.coeffs.container import Coeffs
from talkhead.errors import FaceNotFoundError, ShapeError
from talkhead.face.landmarks import Landmarks
from talkhead.face.topology import (
    INNER_LIP_LOWER,
    INNER_LIP_UPPER,
    LANDMARKS_68,
    OUTER_LIP_LOWER,
    OUTER_LIP_UPPER,
)
from talkhead.face3d import eyes
from talkhead.face3d.morphable import FaceModel
from talkhead.face3d.pose import Poses, solve_poses
from talkhead.geometry import matrix_to_euler, matrix_to_rotvec, mean_rotation, rotvec_to_matrix

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

LIPS = sorted({*INNER_LIP_UPPER, *INNER_LIP_LOWER, *OUTER_LIP_UPPER, *OUTER_LIP_LOWER})
# What mesh detectors say of a shut eye: `eyes.eye_openness` of the fullest blinks in the sample clips.
SHUT_OPENNESS = 0.012


@dataclass(frozen=True, kw_only=True, slots=True)
class FitConfig:
    """How codes and poses are fitted.

    Attributes:
        rounds: alternations of pose and codes.
        ridge: weight of the squared codes, in standard deviations, against squared distances in model units; the
            noise of detected points is about 0.004 units and neighbours err together.
        lip_weight: squared errors of lip points count this much more. z_weight: factor on squared depth residuals.
        depth_detected: share of the detector's depth in `PhotoFit.vertices`, the rest is the model's.
        calibration_s: seconds of a video that decide about the identity. calibration_frames: at most this many of them.
        smooth_frames: standard deviation of the Gaussian over exp and eyelids, in frames: 0.7 takes out a third of the
            white jitter and lowers the closure of a 3-frame plosive by less than a tenth.
        chunk: frames that are fitted together.
    """

    rounds: int = 3
    ridge: float = 1e-4
    lip_weight: float = 2.0
    z_weight: float = 0.25
    depth_detected: float = 0.5
    calibration_s: float = 20.0
    calibration_frames: int = 200
    smooth_frames: float = 0.7
    chunk: int = 256


DEFAULTS = FitConfig()


@dataclass(frozen=True, kw_only=True, slots=True)
class PhotoFit:
    """A photo's face in 3-D.

    Attributes:
        coeffs: one frame: id, exp, rot, trans, scale, eyelid, gaze, size; `params["eye_open"]` is the openness that
            counts as closure 0.
        vertices: (478, 3) float64, the photo's own vertices in the head frame; their projection is the landmarks.
        rotation: (3, 3). trans: (3,) model units. scale: pixels per unit. size: width and height of the picture.
    """

    coeffs: Coeffs
    vertices: F64
    rotation: F64
    trans: F64
    scale: float
    size: tuple[int, int]


def fit_photo(
    landmarks: Landmarks,
    size: tuple[int, int],
    model: FaceModel,
    id_codes: npt.ArrayLike | None = None,
    eye_open: npt.ArrayLike | None = None,
    config: FitConfig = DEFAULTS,
) -> PhotoFit:
    """Fit one picture.

    Args:
        landmarks: the face's mesh points. size: width and height of the picture.
        model: the face model. id_codes: (n_id,) of the person when known (a clip's), default fitted.
        eye_open: (2,) openness of the person's open eyes when known (`params["eye_open"]` of a clip).
        config: how to fit.
    Raises:
        ShapeError: `id_codes` or `eye_open` have another length.
    """
    points = image_to_model_axes(landmarks.points[None], size)
    solver = _CodeSolver(model, config)
    if id_codes is None:
        id_coeffs, exp, poses = solver.fit_person(points)
    else:
        id_coeffs = np.asarray(id_codes, np.float64)
        if id_coeffs.shape != (model.n_id,):
            raise ShapeError("id_codes", id_coeffs.shape, f"({model.n_id},)")
        exp, poses = solver.fit_frames(points, id_coeffs)
    head = poses.undo(points)
    openness = eyes.eye_openness(head)[0]
    known = None if eye_open is None else np.asarray(eye_open, np.float64)
    if known is not None and known.shape != (2,):
        raise ShapeError("eye_open", known.shape, "(2,)")
    open_eye = _usual_openness(openness, model) if known is None else known
    raw = _Raw(exp, poses, eyes.eye_openness(head), eyes.measure_gaze(head), None)
    coeffs = _to_coeffs(raw, id_coeffs, open_eye, size, fps=1.0, space=model.space.name)
    # Model depth without lids and irises moved: those lie on the same eyeballs in any state.
    vertices = _own_vertices(points[0], model.shape(id_coeffs, exp[0]), poses, config.depth_detected)
    assert coeffs.trans is not None
    return PhotoFit(
        coeffs=coeffs,
        vertices=vertices,
        rotation=poses.rotation[0],
        trans=coeffs.trans[0].astype(np.float64),
        scale=float(poses.scale[0]),
        size=size,
    )


def fit_video(
    landmarks: Iterable[Landmarks | None],
    size: tuple[int, int],
    fps: float,
    model: FaceModel,
    *,
    keep_landmarks: bool = False,
    config: FitConfig = DEFAULTS,
) -> Coeffs:
    """Fit every frame of a clip with one identity; see `VideoFitter`."""
    fitter = VideoFitter(size, fps, model, keep_landmarks=keep_landmarks, config=config)
    for found in landmarks:
        fitter.add(found)
    return fitter.finish()


class VideoFitter:
    """Fits frames as they come; memory grows by a few numbers a frame.

    The first seconds are held back until the identity is known. Frames without a face are interpolated from their
    neighbours and counted in `params["frames_without_face"]`. `params["eye_open"]` holds the openness that counts as
    closure 0: the 80th percentile of each eye.

    Args:
        size: width and height of the frames. fps: their rate. model: the face model.
        keep_landmarks: also return the 68-point track. config: how to fit.
    """

    def __init__(
        self,
        size: tuple[int, int],
        fps: float,
        model: FaceModel,
        *,
        keep_landmarks: bool = False,
        config: FitConfig = DEFAULTS,
    ) -> None:
        self._size, self._fps, self._model, self._config = size, fps, model, config
        self._keep_landmarks = keep_landmarks
        self._solver = _CodeSolver(model, config)
        self._calibration_length = max(1, round(config.calibration_s * fps))
        self._waiting: list[F64] = []
        self._found: list[bool] = []
        self._id: F64 | None = None
        self._done: list[_Raw] = []

    def add(self, landmarks: Landmarks | None) -> None:
        """Take the next frame; None where no face was found."""
        self._found.append(landmarks is not None)
        if landmarks is None:
            return
        self._waiting.append(landmarks.points)
        limit = self._calibration_length if self._id is None else self._config.chunk
        if len(self._waiting) >= limit:
            self._fit_waiting()

    def finish(self) -> Coeffs:
        """The coefficients of all frames.

        Raises:
            FaceNotFoundError: not one frame had a face.
        """
        if self._waiting:
            self._fit_waiting()
        if self._id is None:
            raise FaceNotFoundError(
                f"no face found in any of {len(self._found)} frames",
                hint="the face must be visible and at least 20 pixels from eye to eye",
            )
        raw = _Raw.joined(self._done)
        eye_open = np.percentile(raw.openness, 80, axis=0)
        found = np.array(self._found)
        if not found.all():
            raw = raw.spread(found)
        raw = raw.smoothed(self._config.smooth_frames)
        coeffs = _to_coeffs(raw, self._id, eye_open, self._size, fps=self._fps, space=self._model.space.name)
        return coeffs.replace(params=dict(coeffs.params) | {"frames_without_face": int((~found).sum())})

    def _fit_waiting(self) -> None:
        points = np.array(self._waiting)
        self._waiting.clear()
        axes = image_to_model_axes(points, self._size)
        if self._id is None:
            every = -(-len(axes) // self._config.calibration_frames)
            self._id, _, _ = self._solver.fit_person(axes[::every])
        for start in range(0, len(axes), self._config.chunk):
            part = slice(start, start + self._config.chunk)
            exp, poses = self._solver.fit_frames(axes[part], self._id)
            head = poses.undo(axes[part])
            kept = points[part][:, LANDMARKS_68].astype(np.float32) if self._keep_landmarks else None
            self._done.append(_Raw(exp, poses, eyes.eye_openness(head), eyes.measure_gaze(head), kept))


def image_to_model_axes(points: npt.NDArray[np.floating], size: tuple[int, int]) -> F64:
    """Picture points (..., 3) (x right, y down, z away, pixels) as model axes about the picture's centre, pixels."""
    p = np.asarray(points, np.float64)
    return np.stack([p[..., 0] - size[0] / 2, size[1] / 2 - p[..., 1], -p[..., 2]], -1)


class _CodeSolver:
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


@dataclass(frozen=True, slots=True)
class _Raw:
    """Fitted tracks before smoothing: exp, poses, openness (T, 2), gaze (T, 2), landmarks or None."""

    exp: F64
    poses: Poses
    openness: F64
    gaze: F64
    landmarks: F32 | None

    @staticmethod
    def joined(parts: list[_Raw]) -> _Raw:
        poses = Poses(
            np.concatenate([p.poses.scale for p in parts]),
            np.concatenate([p.poses.rotation for p in parts]),
            np.concatenate([p.poses.shift for p in parts]),
        )
        kept = [p.landmarks for p in parts if p.landmarks is not None]
        return _Raw(
            np.concatenate([p.exp for p in parts]),
            poses,
            np.concatenate([p.openness for p in parts]),
            np.concatenate([p.gaze for p in parts]),
            np.concatenate(kept) if kept else None,
        )

    def mapped(self, change: Any) -> _Raw:
        """The same function of (T, n) tracks applied to all; rotations as vectors about their mean."""
        middle = mean_rotation(self.poses.rotation)
        turns = matrix_to_rotvec(middle.T @ self.poses.rotation)
        scale = np.exp(change(np.log(self.poses.scale)[:, None])[:, 0])
        poses = Poses(scale, middle @ rotvec_to_matrix(change(turns)), change(self.poses.shift))
        landmarks = None
        if self.landmarks is not None:
            flat = change(self.landmarks.reshape(len(self.landmarks), -1))
            landmarks = flat.reshape(len(flat), *self.landmarks.shape[1:]).astype(np.float32)
        return _Raw(change(self.exp), poses, change(self.openness), change(self.gaze), landmarks)

    def spread(self, found: npt.NDArray[np.bool_]) -> _Raw:
        """Tracks of the found frames laid over all frames, gaps filled linearly."""
        times, known = np.arange(len(found)), np.flatnonzero(found)

        def fill(track: F64) -> F64:
            return np.stack([np.interp(times, known, column) for column in track.T], -1)

        return self.mapped(fill)

    def smoothed(self, sigma: float) -> _Raw:
        """Light smoothing of everything but the landmarks: lips and lids alike, poses more where they hardly move."""
        middle = mean_rotation(self.poses.rotation)
        # Rotation and position in comparable units: radians, and shifts in heads (a head is about one unit).
        motion = np.concatenate(
            [
                matrix_to_rotvec(middle.T @ self.poses.rotation),
                np.log(self.poses.scale)[:, None],
                self.poses.shift / self.poses.scale[:, None],
            ],
            axis=1,
        )
        motion = _steadied(motion, sigma)
        scale = np.exp(motion[:, 3])
        poses = Poses(scale, middle @ rotvec_to_matrix(motion[:, :3]), motion[:, 4:] * scale[:, None])
        openness = _gaussian(self.openness, 0.5 * sigma)
        return _Raw(_gaussian(self.exp, sigma), poses, openness, _gaussian(self.gaze, sigma), self.landmarks)


def _gaussian(track: F64, sigma: float) -> F64:
    if sigma <= 0 or len(track) < 2:
        return track
    radius = max(1, round(4 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    padded = np.pad(track, ((radius, radius), (0, 0)), mode="edge")
    return np.stack([np.convolve(column, kernel, mode="valid") for column in padded.T], -1)


def _steadied(track: F64, sigma: float) -> F64:
    """Smoothed by `sigma` where the track moves, three times as much where it only trembles."""
    quick, slow = _gaussian(track, sigma), _gaussian(track, 3 * sigma)
    # Where both agree within the tremble of a still head, the slow one is as true and steadier.
    tremble = 0.003
    moving = (quick - slow) ** 2
    share = moving / (moving + tremble**2)
    return share * quick + (1 - share) * slow


def _usual_openness(openness: F64, model: FaceModel) -> F64:
    """What a photo says about the person's open eyes: as open as in the photo, unless that is clearly too little."""
    typical = eyes.eye_openness(model.mean)
    return np.maximum(openness, 0.7 * typical)


def _to_coeffs(raw: _Raw, id_coeffs: F64, eye_open: F64, size: tuple[int, int], *, fps: float, space: str) -> Coeffs:
    trans = raw.poses.shift / raw.poses.scale[:, None]
    # Depth of the whole head cannot be seen by this camera; detectors put its origin in the head.
    trans[:, 2] = 0.0
    closure = (eye_open - raw.openness) / np.maximum(eye_open - SHUT_OPENNESS, 0.01)
    tracks = {
        "id": id_coeffs,
        "exp": raw.exp,
        "rot": matrix_to_euler(raw.poses.rotation),
        "trans": trans,
        "scale": raw.poses.scale,
        "eyelid": np.clip(closure, -0.5, 1.0),
        "gaze": raw.gaze,
        "size": np.array(size),
    }
    return Coeffs(
        space=space,
        fps=fps,
        n_frames=len(raw.exp),
        landmarks=raw.landmarks,
        params={"eye_open": [round(float(v), 5) for v in eye_open]},
        **{name: np.ascontiguousarray(value, np.float32) for name, value in tracks.items()},
    )


def _own_vertices(points: F64, modelled: F64, poses: Poses, detected: float) -> F64:
    """The photo's vertices in the head frame: x and y of the picture exactly, depth between detector and model."""
    seen = poses.apply(modelled)[0]
    blended = points.copy()
    blended[:, 2] = detected * points[:, 2] + (1 - detected) * seen[:, 2]
    return poses.undo(blended[None])[0]
