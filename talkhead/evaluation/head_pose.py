"""Where heads look: angles of a mesh, pose distances (ARD, ARE; HeadGAN), spread of motion (Diversity; SadTalker).

Angles are degrees here, pitch, yaw, roll in the convention of talkhead.geometry: pitch + nose down, yaw + nose to the
right edge of the picture, roll + counter-clockwise as seen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from talkhead.errors import ShapeError
from talkhead.evaluation.measurement import PROXY_SIGN, Grade, Measurement, measurement_of
from talkhead.face.topology import N_POINTS
from talkhead.geometry import euler_to_matrix, fit_similarity, matrix_to_euler

F64 = npt.NDArray[np.float64]
Floats = npt.NDArray[np.floating[Any]]
Params = dict[str, float | int | str]

# fmt: off
# Point of the mesh, then x right, y up, z to the camera, cm: the canonical face of MediaPipe (Apache-2.0).
_CANONICAL = (
    (10, 0, 8.261778, 4.481535), (338, 1.891399, 8.236377, 4.274997), (297, 3.523964, 8.005976, 3.729163),
    (332, 5.133204, 7.485602, 2.660442), (284, 6.279331, 6.615427, 1.42585), (109, -1.891399, 8.236377, 4.274997),
    (67, -3.523964, 8.005976, 3.729163), (103, -5.133204, 7.485602, 2.660442), (54, -6.279331, 6.615427, 1.42585),
    (151, 0, 6.54539, 5.027311), (9, 0, 4.885979, 5.385258), (8, 0, 4.019042, 5.284764),
    (168, 0, 3.271027, 5.236015), (6, 0, 2.473255, 5.788627), (197, 0, 1.728369, 6.31675),
    (195, 0, 1.059413, 6.774605), (5, 0, 0.365669, 7.24287), (4, 0, -0.46317, 7.58658),
    (1, 0, -1.126865, 7.475604), (33, -4.445859, 2.663991, 3.173422), (133, -1.856432, 2.585245, 3.757904),
    (362, 1.856432, 2.585245, 3.757904), (263, 4.445859, 2.663991, 3.173422), (127, -7.743095, 2.364999, -2.005167),
    (356, 7.743095, 2.364999, -2.005167), (234, -7.664182, 0.673132, -2.435867), (454, 7.664182, 0.673132, -2.435867),
    (98, -1.405627, -1.714196, 5.241087), (327, 1.405627, -1.714196, 5.241087), (2, 0, -2.089024, 6.058267),
)
# fmt: on
RIGID_POINTS = tuple(int(row[0]) for row in _CANONICAL)
"""Forehead, bridge and tip of the nose, eye corners, temples: mesh points that a talking mouth leaves alone."""
CANONICAL_POINTS = np.array([row[1:] for row in _CANONICAL])
_FLIP = np.array([1.0, -1.0, -1.0])  # picture axes -> the axes of talkhead.geometry


def rotation_of_mesh(points: Floats) -> F64:
    """Rotation of a head by the least-squares similarity from the canonical face to its rigid points (Kabsch).

    Args:
        points: (478, 3) mesh points, or the 30 of `RIGID_POINTS`, x right, y down, z away in one scale.
    Returns:
        (3, 3).
    Raises:
        ShapeError: another number of points.
    """
    if points.shape not in ((N_POINTS, 3), (len(RIGID_POINTS), 3)):
        raise ShapeError("points", points.shape, f"({N_POINTS}, 3) or ({len(RIGID_POINTS)}, 3)")
    rigid = points[list(RIGID_POINTS)] if len(points) == N_POINTS else points
    _, rotation, _ = fit_similarity(CANONICAL_POINTS, np.asarray(rigid, np.float64) * _FLIP)
    return rotation


def angles_of_mesh(points: Floats) -> F64:
    """Pitch, yaw, roll of a head, (3,) degrees; arguments and errors as `rotation_of_mesh`."""
    return np.degrees(matrix_to_euler(rotation_of_mesh(points)))


def angle_differences(generated: Floats, real: Floats | float) -> F64:
    """Differences of angles in degrees, wrapped to [-180, 180)."""
    return (np.asarray(generated, np.float64) - real + 180) % 360 - 180


def rotation_distances(generated: Floats, real: Floats) -> F64:
    """Average rotation distance of each frame: mean of the 3 absolute differences (HeadGAN's ARD), (T,) degrees.

    HeadGAN says "average L1"; the sum over the angles would be three times this.

    Args:
        generated, real: (T, 3) degrees.
    Raises:
        ShapeError: they differ in shape.
    """
    _check_angles(generated, real)
    return np.abs(angle_differences(generated, real)).mean(-1)


def geodesic_distances(generated: Floats, real: Floats) -> F64:
    """Angle of the turn between the two rotations of each frame, (T,) degrees; arguments as `rotation_distances`."""
    _check_angles(generated, real)
    first, second = (euler_to_matrix(np.radians(angles)) for angles in (generated, real))
    between = np.einsum("tji,tjk->tik", first, second)
    # Of sine and cosine both, as the arc cosine alone loses half of the digits near 0.
    skew = np.stack([between[:, i, j] - between[:, j, i] for i, j in ((2, 1), (0, 2), (1, 0))], -1)
    return np.degrees(np.arctan2(np.linalg.norm(skew, axis=-1), np.trace(between, axis1=1, axis2=2) - 1))


def diversity(features: Floats) -> float:
    """Standard deviation over frames of each column, then their mean; of one clip.

    Args:
        features: (T, D): angles, or whatever a pose network sees.
    """
    return float(np.asarray(features, np.float64).std(0).mean())


def pose_measurements(
    generated: Floats, real: Floats | None = None, *, source: str = "mesh", grade: Grade = "proxy"
) -> list[Measurement]:
    """ARE of a clip, and ARD and geodesic distance to the driving one.

    Args:
        generated, real: (T, 3) degrees, NaN where there is no face; cut to the shorter. source: of the angles; becomes
            part of the name if they are a proxy. grade: of the source.
    """
    rows = [("are", "are/mean-of-3", _where_finite(generated, np.zeros_like(generated), rotation_distances))]
    if real is not None:
        n = min(len(generated), len(real))
        pair = generated[:n], real[:n]
        rows += [
            ("ard", "ard/mean-of-3", _where_finite(*pair, rotation_distances)),
            ("geodesic", "ard/geodesic", _where_finite(*pair, geodesic_distances)),
        ]
    return [
        measurement_of(
            float(np.nanmean(values)) if np.isfinite(values).any() else float("nan"),
            "no frame shows a face",
            name=name + (PROXY_SIGN + source if grade == "proxy" else ""),
            definition=definition,
            grade=grade,
            unit="deg",
            n_frames=int(np.isfinite(values).sum()),
            frames_dropped=int(np.isnan(values).sum()),
            params={"angles": source},
        )
        for name, definition, values in rows
    ]


def diversity_measurement(
    features: Floats,
    *,
    source: str = "mesh_deg",
    grade: Grade = "proxy",
    unit: str = "deg",
    params: Params | None = None,
) -> Measurement:
    """Diversity of the head motion of one clip; SadTalker tells neither which features nor how they are pooled.

    Args:
        features: (T, D), NaN where there is no face. source: of the features: part of the definition, and of the name
            if they are a proxy. grade, unit, params: of the features.
    """
    found = np.isfinite(np.asarray(features)).all(-1)
    value = diversity(np.asarray(features)[found]) if found.sum() > 1 else float("nan")
    return measurement_of(
        value,
        "fewer than two frames show a face",
        name="diversity" + (PROXY_SIGN + source if grade == "proxy" else ""),
        definition=f"diversity/{source}",
        grade=grade,
        unit=unit,
        n_frames=int(found.sum()),
        frames_dropped=int((~found).sum()),
        params={"definition_certain": False, "ddof": 0, **(params or {})},
    )


def _check_angles(generated: Floats, real: Floats) -> None:
    if np.shape(generated) != np.shape(real) or np.shape(real)[1:] != (3,):
        raise ShapeError("generated", np.shape(generated), f"(T, 3) as the real angles, {np.shape(real)}")


def _where_finite(generated: Floats, real: Floats, distances: Callable[[Floats, Floats], F64]) -> F64:
    found = np.isfinite(generated).all(-1) & np.isfinite(real).all(-1)
    out = np.full(len(generated), np.nan)
    out[found] = distances(generated[found], real[found])
    return out
