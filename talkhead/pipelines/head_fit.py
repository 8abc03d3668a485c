"""The 3DMM fit of a system as an instrument of an evaluation, which knows no system: how heads turn, in degrees."""

from __future__ import annotations

import importlib
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt

from talkhead.errors import FaceNotFoundError, WeightsError
from talkhead.evaluation.networks.loading import Origin
from talkhead.face.landmarks import Landmarks
from talkhead.pipelines.choose import systems_for, weights_for
from talkhead.pipelines.config import Machine
from talkhead.protocols import Extractor, SystemInfo, Weights

if TYPE_CHECKING:
    from talkhead.media.video import Clip

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]

_REMEMBERED = 2  # runs of frames: of the generated and of the real clip


@dataclass(frozen=True, kw_only=True, slots=True)
class _Frames:
    """As much of a `Clip` as an extractor uses, of frames that are here."""

    frames: Sequence[U8]
    size: tuple[int, int]
    fps: float

    def __iter__(self) -> Iterator[U8]:
        return iter(self.frames)


class SystemHeads:
    """See `talkhead.evaluation.instruments.HeadFit`.

    Args:
        extractor: of a system. name: of the system. origins: of the files it was opened from.
    """

    def __init__(self, extractor: Extractor, name: str, origins: tuple[Origin, ...]) -> None:
        self._extractor = extractor
        self.name, self.origins = name, origins
        self._last: deque[tuple[Sequence[U8], F32]] = deque(maxlen=_REMEMBERED)

    def angles(self, frames: Sequence[U8], faces: Sequence[Landmarks | None], fps: float) -> F32:
        """Pitch, yaw, roll, (n, 3) degrees; NaN where there is no face.

        Real frames are measured beside the generated ones and against themselves: what was just measured is remembered.
        """
        for seen, angles in self._last:
            if len(seen) == len(frames) and all(a is b for a, b in zip(seen, frames, strict=True)):
                return angles
        found = np.array([face is not None for face in faces])
        angles = np.full((len(frames), 3), np.nan, np.float32)
        if found.any():
            height, width = frames[0].shape[:2]
            clip = cast("Clip", _Frames(frames=frames, size=(width, height), fps=fps))
            try:
                rot = self._extractor.video(clip, faces).rot
            except FaceNotFoundError:  # faces that are too small, or half outside
                rot = None
            if rot is not None:
                angles[found] = np.degrees(rot)[found]
        self._last.append((frames, angles))
        return angles


def open_heads(device: str = "auto") -> SystemHeads:
    """The first system whose weights are here that fits a 3DMM to faces.

    Raises:
        WeightsError: there is none.
    """
    learned = [system for system in systems_for("extract") if system.weights]
    for system in learned:
        opened = _opened(system, device)
        if opened is not None:
            return opened
    names = " or ".join(system.name for system in learned)
    raise WeightsError(f"needs the 3DMM fit of {names}, whose weights are not here", hint=_how_to_get(learned))


def _how_to_get(learned: Sequence[SystemInfo]) -> str | None:
    return f"talkhead weights pull {learned[0].name}" if learned else None


def _opened(system: SystemInfo, device: str) -> SystemHeads | None:
    """The fit of a system; None if its weights are not here."""
    weights = _Recorder(weights_for(Machine(device=device, download=False)))
    try:
        builder = importlib.import_module(system.module).build_extract
        extractor: Extractor = builder(weights, device=device, dtype="float32")
    except WeightsError:
        return None
    return SystemHeads(extractor, system.name, tuple(_origin(name) for name in weights.used))


class _Recorder:
    """A door to weights that notes what went through."""

    def __init__(self, door: Weights) -> None:
        self._door = door
        self.used: list[str] = []

    def __call__(self, name: str) -> Path:
        path = self._door(name)
        self.used.append(name)
        return path

    def has(self, name: str) -> bool:
        """Whether they are here already."""
        return self._door.has(name)


def _origin(name: str) -> Origin:
    """A file whose sha256 was checked against the manifest when it came."""
    from talkhead.weights.manifest import load_manifest

    return Origin(name=name, sha256=load_manifest().file(name).sha256, is_published=True)
