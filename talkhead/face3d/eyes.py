"""Eyelids and gaze as geometry: how a face's own lids close over its eyeballs and its irises turn.

Blinks and gaze are tracks of their own (`Coeffs.eyelid`, `Coeffs.gaze`), not expression components. All functions work
in the head frame (x image right, y up, z to the camera) and on any leading axes. Pairs are (left, right) of the
subject, as in coefficient files: first the eye at image right.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from talkhead.errors import ShapeError
from talkhead.face.topology import (
    CREASE_A,
    CREASE_B,
    EYE_A_LOWER,
    EYE_A_UPPER,
    EYE_B_LOWER,
    EYE_B_UPPER,
    IRIS_A,
    IRIS_B,
    N_POINTS,
    OUTER_EYE_CORNERS,
)

F64 = npt.NDArray[np.float64]

UPPER = np.array([EYE_B_UPPER[1:-1], EYE_A_UPPER[1:-1]])
"""(2, 7) upper lid points without the corners, outer to inner."""
LOWER = np.array([EYE_B_LOWER[1:-1], EYE_A_LOWER[1:-1]])
"""(2, 7) the lower lid points below them."""
CREASE = np.array([CREASE_B, CREASE_A])
"""(2, 7) the lid crease above them."""
IRIS = np.array([IRIS_B, IRIS_A])
"""(2, 5) iris points, centre first."""
CORNERS = np.array([[263, 362], [33, 133]])
"""(2, 2) outer and inner corner."""

# Shares of the closing way: the upper lid goes most of it, the lower lid meets it a little, the crease follows.
UPPER_SHARE = 0.95
LOWER_SHARE = 0.05
CREASE_SHARE = 0.38 * UPPER_SHARE
# Openness that mesh detectors report for shut eyes (fullest blinks of the sample: -0.008 to 0.02).
SHUT_OPENNESS = 0.003
# So that no slit of eyeball stays, lids that are nearly shut overlap by this much, in eye distances ...
OVERLAP = 0.01
# ... which sets in smoothly from this closure on; below it, closure and lid gap are proportional.
SNAP_FROM = 0.7
# Between the outer eye corners of the mean face, in units of 100 mm; a face in another unit is measured by that.
UNITS_PER_EYE_DISTANCE = 0.9
EYEBALL_RADIUS = 0.12
# Largest way of an iris inside its eye, in eye distances: farther, the picture's eye has no pixels to show.
MAX_IRIS_SHIFT = 0.06
# Height of a forward-looking iris over the middle of the eye corners, in eye widths: mean of the model's faces.
REST_IRIS_HEIGHT = 0.065


def eye_distance(vertices: npt.NDArray[np.floating[Any]]) -> F64:
    """Distance of the outer eye corners, (...), in the unit of the vertices (..., 478, 3)."""
    v = _checked(vertices)
    a, b = OUTER_EYE_CORNERS
    distance: F64 = np.linalg.norm(v[..., a, :] - v[..., b, :], axis=-1)
    return distance


def lid_gaps(vertices: npt.NDArray[np.floating[Any]]) -> F64:
    """Upper minus lower lid points, (..., 2, 7, 3), of vertices (..., 478, 3)."""
    v = _checked(vertices)
    return v[..., UPPER, :] - v[..., LOWER, :]


def eye_openness(vertices: npt.NDArray[np.floating[Any]]) -> F64:
    """How far each eye is open: mean height of the five middle lid gaps in eye distances, (..., 2) left, right."""
    return openness_of_gaps(lid_gaps(vertices), eye_distance(vertices))


def openness_of_gaps(gaps: F64, distance: F64 | float) -> F64:
    """`eye_openness` of lid gaps (..., 2, 7, 3) and the face's eye distance (...)."""
    openness: F64 = gaps[..., 1:-1, 1].mean(-1) / np.asarray(distance)[..., None]
    return openness


def set_lid_gaps(vertices: npt.NDArray[np.floating[Any]], gaps: F64) -> F64:
    """Move both lids and the crease, in their usual shares, so that the gaps become (..., 2, 7, 3); a new array."""
    change = gaps - lid_gaps(vertices)  # (..., 2, 7, 3)
    v = np.array(np.broadcast_to(_checked(vertices), (*change.shape[:-3], N_POINTS, 3)))
    v[..., UPPER, :] += UPPER_SHARE * change
    v[..., LOWER, :] -= LOWER_SHARE * change
    v[..., CREASE, :] += CREASE_SHARE * change
    return v


def close_eyelids(vertices: npt.NDArray[np.floating[Any]], closure: npt.ArrayLike) -> F64:
    """Close the lids of open eyes over their eyeballs.

    The upper lid travels on an arc to just below the lower lid, the lower lid rises a little, the crease follows.

    Args:
        vertices: the face with its eyes as open as usual, (..., 478, 3), head frame, any unit.
        closure: left and right, (..., 2): 0 unchanged, 1 shut, below 0 wider than usual.
    Returns:
        (..., 478, 3), a new array.
    Raises:
        ShapeError: an array has another shape.
    """
    v = _checked(vertices)
    amount = _pair("closure", closure)
    gaps, distance = lid_gaps(v), eye_distance(v)
    closed = set_lid_gaps(v, _closed_gaps(gaps, amount, distance))
    closed[..., UPPER, 2] += _bulge(gaps, amount, distance)
    return closed


def open_eyelids(
    vertices: npt.NDArray[np.floating[Any]], closure: npt.ArrayLike, rest: npt.NDArray[np.floating[Any]] | None = None
) -> F64:
    """Open eyes whose closure is known: the inverse of `close_eyelids` up to closure 0.7 (0.4 with `rest`).

    Args:
        vertices: (..., 478, 3), head frame. closure: how far they are closed now, (..., 2).
        rest: a face (478, 3) in the same unit whose open lids stand in where this face's cannot be known any more:
            blended in between closure 0.4 and 0.7.
    Returns:
        (..., 478, 3), a new array with the eyes as open as the person usually holds them.
    Raises:
        ShapeError: an array has another shape.
    """
    v = _checked(vertices)
    given = _pair("closure", closure)
    now = np.minimum(given, SNAP_FROM)
    distance = eye_distance(v)
    gaps = lid_gaps(v)
    opened = (gaps - now[..., None, None] * _shut_gap(distance)) / (1 - now[..., None, None])
    bulge = _bulge(opened, now, distance)
    # The bulge stands in the measured gaps too; it depends on x and y of the open gap only, which are known by now.
    opened[..., 2] -= bulge / (1 - now[..., None])
    if rest is not None:
        share = np.clip((given[..., None, None] - 0.4) / (SNAP_FROM - 0.4), 0.0, 1.0)
        opened = (1 - share) * opened + share * lid_gaps(rest)
    result = np.array(np.broadcast_to(v, (*opened.shape[:-3], N_POINTS, 3)))
    result[..., UPPER, 2] -= bulge
    return set_lid_gaps(result, opened)


def measure_gaze(vertices: npt.NDArray[np.floating[Any]]) -> F64:
    """Where the eyes look relative to the head, (..., 2) radians: x to image right, y up; both eyes together."""
    v = _checked(vertices)
    distance = eye_distance(v)
    shift = (_iris_shift(v) / distance[..., None, None]).mean(-2)  # (..., 2)
    gaze: F64 = np.arcsin(np.clip(shift * UNITS_PER_EYE_DISTANCE / EYEBALL_RADIUS, -1.0, 1.0))
    return gaze


def aim_gaze(vertices: npt.NDArray[np.floating[Any]], gaze: npt.ArrayLike) -> F64:
    """Turn the irises, both by the same way, until the eyes look in a direction; a new array.

    Args:
        vertices: (..., 478, 3), head frame. gaze: (..., 2) radians, x to image right, y up.
    Returns:
        (..., 478, 3). An iris moves at most 0.06 eye distances.
    Raises:
        ShapeError: an array has another shape.
    """
    v = _checked(vertices)
    wanted = np.sin(_pair("gaze", gaze)) - np.sin(measure_gaze(v))
    distance = eye_distance(v)[..., None]
    way = wanted * (EYEBALL_RADIUS / UNITS_PER_EYE_DISTANCE)
    length = np.linalg.norm(way, axis=-1, keepdims=True)
    way = way * np.minimum(1.0, MAX_IRIS_SHIFT / np.maximum(length, 1e-9)) * distance
    moved = np.array(np.broadcast_to(v, np.broadcast_shapes(v.shape, (*way.shape[:-1], N_POINTS, 3))))
    moved[..., IRIS, :2] += way[..., None, None, :]
    return moved


def _iris_shift(v: F64) -> F64:
    """Iris centres relative to where they rest between the eye corners, (..., 2, 2): eye, x y."""
    corners = v[..., CORNERS, :]  # (..., 2, 2, 3)
    width = np.linalg.norm(corners[..., 0, :] - corners[..., 1, :], axis=-1)
    shift = v[..., IRIS[:, 0], :2] - corners[..., :2].mean(-2)
    shift[..., 1] -= REST_IRIS_HEIGHT * width
    return shift


def _shut_gap(distance: F64) -> F64:
    """The lid gap vector of eyes that detectors call shut: (..., 1, 1, 3) for eye distances (...)."""
    gap: F64 = np.array([0.0, SHUT_OPENNESS, 0.0]) * distance[..., None, None, None]
    return gap


def _closed_gaps(gaps: F64, closure: F64, distance: F64) -> F64:
    amount = closure[..., None, None]
    t = np.clip((amount - SNAP_FROM) / (1 - SNAP_FROM), 0.0, 1.0)
    snap = t * t * (3 - 2 * t) * (OVERLAP + SHUT_OPENNESS) * distance[..., None, None, None]
    closed: F64 = gaps * (1 - amount) + amount * _shut_gap(distance) - snap * np.array([0.0, 1.0, 0.0])
    return closed


def _bulge(open_gaps: F64, closure: F64, distance: F64) -> F64:
    """How far lids on their way stand in front of the straight line, (..., 2, 7): they slide over a ball.

    Half way it is the sagitta of the chord, gap^2 / (8 radius).
    """
    inside = np.clip(closure, 0.0, 1.0)[..., None]
    radius = EYEBALL_RADIUS / UNITS_PER_EYE_DISTANCE * distance[..., None, None]
    bulge: F64 = inside * (1 - inside) * (open_gaps[..., :2] ** 2).sum(-1) / (2 * radius)
    return bulge


def _checked(vertices: npt.NDArray[np.floating[Any]]) -> F64:
    v = np.asarray(vertices, np.float64)
    if v.shape[-2:] != (N_POINTS, 3):
        raise ShapeError("vertices", v.shape, f"(..., {N_POINTS}, 3)")
    return v


def _pair(name: str, value: npt.ArrayLike) -> F64:
    pair = np.asarray(value, np.float64)
    if pair.shape[-1:] != (2,):
        raise ShapeError(name, pair.shape, "(..., 2)")
    return pair
