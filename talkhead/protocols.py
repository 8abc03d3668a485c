"""What a system may offer, and the values that cross between stages.

A system is a folder under `talkhead.systems` whose `__init__` holds a `SystemInfo` named `SYSTEM` (cheap to import) and
whose `run.py` builds the stages it lists. Commands know these protocols only, never a system by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from talkhead.audio.framing import Speech as Speech
from talkhead.coeffs.container import Coeffs
from talkhead.face.landmarks import Landmarks

Stage = Literal["extract", "audio2coeff", "pose", "render", "reenact", "frontalize"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SystemInfo:
    """What `talkhead systems` shows, and where the stages live.

    Attributes:
        name: the word users type. paper: citation or one line. licence: of the code and of the weights.
        stages: which stages `run` builds. spaces: coefficient spaces its renderer understands.
        weights: names of entries of the weights manifest; empty when it needs none.
        module: import path of the module with `build_<stage>(device=...)` functions.
    """

    name: str
    paper: str
    licence: str
    stages: tuple[Stage, ...]
    spaces: tuple[str, ...]
    weights: tuple[str, ...] = ()
    module: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A photo ready to be animated: pixels and the one face chosen in it.

    Attributes:
        image: (H, W, 3) uint8 RGB. alpha: (H, W) uint8 or None. landmarks: of the chosen face, in the photo's pixels.
        name: shown in messages.
    """

    image: npt.NDArray[np.uint8]
    landmarks: Landmarks
    alpha: npt.NDArray[np.uint8] | None = None
    name: str = "photo"


@dataclass(frozen=True, kw_only=True, slots=True)
class Drive:
    """What moves a source: coefficients, and for renderers that also listen, per-frame features by name."""

    coeffs: Coeffs
    features: dict[str, npt.NDArray[np.float32]] = field(default_factory=dict)


class AudioToCoeffs(Protocol):
    """Speech -> `exp` and `eyelid` (maybe `tongue`, `gaze`) tracks, relative to the source's rest (`Coeffs.relative`).

    Options: `articulation`, `exp_scale`, `blinks` as in `talkhead.audio2coeff`, and `phonemes` (`PhoneTiming`) where
    somebody knows them.
    """

    def __call__(self, speech: Speech, *, fps: float, seed: int, **options: Any) -> Coeffs: ...


class AudioToPose(Protocol):
    """Speech -> `rot` and `trans` (maybe `gaze`) tracks relative to the source's own pose, starting at zero.

    Options: `style` (name or number), `motion` (factor), `reference` (`Coeffs` of a head to move like, or None).
    """

    def __call__(self, speech: Speech, *, fps: float, seed: int, **options: Any) -> Coeffs: ...


class Renderer(Protocol):
    """One prepared source; `render` may be called many times.

    `size` is (width, height) of the frames. Frames are (H, W, 3) uint8 RGB, a fresh array each, `len(drive.coeffs)`
    of them, made one at a time.
    """

    @property
    def size(self) -> tuple[int, int]: ...

    def render(self, drive: Drive) -> Iterator[npt.NDArray[np.uint8]]: ...


class RendererFactory(Protocol):
    """Prepares a source (network weights, textures, mattes) for rendering."""

    def __call__(self, source: Source, **options: Any) -> Renderer: ...
