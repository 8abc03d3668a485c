"""What can be asked of an enhancer: names, defaults and limits. Cheap to import: the command line reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from talkhead.config import nearest
from talkhead.errors import UsageError

FaceEnhancer = Literal["gfpgan", "restoreformer", "codeformer"]

FACE_WEIGHTS: dict[str, str] = {
    "gfpgan": "gfpgan-v1.4",
    "restoreformer": "restoreformer",
    "codeformer": "codeformer",
}
"""Face restoration networks, and their entries in the weights manifest."""

BACKGROUND_WEIGHTS: dict[str, str] = {
    "realesrgan-x2": "realesrgan-x2plus",
    "realesrgan-general": "realesr-general-x4v3",
}
"""Networks that enlarge whole pictures, and their entries."""

ENLARGED_UP_TO = 512
"""Frames whose longer side is at most this many pixels come out at twice their size, as the published tool does with
all; larger ones keep theirs, since a face that fills them is no smaller than the networks' 512 pixels."""
MAX_SCALE = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class EnhanceConfig:
    """One enhancement.

    Attributes:
        faces: network that restores the face; None leaves it. strength: share of the restored face, 0..1; the rest is
            the frame's own. background: network that enlarges the whole picture; None: a Lanczos filter.
        scale: size of the frames given, in units of those taken, 1..4; None: 2 up to 512 pixels, else 1.
    Raises:
        UsageError: no such name, or a number out of range.
    """

    faces: FaceEnhancer | None = None
    strength: float = 1.0
    background: str | None = None
    scale: int | None = None

    def __post_init__(self) -> None:
        _check_name("enhance", self.faces, get_args(FaceEnhancer))
        _check_name("enhance-background", self.background, tuple(BACKGROUND_WEIGHTS))
        if not 0 <= self.strength <= 1:
            raise UsageError(f"--enhance-strength is {self.strength:g}, expected 0 to 1")
        if self.scale is not None and self.scale not in range(1, MAX_SCALE + 1):
            raise UsageError(f"the scale of enhanced frames is {self.scale}, expected 1 to {MAX_SCALE}")

    @property
    def restores(self) -> bool:
        """Whether a face network is needed at all."""
        return self.faces is not None and self.strength > 0

    @property
    def weights(self) -> tuple[str, ...]:
        """Entries of the weights manifest that are needed."""
        face = (FACE_WEIGHTS[self.faces],) if self.faces is not None and self.restores else ()
        return face if self.background is None else (*face, BACKGROUND_WEIGHTS[self.background])

    def scale_of(self, width: int, height: int) -> int:
        """How many times as large frames of this size become."""
        return self.scale or (2 if max(width, height) <= ENLARGED_UP_TO else 1)


def _check_name(option: str, name: str | None, known: tuple[str, ...]) -> None:
    if name is not None and name not in known:
        close = nearest(name, list(known))
        hint = f"did you mean {close!r}?" if close else f"one of {', '.join(known)}"
        raise UsageError(f"--{option}: there is no enhancer {name!r}", hint=hint)
