"""Who looks at pixels: one small interface, several libraries behind it, and the one place that chooses.

| name | needs | gives |
| --- | --- | --- |
| `mediapipe-legacy` | mediapipe up to 0.10.21, networks in its wheel | 478 points, boxes, person mask |
| `mediapipe-tasks` | any mediapipe, `face_landmarker.task` supplied by the user | 478 points, boxes, person mask |
| `fan` | face-alignment, weights downloaded at first use | 68 points (`talkhead.face.fan`) |
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from talkhead.errors import UsageError
from talkhead.face.networks import (
    DETECT_FULL_RANGE,
    DETECT_SHORT_RANGE,
    MESH,
    SELFIE,
    NetworkSpec,
    bundled,
    network,
)
from talkhead.face.topology import EYE_A_LOWER, EYE_A_UPPER, EYE_B_LOWER, EYE_B_UPPER, N_POINTS, N_SKIN

U8 = npt.NDArray[np.uint8]
F64 = npt.NDArray[np.float64]
Reach = Literal["near", "far"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Detection:
    """A face found in a picture.

    Attributes:
        bbox: x0, y0, x1, y1, pixels. score: 0..1.
        keypoints: (6, 2) pixels: eye A, eye B, nose tip, mouth, ear A, ear B (A at image left of an upright face).
    """

    bbox: tuple[float, float, float, float]
    score: float
    keypoints: F64

    @property
    def side(self) -> float:
        """The longer side of the box, pixels."""
        x0, y0, x1, y1 = self.bbox
        return max(x1 - x0, y1 - y0)

    @property
    def center(self) -> F64:
        """Middle of the box, (2,)."""
        x0, y0, x1, y1 = self.bbox
        return np.array([(x0 + x1) / 2, (y0 + y1) / 2])


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """One look of a mesh network at one crop.

    Attributes:
        points: (478, 3) in crop pixels, axes as in `Landmarks`. presence: probability that there is a face, 0..1.
    """

    points: F64
    presence: float


class FaceProvider(Protocol):
    """Three questions about square pictures; everything else is built on them."""

    name: str
    mesh_size: int

    def detect_size(self, reach: Reach) -> int:
        """Side of the square that `detect` wants, pixels."""
        ...

    def detect(self, square: U8, reach: Reach) -> list[Detection]:
        """Faces in a square RGB picture of `detect_size(reach)`, overlapping finds included.

        `near` expects faces of a fifth of the square and more, `far` down to a twelfth.
        """
        ...

    def look(self, crop: U8) -> Look:
        """The mesh of the face that fills two thirds of a (mesh_size, mesh_size, 3) RGB crop."""
        ...

    def person(self, square: U8) -> npt.NDArray[np.float32]:
        """Probability of "person" per pixel, (256, 256), of a (256, 256, 3) RGB square."""
        ...


def provider(name: str | None = None) -> FaceProvider:
    """The provider of 478 points in this process.

    Args:
        name: one of the names above; None reads TALKHEAD_FACE_PROVIDER, and without it takes the bundled networks
            where the installed mediapipe has them, else `mediapipe-tasks`.
    Raises:
        UsageError: unknown name, or `fan`, which has no mesh. WeightsError: `mediapipe-tasks` misses its file.
        EnvironmentProblem: the library does not start.
    """
    automatic = "mediapipe-legacy" if bundled() else "mediapipe-tasks"
    chosen = name or os.environ.get("TALKHEAD_FACE_PROVIDER") or automatic
    if chosen == "fan":
        raise UsageError("fan gives 68 points only; a mesh of 478 is needed here", hint="use a mediapipe provider")
    if chosen not in ("mediapipe-legacy", "mediapipe-tasks"):
        raise UsageError(f"unknown face provider {chosen!r}", hint="known: mediapipe-legacy, mediapipe-tasks, fan")
    return _started(chosen)


@cache
def _started(name: str) -> FaceProvider:
    if name == "mediapipe-legacy":
        return LegacyProvider()
    from talkhead.face.tasks import TasksProvider

    return TasksProvider()


class LegacyProvider:
    """The networks bundled with mediapipe, each called directly."""

    name = "mediapipe-legacy"
    mesh_size = MESH.size

    def detect_size(self, reach: Reach) -> int:
        """See `FaceProvider.detect_size`."""
        return _DETECTORS[reach].size

    def detect(self, square: U8, reach: Reach) -> list[Detection]:
        """See `FaceProvider.detect`; anchors and decoding of BlazeFace (Bazarevsky et al. 2019)."""
        spec = _DETECTORS[reach]
        boxes, logits = network(spec).run(square)
        return _decoded(boxes.reshape(-1, 16), logits, spec)

    def look(self, crop: U8) -> Look:
        """See `FaceProvider.look`; lips, lids and irises come from the attention heads, depth from the mesh."""
        mesh, *parts, flag = network(MESH).run(crop)
        points = np.zeros((N_POINTS, 3))
        points[:N_SKIN] = mesh.reshape(-1, 3)
        points[_refined(), :2] = np.concatenate(parts).reshape(-1, 2)
        points[N_SKIN : N_SKIN + 5, 2] = points[list(EYE_A_UPPER + EYE_A_LOWER[1:-1]), 2].mean()
        points[N_SKIN + 5 :, 2] = points[list(EYE_B_UPPER + EYE_B_LOWER[1:-1]), 2].mean()
        return Look(points=points, presence=_sigmoid(flag)[0])

    def person(self, square: U8) -> npt.NDArray[np.float32]:
        """See `FaceProvider.person`."""
        return network(SELFIE).run(square)[0].reshape(SELFIE.size, SELFIE.size)


MIN_RAW_SCORE = 0.2
_DETECTORS: dict[Reach, NetworkSpec] = {"near": DETECT_SHORT_RANGE, "far": DETECT_FULL_RANGE}


def _decoded(raw: npt.NDArray[np.float32], logits: npt.NDArray[np.float32], spec: NetworkSpec) -> list[Detection]:
    scores = _sigmoid(logits)
    found = []
    for i in np.flatnonzero(scores >= MIN_RAW_SCORE):
        center = _anchors(spec.size)[i] + raw[i, :2]
        keypoints = _anchors(spec.size)[i] + raw[i, 4:].reshape(6, 2)
        x0, y0, x1, y1 = (float(v) for v in (*(center - raw[i, 2:4] / 2), *(center + raw[i, 2:4] / 2)))
        found.append(Detection(bbox=(x0, y0, x1, y1), score=float(scores[i]), keypoints=keypoints))
    return found


@cache
def _anchors(size: int) -> F64:
    """Anchor centres in network pixels: one per cell of 4 px (full range), 2 of 8 and 6 of 16 px (short range)."""
    layers = [(4, 1)] if size == DETECT_FULL_RANGE.size else [(8, 2), (16, 6)]
    centers = []
    for stride, repeats in layers:
        y, x = np.mgrid[0 : size // stride, 0 : size // stride]
        grid = (np.stack([x, y], -1).reshape(-1, 2) + 0.5) * stride
        centers.append(np.repeat(grid, repeats, 0))
    return np.concatenate(centers)


@cache
def _refined() -> npt.NDArray[np.intp]:
    """Point numbers of the attention heads' outputs: lips (80), eye A (71), eye B (71), irises (5 + 5)."""
    table: npt.NDArray[np.intp] = np.load(Path(__file__).with_name("mesh_refinement.npy")).astype(np.intp)
    return table


def _sigmoid(logits: npt.NDArray[np.float32]) -> F64:
    return 1 / (1 + np.exp(-np.clip(logits.astype(np.float64), -50, 50)))
