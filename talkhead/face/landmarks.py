"""`Landmarks`: the points of one face in one picture."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from talkhead.errors import ShapeError
from talkhead.face.topology import LANDMARKS_68, N_POINTS, OUTER_EYE_CORNERS


@dataclass(frozen=True, slots=True)
class Landmarks:
    """The 478 mesh points of one face.

    Attributes:
        points: (478, 3) float64, pixels of the picture: x right, y down, z away from the camera in the same scale.
        deviation: how far single looks at the face differ, in eye distances; 0.01 is usual, above 0.025 doubtful.
    """

    points: npt.NDArray[np.float64]
    deviation: float = 0.0

    def __post_init__(self) -> None:
        if self.points.shape != (N_POINTS, 3):
            raise ShapeError("points", self.points.shape, f"({N_POINTS}, 3)")

    @property
    def eye_distance(self) -> float:
        """Distance of the outer eye corners in pixels, depth included (the unit of most tolerances)."""
        a, b = self.points[list(OUTER_EYE_CORNERS)]
        return float(np.linalg.norm(a - b))

    @property
    def bbox(self) -> tuple[float, float, float, float]:
        """x0, y0, x1, y1 of the points, pixels."""
        low, high = self.points[:, :2].min(0), self.points[:, :2].max(0)
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])

    @property
    def roll(self) -> float:
        """Tilt of the eye line in the picture, radians, clockwise as the viewer sees it."""
        x, y = (self.points[OUTER_EYE_CORNERS[1]] - self.points[OUTER_EYE_CORNERS[0]])[:2]
        return math.atan2(y, x)

    def view68(self) -> npt.NDArray[np.float32]:
        """The iBUG 68-point view, (68, 3), same axes."""
        return self.points[list(LANDMARKS_68)].astype(np.float32)
