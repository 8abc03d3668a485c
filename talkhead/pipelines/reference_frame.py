"""The frame of a clip that stands for all others: what a compressed stream shows and bends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from talkhead.coeffs.container import Coeffs
from talkhead.coeffs.retarget import driver_neutral
from talkhead.coeffs.rotation import vectors_about_mean
from talkhead.coeffs.stream import LARGEST
from talkhead.errors import FaceChoiceError, FaceNotFoundError
from talkhead.face.landmarks import Landmarks
from talkhead.geometry import euler_to_matrix
from talkhead.pipelines.inputs import known_space

F64 = npt.NDArray[np.float64]
U8 = npt.NDArray[np.uint8]

_CANDIDATES = 5
# Frames nearer to each other than this look alike: only the best of them is a candidate.
_APART_S = 0.2
_MAX_FACES = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class ReferenceFrame:
    """A frame of a clip.

    Attributes:
        number: which, from 0. image: (H, W, 3) uint8 RGB.
    """

    number: int
    image: U8


def reference_frames(clip: Iterable[U8], coeffs: Coeffs, lever: Mapping[str, F64]) -> list[ReferenceFrame]:
    """Frames fit to stand for a clip, the best first: lips together, eyes open, head as usual, and sharp.

    Args:
        clip: the film's frames, (H, W, 3) uint8 RGB, at the rate of the coefficients. coeffs: absolute, of them.
        lever: what a unit of each track moves on the face (`face3d.leverage`).
    """
    wanted = _calm_frames(coeffs, lever)
    frames = []
    for number, image in enumerate(clip):
        if number in wanted:
            frames.append((-_sharpness(image, coeffs, number), number, image))
        if number == max(wanted):
            break
    return [ReferenceFrame(number=number, image=image) for _, number, image in sorted(frames, key=lambda f: f[:2])]


def face_number(image: U8, centre: tuple[float, float], name: str) -> int:
    """Which face of a picture is at a place: `LARGEST`, or its number from the left, from 1.

    Args:
        image: (H, W, 3) uint8 RGB. centre: x and y, pixels. name: of the picture, for messages.
    Raises:
        FaceNotFoundError: there is none.
    """
    from talkhead.face.mesh import choose_face

    if _covers(choose_face(image, "largest", name=name), centre):
        return LARGEST
    for index in range(_MAX_FACES):
        try:
            if _covers(choose_face(image, index, name=name), centre):
                return index + 1
        except FaceChoiceError:
            break
    raise FaceNotFoundError(f"no face in {name} at ({centre[0]:.0f}, {centre[1]:.0f})")


def head_centre(coeffs: Coeffs, number: int) -> tuple[float, float]:
    """Where the head is in a frame of absolute coefficients, x and y in pixels."""
    assert coeffs.trans is not None and coeffs.scale is not None and coeffs.size is not None
    x, y = (coeffs.trans[number, :2] * coeffs.scale[number]).tolist()
    width, height = coeffs.size.tolist()
    return width / 2 + x, height / 2 - y


def _calm_frames(coeffs: Coeffs, lever: Mapping[str, F64]) -> list[int]:
    """The frames nearest to the person at rest, measured in how far the face would have to move, best first."""
    neutral = driver_neutral(coeffs, space=known_space(coeffs.space))
    cost = np.zeros(len(coeffs))
    for name in ("exp", "trans", "eyelid", "gaze"):
        track, rest = getattr(coeffs, name), getattr(neutral, name)
        if track is not None:
            cost += (((track - rest) * lever[name]) ** 2).sum(-1)
    if coeffs.rot is not None and neutral.rot is not None:
        vectors, _ = vectors_about_mean(coeffs.rot, euler_to_matrix(neutral.rot[0]))
        cost += ((vectors * lever["rot"]) ** 2).sum(-1)
    if coeffs.scale is not None and neutral.scale is not None:
        cost += (np.log(np.maximum(coeffs.scale, 1e-6) / neutral.scale) * lever["scale"]) ** 2
    apart = max(1, round(_APART_S * coeffs.fps))
    chosen: list[int] = []
    for number in np.argsort(cost, kind="stable").tolist():
        if all(abs(number - other) >= apart for other in chosen):
            chosen.append(number)
        if len(chosen) == _CANDIDATES:
            break
    return chosen


def _sharpness(image: U8, coeffs: Coeffs, number: int) -> float:
    """Variance of the Laplacian in a square about the head."""
    import cv2

    assert coeffs.scale is not None
    x, y = head_centre(coeffs, number)
    reach = float(coeffs.scale[number])  # a unit is a little more than the eyes are apart
    height, width = image.shape[:2]
    rows = slice(int(np.clip(y - reach, 0, height - 1)), int(np.clip(y + reach, 1, height)))
    columns = slice(int(np.clip(x - reach, 0, width - 1)), int(np.clip(x + reach, 1, width)))
    gray = cv2.cvtColor(np.ascontiguousarray(image[rows, columns]), cv2.COLOR_RGB2GRAY)
    return float(cv2.Laplacian(gray, cv2.CV_32F).var())


def _covers(landmarks: Landmarks, point: tuple[float, float]) -> bool:
    x0, y0, x1, y1 = landmarks.bbox
    return x0 <= point[0] <= x1 and y0 <= point[1] <= y1
