"""Defaults of `prepare` and `train`, each written once; cheap to import, the command line reads them from here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from talkhead.errors import UsageError
from talkhead.face import HEAD_MARGIN

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
        listen: systems whose hearing is stored, `SYSTEM` or `SYSTEM:WAY`. shard_mb: size at which a new shard is begun,
            megabytes.
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


@dataclass(frozen=True, kw_only=True, slots=True)
class LoopConfig:
    """How any system is trained: the `loop` section of a recipe.

    Attributes:
        steps: optimiser steps in all. epochs: instead, rounds through the training frames. batch: examples of a
            process at a time. accumulate: so many batches make a step.
        lr: learning rate of all groups; None is the system's own. warmup: steps in which it rises from 0.
            decay_from: share of the steps after which it falls, in a line, to 0 (HeadGAN's 6 epochs of 10 are 0.6).
        grad_clip: longest gradient of a group; 0 leaves it. ema: decay of the averaged networks, 0 for none; the first
            steps average over less. precision: of the networks' layers; `bfloat16` is mixed.
        seed: of weights, order, choices and noise. workers: processes that make examples; 0 makes them in between.
        hold_out: last share of every video that is not learned from. overfit: learn only so many first frames of the
            first video, 0 for all. cache_mb: decoded pictures are kept in memory if
            all of them fit into so many megabytes, in each process that makes examples.
        window: samples (of 50 frames) among which examples are shuffled; what lies further apart is not mixed.
        log_every, sample_every, validate_every, save_every: steps between lines of the log, sheets of pictures, terms
            of held-out frames, and checkpoints; 0 for none (checkpoints: only the last). n_validate: examples of a
            validation. keep: last checkpoints that stay. best: a term of the validation, as the log spells it; the
            weights with the lowest are kept too. tensorboard: whether its log is written.
    Raises:
        UsageError: a value out of range.
    """

    steps: int = 100_000
    epochs: float | None = None
    batch: int = 4
    accumulate: int = 1
    lr: float | None = None
    warmup: int = 0
    decay_from: float = 0.6
    grad_clip: float = 0.0
    ema: float = 0.999
    precision: Literal["float32", "bfloat16"] = "float32"
    seed: int = 0
    workers: int = 0
    hold_out: float = 0.0
    overfit: int = 0
    cache_mb: float = 2000.0
    window: int = 1000
    log_every: int = 1
    sample_every: int = 1000
    validate_every: int = 1000
    save_every: int = 1000
    n_validate: int = 32
    keep: int = 3
    best: str = ""
    tensorboard: bool = True

    def __post_init__(self) -> None:
        ranges: dict[str, tuple[float, float]] = {
            "steps": (1, 10**9),
            "epochs": (1e-6, 10**6),
            "batch": (1, 10**6),
            "accumulate": (1, 10**6),
            "lr": (0, 10),
            "warmup": (0, 10**9),
            "decay_from": (0, 1),
            "grad_clip": (0, 10**9),
            "ema": (0, 0.9999999),
            "seed": (0, 2**63 - 1),
            "workers": (0, 1024),
            "hold_out": (0, 0.9),
            "overfit": (0, 10**9),
            "cache_mb": (0, 10**7),
            "window": (1, 10**9),
            "log_every": (1, 10**9),
            "sample_every": (0, 10**9),
            "validate_every": (0, 10**9),
            "save_every": (0, 10**9),
            "n_validate": (1, 10**6),
            "keep": (1, 10**6),
        }
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise UsageError(f"{name} is {value:g}, expected {low:g} to {high:g}")
        if self.best and not (self.hold_out and self.validate_every):
            raise UsageError("best asks for a validation", hint="set hold_out and validate_every")


LOOP = LoopConfig()
