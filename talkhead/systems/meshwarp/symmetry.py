"""Completing a turned face: skin that the photo shows edge-on or not at all is taken from the other half of the face.

Only where the surface has turned towards the camera since the photo, so that the photo itself is never replaced.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from talkhead.face.topology import MIRROR, N_SKIN
from talkhead.face3d.compiled import compiled
from talkhead.systems.meshwarp.mesh import HeadMesh, Pose, smoothstep
from talkhead.systems.meshwarp.raster import OUTSIDE
from talkhead.systems.meshwarp.shading import Light, vertex_normals

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
U8 = npt.NDArray[np.uint8]

# Facing is the z of a unit normal in camera axes: 1 looks into the camera, 0 is edge-on.
_POOR = (0.18, 0.50)  # below the first the photo's own texture is useless, above the second it is good
_BETTER = (0.10, 0.30)  # the other half must face the camera by this much more
_TURNED = (0.03, 0.14)  # and the surface must have turned this much towards it
_MIN_VERTICES = 12


@dataclass(frozen=True, kw_only=True, slots=True)
class Completion:
    """What a photo lacks on its far side.

    Attributes:
        potential: (468,) how much of a vertex would come from the other half. facing: (468,) in the photo.
        tone: (468,) brightness ratio of this side to the other. triangles: of the face.
    """

    potential: F64
    facing: F64
    tone: F64
    triangles: npt.NDArray[np.int32]

    @property
    def is_needed(self) -> bool:
        """Whether the photo is turned far enough for any of this to matter."""
        return int((self.potential > 0.3).sum()) >= _MIN_VERTICES

    def surface(self, face: F64, pose: Pose) -> F32:
        """Per vertex of the skin: blend towards the other half, and tone; (468, 2) float32."""
        facing = vertex_normals(face[:N_SKIN], self.triangles)[0] @ pose.rotation[2]
        weight = self.potential * smoothstep(*_TURNED, facing - self.facing)
        return np.stack([weight, self.tone], 1).astype(np.float32)


def plan_completion(image: U8, matte: F32, mesh: HeadMesh, light: Light, origin: tuple[int, int]) -> Completion:
    """Find what the far side of a photo lacks.

    Args:
        image, matte: (H, W, 3) uint8 and (H, W) 0..1, the region that moves. mesh: of the photo. light: fitted to it.
        origin: x, y of the region in the photo.
    """
    normals = vertex_normals(mesh.face[:N_SKIN], light.triangles)[0]
    facing = normals @ mesh.pose.rotation[2]
    other = MIRROR[:N_SKIN]
    poor = 1 - smoothstep(*_POOR, facing)
    better = smoothstep(*_BETTER, facing[other] - facing)
    around = _skin_brightness(image, matte, mesh.source[:N_SKIN] - origin, mesh.eye_px)
    tone = np.clip(around / around[other], 0.5, 2.0)
    return Completion(potential=poor * better, facing=facing, tone=tone, triangles=light.triangles)


def _skin_brightness(image: U8, matte: F32, points: F64, eye_px: float) -> F64:
    """Luminance of the person round points (N, 2), (N,): its halves differ by shadows, which no light model sees."""
    sigma = max(1.0, 0.10 * eye_px)
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    weight = (matte > 0.9).astype(np.float32)
    mean = cv2.GaussianBlur(gray * weight, (0, 0), sigma) / np.maximum(cv2.GaussianBlur(weight, (0, 0), sigma), 1e-3)
    xy = (points - 0.5).astype(np.float32)[None]
    values = cv2.remap(mean, xy, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0]
    return np.maximum(values.astype(np.float64), 4.0)


@compiled(fastmath=True)
def blend_completion(warped: U8, other: U8, xy: F32, surface: F32, spans: npt.NDArray[np.int32]) -> None:
    """Mix the other half's colours into `warped` (H, W, 4), in place.

    Args:
        other: (H, W, 4) samples of the other half. xy: (H, W, 2) its map. surface: (H, W, 2) blend and tone.
        spans: (H, 2) columns of each row in which the map is filled.
    """
    for y in range(warped.shape[0]):
        for x in range(spans[y, 0], spans[y, 1]):
            weight = surface[y, x, 0]
            if xy[y, x, 0] <= OUTSIDE or weight < np.float32(0.004):
                continue
            for c in range(3):
                value = np.float32(other[y, x, c]) * surface[y, x, 1]
                mixed = np.float32(warped[y, x, c]) + weight * (value - np.float32(warped[y, x, c])) + np.float32(0.5)
                warped[y, x, c] = np.uint8(min(mixed, np.float32(255.0)))
