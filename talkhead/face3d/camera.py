"""The perspective camera of Deep3D and its relatives, and changes between camera conventions.

The weak-perspective camera of the built-in engine is `talkhead.geometry.project`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]

IMAGE_FLIP = np.diag([1.0, -1.0, -1.0])
"""Model axes (y up, z to the camera) <-> image axes (y down, z away)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PerspectiveCamera:
    """A pinhole camera on the z axis looking at the model's origin.

    `X = diag(1, -1, -1) (R p + t) + (0, 0, distance)`, `u = focal X / Z + center`.

    Attributes:
        focal: pixels. center: pixels, of both axes. distance: of the camera from the origin, model units.
            The defaults are Deep3D's for 224 px pictures (Deng et al. 2019).
    """

    focal: float = 1015.0
    center: float = 112.0
    distance: float = 10.0

    def resized(self, factor: float) -> PerspectiveCamera:
        """The camera of a picture enlarged by a factor."""
        return PerspectiveCamera(focal=self.focal * factor, center=self.center * factor, distance=self.distance)

    def project(self, vertices: npt.NDArray[np.floating[Any]], rotation: F64, trans: F64) -> F64:
        """Vertices (V, 3) in the picture: (V, 3) x right, y down in pixels, z = distance along the axis in units."""
        camera = (np.asarray(vertices, np.float64) @ rotation.T + trans) @ IMAGE_FLIP + [0.0, 0.0, self.distance]
        uv = self.focal * camera[:, :2] / camera[:, 2:] + self.center
        projected: F64 = np.concatenate([uv, camera[:, 2:]], axis=1)
        return projected


def rotation_from_image_axes(rotation: F64) -> F64:
    """Strip the axis flip of a fit done in image axes, `R_img = diag(1, -1, -1) R`; else frontal reads as pitch 180."""
    stripped: F64 = IMAGE_FLIP @ rotation
    return stripped
