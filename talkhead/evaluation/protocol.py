"""`Protocol`: how clips are brought to a common form and averaged; the papers' settings by name.

Numbers of different protocols must not stand in one table: size alone moves CPBD, L1 and landmark distances.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, get_args

from talkhead.config import nearest
from talkhead.errors import UsageError
from talkhead.evaluation.crop import CropRule

Pool = Literal["clips", "frames"]
Cropping = Literal["auto", "always", "never"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Protocol:
    """How numbers are made comparable.

    Attributes:
        name: of the preset. paper: whose settings these are. side: both clips are brought to side x side pixels; None:
            they stay at the size of the generated one. fps: rate of both; None: the generated clip's own.
        clip_s: only so many seconds from the start are judged; None: all.
        crop: how films become square. cropping: when: "auto" crops those that are not square, and leaves a square
            picture, which is taken to be such a crop, as it is; "never" refuses others where `side` is set.
        pool: whether each clip counts alike, or each frame. every: one frame of so many is looked at by the pixel
            metrics, CPBD, LPIPS and FID.
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
    crop: CropRule = CropRule()
    cropping: Cropping = "auto"
    every: int = 1
    metrics: tuple[str, ...] = ()
    unknown: str = ""

    def __post_init__(self) -> None:
        if self.pool not in get_args(Pool):
            raise UsageError(f"pool is {self.pool!r}, expected {' or '.join(get_args(Pool))}")
        if self.cropping not in get_args(Cropping):
            raise UsageError(f"cropping is {self.cropping!r}, expected {', '.join(get_args(Cropping))}")
        if self.every < 1:
            raise UsageError(f"every is {self.every}, expected at least 1")

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"metrics": list(self.metrics)}


PROTOCOLS: dict[str, Protocol] = {
    found.name: found
    for found in (
        Protocol(name="plain", cropping="never"),
        Protocol(
            name="rhythmic",
            paper="Talking-head Generation with Rhythmic Head Motion (Chen et al. 2020)",
            side=256,
            crop=CropRule(around="eyes", over="mean", side=205 / 90, down=22.5 / 90),
            metrics=("lmd", "csim", "ssim_uniform", "fid"),
            unknown="SSIM is not specified; taken is the uniform window that the group's code has. Its crop is told in"
            " that code only: a mean square of 205/90 of the landmarks' extent, 80/90 of it above the eyes.",
        ),
        Protocol(
            name="sadtalker",
            paper="SadTalker (Zhang et al. 2023)",
            side=256,
            fps=25.0,
            clip_s=8.0,
            crop=CropRule(over="union", side=1.2),
            metrics=("lse", "diversity", "beat_align", "fid", "cpbd", "csim"),
            unknown="Features of Diversity and the clock of Beat Align are not told. Films are cropped as by Siarohin"
            " et al. 2019, whose code takes the box around all boxes of the face and a tenth more on every side.",
        ),
        Protocol(
            name="headgan",
            paper="HeadGAN (Doukas et al. 2021)",
            side=256,
            pool="frames",
            crop=CropRule(side=1 + 100 / 156),
            metrics=("l1", "psnr", "lpips", "fid", "fvd", "csim", "ard", "au", "lip_reading"),
            unknown="The backbone of LPIPS (taken: AlexNet) and the clips of FVD (taken: 16 frames) are not told.",
        ),
        Protocol(
            name="pir",
            paper="Parametric Implicit Face Representation (Huang et al. 2023)",
            side=512,
            fps=25.0,
            metrics=("ssim", "psnr", "cpbd", "lmd", "lse"),
            unknown="The window of SSIM is not told; taken is the one of Wang et al. 2004. Films are cropped to centre"
            " the face, how closely is not told; taken are two boxes of the face.",
        ),
        Protocol(
            name="au",
            paper="Talking head by action units and temporal self-attention",
            side=112,
            crop=CropRule(side=1.0),
            metrics=("psnr", "ssim", "au"),
            unknown="The window of SSIM is not told; taken is the one of Wang et al. 2004. Faces are cropped to the"
            " detector's box, which is taken to stay where it is.",
        ),
    )
}
"""The presets; `plain` leaves clips as they are and measures everything."""


DEFAULT = "plain"


def protocol_of(name: str, *, pool: Pool | None = None, every: int | None = None, crop: bool | None = None) -> Protocol:
    """A preset, with what the caller changes in it.

    Args:
        name: of the preset. pool, every: as in `Protocol`. crop: whether all clips are cropped, or none.
    Raises:
        UsageError: no such preset, or a change out of range.
    """
    if name not in PROTOCOLS:
        close = nearest(name, list(PROTOCOLS))
        raise UsageError(
            f"no protocol {name!r}", hint=f"did you mean {close}?" if close else f"protocols: {', '.join(PROTOCOLS)}"
        )
    changes: dict[str, Any] = {key: value for key, value in (("pool", pool), ("every", every)) if value is not None}
    if crop is not None:
        changes["cropping"] = "always" if crop else "never"
    return replace(PROTOCOLS[name], **changes)


def as_text() -> str:
    """The presets, with what each sets."""
    lines = []
    for found in PROTOCOLS.values():
        side = f"{found.side}x{found.side}" if found.side else "own size"
        rate = f"{found.fps:g} fps" if found.fps else "own rate"
        length = f"first {found.clip_s:g} s" if found.clip_s else "whole clips"
        words = {"auto": "cropped unless square", "always": "cropped", "never": "not cropped"}[found.cropping]
        lines.append(f"{found.name}: {side}, {rate}, {length}, {words}, mean over {found.pool}")
        lines.append(f"  {'crop' if found.cropping != 'never' else 'with --crop'}: {found.crop.text}")
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
