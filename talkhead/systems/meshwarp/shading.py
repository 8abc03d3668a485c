"""Change of light with rotation and expression: the photo's light is read off its face, then moved with the normals.

Skin that an expression pushes together folds and darkens: the gain also falls with the area a vertex loses ("tension
maps" in animation), which gives cheeks their furrow and foreheads their shade.

A first-order spherical-harmonics light (ambient and one soft direction, Ramamoorthi and Hanrahan 2001) is fitted to
the luminance of the face's vertices; a frame's gain at a vertex is the ratio of that light on its new and old normal.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from talkhead.face.topology import N_SKIN, OUTER_LIP_LOWER, OUTER_LIP_UPPER, OVAL
from talkhead.face3d.compiled import compiled
from talkhead.systems.meshwarp.mesh import HeadMesh, Pose, inside_polygon

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
U8 = npt.NDArray[np.uint8]

_GAIN_LIMITS = (0.72, 1.28)
# On five clips of talking faces the error of the face falls up to about this strength; see docs/meshwarp.md.
_FOLDING = 0.7
_LIP_FOLDING = 0.2  # rounded lips lose area too, but roll outwards into the light
_FOLD_FREE = 0.03  # lost area that is tracking noise
_OUTER_REACH = 0.9  # the gain fades out this far outside the oval, eye distances


@dataclass(frozen=True, kw_only=True, slots=True)
class Light:
    """Fitted light: `ambient` and `direction` (3,) of luminance = ambient + direction . normal, in camera axes.

    `rest_shade` (468,) is its value on the photo's own normals, `rest_area` (468,) the skin round its vertices,
    `folding` (468,) how much they darken with area lost;
    `outer_blend` (O, 36) spreads the oval's gains out. `amount` is how much of the change is applied.
    """

    ambient: float
    direction: F64
    triangles: npt.NDArray[np.int32]
    rest_shade: F64
    rest_area: F64
    folding: F64
    outer_blend: F64
    amount: float

    def gains(self, face: F64, pose: Pose) -> F32:
        """Shading gain of every vertex, (468 + O,) float32; 1 at the photo's own pose and expression.

        Args:
            face: (478, 3) driven vertices, head frame. pose: of the frame.
        """
        normals, area = vertex_normals(face[:N_SKIN], self.triangles)
        ratio = np.clip(self.shade(normals, pose) / self.rest_shade, *_GAIN_LIMITS)
        lost = 1 - area / self.rest_area
        folded = np.clip(1 - self.folding * np.maximum(lost - _FOLD_FREE, 0), _GAIN_LIMITS[0], 1)
        inner = 1 + self.amount * (ratio * folded - 1)
        outer = 1 + self.outer_blend @ (inner[list(OVAL)] - 1)
        return np.concatenate([inner, outer]).astype(np.float32)

    def shade(self, normals: F64, pose: Pose) -> F64:
        """Luminance of surfaces with these head-frame normals (V, 3) under a pose, (V,)."""
        lit = self.ambient + normals @ (pose.rotation.T @ self.direction)
        result: F64 = np.maximum(lit, 0.25 * self.ambient)
        return result


def fit_light(image: U8, mesh: HeadMesh, landmarks: F64, triangles: npt.NDArray[np.int32], amount: float) -> Light:
    """Fit ambient and directional light to the photo's face.

    Args:
        image: (H, W, 3) uint8. landmarks: (478, 3) pixels. triangles: (F, 3) of the face skin. amount: 0..1.
    """
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    smooth = cv2.GaussianBlur(gray, (0, 0), max(1.0, 0.05 * mesh.eye_px))
    xy = landmarks[:N_SKIN, :2].astype(np.float32)
    values = cv2.remap(
        smooth, xy[None, :, 0] - 0.5, xy[None, :, 1] - 0.5, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )[0]
    own_normals, area = vertex_normals(mesh.face[:N_SKIN], triangles)
    normals = own_normals @ mesh.pose.rotation.T
    facing = np.clip(normals[:, 2], 0, 1)
    design = np.column_stack([np.ones(N_SKIN), normals])
    weight = facing.copy()
    solution = np.array([float(np.median(values)), 0.0, 0.0, 0.0])
    for _ in range(6):  # brows, lips, beard and highlights are outliers of a skin-light model
        ridge = np.diag([0.0, 2.0, 2.0, 6.0]) * weight.sum() / N_SKIN
        a = design.T @ (design * weight[:, None]) + ridge
        solution = np.linalg.solve(a, design.T @ (values * weight))
        residual = values - design @ solution
        spread = max(1.48 * float(np.median(np.abs(residual))), 2.0)
        weight = facing / (1 + (residual / (1.5 * spread)) ** 2)
    ambient = max(float(solution[0]), 8.0)
    direction = solution[1:] * min(1.0, 0.7 * ambient / max(float(np.linalg.norm(solution[1:])), 1e-6))
    oval = mesh.source[list(OVAL)]
    outer = mesh.source[N_SKIN:]
    distance = np.linalg.norm(outer[:, None] - oval[None], axis=2)
    blend = 1 / np.maximum(distance, 1e-3 * mesh.eye_px) ** 2
    fade = np.clip(1 - distance.min(1) / (_OUTER_REACH * mesh.eye_px), 0, 1)
    blend = blend / blend.sum(1, keepdims=True) * (fade * mesh.head_weight)[:, None]
    light = Light(
        ambient=ambient,
        direction=direction,
        triangles=np.ascontiguousarray(triangles),
        rest_shade=np.ones(N_SKIN),
        rest_area=np.maximum(area, 1e-9),
        folding=np.where(_on_lips(mesh.source[:N_SKIN]), _LIP_FOLDING, _FOLDING),
        outer_blend=blend,
        amount=amount,
    )
    return replace(light, rest_shade=light.shade(own_normals, mesh.pose))


def _on_lips(points: F64) -> npt.NDArray[np.bool_]:
    """Which of the face's vertices (468, 2) are lips."""
    ring = OUTER_LIP_UPPER + OUTER_LIP_LOWER[-2:0:-1]
    lips = inside_polygon(points, points[list(ring)])
    lips[list(ring)] = True
    return lips


@compiled()
def vertex_normals(vertices: F64, triangles: npt.NDArray[np.int32]) -> tuple[F64, F64]:
    """Area-weighted unit normals (V, 3) of counter-clockwise triangles, and twice the area round each vertex (V,)."""
    normals = np.zeros((vertices.shape[0], 3))
    areas = np.zeros(vertices.shape[0])
    for f in range(triangles.shape[0]):
        i, j, k = triangles[f, 0], triangles[f, 1], triangles[f, 2]
        ax, ay, az = vertices[j, 0] - vertices[i, 0], vertices[j, 1] - vertices[i, 1], vertices[j, 2] - vertices[i, 2]
        bx, by, bz = vertices[k, 0] - vertices[i, 0], vertices[k, 1] - vertices[i, 1], vertices[k, 2] - vertices[i, 2]
        nx, ny, nz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
        area = np.sqrt(nx * nx + ny * ny + nz * nz)
        for v in (i, j, k):
            areas[v] += area
            normals[v, 0] += nx
            normals[v, 1] += ny
            normals[v, 2] += nz
    for v in range(normals.shape[0]):
        length = np.sqrt(normals[v, 0] ** 2 + normals[v, 1] ** 2 + normals[v, 2] ** 2)
        if length > 1e-12:
            for c in range(3):
                normals[v, c] /= length
    return normals, areas
