"""Head poses of many frames at once: weak perspective, damped depth, vectorised Gauss-Newton.

`Y = scale * R X + shift` with image points Y as model axes (x right, y up, z to the camera, pixels). Mesh detectors
guess z, so its residual counts less than those of x and y (`z_weight`); the closed form of Umeyama gives the start.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from talkhead.errors import ShapeError
from talkhead.geometry import rotvec_to_matrix

F64 = npt.NDArray[np.float64]

# Factor on squared depth residuals: half the weight of x and y, as detectors guess depth.
Z_WEIGHT = 0.25


@dataclass(frozen=True, slots=True)
class Poses:
    """Poses of T frames: `scale` (T,) pixels per unit, `rotation` (T, 3, 3), `shift` (T, 3) pixels."""

    scale: F64
    rotation: F64
    shift: F64

    def __len__(self) -> int:
        return len(self.scale)

    def apply(self, vertices: F64) -> F64:
        """Vertices (V, 3) or (T, V, 3) seen by each frame, (T, V, 3) pixels, model axes."""
        turned = vertices @ np.swapaxes(self.rotation, -1, -2)
        seen: F64 = self.scale[:, None, None] * turned + self.shift[:, None]
        return seen

    def undo(self, points: F64) -> F64:
        """Image points (T, V, 3) in the head frame, (T, V, 3) model units."""
        head: F64 = ((points - self.shift[:, None]) / self.scale[:, None, None]) @ self.rotation
        return head


def solve_poses(
    vertices: F64, points: F64, weights: F64, *, z_weight: float = Z_WEIGHT, rounds: int = 3, start: Poses | None = None
) -> Poses:
    """Weighted least-squares poses.

    Args:
        vertices: one shape (V, 3) or one a frame (T, V, 3), model units. points: (T, V, 3) pixels, model axes.
        weights: (V,), non-negative. z_weight: factor on squared depth residuals.
        rounds: Gauss-Newton steps; 3 leave less than 1e-4 degrees. start: earlier poses; default: the closed form.
    Raises:
        ShapeError: the arrays do not fit together.
    """
    x, y = np.asarray(vertices, np.float64), np.asarray(points, np.float64)
    if y.ndim != 3 or y.shape[2] != 3 or x.shape[-2:] != y.shape[1:] or (x.ndim == 3 and len(x) != len(y)):
        raise ShapeError("points", y.shape, f"(T, {x.shape[-2]}, 3)")
    used = np.flatnonzero(weights > 0)
    w = np.asarray(weights, np.float64)[used]
    w = w / w.sum()
    x, y = x[..., used, :], y[:, used]
    poses = start or _closed_form(x, y, w)
    for _ in range(rounds):
        poses = _gauss_newton_step(poses, x, y, w, z_weight)
    return poses


def _closed_form(x: F64, y: F64, w: F64) -> Poses:
    x_mean = np.einsum("v,...vi->...i", w, x)
    y_mean = np.einsum("v,tvi->ti", w, y)
    x0, y0 = x - x_mean[..., None, :], y - y_mean[:, None]
    if x0.ndim == 2:
        x0 = np.broadcast_to(x0, y0.shape)
    u, s, vt = np.linalg.svd(np.einsum("v,tvi,tvj->tij", w, y0, x0))
    sign = np.ones_like(s)
    sign[:, 2] = np.sign(np.linalg.det(u @ vt))
    rotation = (u * sign[:, None, :]) @ vt
    scale = (s * sign).sum(-1) / np.einsum("v,tvi,tvi->t", w, x0, x0)
    turned = np.einsum("tij,tj->ti", rotation, np.broadcast_to(x_mean, y_mean.shape))
    shift = y_mean - scale[:, None] * turned
    return Poses(scale, rotation, shift)


def _gauss_newton_step(poses: Poses, x: F64, y: F64, w: F64, z_weight: float) -> Poses:
    turned = x @ np.swapaxes(poses.rotation, -1, -2)  # (T, V, 3)
    p = poses.scale[:, None, None] * turned
    residual = y - p - poses.shift[:, None]
    # Columns: log scale, rotation about x y z, shift x y z; a left-multiplied small rotation moves p by omega x p.
    j = np.zeros((*y.shape, 7))
    j[..., 0] = p
    j[..., 1, 1], j[..., 2, 1] = -p[..., 2], p[..., 1]
    j[..., 0, 2], j[..., 2, 2] = p[..., 2], -p[..., 0]
    j[..., 0, 3], j[..., 1, 3] = -p[..., 1], p[..., 0]
    j[..., [0, 1, 2], [4, 5, 6]] = 1.0
    root = np.sqrt(w[:, None] * np.array([1.0, 1.0, z_weight]))
    j = (j * root[None, :, :, None]).reshape(len(y), -1, 7)
    r = (residual * root).reshape(len(y), -1, 1)
    jt = np.swapaxes(j, 1, 2)
    step = np.linalg.solve(jt @ j, jt @ r)[..., 0]  # (T, 7)
    return Poses(
        poses.scale * np.exp(step[:, 0]),
        rotvec_to_matrix(step[:, 1:4]) @ poses.rotation,
        poses.shift + step[:, 4:],
    )
