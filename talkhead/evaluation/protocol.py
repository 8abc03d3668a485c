"""`Protocol`: how clips are brought to a common form and averaged; the papers' settings by name.

Numbers of different protocols must not stand in one table: size alone moves CPBD, L1 and landmark distances.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, get_args

from talkhead.config import nearest
from talkhead.errors import UsageError
from talkhead.evaluation.pixels import SsimVariant

Pool = Literal["clips", "frames"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Protocol:
    """How numbers are made comparable.

    Attributes:
        name: of the preset. paper: whose settings these are. side: both clips are brought to side x side pixels; None:
            they stay at the size of the generated one. fps: rate of both; None: the generated clip's own.
        clip_s: only so many seconds from the start are judged; None: all.
        pool: whether each clip counts alike, or each frame. ssim: which reading of SSIM. every: one frame of so many is
            looked at by the pixel metrics, CPBD, LPIPS and FID.
        metrics: families that the paper reports; what is measured if nothing else is asked for. Empty: all.
        unknown: what the paper leaves open, and what is done here.
    Raises:
        UsageError: a number out of range, or a word that is no choice.
    """

    name: str
    paper: str = ""
    side: int | None = None
    fps: float | None = None
    clip_s: float | None = None
    pool: Pool = "clips"
    ssim: SsimVariant = "wang2004-rgb"
    every: int = 1
    metrics: tuple[str, ...] = ()
    unknown: str = ""

    def __post_init__(self) -> None:
        if self.pool not in get_args(Pool):
            raise UsageError(f"pool is {self.pool!r}, expected {' or '.join(get_args(Pool))}")
        if self.every < 1:
            raise UsageError(f"every is {self.every}, expected at least 1")

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"metrics": list(self.metrics)}


PROTOCOLS: dict[str, Protocol] = {
    found.name: found
    for found in (
        Protocol(name="plain"),
        Protocol(
            name="rhythmic",
            paper="Talking-head Generation with Rhythmic Head Motion (Chen et al. 2020)",
            side=256,
            ssim="skimage-default",
            metrics=("lmd", "csim", "ssim", "fid"),
            unknown="SSIM is not specified; taken is the uniform window that the group's code has. LMD is by our mesh.",
        ),
        Protocol(
            name="sadtalker",
            paper="SadTalker (Zhang et al. 2023)",
            side=256,
            fps=25.0,
            clip_s=8.0,
            metrics=("lse", "diversity", "beat_align", "fid", "cpbd", "csim"),
            unknown="Features of Diversity and the clock of Beat Align are not told.",
        ),
        Protocol(
            name="headgan",
            paper="HeadGAN (Doukas et al. 2021)",
            side=256,
            pool="frames",
            metrics=("l1", "psnr", "lpips", "fid", "fvd", "csim", "ard", "au", "lip_reading"),
            unknown="The backbone of LPIPS (taken: AlexNet) and the clips of FVD (taken: 16 frames) are not told.",
        ),
        Protocol(
            name="pir",
            paper="Parametric Implicit Face Representation (Huang et al. 2023)",
            side=512,
            fps=25.0,
            metrics=("ssim", "psnr", "cpbd", "lmd", "lse"),
            unknown="The window of SSIM is not told; taken is the one of Wang et al. 2004.",
        ),
        Protocol(
            name="au",
            paper="Talking head by action units and temporal self-attention",
            side=112,
            metrics=("psnr", "ssim", "au"),
            unknown="The window of SSIM is not told; taken is the one of Wang et al. 2004.",
        ),
    )
}
"""The presets; `plain` leaves clips as they are and measures everything."""


DEFAULT = "plain"


def protocol_of(name: str, *, pool: Pool | None = None, every: int | None = None) -> Protocol:
    """A preset, with what the caller changes in it.

    Raises:
        UsageError: no such preset, or a change out of range.
    """
    if name not in PROTOCOLS:
        close = nearest(name, list(PROTOCOLS))
        raise UsageError(
            f"no protocol {name!r}", hint=f"did you mean {close}?" if close else f"protocols: {', '.join(PROTOCOLS)}"
        )
    changes: dict[str, Any] = {key: value for key, value in (("pool", pool), ("every", every)) if value is not None}
    return replace(PROTOCOLS[name], **changes)


def as_text() -> str:
    """The presets, with what each sets."""
    lines = []
    for found in PROTOCOLS.values():
        side = f"{found.side}x{found.side}" if found.side else "own size"
        rate = f"{found.fps:g} fps" if found.fps else "own rate"
        length = f"first {found.clip_s:g} s" if found.clip_s else "whole clips"
        lines.append(f"{found.name}: {side}, {rate}, {length}, mean over {found.pool}, ssim {found.ssim}")
        lines += [f"  {text}" for text in (found.paper, f"metrics: {', '.join(found.metrics) or 'all'}", found.unknown)
                  if text]  # fmt: skip
    return "\n".join(lines)


def difference(one: dict[str, Any], other: dict[str, Any]) -> str:
    """In what two stored protocols differ, as far as numbers depend on it; empty: in nothing."""
    counts = [field.name for field in fields(Protocol) if field.name not in ("name", "paper", "metrics", "unknown")]
    apart = [f"{name} {one.get(name)} and {other.get(name)}" for name in counts if one.get(name) != other.get(name)]
    if one.get("name") != other.get("name"):
        apart.insert(0, f"protocol {one.get('name')} and {other.get('name')}")
    return "; ".join(apart)
