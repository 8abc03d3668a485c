"""Algorithm 1 of HeadGAN (Doukas et al. 2021, appendix A): any dense points of a face -> codes and camera.

Points are those of some vertices of any `ShapeModel`. The product's own fit of tracked meshes is `face3d.fit`, which
weighs depth and knows lids; this one takes the points as they are, as a regressor of 3-D points gives them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from talkhead.errors import ShapeError, UsageError
from talkhead.face3d.camera import IMAGE_FLIP
from talkhead.face3d.morphable import FaceModel, ShapeModel, similarity_tangent
from talkhead.face3d.weak_camera import affine_camera, camera_from_affine, decompose_affine
from talkhead.geometry import fit_similarity

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class DenseFitConfig:
    """How algorithm 1 is done.

    Attributes:
        fit_iters: rounds of registration and codes; the paper does one, which leaves the pose of the mean shape in the
            codes of another face.
        joint: codes together with what a small change of the pose does (`similarity_tangent`), so that the rounds
            converge whichever points there are (our addition).
        bound_id, bound_exp: largest absolute codes; None: no bounds (the paper). in_std: whether they count standard
            deviations or are codes.
        camera_points: which shape the camera is measured on: `fitted`, or `mean` as in the paper, which biases the pose
            by more than a degree.
        orthogonal: whether the camera's rotation is made one (`decompose_affine`).
    """

    fit_iters: int = 3
    joint: bool = True
    bound_id: float | None = 3.0
    bound_exp: float | None = 3.0
    in_std: bool = True
    camera_points: Literal["fitted", "mean"] = "fitted"
    orthogonal: bool = True

    def __post_init__(self) -> None:
        if self.fit_iters < 1:
            raise UsageError(f"{self.fit_iters} rounds of fitting, expected at least 1")
        if self.camera_points not in ("fitted", "mean"):
            raise UsageError(f"no camera points {self.camera_points!r}", hint="fitted or mean")


OURS = DenseFitConfig()
PAPER = DenseFitConfig(fit_iters=1, joint=False, bound_id=None, bound_exp=None, camera_points="mean", orthogonal=False)
RELEASE = DenseFitConfig(
    fit_iters=1, joint=False, bound_id=0.8, bound_exp=1.5, in_std=False, camera_points="mean", orthogonal=False
)
"""Of the published code: codes are kept in a box, in the units of its model."""


@dataclass(frozen=True, slots=True)
class DenseFit:
    """One face in 3-D.

    Attributes:
        id: (n_id,), exp: (n_exp,) codes. matrix: (3, 4) affine camera to picture pixels. scale: pixels per unit.
            rotation: (3, 3) and shift: (3,) pixels, both in the picture's axes (y down, z away).
    """

    id: F64
    exp: F64
    matrix: F64
    scale: float
    rotation: F64
    shift: F64

    @property
    def camera(self) -> F64:
        """The seven numbers of `weak_camera`, (7,); the axis flip is taken out of the angles."""
        return camera_from_affine(np.concatenate([self.scale * self.rotation, self.shift[:, None]], 1))


class DenseFitter:
    """Fits one model to points of the same vertices again and again; matrices are made once.

    Args:
        model: any. indices: (M,) vertices the points are of, default all. config: how to fit.
        camera_mean: (V, 3) another mean shape of the same mesh that the camera is measured on with
            `camera_points="mean"`; default the model's own.
    Raises:
        ShapeError: an array has another shape. UsageError: the points cannot say all the codes.
    """

    def __init__(
        self,
        model: ShapeModel,
        indices: npt.ArrayLike | None = None,
        config: DenseFitConfig = OURS,
        camera_mean: npt.ArrayLike | None = None,
    ) -> None:
        chosen = np.arange(len(model.mean)) if indices is None else np.asarray(indices, np.int64)
        if chosen.ndim != 1 or chosen.size and (chosen.min() < 0 or chosen.max() >= len(model.mean)):
            raise ShapeError("indices", chosen.shape, f"(M,) numbers below {len(model.mean)}")
        self._config, self._n_id = config, model.n_id
        self._mean = model.mean[chosen].astype(np.float64)
        on = model.mean if camera_mean is None else np.asarray(camera_mean)
        if on.shape != model.mean.shape:
            raise ShapeError("camera_mean", on.shape, f"{model.mean.shape}")
        self._camera_mean = on[chosen].astype(np.float64)
        basis = np.concatenate([model.id_basis, model.exp_basis])[:, chosen].astype(np.float64)
        self._basis = basis.reshape(len(basis), -1).T  # (3 M, n_id + n_exp)
        tangent = similarity_tangent(self._mean).reshape(7, -1).T if config.joint else np.zeros((self._mean.size, 0))
        self._columns = np.concatenate([self._basis, tangent], 1)
        if len(self._columns) < self._columns.shape[1]:
            raise UsageError(f"{len(chosen)} points cannot say {self._columns.shape[1]} numbers")
        self._solve = np.linalg.pinv(self._columns)
        self._limits = self._box(model)
        # Points that rest on the skull decide about the pose, as in the model's bases (`remove_similarity`).
        weights = (
            model.pose_weights[chosen].astype(np.float64) if isinstance(model, FaceModel) else np.ones(len(chosen))
        )
        self._weights = weights if (weights > 0).sum() >= 4 else np.ones(len(chosen))

    def fit(self, points: npt.ArrayLike) -> DenseFit:
        """Codes and camera of one face.

        Args:
            points: (M, 3) pixels of the picture: x right, y down, z away from the camera in the same scale.
        Raises:
            ShapeError: `points` has another shape.
        """
        seen = np.asarray(points, np.float64)
        if seen.shape != self._mean.shape:
            raise ShapeError("points", seen.shape, f"{self._mean.shape}")
        upright = seen @ IMAGE_FLIP
        shape = self._mean
        weights = self._weights if self._config.joint else None
        codes = np.zeros(self._basis.shape[1])
        for _ in range(self._config.fit_iters):
            scale, rotation, shift = fit_similarity(upright, shape, weights)
            registered = scale * upright @ rotation.T + shift
            codes = self._codes((registered - self._mean).ravel())
            shape = self._mean + (self._basis @ codes).reshape(-1, 3)
        on = shape if self._config.camera_points == "fitted" else self._camera_mean
        matrix = affine_camera(on, seen)
        s, r, t = decompose_affine(matrix, orthogonal=self._config.orthogonal)
        return DenseFit(codes[: self._n_id], codes[self._n_id :], matrix, float(s), r, t)

    def _codes(self, offset: F64) -> F64:
        """Codes (n_id + n_exp,) of an offset (3 M,), inside the box."""
        free = self._solve @ offset
        n = self._basis.shape[1]
        if self._limits is None or (np.abs(free[:n]) <= self._limits).all():
            return free[:n]
        from scipy.optimize import lsq_linear

        bounds = np.full(self._columns.shape[1], np.inf)
        bounds[:n] = self._limits
        # The active set of the box is found exactly (Stark and Parker 1995), as no descent would.
        found: Any = lsq_linear(self._columns, offset, (-bounds, bounds), method="bvls", tol=1e-14, max_iter=20 * n)
        return np.clip(found.x[:n], -self._limits, self._limits)

    def _box(self, model: ShapeModel) -> F64 | None:
        config = self._config
        if config.bound_id is None and config.bound_exp is None:
            return None
        parts = []
        for bound, std in ((config.bound_id, model.space.id_std), (config.bound_exp, model.space.exp_std)):
            unit = std.astype(np.float64) if config.in_std else np.ones(len(std))
            # A padded component (deviation 0) is held at a sliver: the solver wants room between its bounds.
            parts.append(np.full(len(std), np.inf) if bound is None else np.maximum(bound * unit, 1e-12))
        return np.concatenate(parts)


def fit_frames(fitter: DenseFitter, frames: list[npt.NDArray[np.floating[Any]] | None]) -> tuple[F64, F64, F64]:
    """Algorithm 1 on every frame of a video; the identity is the mean over the frames (HeadGAN, section 3.1).

    Args:
        fitter: of the model. frames: (M, 3) points each; None where there are none: the frame before is used again.
    Returns:
        id (n_id,), exp (T, n_exp), camera (T, 7).
    Raises:
        UsageError: no frame has points.
    """
    known = next((frame for frame in frames if frame is not None), None)
    if known is None:
        raise UsageError(f"none of {len(frames)} frames has points of a face")
    fits, last = [], fitter.fit(known)
    for frame in frames:
        last = last if frame is None else fitter.fit(frame)
        fits.append(last)
    return (
        np.mean([fit.id for fit in fits], 0),
        np.stack([fit.exp for fit in fits]),
        np.stack([fit.camera for fit in fits]),
    )
