"""Defaults and result types shared by the pipelines; cheap to import, so that the command line reads them from here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, cast, get_args

from talkhead.audio.phonemes import PhonemeSet
from talkhead.errors import UsageError

if TYPE_CHECKING:
    from talkhead.enhance.config import EnhanceConfig
    from talkhead.progress import Progress

Framing = Literal["full", "crop"]
Preprocess = Literal["crop", "extcrop", "resize", "full", "extfull"]
Blend = Literal["feather", "poisson"]
MotionMode = Literal["auto", "relative", "absolute", "adapted"]
Codec = Literal["h264", "h265", "vp9", "av1", "ffv1"]
MIN_SIZE, MAX_SIZE = 16, 8192  # longer side of an output, pixels
MAX_POSE_SCALE = 3.0
MAX_SEED = 2**63 - 1  # what every generator of random numbers takes


@dataclass(frozen=True, kw_only=True, slots=True)
class Defaults:
    """The one place where a default of the public functions and commands is written.

    Attributes:
        fps: frames per second. seed: of everything drawn at random. crf: H.264 quality, 0 best .. 51 worst.
        framing: None is the system's own way: meshwarp shows the whole picture, sadtalker the head.
        exp_scale, pose_scale: 1 = as the speech asks. pose_style: how lively the head is. articulation: how carefully
            the mouth speaks, 0 mumbled .. 2 over-articulated. phoneme_set: alphabet of phone times.
    """

    system: str = "auto"
    device: str = "auto"
    dtype: str = "auto"
    seed: int = 0
    fps: float = 25.0
    face: str = "largest"
    framing: Framing | None = None
    pose_style: str = "natural"
    pose_scale: float = 1.0
    exp_scale: float = 1.0
    articulation: float = 1.0
    phoneme_set: PhonemeSet = "auto"
    motion: MotionMode = "auto"
    crf: int = 18
    codec: Codec | None = None


DEFAULTS = Defaults()


MotionFormat = Literal["compact", "float16", "float32"]
PictureKind = Literal["webp", "png", "jpeg"]
Quality = Literal["low", "medium", "high", "best"]
Sound = Literal["copy", "opus", "none"]


@dataclass(frozen=True, kw_only=True, slots=True)
class CompressDefaults:
    """The one place where a default of `compress` is written.

    Attributes:
        quality: how finely the compact format rounds. format: of the motion. picture: format of the reference picture.
            picture_quality: of webp and jpeg, 1 to 100. sound: what becomes of the sound.
    """

    quality: Quality = "high"
    format: MotionFormat = "compact"
    picture: PictureKind = "webp"
    picture_quality: int = 85
    sound: Sound = "copy"


COMPRESS_DEFAULTS = CompressDefaults()


def check_options(
    *,
    framing: str | None = DEFAULTS.framing,
    size: int | None = None,
    motion: str = DEFAULTS.motion,
    seed: int = DEFAULTS.seed,
    pose_scale: float = DEFAULTS.pose_scale,
) -> None:
    """Refuse, before any work, what the command line's own parser refuses; Python callers come here without it.

    Raises:
        UsageError: a word that is no choice, or a number out of range.
    """
    for name, word, choices in (("framing", framing, get_args(Framing)), ("motion", motion, get_args(MotionMode))):
        if word not in (None, *choices):
            raise UsageError(f"{name} is {word!r}, expected {' or '.join(choices)}")
    if size is not None and not MIN_SIZE <= size <= MAX_SIZE:
        raise UsageError(f"size is {size}, expected {MIN_SIZE} to {MAX_SIZE} pixels")
    if not (isinstance(seed, Integral) and 0 <= seed <= MAX_SEED):
        raise UsageError(f"seed is {seed}, expected a whole number from 0 to {MAX_SEED}")
    if not 0 <= pose_scale <= MAX_POSE_SCALE:
        raise UsageError(f"pose_scale is {pose_scale:g}, expected 0 to {MAX_POSE_SCALE:g}")


def check_scale(name: str, value: float) -> None:
    """Refuse a strength that is negative or not a number.

    Raises:
        UsageError: naming it.
    """
    if not 0 <= value < float("inf"):
        raise UsageError(f"{name} is {value:g}, expected 0 or more")


class MachineKeywords(TypedDict, total=False):
    """The words with which every computing function is told who computes and where; see `Machine`."""

    system: str
    device: str
    dtype: str
    download: bool
    accept_licences: Sequence[str]
    checkpoint: str | Path | None


class RenderKeywords(MachineKeywords, total=False):
    """The words that every function which makes pictures understands beside its own; see `RenderSettings`."""

    size: int | None
    framing: Framing | None
    preprocess: Preprocess | None
    blend: Blend | None
    face_choice: str | int | Path
    enhance: str | None
    enhance_strength: float
    enhance_background: str | None
    crf: int
    codec: Codec | None
    mark: bool
    visible_mark: bool
    overwrite: bool
    dry_run: bool
    progress: Progress | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """Who computes, where, and what may be downloaded for it.

    Attributes:
        system: name, or "auto". device: auto, cpu, cuda[:N] or mps. dtype: number format of a learned system.
        download: whether missing weights may be fetched. accept_licences: of weights, accepted now.
        checkpoint: a learned system's weights of the user's own, in place of the published ones.
        is_dry: nothing is fetched, though the choice of a system goes as if it were.
    """

    system: str = DEFAULTS.system
    device: str = DEFAULTS.device
    dtype: str = DEFAULTS.dtype
    download: bool = True
    accept_licences: tuple[str, ...] = ()
    checkpoint: str | Path | None = None
    is_dry: bool = False

    @classmethod
    def of(cls, words: Mapping[str, Any]) -> Machine:
        """From the keywords of a public function.

        Raises:
            TypeError: a word that is none of them.
        """
        return cls(**{**words, "accept_licences": tuple(words.get("accept_licences", ()))})


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """What the speech stages of one run have in common.

    Attributes:
        machine: who computes. fps: frames per second wanted. seed: of everything drawn. progress: is told how far.
    """

    machine: Machine
    fps: float
    seed: int
    progress: Progress


@dataclass(frozen=True, kw_only=True, slots=True)
class RenderSettings:
    """How pictures are made of a face and motion, and how they are written.

    Attributes:
        machine: who computes.
        size: longer side of the output, pixels, for systems that draw any size; sadtalker draws 256 or 512. None: the
            system's own. framing: whole picture or head; None: the system's own.
        preprocess: SadTalker's finer word for framing. blend: how a drawn head goes back into the whole picture.
        face_choice: which face of the photo.
        enhance: restorer of faces. enhance_strength: 0 nothing .. 1 all. enhance_background: upscaler of the rest.
        crf, codec: of a video. mark, visible_mark: invisible and visible mark of origin.
        overwrite: replace an output. dry_run: check everything, write nothing. progress: is told how far it is.
    Raises:
        UsageError: a word that is no choice, or a number out of range.
    """

    machine: Machine = Machine()
    size: int | None = None
    framing: Framing | None = DEFAULTS.framing
    preprocess: Preprocess | None = None
    blend: Blend | None = None
    face_choice: str | int | Path = DEFAULTS.face
    enhance: str | None = None
    enhance_strength: float = 1.0
    enhance_background: str | None = None
    crf: int = DEFAULTS.crf
    codec: Codec | None = DEFAULTS.codec
    mark: bool = True
    visible_mark: bool = False
    overwrite: bool = False
    dry_run: bool = False
    progress: Progress | None = None

    def __post_init__(self) -> None:
        check_options(framing=self.framing, size=self.size)
        for name, word, choices in (("preprocess", self.preprocess, Preprocess), ("blend", self.blend, Blend)):
            if word not in (None, *get_args(choices)):
                raise UsageError(f"{name} is {word!r}, expected {' or '.join(get_args(choices))}")
        if self.framing is not None and self.preprocess is not None:
            raise UsageError("framing and preprocess both say what of the picture is shown; give one")
        _ = self.enhancement  # checks its words

    @property
    def enhancement(self) -> EnhanceConfig | None:
        """What is to be made sharper, None for nothing.

        Raises:
            UsageError: a word that is no choice, or a strength out of range.
        """
        if self.enhance is None and self.enhance_strength != 1.0:
            raise UsageError("--enhance-strength says nothing without --enhance", hint="add --enhance gfpgan")
        if self.enhance is None and self.enhance_background is None:
            return None
        from talkhead.enhance.config import EnhanceConfig

        return EnhanceConfig(
            faces=cast(Any, self.enhance),  # it checks the word itself
            strength=self.enhance_strength,
            background=self.enhance_background,
        )

    @classmethod
    def of(cls, words: Mapping[str, Any]) -> RenderSettings:
        """From the keywords of a public function.

        Raises:
            TypeError: a word that is none of them. UsageError: see above.
        """
        machine = {name: words[name] for name in MachineKeywords.__annotations__ if name in words}
        rest = {key: value for key, value in words.items() if key not in machine}
        return cls(machine=Machine.of({**machine, "is_dry": rest.get("dry_run", False)}), **rest)


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What a pipeline made.

    Attributes:
        output: where it is ("-" is standard output). system: who computed it. n_frames, fps, size: of the output;
            size is (width, height) in pixels, None for coefficients. written: False after a dry run.
    """

    output: str
    n_frames: int
    fps: float
    system: str = ""
    size: tuple[int, int] | None = None
    written: bool = True

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.n_frames / self.fps

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"duration_s": round(self.duration_s, 3)}
