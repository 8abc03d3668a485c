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
from talkhead.coeffs.retarget import is_same_person
from talkhead.errors import FaceNotFoundError, ShapeError
from talkhead.face.landmarks import Landmarks
from talkhead.face.topology import LANDMARKS_68
from talkhead.face3d import eyes
from talkhead.face3d.codes import DEFAULTS, CodeSolver, FitConfig
from talkhead.face3d.morphable import FaceModel
from talkhead.face3d.pose import Poses
from talkhead.face3d.tracks import FaceTracks
from talkhead.geometry import matrix_to_euler

F64 = npt.NDArray[np.float64]


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
    solver = CodeSolver(model, config)
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
    raw = FaceTracks(exp, poses, eyes.eye_openness(head), eyes.measure_gaze(head), None)
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


def fit_like(fit: PhotoFit, landmarks: Landmarks, like: Coeffs, model: FaceModel) -> PhotoFit:
    """A photo's fit under the identity of a clip of the same person; of another person, or of nobody, as it is.

    One picture tells identity and expression apart less well than a clip does; what is compared with a clip's absolute
    codes must have been measured against the same neutral face.

    Args:
        fit, landmarks: of the photo. like: coefficients of the clip.
    """
    if np.array_equal(like.id, fit.coeffs.id) or not is_same_person(like, fit.coeffs, model.space):  # type: ignore[arg-type]
        return fit
    return fit_photo(landmarks, fit.size, model, id_codes=like.id, eye_open=like.params.get("eye_open"))


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
        self._solver = CodeSolver(model, config)
        self._calibration_length = max(1, round(config.calibration_s * fps))
        self._waiting: list[F64] = []
        self._found: list[bool] = []
        self._id: F64 | None = None
        self._done: list[FaceTracks] = []

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
        raw = FaceTracks.joined(self._done)
        eye_open = np.percentile(raw.openness, 80, axis=0)
        found = np.array(self._found)
        if not found.all():
            raw = raw.spread(found)
        raw = raw.steadied(self._config.steadiness)
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
            self._done.append(FaceTracks(exp, poses, eyes.eye_openness(head), eyes.measure_gaze(head), kept))


def image_to_model_axes(points: npt.NDArray[np.floating[Any]], size: tuple[int, int]) -> F64:
    """Picture points (..., 3) (x right, y down, z away, pixels) as model axes about the picture's centre, pixels."""
    p = np.asarray(points, np.float64)
    return np.stack([p[..., 0] - size[0] / 2, size[1] / 2 - p[..., 1], -p[..., 2]], -1)


def _usual_openness(openness: F64, model: FaceModel) -> F64:
    """What a photo says about the person's open eyes: as open as in the photo, unless that is clearly too little."""
    typical = eyes.eye_openness(model.mean)
    # A person's eyes are about equally open; one much narrower than the other is winking.
    return np.maximum(openness, np.maximum(0.7 * typical, 0.85 * openness.max()))


def _to_coeffs(
    raw: FaceTracks, id_coeffs: F64, eye_open: F64, size: tuple[int, int], *, fps: float, space: str
) -> Coeffs:
    trans = raw.poses.shift / raw.poses.scale[:, None]
    # Depth of the whole head cannot be seen by this camera; detectors put its origin in the head.
    trans[:, 2] = 0.0
    closure = (eye_open - raw.openness) / np.maximum(eye_open - eyes.SHUT_OPENNESS, 0.01)
    tracks: dict[str, Any] = {
        "id": id_coeffs,
        "exp": raw.exp,
        "rot": matrix_to_euler(raw.poses.rotation),
        "trans": trans,
        "scale": raw.poses.scale,
        "eyelid": np.clip(closure, -0.5, 1.0),
        "gaze": raw.gaze,
        "size": np.array(size),
    }
    arrays: dict[str, Any] = {name: np.ascontiguousarray(value, np.float32) for name, value in tracks.items()}
    params = {"eye_open": [round(float(v), 5) for v in eye_open]}
    return Coeffs(space=space, fps=fps, n_frames=len(raw.exp), landmarks=raw.landmarks, params=params, **arrays)


def _own_vertices(points: F64, modelled: F64, poses: Poses, detected: float) -> F64:
    """The photo's vertices in the head frame: x and y of the picture exactly, depth between detector and model."""
    seen = poses.apply(modelled)[0]
    blended = points.copy()
    blended[:, 2] = detected * points[:, 2] + (1 - detected) * seen[:, 2]
    return poses.undo(blended[None])[0]
