"""The metrics by family: what `--metric` may name, what each needs, and which rows come of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from talkhead.config import nearest
from talkhead.errors import UsageError
from talkhead.evaluation.measurement import Measurement


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """Some metrics that are measured together.

    Attributes:
        name: for `--metric`. rows: names that it may give. what: one line. needs: beside the generated clip.
    """

    name: str
    rows: tuple[str, ...]
    what: str
    needs: str = ""


FAMILIES: tuple[Family, ...] = (
    Family(name="l1", rows=("l1",), what="mean absolute difference, of 255", needs="a real clip"),
    Family(name="psnr", rows=("psnr", "psnr_pooled"), what="decibels", needs="a real clip"),
    Family(name="ssim", rows=("ssim", "ssim_uniform"), what="structural similarity", needs="a real clip"),
    Family(name="lpips", rows=("lpips",), what="distance in AlexNet", needs="a real clip; weights"),
    Family(name="cpbd", rows=("cpbd",), what="sharpness of edges"),
    Family(name="fid", rows=("fid",), what="distance of two sets of frames", needs="--manifest; weights"),
    Family(name="fvd", rows=("fvd",), what="distance of two sets of videos", needs="--manifest; weights"),
    Family(
        name="csim",
        rows=(
            "csim_paired",
            "csim_source",
            "csim_all_pairs",
            "identity_drift",
            "identity_drift_slope",
            "identity_step",
        ),
        what="same person, by ArcFace",
        needs="weights",
    ),
    Family(name="shape", rows=("identity_shape~mesh",), what="same person, by the shape of the face alone"),
    Family(
        name="lmd",
        rows=("lmd~mesh", "lmd_eye~mesh", "lmd_raw~mesh", "lmd_face~mesh"),
        what="distance of landmarks",
        needs="a real clip",
    ),
    Family(name="ard", rows=("are~mesh", "ard~mesh", "geodesic~mesh"), what="head pose against the real one"),
    Family(name="diversity", rows=("diversity", "diversity~mesh_deg"), what="spread of head motion"),
    Family(
        name="beat_align",
        rows=("beat_align~mesh", "beat_align_chance~mesh", "beat_align_gain~mesh"),
        what="pauses of the head at onsets of the sound",
        needs="sound",
    ),
    Family(
        name="steadiness",
        rows=(
            "jitter~mesh",
            "accel~mesh",
            "blink_rate~mesh",
            "mouth_open~mesh",
            "mouth_open_p95~mesh",
            "mouth_open_share~mesh",
            "face_found",
            "frozen",
        ),
        what="jitter, blinks, opening of the mouth, frozen frames, faces found",
    ),
    Family(
        name="au",
        rows=(
            "au_h",
            "au_f1",
            "au_f1_usual",
            "au_acc",
            "au_h~mesh",
            "au_f1~mesh",
            "au_f1_usual~mesh",
            "au_acc~mesh",
        ),
        what="action units, by OpenFace's files and by our mesh",
        needs="a real clip; --au-csv",
    ),
    Family(name="lip_reading", rows=("lip_reading_acc",), what="words that were recognised", needs="--predictions"),
    Family(
        name="lag",
        rows=("lag~mouth", "lag_set~mouth"),
        what="how late the picture is, by a linear map",
        needs="4 s with sound",
    ),
    Family(name="silence", rows=("mouth_open_silence~mesh",), what="opening of the mouth in silence", needs="sound"),
    Family(name="speed", rows=("rtf", "work_fps"), what="how long it took to make", needs="--work-seconds"),
    Family(name="lse", rows=("lse_d", "lse_c", "av_conf"), what="lips and sound, by SyncNet", needs="sound; weights"),
)
"""In the order of tables."""

NAMES = tuple(family.name for family in FAMILIES)


def chosen_families(names: Iterable[str], otherwise: Iterable[str] = ()) -> tuple[str, ...]:
    """Families that are to be measured, in the order of tables.

    Args:
        names: families or rows of them. otherwise: families taken if there are no names; none: all.
    Raises:
        UsageError: no such metric.
    """
    wanted = {_family_of(name) for name in names} or {name for name in otherwise if name in NAMES} or set(NAMES)
    return tuple(name for name in NAMES if name in wanted)


def as_text() -> str:
    """The families, one a line."""
    width = max(map(len, NAMES))
    lines = []
    for family in FAMILIES:
        needs = f" (needs {family.needs})" if family.needs else ""
        lines.append(f"{family.name:<{width}}  {family.what}{needs}: {', '.join(family.rows)}")
    return "\n".join(lines)


def in_order(rows: Iterable[Measurement]) -> tuple[Measurement, ...]:
    """Rows in the order of tables."""
    places = {name: place for place, name in enumerate(row for family in FAMILIES for row in family.rows)}
    return tuple(sorted(rows, key=lambda row: places.get(row.name, len(places))))


def check_required(names: Iterable[str]) -> None:
    """Refuse misspelt names of rows before any work.

    Raises:
        UsageError: no family gives such a row.
    """
    known = [row for family in FAMILIES for row in family.rows]
    for name in names:
        if name not in known:
            rows = next((family.rows for family in FAMILIES if family.name == name), None)
            close = ", ".join(rows) if rows else nearest(name, known)
            raise UsageError(
                f"no row is called {name!r}", hint=f"did you mean {close}?" if close else f"rows: {', '.join(known)}"
            )


def _family_of(name: str) -> str:
    for family in FAMILIES:
        if name == family.name or name in family.rows:
            return family.name
    close = nearest(name, [*NAMES, *(row for family in FAMILIES for row in family.rows)])
    raise UsageError(f"no metric {name!r}", hint=f"did you mean {close}?" if close else f"metrics: {', '.join(NAMES)}")
