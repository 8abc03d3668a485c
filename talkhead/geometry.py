"""Rotations, the similarity fit and the weak-perspective camera, in one convention.

Axes of every model: x to image right (the subject's left), y up, z out of the face to the camera, right-handed;
1 unit = 100 mm. `R = Rz(roll) Ry(yaw) Rx(pitch)` on column vectors: pitch > 0 looks down, yaw > 0 turns the nose to
image right, roll > 0 tilts the top of the head to image left. Angles are radians; pixels are continuous coordinates,
pixel i covers [i, i+1), y down.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from talkhead.errors import ShapeError

FloatArray = npt.NDArray[np.floating[Any]]


def euler_to_matrix(rot: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Rotation matrices of Euler angles.

    Args:
        rot: pitch, yaw, roll, (..., 3), radians.
    Returns:
        `Rz(roll) Ry(yaw) Rx(pitch)`, (..., 3, 3).
    Raises:
        ShapeError: the last axis is not 3.
    """
    angles = np.asarray(rot, np.float64)
    if angles.shape[-1:] != (3,):
        raise ShapeError("rot", angles.shape, "(..., 3)")
    (cp, cy, cr), (sp, sy, sr) = np.moveaxis(np.cos(angles), -1, 0), np.moveaxis(np.sin(angles), -1, 0)
    rows = [
        [cr * cy, cr * sy * sp - sr * cp, cr * sy * cp + sr * sp],
        [sr * cy, sr * sy * sp + cr * cp, sr * sy * cp - cr * sp],
        [-sy, cy * sp, cy * cp],
    ]
    return np.stack([np.stack(row, -1) for row in rows], -2)


def matrix_to_euler(matrix: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Euler angles of rotation matrices; the inverse of `euler_to_matrix` for |yaw| < 90 degrees.

    Args:
        matrix: (..., 3, 3).
    Returns:
        pitch, yaw, roll, (..., 3), radians.
    Raises:
        ShapeError: the last two axes are not 3 x 3.
    """
    m = np.asarray(matrix, np.float64)
    if m.shape[-2:] != (3, 3):
        raise ShapeError("matrix", m.shape, "(..., 3, 3)")
    pitch = np.arctan2(m[..., 2, 1], m[..., 2, 2])
    yaw = np.arctan2(-m[..., 2, 0], np.hypot(m[..., 0, 0], m[..., 1, 0]))
    roll = np.arctan2(m[..., 1, 0], m[..., 0, 0])
    return np.stack([pitch, yaw, roll], -1)


def fit_similarity(
    points: npt.ArrayLike, target: npt.ArrayLike, weights: npt.ArrayLike | None = None
) -> tuple[float, npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Weighted least-squares similarity `scale * R @ points + shift ~ target` (Umeyama 1991), no reflection.

    Args:
        points: (V, 3). target: (V, 3). weights: (V,), non-negative, default all 1.
    Returns:
        scale, rotation (3, 3), shift (3,).
    Raises:
        ShapeError: the point sets differ in shape.
    """
    p, q = np.asarray(points, np.float64), np.asarray(target, np.float64)
    if p.shape != q.shape or p.ndim != 2 or p.shape[1] != 3:
        raise ShapeError("target", q.shape, f"{p.shape} = (V, 3)")
    w = np.ones(len(p)) if weights is None else np.asarray(weights, np.float64)
    w = w / w.sum()
    p_mean, q_mean = w @ p, w @ q
    p0, q0 = p - p_mean, q - q_mean
    u, s, vt = np.linalg.svd(q0.T @ (p0 * w[:, None]))
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    rotation = (u * sign) @ vt
    scale = float((s * sign).sum() / (w @ (p0**2).sum(1)))
    return scale, rotation, q_mean - scale * rotation @ p_mean


def project(
    vertices: FloatArray, rotation: FloatArray, trans: FloatArray, scale: npt.ArrayLike, size: tuple[int, int]
) -> npt.NDArray[np.float64]:
    """Weak-perspective projection of a model into a picture; leading axes (frames) are carried along.

    `u = W/2 + scale * (R p + t)_x`, `v = H/2 - scale * (R p + t)_y`, depth `-scale * (R p + t)_z` (larger is
    farther): the origin of `trans` is the picture's centre, so a coefficient file does not depend on where a crop
    starts.

    Args:
        vertices: (..., V, 3), model units. rotation: (..., 3, 3). trans: (..., 3), model units.
        scale: (...), pixels per unit. size: picture width and height in pixels.
    Returns:
        (..., V, 3): x right, y down, depth away from the camera, all in pixels.
    """
    turned = np.asarray(vertices, np.float64) @ np.swapaxes(np.asarray(rotation, np.float64), -1, -2)
    pixels = (turned + np.asarray(trans, np.float64)[..., None, :]) * np.asarray(scale, np.float64)[..., None, None]
    return pixels * np.array([1.0, -1.0, -1.0]) + np.array([size[0] / 2, size[1] / 2, 0.0])


def rotvec_to_matrix(rotvec: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Rotation matrices of rotation vectors (axis times angle), by Rodrigues' formula.

    Args:
        rotvec: (..., 3), radians.
    Returns:
        (..., 3, 3).
    Raises:
        ShapeError: the last axis is not 3.
    """
    v = np.asarray(rotvec, np.float64)
    if v.shape[-1:] != (3,):
        raise ShapeError("rotvec", v.shape, "(..., 3)")
    angle = np.linalg.norm(v, axis=-1)[..., None, None]
    x, y, z = np.moveaxis(v, -1, 0)
    zero = np.zeros_like(x)
    cross = np.stack([np.stack(row, -1) for row in ([zero, -z, y], [z, zero, -x], [-y, x, zero])], -2)
    # np.sinc is sin(pi x)/(pi x): both factors stay exact at angle 0.
    first, second = np.sinc(angle / np.pi), 0.5 * np.sinc(angle / (2 * np.pi)) ** 2
    matrix: npt.NDArray[np.float64] = np.eye(3) + first * cross + second * (cross @ cross)
    return matrix


def matrix_to_rotvec(matrix: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Rotation vectors of rotation matrices, angles in [0, pi]; the inverse of `rotvec_to_matrix`.

    Args:
        matrix: (..., 3, 3).
    Returns:
        (..., 3), radians.
    Raises:
        ShapeError: the last two axes are not 3 x 3.
    """
    m = np.asarray(matrix, np.float64)
    if m.shape[-2:] != (3, 3):
        raise ShapeError("matrix", m.shape, "(..., 3, 3)")
    diagonal = np.stack([m[..., i, i] for i in range(3)], -1)
    trace = diagonal.sum(-1)
    # Each row is the quaternion (w, x, y, z) times four of its components; the one of the largest component is stable.
    skew = np.stack([m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]], -1)
    mixed = m + np.swapaxes(m, -1, -2)
    for i in range(3):
        mixed[..., i, i] = 1 + 2 * diagonal[..., i] - trace
    rows = np.concatenate(
        [
            np.concatenate([1 + trace[..., None], skew], -1)[..., None, :],
            np.concatenate([skew[..., None], mixed], -1),
        ],
        -2,
    )
    best = np.argmax(np.einsum("...ii->...i", rows), -1)
    quaternion = np.take_along_axis(rows, best[..., None, None], -2)[..., 0, :]
    quaternion = quaternion / np.linalg.norm(quaternion, axis=-1, keepdims=True)
    quaternion = np.where(quaternion[..., :1] < 0, -quaternion, quaternion)
    sine = np.linalg.norm(quaternion[..., 1:], axis=-1, keepdims=True)
    angle = 2 * np.arctan2(sine, quaternion[..., :1])
    # For small angles angle/sine tends to 2.
    rotvec: npt.NDArray[np.float64] = quaternion[..., 1:] * np.where(sine > 1e-12, angle / np.maximum(sine, 1e-12), 2.0)
    return rotvec


def mean_rotation(matrices: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> npt.NDArray[np.float64]:
    """The chordal mean: the rotation nearest to the weighted sum of the matrices (Markley et al. 2007).

    Args:
        matrices: (T, 3, 3). weights: (T,), non-negative, default all 1.
    Returns:
        (3, 3).
    Raises:
        ShapeError: `matrices` is not (T, 3, 3) with T > 0.
    """
    m = np.asarray(matrices, np.float64)
    if m.ndim != 3 or m.shape[1:] != (3, 3) or not len(m):
        raise ShapeError("matrices", m.shape, "(T, 3, 3)")
    w = np.ones(len(m)) if weights is None else np.asarray(weights, np.float64)
    u, _, vt = np.linalg.svd(np.einsum("t,tij->ij", w, m))
    rotation: npt.NDArray[np.float64] = (u * np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])) @ vt
    return rotation
