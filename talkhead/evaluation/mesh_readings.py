"""What one frame's face mesh says, in a dozen numbers: kept of every frame, while the 478 points are let go.

Distances are read in the picture plane and divided by the distance of the outer eye corners of the same frame: free of
size and of turns in the picture, not of turns out of it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from talkhead.errors import ShapeError
from talkhead.evaluation.columns import Columns
from talkhead.evaluation.head_pose import angles_of_mesh
from talkhead.face.topology import CHIN, LANDMARKS_68, MOUTH_CORNERS, N_POINTS, OUTER_EYE_CORNERS

F64 = npt.NDArray[np.float64]
Floats = npt.NDArray[np.floating[Any]]

INNER_LIPS, OUTER_LIPS = (13, 14), (0, 17)
NOSE_BASE = 2
_EYES = (LANDMARKS_68[36:42], LANDMARKS_68[42:48])


@dataclass(frozen=True, kw_only=True, slots=True)
class MeshReadings:
    """Numbers of consecutive frames, (T,) each, NaN where no face was seen.

    Attributes:
        fps: frames per second. angles: (T, 3) pitch, yaw, roll, degrees. eye_distance: outer eye corners, pixels.
        gap: inner lips. outer_gap: outer lips. width: corners of the mouth. chin: chin to base of the nose. lip: top
            of the upper lip to base of the nose. pout: how far the lips stand out of the plane of the eye corners and
            the base of the nose. All in eye distances.
        eye_aspect: lid gap over eye width, mean of both eyes (Soukupova and Cech 2016, eq. 1).
    """

    fps: float
    angles: F64
    eye_distance: F64
    gap: F64
    outer_gap: F64
    width: F64
    chin: F64
    lip: F64
    pout: F64
    eye_aspect: F64

    def __len__(self) -> int:
        return len(self.gap)

    @property
    def found(self) -> npt.NDArray[np.bool_]:
        """(T,) where a face was seen."""
        return np.isfinite(self.gap)

    def cut(self, n_frames: int) -> MeshReadings:
        """The first frames of these."""
        arrays = {f.name: getattr(self, f.name)[:n_frames] for f in fields(self) if f.name != "fps"}
        return MeshReadings(fps=self.fps, **arrays)


_SCALARS = tuple(f.name for f in fields(MeshReadings) if f.name not in ("fps", "angles"))


class MeshReader:
    """Reads the mesh of one clip frame by frame; 48 bytes a frame are held.

    Args:
        fps: frames per second.
    """

    def __init__(self, fps: float) -> None:
        self._fps = fps
        self._rows = Columns(len(_SCALARS) + 3)

    def add(self, points: Floats | None) -> None:
        """Take in the mesh of the next frame.

        Args:
            points: (478, 3) pixels, x right, y down, z away; None where no face was seen.
        Raises:
            ShapeError: another shape.
        """
        if points is None:
            self._rows.add(*[np.nan] * (len(_SCALARS) + 3))
            return
        if points.shape != (N_POINTS, 3):
            raise ShapeError("points", points.shape, f"({N_POINTS}, 3)")
        self._rows.add(*_read(np.asarray(points, np.float64)), *angles_of_mesh(points))

    def finish(self) -> MeshReadings:
        """What was read so far."""
        table = self._rows.table().astype(np.float64)
        columns = dict(zip(_SCALARS, table.T, strict=False))
        return MeshReadings(fps=self._fps, angles=table[:, -3:], **columns)


def _read(points: F64) -> F64:
    """The numbers of one frame in the order of `_SCALARS`."""

    def apart(a: int, b: int) -> float:
        return float(np.linalg.norm(points[a, :2] - points[b, :2]))

    eyes = apart(*OUTER_EYE_CORNERS)
    lengths = (
        apart(*INNER_LIPS),
        apart(*OUTER_LIPS),
        apart(*MOUTH_CORNERS),
        apart(CHIN, NOSE_BASE),
        apart(OUTER_LIPS[0], NOSE_BASE),
        _pout(points),
    )
    aspects = [(apart(e[1], e[5]) + apart(e[2], e[4])) / (2 * apart(e[0], e[3])) for e in _EYES]
    return np.array([eyes, *(length / eyes for length in lengths), np.mean(aspects)])


def _pout(points: F64) -> float:
    """Height of the lips' middle over the plane of the eye corners and the base of the nose, pixels."""
    left, right, nose = points[OUTER_EYE_CORNERS[0]], points[OUTER_EYE_CORNERS[1]], points[NOSE_BASE]
    normal = np.cross(nose - left, right - left)
    return float((points[list(OUTER_LIPS)].mean(0) - nose) @ normal / np.linalg.norm(normal))
