"""LMD: how far generated landmarks are from the real ones (Chen et al. 2018), in pixels and in eye distances.

The published numbers are means per point of the 20 mouth points, after the mean of the mouth is taken out of each
frame, so that a moved head does not count (the code of Chen et al. sums over the points instead). Pixels depend on the
size of the frames.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from talkhead.errors import ShapeError
from talkhead.evaluation.columns import Columns, Mean
from talkhead.evaluation.measurement import PROXY_SIGN, Grade, Measurement, measurement_of

F64 = npt.NDArray[np.float64]
Floats = npt.NDArray[np.floating[Any]]

MOUTH = slice(48, 68)
OUTER_EYES = (36, 45)


@dataclass(frozen=True, kw_only=True, slots=True)
class LandmarkDistance:
    """Landmarks of one frame against the real ones, mean distance per point.

    Attributes:
        mouth: of the 20 mouth points, their mean taken out, pixels. mouth_eye: the same, percent of the real outer eye
            distance. mouth_raw: without taking out the mean. face: of all 68 points, as they are (F-LMD).
        face_centred: of all 68, their mean taken out.
    """

    mouth: float
    mouth_eye: float
    mouth_raw: float
    face: float
    face_centred: float


def landmark_distance(generated: Floats, real: Floats) -> LandmarkDistance:
    """Compare the landmarks of one frame.

    Args:
        generated, real: (68, 2) iBUG order, pixels of frames of one size.
    Raises:
        ShapeError: another shape.
    """
    for name, points in (("generated", generated), ("real", real)):
        if np.shape(points) != (68, 2):
            raise ShapeError(name, np.shape(points), "(68, 2)")
    ours, theirs = np.asarray(generated, np.float64), np.asarray(real, np.float64)
    eye = float(np.linalg.norm(theirs[OUTER_EYES[0]] - theirs[OUTER_EYES[1]]))
    apart = ours - theirs
    mouth = apart[MOUTH]

    def mean_length(vectors: F64) -> float:
        return float(np.linalg.norm(vectors, axis=-1).mean())

    centred = mean_length(mouth - mouth.mean(0))
    return LandmarkDistance(
        mouth=centred,
        mouth_eye=100 * centred / eye,
        mouth_raw=mean_length(mouth),
        face=mean_length(apart),
        face_centred=mean_length(apart - apart.mean(0)),
    )


class LandmarkDistances:
    """LMD of a clip, streamed; 4 bytes a frame are held.

    Args:
        size: width and height of the frames, which the pixel values depend on. source: of the landmarks; becomes part
            of the names if they are a proxy. grade: of the source.
    """

    def __init__(self, size: tuple[int, int], *, source: str = "mesh", grade: Grade = "proxy") -> None:
        self._means = [Mean() for _ in fields(LandmarkDistance)]
        self._curve = Columns()
        self._size, self._source, self._grade = size, source, grade

    def add(self, generated: Floats | None, real: Floats | None) -> LandmarkDistance | None:
        """Compare a frame's landmarks (68, 2); None, and a dropped frame, where either clip shows no face."""
        score = None if generated is None or real is None else landmark_distance(generated, real)
        if score is not None:
            for mean, value in zip(self._means, astuple(score), strict=True):
                mean.add(value)
        self._curve.add(float("nan") if score is None else score.mouth_eye)
        return score

    @property
    def curve(self) -> npt.NDArray[np.float32]:
        """Distance of the mouth in each frame, (T,) percent of the eye distance; NaN for dropped frames."""
        return self._curve.column()

    def measurements(self) -> list[Measurement]:
        """LMD of the mouth in pixels and in percent of the eye distance, uncentred, and of the whole face."""
        n, means = len(self._curve), dict(zip((f.name for f in fields(LandmarkDistance)), self._means, strict=True))
        rows = [
            ("lmd", "lmd/mouth20-centred", "px", means["mouth"]),
            ("lmd_eye", "lmd/mouth20-centred/outer-eye", "%", means["mouth_eye"]),
            ("lmd_raw", "lmd/mouth20-raw", "px", means["mouth_raw"]),
            ("lmd_face", "lmd/face68", "px", means["face"]),
        ]
        return [
            measurement_of(
                mean.value,
                "no frame shows a face in both clips" if n else "no frames to compare",
                name=name + (PROXY_SIGN + self._source if self._grade == "proxy" else ""),
                definition=definition,
                grade=self._grade,
                unit=unit,
                n_frames=mean.n,
                frames_dropped=n - mean.n,
                params={"landmarks": self._source, "width": self._size[0], "height": self._size[1]},
            )
            for name, definition, unit, mean in rows
        ]
