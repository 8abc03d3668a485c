"""What a system may offer, and the values that cross between stages.

A system is a folder under `talkhead.systems` whose `__init__` holds a `SystemInfo` named `SYSTEM` (cheap to import) and
whose `run.py` builds the stages it lists. Commands know these protocols only, never a system by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from talkhead.audio.framing import Speech as Speech
from talkhead.coeffs.container import Coeffs
from talkhead.coeffs.retarget import Transfer
from talkhead.face.landmarks import Landmarks

if TYPE_CHECKING:
    import torch

    from talkhead.media.video import Clip
    from talkhead.nn.steps import TrainStep

Stage = Literal["extract", "audio2coeff", "pose", "listen", "render", "reenact", "frontalize", "train"]
U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class SystemInfo:
    """What `talkhead systems` shows, and where the stages live.

    Attributes:
        name: the word users type. paper: citation or one line. licence: of the code and of the weights.
        stages: which stages `run` builds. spaces: coefficient spaces its renderer understands.
        weights: names of the entries of the weights manifest that it needs with its default options; empty when it
            needs none. sizes: sides of the pictures its renderer draws, pixels; empty: any size. styles: names of ways
            to move the head, besides numbers.
        understands: words its stages are given only because they are listed here. `render`: `preprocess`, `blend`,
            `yaw`, `pitch`, `roll` (degrees, as text). All learned stages: `checkpoint`, a file of the user's own (given
            to builders). Speech: `phonemes`, `ref_eyeblink`, `ref_pose` (`Coeffs`);
            `articulation` other than 1; and what `reference` is: `manner`, a head to move like, or `face`, the face
            that will speak.
        by_name: whether it is taken only when it is asked for by its name; `auto` passes it over.
        transfer: how it takes one person's motion to another by itself (`coeffs.retarget`).
        is_aligned: whether it measures heads in an aligned picture of their own, so that pose says nothing about
            the place in the photo.
        module: import path of the module with `build_<stage>` functions (docs/adding-a-system.md).
    """

    name: str
    paper: str
    licence: str
    stages: tuple[Stage, ...]
    spaces: tuple[str, ...]
    weights: tuple[str, ...] = ()
    sizes: tuple[int, ...] = ()
    styles: tuple[str, ...] = ()
    understands: frozenset[str] = frozenset()
    by_name: bool = False
    transfer: Transfer = "relative"
    is_aligned: bool = False
    module: str

    def reads(self, space: str) -> bool:
        """Whether its renderer understands codes of a space, given by its name with or without hash."""
        return any(space == own or space.startswith(f"{own}-") for own in self.spaces)

    def lacks(self, wishes: Mapping[str, Any]) -> str:
        """The first wish it cannot follow, as the command line spells it; empty: none.

        Args:
            wishes: `size` in pixels, `pose_style`, or words of `understands`, with their values; None: not asked for.
        """
        for name, value in wishes.items():
            option = f"--{name.replace('_', '-')}"
            if value is None:
                continue
            if name == "size":
                if self.sizes and value not in self.sizes:
                    return f"{option} {value}"
            elif name == "pose_style":
                if str(value) not in self.styles and not str(value).isdecimal():
                    return f"{option} {value}"
            elif name not in self.understands:
                return "--reference for a manner of moving" if name == "manner" else option
        return ""


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
    """What moves a source.

    Attributes:
        coeffs: T frames. features: for renderers that also listen, by name, (T, n) each. frame: the only one that is to
            be drawn, from 0, just as it is in the film of all; None draws them all.
    """

    coeffs: Coeffs
    features: dict[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    frame: int | None = None

    @property
    def frames(self) -> range:
        """Numbers of the frames to draw."""
        return range(len(self.coeffs)) if self.frame is None else range(self.frame, self.frame + 1)


class Weights(Protocol):
    """Where a stage gets its weights from: the name of a manifest entry -> path of a safetensors file.

    Raises:
        WeightsError: they are not here and cannot or may not be fetched.
    """

    def __call__(self, name: str) -> Path: ...

    def has(self, name: str) -> bool:
        """Whether they are here already."""
        ...


class Extractor(Protocol):
    """Pixels -> coefficients in the space of a system."""

    def photo(self, source: Source, *, fps: float, landmarks: bool = False, like: Coeffs | None = None) -> Coeffs:
        """One frame, absolute.

        `landmarks`: also keep the 68 points. `like`: coefficients to be compared with these; where they show the same
        person, a system may measure the photo by what it knows from them.
        """
        ...

    def video(self, clip: Clip, found: Iterable[Landmarks | None], *, landmarks: bool = False) -> Coeffs:
        """All frames, absolute; `found` are the faces of the frames, None where there is none.

        `params["frames_without_face"]` counts those. Raises FaceNotFoundError if no frame shows a face.
        """
        ...


class AudioToCoeffs(Protocol):
    """Speech -> an `exp` track, relative to the source's rest (`Coeffs.relative`), perhaps `eyelid tongue gaze`.

    Options: `articulation`, `exp_scale`, `blinks` as in `talkhead.audio2coeff`; and what `SystemInfo.understands`:
    `phonemes` (`PhoneTiming`) where somebody knows them; `reference`, `Coeffs` of the face that will speak (without one
    `exp` may be absolute); `ref_eyeblink`, `Coeffs` of a clip whose blinks are taken.
    """

    def __call__(self, speech: Speech, *, fps: float, seed: int, **options: Any) -> Coeffs: ...


class AudioToPose(Protocol):
    """Speech -> `rot` and `trans` (maybe `gaze`) tracks relative to the source's own pose, starting at rest.

    Options: `style` (name or number), `motion` (factor), `reference` (`Coeffs` of a head to move like, or of the face
    that will speak, as `SystemInfo.understands` says, or None); `ref_pose`, `Coeffs` of a clip whose head motion is
    taken, where it is understood.
    """

    def __call__(self, speech: Speech, *, fps: float, seed: int, **options: Any) -> Coeffs: ...


class Renderer(Protocol):
    """One prepared source; `render` may be called many times.

    `size` is (width, height) of the frames. Frames are (H, W, 3) uint8 RGB, a fresh array each, `len(drive.frames)`
    of them, made one at a time. `rest_coeffs` are the source's own, one frame, absolute: what relative motion adds to.
    """

    @property
    def size(self) -> tuple[int, int]: ...

    @property
    def hears(self) -> tuple[str, ...]:
        """Names of the features that it wants in `Drive.features`; without them it draws as if nobody spoke."""
        ...

    def rest_coeffs(self) -> Coeffs: ...

    def render(self, drive: Drive) -> Iterator[npt.NDArray[np.uint8]]: ...


class Listener(Protocol):
    """Speech -> what a renderer that also listens wants to hear: arrays by name, (n_frames, n) float32 each.

    They travel to the renderer in `Drive.features`, and into training sets (`TrainingClip.features`).
    """

    def __call__(self, speech: Speech, *, fps: float, n_frames: int) -> dict[str, F32]: ...


class RendererFactory(Protocol):
    """Prepares a source (network weights, textures, mattes) for rendering.

    Options: `size`, `framing`, and those that `SystemInfo.understands`; the ones nobody set are left out.
    """

    def __call__(self, source: Source, **options: Any) -> Renderer: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Reference:
    """A frame that shows how the person of a training clip looks.

    Attributes:
        image: (S, S, 3) uint8 RGB. coeffs: of that frame, as in `TrainingClip`. mask: (S, S) uint8, person 255, or
            None.
    """

    image: U8
    coeffs: Coeffs
    mask: U8 | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingClip:
    """A stretch of a prepared video: what `talkhead prepare` kept of it.

    Attributes:
        name: of the video. person: who it shows. start: number of its first frame in the video.
        images: (S, S, 3) uint8 RGB each, T of them, decoded when they are asked for. masks: (S, S) uint8 each, person
            255; empty if none were kept.
        coeffs: absolute tracks in space `meshwarp`, T frames; in the pixels of the crop, so `size` is (S, S), and `id`
            is that of the whole video.
        sound: (T * 640,) int16, 16 kHz mono, 640 samples a frame at 25 frames a second; None of a silent video.
        features: what the listeners of systems heard, by name, (T, n) each.
        references: frames of the video whose heads are turned as differently as possible.
    """

    name: str
    person: str
    start: int
    images: Sequence[U8]
    masks: Sequence[U8]
    coeffs: Coeffs
    sound: npt.NDArray[np.int16] | None
    features: Mapping[str, F32]
    references: Sequence[Reference]


class TrainSpec(Protocol):
    """How a system learns; `build_train(config, device)` of its module makes one, `training.loop` does the rest.

    Attributes:
        networks: all that is saved and moved to the device, by name. groups: optimiser by name -> names of the
            networks that it moves. averaged: networks of which a moving average is kept beside.
    """

    @property
    def networks(self) -> Mapping[str, torch.nn.Module]: ...

    @property
    def groups(self) -> Mapping[str, tuple[str, ...]]: ...

    @property
    def averaged(self) -> tuple[str, ...]: ...

    def begin(self, path: Path) -> None:
        """Take the weights of a file that the system's stages load, as far as there are such.

        Raises:
            WeightsError: it holds something else. InputError: networks of other sizes than the recipe's.
        """
        ...

    def optimiser(self, group: str, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """A fresh optimiser of a group; the loop changes its rate by the recipe's schedule."""
        ...

    def sample(self, clip: TrainingClip, rng: np.random.Generator) -> dict[str, npt.NDArray[Any]]:
        """One example of a clip, to be stacked into batches; called in worker processes, on the CPU."""
        ...

    def steps(self, batch: Mapping[str, torch.Tensor], number: int) -> Iterator[tuple[str, TrainStep]]:
        """What step `number` minimises: (group, terms), one after the other.

        The loop goes backward from each, and moves the group, before it asks for the next; so a discriminator's terms
        come after the generator's, from the same pictures.
        """
        ...

    def pictures(self, batch: Mapping[str, torch.Tensor]) -> dict[str, U8]:
        """Contact sheets, (H, W, 3) uint8 RGB by name, to look at while it learns."""
        ...

    def checkpoint(self, networks: Mapping[str, torch.nn.Module]) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
        """Tensors and metadata of the safetensors file that the system's stages load.

        `networks` are those to be written, by name: the averaged ones where an average is kept.
        """
        ...
