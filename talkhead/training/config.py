"""Defaults of `prepare` and `train`, each written once; cheap to import, the command line reads them from here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from talkhead.errors import UsageError
from talkhead.face.crop import HEAD_MARGIN

FPS = 25.0
SAMPLE_RATE = 16_000
SAMPLES_PER_FRAME = 640

Picture = Literal["jpg", "png"]
Masks = Literal["none", "quick", "fine"]


@dataclass(frozen=True, kw_only=True, slots=True)
class PrepareConfig:
    """What `prepare` keeps of a video, and how.

    Attributes:
        size: side of the pictures, pixels. margin: how much longer the crop's side is than the face's box is high.
        max_motion: a clip is dropped if the middle of the face wanders over more of the crop's side than this.
        min_s, max_s: length of a clip, seconds; longer stretches are cut. max_missing: share of frames that may lack a
            face. max_stretch: a clip is dropped if its crop must be enlarged by more than this.
        several: whether clips in whose crop a second face stays are dropped.
        n_references: pictures of differently turned heads kept of each clip. stretch: frames of a sample, at most.
        picture: how frames are stored. quality: of JPEG, 1 to 100.
        masks: of the person: `quick` is one look of the segmentation network, 8 ms a frame; `fine` is the matte that
            rendering uses, 70 ms.
        listen: systems whose hearing is stored. shard_mb: size at which a new shard is begun, megabytes.
    Raises:
        UsageError: a value out of range.
    """

    size: int = 256
    margin: float = HEAD_MARGIN
    max_motion: float = 0.45
    min_s: float = 1.0
    max_s: float = 60.0
    max_missing: float = 0.1
    max_stretch: float = 2.0
    several: Literal["drop", "keep"] = "drop"
    n_references: int = 8
    stretch: int = 50
    picture: Picture = "jpg"
    quality: int = 95
    masks: Masks = "quick"
    listen: tuple[str, ...] = ()
    shard_mb: float = 256.0

    def __post_init__(self) -> None:
        ranges = {
            "size": (32, 2048),
            "margin": (0, 4),
            "max_motion": (0, 10),
            "min_s": (1 / FPS, 3600),
            "max_s": (self.min_s, 3600),
            "max_missing": (0, 1),
            "max_stretch": (0.1, 100),
            "n_references": (1, 100),
            "stretch": (1, 1000),
            "quality": (1, 100),
            "shard_mb": (0.001, 100_000),
        }
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise UsageError(f"{name} is {value:g}, expected {low:g} to {high:g}")


PREPARE = PrepareConfig()
