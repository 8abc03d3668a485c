"""Defaults and result types shared by the pipelines; cheap to import, so that the command line reads them from here."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from talkhead.audio.phonemes import PhonemeSet
from talkhead.errors import UsageError

Framing = Literal["full", "crop"]
MotionMode = Literal["auto", "relative", "absolute"]
Codec = Literal["h264", "h265", "vp9", "av1", "ffv1"]
MIN_SIZE, MAX_SIZE = 16, 8192  # longer side of an output, pixels
MAX_POSE_SCALE = 3.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Defaults:
    """The one place where a default of the public functions and commands is written.

    Attributes:
        fps: frames per second. seed: of everything drawn at random. crf: H.264 quality, 0 best .. 51 worst.
        exp_scale, pose_scale: 1 = as the speech asks. pose_style: how lively the head is. articulation: how carefully
            the mouth speaks, 0 mumbled .. 2 over-articulated. phoneme_set: alphabet of phone times.
    """

    system: str = "auto"
    device: str = "auto"
    dtype: str = "auto"
    seed: int = 0
    fps: float = 25.0
    face: str = "largest"
    framing: Framing = "full"
    pose_style: str = "natural"
    pose_scale: float = 1.0
    exp_scale: float = 1.0
    articulation: float = 1.0
    phoneme_set: PhonemeSet = "auto"
    motion: MotionMode = "auto"
    crf: int = 18
    codec: Codec | None = None


DEFAULTS = Defaults()


def check_options(
    *,
    framing: str = DEFAULTS.framing,
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
        if word not in choices:
            raise UsageError(f"{name} is {word!r}, expected {' or '.join(choices)}")
    if size is not None and not MIN_SIZE <= size <= MAX_SIZE:
        raise UsageError(f"size is {size}, expected {MIN_SIZE} to {MAX_SIZE} pixels")
    if seed < 0:
        raise UsageError(f"seed is {seed}, expected 0 or more")
    if not 0 <= pose_scale <= MAX_POSE_SCALE:
        raise UsageError(f"pose_scale is {pose_scale:g}, expected 0 to {MAX_POSE_SCALE:g}")


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
