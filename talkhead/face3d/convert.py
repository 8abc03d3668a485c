"""Codes of one face model as codes of another, where both are at hand: the shapes are made alike on shared points.

The 68 landmarks are shared by every two models, more points where somebody has registered them. Identity: the shape of
model A is laid on the mean of model B (Umeyama 1991) and codes of B are fitted to it. Expression: what A's expression
adds to its neutral face is fitted by B's expression basis. Both by ridge least squares in standard deviations.

Lids: the built-in model moves them apart from its expressions (`face3d.eyes`), models such as the Basel one by them. On
the way out closure becomes a movement of the lid points, on the way in it is read off them. In shapes, N is the number
of shared points.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from talkhead.errors import CoeffFileError, ShapeError
from talkhead.face3d import eyes
from talkhead.face3d.morphable import FaceModel, ShapeModel
from talkhead.geometry import fit_similarity

F64 = npt.NDArray[np.float64]
Indices = npt.NDArray[np.integer[Any]]

# Lid points of the 68, (eye, pair), subject's left eye first, and the outer eye corners.
_UPPER_LIDS = np.array([[43, 44], [38, 37]])
_LOWER_LIDS = np.array([[47, 46], [40, 41]])
_OUTER_CORNERS = (45, 36)
_CHUNK = 512  # frames at a time, so that long clips stay in bounded memory


@dataclass(frozen=True, kw_only=True, slots=True)
class ConvertConfig:
    """How codes are fitted.

    Attributes:
        ridge: weight of the squared codes, in standard deviations, against squared distances in model units, summed
            over the points: points that share a name differ by about 1 mm in how they move. Ten times as much would
            take an eighth of the motion away on a round trip over the landmarks.
        limit_mm: a conversion that leaves more than this (root mean square over points and frames) is refused.
    """

    ridge: float = 1e-4
    limit_mm: float = 3.0


DEFAULTS = ConvertConfig()


@dataclass(frozen=True, kw_only=True, slots=True)
class HeadFrame:
    """Where the head frame of model A lies in that of B: `p_b = scale * rotation @ p_a + shift`.

    Attributes:
        scale: of sizes. rotation: (3, 3). shift: (3,), units of B.
    """

    scale: float
    rotation: F64
    shift: F64

    @classmethod
    def same(cls) -> HeadFrame:
        """Both frames are one."""
        return cls(scale=1.0, rotation=np.eye(3), shift=np.zeros(3))

    def inverse(self) -> HeadFrame:
        """The way back."""
        rotation = self.rotation.T
        return HeadFrame(scale=1 / self.scale, rotation=rotation, shift=-rotation @ self.shift / self.scale)


@dataclass(frozen=True, kw_only=True, slots=True)
class ConvertedCodes:
    """Codes of the target model.

    Attributes:
        id: (n_id,) or None. exp: (T, n_exp) or None. eyelid: (T, 2) closure, where the target keeps lids apart.
        residual_mm: what of the expression's movement the target cannot show; root mean square over points and frames.
        id_residual_mm: the same of the neutral shape.
    """

    id: F64 | None
    exp: F64 | None
    eyelid: F64 | None
    residual_mm: float
    id_residual_mm: float


def convert_codes(
    source: ShapeModel,
    target: ShapeModel,
    *,
    id_coeffs: npt.ArrayLike | None = None,
    exp: npt.ArrayLike | None = None,
    eyelid: npt.ArrayLike | None = None,
    points: Indices | None = None,
    config: ConvertConfig = DEFAULTS,
) -> ConvertedCodes:
    """Convert codes of one model; see `ModelConversion`, which keeps what it has worked out."""
    way = ModelConversion(source, target, points=points, config=config)
    return way.convert(id_coeffs=id_coeffs, exp=exp, eyelid=eyelid)


class ModelConversion:
    """The way from one model to another.

    Args:
        source, target: the models. points: (N, 2) vertices of source and target that correspond, where more than the
            landmarks are known; these must not be lid points if only one of the models keeps lids apart.
        config: how codes are fitted.
    Raises:
        ShapeError: `points` is not (N, 2).
    """

    def __init__(
        self,
        source: ShapeModel,
        target: ShapeModel,
        *,
        points: Indices | None = None,
        config: ConvertConfig = DEFAULTS,
    ) -> None:
        pairs = np.stack([source.landmarks68, target.landmarks68], axis=1) if points is None else np.asarray(points)
        if pairs.ndim != 2 or pairs.shape[1] != 2:
            raise ShapeError("points", pairs.shape, "(N, 2)")
        self._a, self._b, self._config = source, target, config
        self._is_same = source.space.name == target.space.name
        self._pa, self._pb = pairs[:, 0], pairs[:, 1]
        scale, rotation, shift = fit_similarity(self._mean(source)[self._pa], self._mean(target)[self._pb])
        self.head = HeadFrame(scale=scale, rotation=rotation, shift=shift)
        self._reads_lids = isinstance(target, FaceModel) and not isinstance(source, FaceModel)
        self._lowers_lids = isinstance(source, FaceModel) and not isinstance(target, FaceModel)
        used = np.ones(len(pairs))
        if self._reads_lids:
            lids = target.landmarks68[np.concatenate([_UPPER_LIDS, _LOWER_LIDS]).ravel()]
            used[np.isin(self._pb, lids)] = 0.0
        self._used = used > 0
        self._exp_solve = self._normal(target.exp_basis, target.space.exp_std)
        both = np.concatenate([target.id_basis, target.exp_basis])
        self._both_solve = self._normal(both, np.concatenate([target.space.id_std, target.space.exp_std]))

    def convert(
        self,
        *,
        id_coeffs: npt.ArrayLike | None = None,
        exp: npt.ArrayLike | None = None,
        eyelid: npt.ArrayLike | None = None,
    ) -> ConvertedCodes:
        """Convert what is given.

        Args:
            id_coeffs: (n_id,), default the mean face. exp: (T, n_exp), of the face or offsets from its rest.
            eyelid: (T, 2) closure; into a model whose expressions move the lids it becomes part of `exp`.
        Returns:
            Codes of the target; `id` if `id_coeffs` was given, `exp` if `exp` or lids were.
        Raises:
            ShapeError: a code has another length. CoeffFileError: more than `limit_mm` is left of the expression.
        """
        if self._is_same:
            return ConvertedCodes(
                id=_array(id_coeffs), exp=_array(exp), eyelid=_array(eyelid), residual_mm=0.0, id_residual_mm=0.0
            )
        identity, id_residual = (None, 0.0) if id_coeffs is None else self._identity(id_coeffs)
        moves = exp is not None or (eyelid is not None and self._lowers_lids)
        if not moves:
            return ConvertedCodes(
                id=identity, exp=None, eyelid=_array(eyelid), residual_mm=0.0, id_residual_mm=id_residual
            )
        n_frames = len(np.asarray(eyelid if exp is None else exp))
        given = np.zeros((n_frames, self._a.n_exp)) if exp is None else np.asarray(exp, np.float64)
        closure = _array(eyelid)
        codes, lids, left = [], [], 0.0
        for start in range(0, n_frames, _CHUNK):
            part = slice(start, start + _CHUNK)
            moved = self._movement(id_coeffs, given[part], None if closure is None else closure[part])
            fitted, rest = self._fit_exp(moved)
            codes.append(fitted)
            left += rest
            if self._reads_lids:
                lids.append(self._closure(id_coeffs, given[part]))
        residual = self._in_mm(left / max(n_frames, 1))
        if residual > self._config.limit_mm:
            raise CoeffFileError(
                f"expressions of {self._a.space.name} cannot be shown in {self._b.space.name}:"
                f" {residual:.1f} mm are left, {self._config.limit_mm:g} mm are allowed"
            )
        if self._reads_lids:
            read = np.concatenate(lids) + (0.0 if closure is None else closure)
            closure = np.clip(read, -0.5, 1.0)
        elif self._lowers_lids:
            closure = None
        return ConvertedCodes(
            id=identity, exp=np.concatenate(codes), eyelid=closure, residual_mm=residual, id_residual_mm=id_residual
        )

    def _mean(self, model: ShapeModel) -> F64:
        return model.mean.astype(np.float64)

    def _normal(self, basis: npt.NDArray[np.float32], std: npt.NDArray[np.float32]) -> F64:
        """The matrix that takes movements (N * 3) of the used points to codes."""
        flat = basis[:, self._pb[self._used]].reshape(len(basis), -1).astype(np.float64)
        ridge = self._config.ridge / np.maximum(std.astype(np.float64), 1e-9) ** 2
        return np.linalg.solve(flat @ flat.T + np.diag(ridge), flat)

    def _identity(self, id_coeffs: npt.ArrayLike) -> tuple[F64, float]:
        """Identity codes of the target and what is left, in mm."""
        shape = self._a.shape(id_coeffs)[self._pa]
        goal = self._mean(self._b)[self._pb]
        scale, rotation, shift = fit_similarity(shape, goal)
        wanted = (scale * shape @ rotation.T + shift - goal)[self._used].ravel()
        codes = self._both_solve @ wanted
        basis = np.concatenate([self._b.id_basis, self._b.exp_basis])[:, self._pb[self._used]]
        left = wanted - codes @ basis.reshape(len(basis), -1)
        return codes[: self._b.n_id], self._in_mm(float((left**2).sum()))

    def _movement(self, id_coeffs: npt.ArrayLike | None, exp: F64, closure: F64 | None) -> F64:
        """What expression and lids add to the used points, in the head frame of the target, (T, N, 3)."""
        a = self._a
        if exp.shape[-1] != a.n_exp:
            raise ShapeError("exp", exp.shape, f"(T, {a.n_exp})")
        basis = a.exp_basis[:, self._pa].reshape(a.n_exp, -1).astype(np.float64)
        moved = (exp @ basis).reshape(len(exp), -1, 3)  # (T, N, 3)
        if closure is not None and self._lowers_lids:
            moved = moved + self._lid_movement(a.shape(id_coeffs), closure)
        turned: F64 = self.head.scale * moved[:, self._used] @ self.head.rotation.T
        return turned

    def _lid_movement(self, open_face: F64, closure: F64) -> F64:
        """What closing the lids adds to the source's points, as large as the target's open eyes need it, (T, N, 3)."""
        way = (eyes.close_eyelids(open_face, closure) - open_face)[:, self._pa]
        ours = _lid_gaps(open_face[self._a.landmarks68])
        theirs = _lid_gaps(self._mean(self._b)[self._b.landmarks68]) / self.head.scale
        middle = open_face[:, 0].mean()
        is_left = open_face[self._pa, 0] > middle  # the subject's left lies at image right
        ratio = theirs / np.maximum(ours, 1e-6)
        moved: F64 = way * np.where(is_left, ratio[0], ratio[1])[:, None]
        return moved

    def _closure(self, id_coeffs: npt.ArrayLike | None, exp: F64) -> F64:
        """How far the source's expressions close its eyes, (T, 2) left, right."""
        a = self._a
        rest = a.shape(id_coeffs)[a.landmarks68]
        moved = (exp @ a.exp_basis[:, a.landmarks68].reshape(a.n_exp, -1).astype(np.float64)).reshape(len(exp), 68, 3)
        opening = _lid_gaps(rest)
        shut = eyes.SHUT_OPENNESS * float(np.linalg.norm(rest[_OUTER_CORNERS[0]] - rest[_OUTER_CORNERS[1]]))
        closure: F64 = (opening - _lid_gaps(rest + moved)) / np.maximum(opening - shut, 1e-6)
        return closure

    def _fit_exp(self, moved: F64) -> tuple[F64, float]:
        """Expression codes of the target, and the sum of the squares that are left."""
        flat = moved.reshape(len(moved), -1)
        codes = flat @ self._exp_solve.T
        left = flat - codes @ self._b.exp_basis[:, self._pb[self._used]].reshape(self._b.n_exp, -1)
        return codes, float((left**2).sum())

    def _in_mm(self, squares: float) -> float:
        """Root mean square distance of a point, from the sum of squares of one frame."""
        return float(np.sqrt(squares / max(int(self._used.sum()), 1))) * self._b.unit_mm


def _lid_gaps(landmarks: F64) -> F64:
    """Height of the opening of both eyes, (..., 2) left, right, of landmarks (..., 68, 3)."""
    gaps: F64 = (landmarks[..., _UPPER_LIDS, 1] - landmarks[..., _LOWER_LIDS, 1]).mean(-1)
    return gaps


def _array(value: npt.ArrayLike | None) -> F64 | None:
    return None if value is None else np.asarray(value, np.float64)
