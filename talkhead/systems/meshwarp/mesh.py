"""The mesh of a whole head: the 478-point face plus one continuous skin of outer vertices for hair, ears, neck, torso.

Face and outer vertices share the oval's edge, so there is no seam. Every vertex is placed by the same pose; outer
vertices then give way to the torso's motion below the chin and to rest at the region's inner borders.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from talkhead.face.topology import (
    EYE_A_LOWER,
    EYE_A_UPPER,
    EYE_B_LOWER,
    EYE_B_UPPER,
    INNER_LIP_LOWER,
    INNER_LIP_UPPER,
    N_SKIN,
    OVAL,
    RIGID,
)
from talkhead.geometry import project
from talkhead.systems.meshwarp.config import (
    DEPTH_LIMIT,
    DEPTH_SLOPE,
    EXPRESSION_REACH,
    GRID_STEP,
    NECK_BOTTOM,
    NECK_TOP,
    RINGS,
    SIDE_FREE,
    SIDE_RIGID,
)

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
Box = tuple[int, int, int, int]

_BEHIND = 0.02  # outer vertices lie this much deeper than measured, eye distances, so that the face wins ties
_PIVOT = np.array([0.0, -0.9, -0.5])  # where the neck bends, eye distances below and behind the head's centre


@dataclass(frozen=True, kw_only=True, slots=True)
class Pose:
    """Weak-perspective head pose: `rotation` (3, 3), `trans` (3,) model units, `scale` pixels per unit."""

    rotation: F64
    trans: F64
    scale: float

    def place(self, points: F64, size: tuple[int, int]) -> F64:
        """Project head-frame points (N, 3) into the picture of `size` (width, height): (N, 3) pixels, depth away."""
        return project(points, self.rotation, self.trans, self.scale, size)

    def lift(self, pixels: F64, size: tuple[int, int]) -> F64:
        """The inverse of `place`: pixels with depth (N, 3) -> head-frame points."""
        p = np.empty_like(pixels)
        p[:, 0] = (pixels[:, 0] - size[0] / 2) / self.scale
        p[:, 1] = (size[1] / 2 - pixels[:, 1]) / self.scale
        p[:, 2] = -pixels[:, 2] / self.scale
        lifted: F64 = (p - self.trans) @ self.rotation
        return lifted


@dataclass(frozen=True, kw_only=True, slots=True)
class HeadMesh:
    """Source geometry of one photo (all pixels are the picture's).

    Attributes:
        size: picture width, height. eye_px: outer eye corner distance in pixels. pose: of the photo.
        face: (478, 3) the photo's own vertices, head frame. source: (V, 2) texture position of every vertex.
        outer: (O, 3) outer vertices, head frame. head_weight, torso_weight: (O,). drag: (O, 36) share of each oval
            vertex's expression motion. triangles: (F, 3), face vertices first.
    """

    size: tuple[int, int]
    eye_px: float
    pose: Pose
    face: F64
    source: F64
    outer: F64
    head_weight: F64
    torso_weight: F64
    drag: F64
    triangles: npt.NDArray[np.int32]

    def deform(self, face: F64, pose: Pose, torso_follow: float) -> F32:
        """Pixel positions and depth of all vertices for a deformed face under a new pose.

        Args:
            face: (478, 3), head frame. torso_follow: share of the neck's motion the shoulders take.
        Returns:
            (V, 3) float32 pixels; the face's 468 skin vertices first, then the outer ones.
        """
        oval = list(OVAL)
        moved = self.outer + self.drag @ (face[oval] - self.face[oval])
        placed = pose.place(moved, self.size)
        rest_xy = self.source[N_SKIN:]
        torso = _torso_shift(self.pose, pose, self.size, rest_xy, self.eye_px, torso_follow)
        w, t = self.head_weight[:, None], self.torso_weight[:, None]
        out = np.empty((len(self.source), 3), np.float32)
        out[:N_SKIN] = pose.place(face[:N_SKIN], self.size)
        out[N_SKIN:, :2] = w * placed[:, :2] + (1 - w) * (rest_xy + t * torso)
        out[N_SKIN:, 2] = placed[:, 2] + _BEHIND * self.eye_px
        return out


def build_mesh(
    landmarks: F64, face: F64, pose: Pose, triangles: npt.NDArray[np.int32], region: Box, size: tuple[int, int]
) -> HeadMesh:
    """Lay outer vertices around a face and lift them into three dimensions.

    Args:
        landmarks: (478, 3) pixels. face: (478, 3) the same vertices in the head frame, projecting onto `landmarks`.
        pose: of the photo. triangles: of the face. region: x0, y0, x1, y1 of the part that may move, pixels; it may
            reach beyond the picture (border pixels are continued there). size: picture width, height.
    """
    from scipy.spatial import Delaunay

    eye_px = float(np.linalg.norm(landmarks[33] - landmarks[263]))
    oval = list(OVAL)
    ring0 = landmarks[oval, :2]
    outer_xy = _outer_points(ring0, eye_px, region)
    points = np.concatenate([ring0, outer_xy])
    simplices = Delaunay(points).simplices
    centres = points[simplices].mean(1)
    skin = simplices[~inside_polygon(centres, ring0)]
    index = np.concatenate([np.array(oval), N_SKIN + np.arange(len(outer_xy))])
    depth = _outer_depth(outer_xy, pose.place(face[oval], size), eye_px)
    outer = pose.lift(np.column_stack([outer_xy, depth]), size)
    head_weight, torso_weight = _weights(outer_xy, landmarks, pose, eye_px, region, size)
    all_triangles = np.concatenate([triangles, _fillers(), index[skin]]).astype(np.int32)
    return HeadMesh(
        size=size,
        eye_px=eye_px,
        pose=pose,
        face=face,
        source=np.concatenate([landmarks[:N_SKIN, :2], outer_xy]),
        outer=outer,
        head_weight=head_weight,
        torso_weight=torso_weight,
        drag=_drag(outer_xy, ring0, eye_px),
        triangles=np.ascontiguousarray(all_triangles),
    )


def deepened(face: F64, pose: Pose, relief: float) -> F64:
    """A face with its depth multiplied, (V, 3) head frame, that projects to the same pixels under `pose`.

    Args:
        face: (478, 3), head frame. relief: factor about the mean depth of the points that rest on the skull.
    """
    middle = face[list(RIGID), 2].mean()
    depth = middle + relief * (face[:, 2] - middle)
    seen = (face @ pose.rotation.T)[:, :2] - np.outer(depth, pose.rotation[:2, 2])
    return np.column_stack([np.linalg.solve(pose.rotation[:2, :2], seen.T).T, depth])


def _outer_points(oval: F64, eye_px: float, region: Box) -> F64:
    """Two rings round the oval, then a grid over the region that keeps clear of them; (O, 2) pixels."""
    import cv2

    centre = oval.mean(0)
    rings = [centre + (oval - centre) * factor for factor in RINGS]
    x0, y0, x1, y1 = region
    step = GRID_STEP * eye_px
    xs = np.linspace(x0, x1, max(2, round((x1 - x0) / step) + 1))
    ys = np.linspace(y0, y1, max(2, round((y1 - y0) / step) + 1))
    grid = np.stack(np.meshgrid(xs, ys), -1).reshape(-1, 2)
    fence = (centre + (oval - centre) * (RINGS[-1] + 0.02)).astype(np.float32).reshape(-1, 1, 2)
    far = np.array([cv2.pointPolygonTest(fence, (float(x), float(y)), True) for x, y in grid]) < -0.3 * step
    inside_region = [(p[:, 0] > x0) & (p[:, 0] < x1) & (p[:, 1] > y0) & (p[:, 1] < y1) for p in rings]
    return np.concatenate([*(p[m] for p, m in zip(rings, inside_region, strict=True)), grid[far]])


def inside_polygon(points: F64, polygon: F64) -> npt.NDArray[np.bool_]:
    """Which points lie inside a closed polygon (even-odd rule)."""
    x, y = points[:, 0], points[:, 1]
    inside = np.zeros(len(points), bool)
    for (xa, ya), (xb, yb) in zip(polygon, np.roll(polygon, -1, 0), strict=True):
        crosses = (ya > y) != (yb > y)
        with np.errstate(divide="ignore", invalid="ignore"):
            inside ^= crosses & (x < xa + (y - ya) * (xb - xa) / (yb - ya))
    return inside


def _outer_depth(outer_xy: F64, oval: F64, eye_px: float) -> F64:
    """Depth behind the oval: inverse-cube blend of its depths, falling back with distance; (O,) pixels."""
    distance = np.linalg.norm(outer_xy[:, None] - oval[None, :, :2], axis=2)
    weight = 1 / np.maximum(distance, 1e-3 * eye_px) ** 3
    blended = (weight @ oval[:, 2]) / weight.sum(1)
    depth = blended + DEPTH_SLOPE * distance.min(1)
    return np.minimum(depth, oval[:, 2].max() + DEPTH_LIMIT * eye_px)


def _drag(outer_xy: F64, oval: F64, eye_px: float) -> F64:
    """How outer vertices follow the oval's expression: inverse-square blend, gone at `EXPRESSION_REACH`; (O, 36)."""
    distance = np.linalg.norm(outer_xy[:, None] - oval[None], axis=2)
    weight = 1 / np.maximum(distance, 1e-3 * eye_px) ** 2
    fade = 1 - smoothstep(0.0, EXPRESSION_REACH * eye_px, distance.min(1))
    result: F64 = weight / weight.sum(1, keepdims=True) * fade[:, None]
    return result


def _weights(
    outer_xy: F64, landmarks: F64, pose: Pose, eye_px: float, region: Box, size: tuple[int, int]
) -> tuple[F64, F64]:
    """Head and torso weights of the outer vertices, each (O,), 0..1."""
    up = pose.rotation[:2, 1] * np.array([1, -1])
    down = -up / max(float(np.linalg.norm(up)), 1e-6)
    side = np.array([-down[1], down[0]])
    centre = landmarks[list(OVAL), :2].mean(0)
    below_chin = (outer_xy - landmarks[152, :2]) @ down / eye_px
    sideways = np.abs((outer_xy - centre) @ side) / eye_px
    # The neck bends in its middle; hair that falls beside it swings with the head a little longer.
    head = (1 - smoothstep(NECK_TOP, NECK_BOTTOM, below_chin)) * (1 - smoothstep(SIDE_RIGID, SIDE_FREE, sideways))
    pinned = np.ones(len(outer_xy))
    x0, y0, x1, y1 = region
    # A border of the region inside the picture must not move, or it would show.
    for coordinate, border, at_edge, reach in (
        (outer_xy[:, 0], x0, x0 < 0, 0.6),
        (outer_xy[:, 0], x1, x1 > size[0], 0.6),
        (outer_xy[:, 1], y0, y0 < 0, 0.5),
        (outer_xy[:, 1], y1, y1 > size[1], 1.2),
    ):
        if not at_edge:
            pinned *= smoothstep(0.0, reach * eye_px, np.abs(coordinate - border))
    return head * pinned, pinned * (1 - smoothstep(2.2, 3.3, sideways))


def _torso_shift(rest: Pose, pose: Pose, size: tuple[int, int], xy: F64, eye_px: float, follow: float) -> F64:
    """Where the torso goes: a share of the neck pivot's motion, of the roll and of the turn; (O, 2) pixels."""
    pivot = (_PIVOT * 0.9)[None]
    before, after = rest.place(pivot, size)[0, :2], pose.place(pivot, size)[0, :2]
    shift = follow * (after - before)
    relative = pose.rotation @ rest.rotation.T
    roll = 0.35 * follow * np.arctan2(relative[1, 0], relative[0, 0])
    offset = xy - before
    turned = np.column_stack([offset[:, 1], -offset[:, 0]]) * roll
    grown = offset * follow * (pose.scale / rest.scale - 1)
    total: F64 = shift + turned + grown
    return total


def _fillers() -> npt.NDArray[np.int64]:
    """Triangles that close mouth and eyes, so that the map has no holes there; (F, 3)."""
    rows = []
    for upper, lower in (
        (INNER_LIP_UPPER, INNER_LIP_LOWER),
        (EYE_A_UPPER, EYE_A_LOWER),
        (EYE_B_UPPER, EYE_B_LOWER),
    ):
        for i in range(len(upper) - 1):
            quad = (upper[i], upper[i + 1], lower[i + 1], lower[i])
            rows += [t for t in ((quad[0], quad[1], quad[2]), (quad[0], quad[2], quad[3])) if len(set(t)) == 3]
    return np.array(rows)


def smoothstep(low: float, high: float, value: F64) -> F64:
    """Cubic ramp from 0 at `low` to 1 at `high`, any shape."""
    t = np.clip((value - low) / (high - low), 0.0, 1.0)
    result: F64 = t * t * (3 - 2 * t)
    return result
