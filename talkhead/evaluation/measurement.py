"""`Measurement`: one number of an evaluation, and everything a reader needs in order not to misread it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Grade = Literal["exact", "paper", "paper-like", "proxy", "unverified"]
"""How near a number is to its published definition. `exact`: a closed formula. `paper`: the paper's own network.
`paper-like`: another network of the same kind. `proxy`: our own variant without one. `unverified`: unknown weights."""

PROXY_SIGN = "~"


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """One number.

    Attributes:
        name: what tables show. A proxy never carries a published metric's bare name: `~` and its source are added.
        definition: which reading of the name this is, `family/variant`. grade: how near to the published definition.
        value: None where the clip allows none; `reason` then says why. unit: empty for shares and correlations.
        n_frames: frames that count. frames_dropped: frames that do not (no face). n_clips: clips it is a mean of.
        params: settings that change the value.
    Raises:
        ValueError: a proxy without `~` or another grade with it; not finite; neither or both of value and reason.
    """

    name: str
    definition: str
    grade: Grade
    value: float | None
    reason: str = ""
    unit: str = ""
    n_frames: int
    frames_dropped: int = 0
    n_clips: int = 1
    params: Mapping[str, float | int | str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.grade == "proxy") != (PROXY_SIGN in self.name):
            raise ValueError(f"{self.name} has grade {self.grade}; proxies alone have {PROXY_SIGN} in their name")
        if (self.value is None) != bool(self.reason):
            raise ValueError(f"{self.name} needs a value or the reason why there is none")
        if self.value is not None and not math.isfinite(self.value):
            raise ValueError(f"{self.name} is {self.value}; a value that does not exist is None")


def measurement_of(value: float, why_not: str, **fields: Any) -> Measurement:
    """A measurement of a number that may not exist.

    Args:
        value: NaN and infinity become None. why_not: the reason that is then given.
        fields: the other attributes.
    """
    exists = math.isfinite(value)
    return Measurement(value=float(value) if exists else None, reason="" if exists else why_not, **fields)


def mean_over_clips(clips: Sequence[Measurement]) -> Measurement:
    """The mean of one measurement over clips, each clip counting alike; clips without a value are left out.

    Raises:
        ValueError: no clips, or they hold different measurements.
    """
    if len({(m.name, m.definition, m.grade, m.unit) for m in clips}) != 1:
        raise ValueError(f"cannot average {sorted({f'{m.name} {m.definition} {m.grade}' for m in clips})}")
    valued = [m for m in clips if m.value is not None]
    values = [m.value for m in valued if m.value is not None]
    return replace(
        clips[0],
        value=sum(values) / len(values) if values else None,
        reason="" if values else clips[0].reason,
        n_frames=sum(m.n_frames for m in valued),
        frames_dropped=sum(m.frames_dropped for m in valued),
        n_clips=len(valued),
        params={key: value for key, value in clips[0].params.items() if all(m.params.get(key) == value for m in clips)},
    )


def mean_over_frames(clips: Sequence[Measurement]) -> Measurement:
    """The mean of one measurement over the frames of all clips, which counts long clips more (HeadGAN, section 4).

    For means over frames only: see `pixels.pooled_psnr` for the one that is not.

    Raises:
        ValueError: as `mean_over_clips`.
    """
    mean = mean_over_clips(clips)
    valued = [(clip.value, clip.n_frames) for clip in clips if clip.value is not None and clip.n_frames]
    if not valued:
        return mean
    value = math.fsum(value * n for value, n in valued) / sum(n for _, n in valued)
    return replace(mean, value=value, params={**mean.params, "pool": "frames"})
