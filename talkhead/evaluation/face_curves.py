"""Mesh points of a talking face -> what lips, chin, lids and head do, frame by frame, free of person and pose.

Every frame is brought onto the clip's median face by a similarity fitted to the upper face, which speech does not move;
distances are then read in eye distances (between the outer eye corners of the median face).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from talkhead.errors import FaceNotFoundError, ShapeError
from talkhead.face.topology import CHIN, INNER_LIP_PAIRS, MOUTH_CORNERS, N_POINTS, OUTER_EYE_CORNERS
from talkhead.face3d.morphable import FaceModel
from talkhead.geometry import fit_similarity, matrix_to_euler

F64 = npt.NDArray[np.float64]

RATE = 25.0
"""Frames per second of every curve: the lip definitions count in frames of 40 ms."""
MAX_SIZE = 800  # longest side of the frames that are tracked, pixels
LEAST_FOUND = 0.5  # of the frames must show the face

# Eye corners, nose bridge and tip, forehead, temples: points that hold still while a mouth speaks.
STEADY = (33, 133, 362, 263, 168, 6, 197, 195, 5, 4, 10, 151, 9, 8, 108, 337, 127, 356, 234, 454, 143, 372)
ORIGIN = 168  # between the eyes
EYES = ((33, 133, 159, 145), (362, 263, 386, 374))  # corners, upper lid, lower lid

_KEPT = sorted({*STEADY, *np.ravel(INNER_LIP_PAIRS).tolist(), *MOUTH_CORNERS, CHIN, *np.ravel(EYES).tolist()})
_AT = {point: i for i, point in enumerate(_KEPT)}
_STEADY_AT = [_AT[point] for point in STEADY]
_FLIP = np.diag([1.0, -1.0, -1.0])  # picture axes -> the axes of talkhead.geometry


@dataclass(frozen=True, kw_only=True, slots=True)
class MouthCurves:
    """What a mouth does, (T,) each, `RATE` frames per second, in eye distances or any other unit of one's own.

    Attributes:
        opening: distance of the inner lips, negative where they overlap. width: between the corners of the mouth.
        chin: how low the chin is.
    Raises:
        ShapeError: the curves differ in length.
    """

    opening: F64
    width: F64
    chin: F64

    def __post_init__(self) -> None:
        for name in ("width", "chin"):
            curve = getattr(self, name)
            if curve.shape != self.opening.shape or curve.ndim != 1:
                raise ShapeError(name, curve.shape, f"({len(self.opening)},)")

    def __len__(self) -> int:
        return len(self.opening)


@dataclass(frozen=True, kw_only=True, slots=True)
class FaceCurves:
    """What a face does, `RATE` frames per second.

    Attributes:
        mouth: its curves in eye distances. eye_aspect: (T,) lid gap over eye width, mean of both eyes.
        rot: (T, 3) pitch, yaw, roll against the median face, radians (`talkhead.geometry`).
        found: (T,) where the face was seen; elsewhere all curves are interpolated.
    """

    mouth: MouthCurves
    eye_aspect: F64
    rot: F64
    found: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.mouth)


def face_curves(faces: Iterable[npt.NDArray[np.floating[Any]] | None], *, name: str = "video") -> FaceCurves:
    """Curves of a face's mesh points; about 0.8 KB a frame are held.

    Args:
        faces: of consecutive frames at `RATE`, each (478, 3), x right, y down, z away in one scale (pixels, say);
            None where no face was seen. name: of the file, for messages.
    Raises:
        FaceNotFoundError: the face is seen in fewer than half of the frames. ShapeError: points of another shape.
    """
    seen: list[F64] = []
    flags: list[bool] = []
    for face in faces:
        flags.append(face is not None)
        if face is None:
            continue
        if face.shape != (N_POINTS, 3):
            raise ShapeError("points", face.shape, f"({N_POINTS}, 3)")
        seen.append(np.asarray(face[_KEPT], np.float64))
    found = np.array(flags, bool)
    if not seen or found.mean() < LEAST_FOUND:
        raise FaceNotFoundError(
            f"{name} shows a face in {len(seen)} of {len(found)} frames",
            hint="lips can be judged where at least half of the frames show the face",
        )
    points = np.stack(seen)
    aligned, rot = _aligned(points)
    measured = np.column_stack([*_measures(aligned), rot])
    at, everywhere = np.flatnonzero(found), np.arange(len(found))
    opening, width, chin, eye_aspect, *angles = (np.interp(everywhere, at, column) for column in measured.T)
    return FaceCurves(
        mouth=MouthCurves(opening=opening, width=width, chin=chin),
        eye_aspect=eye_aspect,
        rot=np.stack(angles, -1),
        found=found,
    )


def track_curves(path: str | Path) -> FaceCurves:
    """Follow the largest face of a film and measure it, at a constant `RATE` and at most `MAX_SIZE` pixels.

    Raises:
        MediaError: unreadable. FaceNotFoundError: as `face_curves`.
    """
    from talkhead.face.mesh import FaceTracker
    from talkhead.media.video import open_clip

    with open_clip(path, fps=RATE, max_size=MAX_SIZE) as clip:
        tracked = FaceTracker(RATE, name=str(path)).track_clip(clip)
        return face_curves((None if face is None else face.points for face in tracked), name=str(path))


def curves_of_codes(exp: npt.NDArray[np.floating[Any]], model: FaceModel) -> MouthCurves:
    """What expression codes do to the mouth of the mean face; the opening is 0 without them.

    Args:
        exp: (T, n_exp) offsets from rest, at `RATE`. model: whose codes they are.
    Raises:
        ShapeError: codes of another length.
    """
    shapes = (model.shape(exp=row) @ _FLIP for row in [np.zeros(model.n_exp), *exp])
    mouth = face_curves(shapes, name="the codes").mouth
    return MouthCurves(opening=(mouth.opening - mouth.opening[0])[1:], width=mouth.width[1:], chin=mouth.chin[1:])


def _aligned(points: F64) -> tuple[F64, F64]:
    """Frames (T, K, 3) on the median face, and the turns (T, 3) that were taken out of them."""
    median = np.median(points - points[:, [_AT[ORIGIN]]], axis=0)
    left, right = (median[_AT[corner]] for corner in OUTER_EYE_CORNERS)
    steady = median[_STEADY_AT] / np.linalg.norm(left - right)
    aligned, turns = np.empty_like(points), np.empty((len(points), 3, 3))
    for t, frame in enumerate(points):
        scale, turns[t], shift = fit_similarity(steady, frame[_STEADY_AT])
        aligned[t] = (frame - shift) @ turns[t] / scale
    return aligned, matrix_to_euler(_FLIP @ turns @ _FLIP)


def _measures(aligned: F64) -> tuple[F64, F64, F64, F64]:
    """Opening, width, chin, eye aspect of aligned frames (T, K, 3), (T,) each."""

    def at(point: int) -> F64:
        return aligned[:, _AT[point]]

    def distance(a: int, b: int) -> F64:
        return np.asarray(np.linalg.norm(at(a) - at(b), axis=1))

    opening = np.mean([at(lower)[:, 1] - at(upper)[:, 1] for upper, lower in INNER_LIP_PAIRS], axis=0)
    aspect = np.mean([distance(upper, lower) / distance(a, b) for a, b, upper, lower in EYES], axis=0)
    return opening, distance(*MOUTH_CORNERS), at(CHIN)[:, 1], aspect
