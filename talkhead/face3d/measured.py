"""Codes of one face model as codes of another, learnt from pictures that were measured in both.

Where a model is not at hand, but a network that measures faces in it is: faces are drawn with known codes of model A,
the network answers codes of model B, and ridge regression takes the one to the other and back. A part that nothing was
learnt from tells how good that is. In shapes, N is the number of pairs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from talkhead.errors import CoeffFileError, InputError, ShapeError
from talkhead.files import atomic_output
from talkhead.geometry import mean_rotation

F64 = npt.NDArray[np.float64]
Distance = Callable[[F64, F64], F64]
"""Codes of A as predicted and as they were, (N, n_a) each -> distances of the points, (N, K), mm."""

FORMAT_VERSION = 1
_RIDGES = np.geomspace(1e-3, 1e4, 29)  # in squared standard deviations of the inputs
_MIN_PAIRS = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class LinearMap:
    """`codes @ matrix + offset`.

    Attributes:
        matrix: (n_in, n_out). offset: (n_out,): what the neutral face of the input is in the output.
        explained: share of the variance of pairs not learnt from that it predicts: 1 all, 0 no better than their mean.
    """

    matrix: F64
    offset: F64
    explained: float

    def __call__(self, codes: npt.ArrayLike, *, relative: bool = False) -> F64:
        """Map codes (T, n_in) to (T, n_out); `relative`: offsets from a rest, which stay such."""
        moved: F64 = np.asarray(codes, np.float64) @ self.matrix
        return moved if relative else moved + self.offset


@dataclass(frozen=True, kw_only=True, slots=True)
class LinearConversion:
    """Both ways between the codes of models A and B.

    Attributes:
        to_b, to_a: the ways. turn: (3, 3), `R_a = R_b @ turn`: where B's head frame looks in that of A.
        residual_mm: distance between the points that codes of A gave and those that come of what was measured in B;
            root mean square over points and pairs not learnt from. moved_mm: how far the points were from their mean.
        n_pairs: learnt from.
    """

    to_b: LinearMap
    to_a: LinearMap
    turn: F64
    residual_mm: float
    moved_mm: float
    n_pairs: int

    def require_useful(self, limit_mm: float, explained: float) -> None:
        """Refuse a conversion that says little.

        Args:
            limit_mm: largest residual. explained: least share of the variance, either way.
        Raises:
            CoeffFileError: it is worse.
        """
        least = min(self.to_a.explained, self.to_b.explained)
        if self.residual_mm > limit_mm or least < explained:
            raise CoeffFileError(
                f"the face models see too little of each other: {self.residual_mm:.1f} of {self.moved_mm:.1f} mm"
                f" are left ({limit_mm:g} mm are allowed), {100 * least:.0f} % of the variance is explained"
                f" ({100 * explained:.0f} % are needed)"
            )


def learn_conversion(
    codes_a: npt.ArrayLike,
    codes_b: npt.ArrayLike,
    held_out: npt.ArrayLike,
    distance: Distance,
    *,
    rotations: tuple[F64, F64] | None = None,
) -> LinearConversion:
    """Learn both ways from pairs.

    The strength of the ridge is chosen for every code by leaving one pair out at a time.

    Args:
        codes_a: (N, n_a). codes_b: (N, n_b) of the same faces. held_out: (N,) bool, pairs that only judge.
        distance: tells codes of A apart in millimetres. rotations: of the heads, (N, 3, 3) in A and in B.
    Raises:
        ShapeError: the codes do not pair up. InputError: too few pairs.
    """
    a, b = np.asarray(codes_a, np.float64), np.asarray(codes_b, np.float64)
    judge = np.asarray(held_out, bool)
    if a.ndim != 2 or b.ndim != 2 or len(a) != len(b):
        raise ShapeError("codes_b", b.shape, f"({len(a)}, n_b)")
    if judge.shape != (len(a),):
        raise ShapeError("held_out", judge.shape, f"({len(a)},)")
    learn = ~judge
    if learn.sum() < _MIN_PAIRS or judge.sum() < 2:
        raise InputError(
            f"{len(a)} faces could be measured, {int(judge.sum())} of them to judge by: too few to learn from"
        )
    to_b = _ridge(a[learn], b[learn])
    to_a = _ridge(b[learn], a[learn])
    left = float(np.sqrt((distance(to_a(b[judge]), a[judge]) ** 2).mean()))
    mean = np.broadcast_to(a[learn].mean(0), a[judge].shape)
    moved = float(np.sqrt((distance(mean, a[judge]) ** 2).mean()))
    rest_b = ((to_b(a[judge]) - b[judge]) ** 2).sum() / max(((b[judge] - b[learn].mean(0)) ** 2).sum(), 1e-30)
    turn = np.eye(3) if rotations is None else mean_rotation(np.swapaxes(rotations[1], 1, 2) @ rotations[0])
    return LinearConversion(
        to_b=LinearMap(matrix=to_b.matrix, offset=to_b.offset, explained=float(1 - rest_b)),
        to_a=LinearMap(matrix=to_a.matrix, offset=to_a.offset, explained=1 - (left / max(moved, 1e-12)) ** 2),
        turn=turn,
        residual_mm=left,
        moved_mm=moved,
        n_pairs=int(learn.sum()),
    )


def save_conversion(conversion: LinearConversion, path: Path, about: Mapping[str, Any]) -> None:
    """Write a conversion as a safetensors file; `about` is kept in its metadata.

    Raises:
        InputError: the file system refuses.
    """
    from safetensors.numpy import save

    c = conversion
    tensors = {
        "to_b.matrix": c.to_b.matrix, "to_b.offset": c.to_b.offset, "to_a.matrix": c.to_a.matrix,
        "to_a.offset": c.to_a.offset, "turn": c.turn,
    }  # fmt: skip
    facts = {
        "format": "talkhead.conversion",
        "format_version": FORMAT_VERSION,
        "explained": [c.to_b.explained, c.to_a.explained],
        "residual_mm": c.residual_mm,
        "moved_mm": c.moved_mm,
        "n_pairs": c.n_pairs,
        "about": dict(about),
    }
    data = save({k: np.ascontiguousarray(v) for k, v in tensors.items()}, {"talkhead": json.dumps(facts)})
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_output(path, overwrite=True) as temporary:
        temporary.write_bytes(data)


def load_saved_conversion(path: Path) -> LinearConversion:
    """Read what `save_conversion` wrote.

    Raises:
        InputError: no such file, or something else.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            facts = json.loads((file.metadata() or {})["talkhead"])
            t = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
        if (facts["format"], facts["format_version"]) != ("talkhead.conversion", FORMAT_VERSION):
            raise InputError(f"{path} is of another version")
        explained_b, explained_a = facts["explained"]
        return LinearConversion(
            to_b=LinearMap(matrix=t["to_b.matrix"], offset=t["to_b.offset"], explained=explained_b),
            to_a=LinearMap(matrix=t["to_a.matrix"], offset=t["to_a.offset"], explained=explained_a),
            turn=t["turn"],
            residual_mm=facts["residual_mm"],
            moved_mm=facts["moved_mm"],
            n_pairs=facts["n_pairs"],
        )
    except (SafetensorError, OSError, KeyError, ValueError, TypeError) as error:
        raise InputError(f"{path} is no conversion of talkhead") from error


def _ridge(x: F64, y: F64) -> LinearMap:
    """Ridge regression of `y` (N, n_out) on `x` (N, n_in) with an intercept; `explained` is not judged here."""
    x_mean, y_mean = x.mean(0), y.mean(0)
    spread = x.std(0)
    # A code that never moved has nothing to say.
    weight = np.where(spread > 1e-9, 1 / np.maximum(spread, 1e-9), 0.0)
    scaled, goal = (x - x_mean) * weight, y - y_mean
    u, s, vt = np.linalg.svd(scaled, full_matrices=False)
    inside = u.T @ goal  # (r, n_out)
    errors = []
    for ridge in _RIDGES:
        shrink = s**2 / (s**2 + ridge)
        # What leaving a pair out would leave (Allen 1974), the intercept counted.
        leverage = (u**2 * shrink).sum(1) + 1 / len(x)
        left = (goal - u @ (shrink[:, None] * inside)) / np.maximum(1 - leverage, 1e-3)[:, None]
        errors.append((left**2).sum(0))
    best = _RIDGES[np.argmin(errors, axis=0)]  # (n_out,)
    gain = s[:, None] / (s[:, None] ** 2 + best)
    matrix: F64 = weight[:, None] * (vt.T @ (gain * inside))
    return LinearMap(matrix=matrix, offset=y_mean - x_mean @ matrix, explained=0.0)
