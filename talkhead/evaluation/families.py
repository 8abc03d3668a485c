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
        on_request: measured only if it is named. has_faces: whether faces are looked for. caution: what a reader of the
            numbers should know.
    """

    name: str
    rows: tuple[str, ...]
    what: str
    needs: str = ""
    on_request: bool = False
    has_faces: bool = True
    caution: str = ""


ALWAYS = "frames"
"""The family that explains odd numbers of the others; cheap enough to be measured always."""

FAMILIES: tuple[Family, ...] = (
    Family(name="l1", rows=("l1",), what="mean absolute difference, of 255", needs="a real clip", has_faces=False),
    Family(
        name="psnr",
        rows=("psnr", "psnr_pooled"),
        what="decibels",
        needs="a real clip",
        has_faces=False,
        caution="three pixels of shift cost more than two frames of delay",
    ),
    Family(
        name="ssim",
        rows=("ssim",),
        what="structural similarity",
        needs="a real clip",
        has_faces=False,
        caution="three pixels of shift cost more than two frames of delay",
    ),
    Family(
        name="ssim_uniform",
        rows=("ssim_uniform",),
        what="structural similarity in uniform windows, for older tables",
        needs="a real clip",
        on_request=True,
        has_faces=False,
    ),
    Family(name="lpips", rows=("lpips",), what="distance in AlexNet", needs="a real clip; weights", has_faces=False),
    Family(
        name="lpips_vgg",
        rows=("lpips_vgg",),
        what="distance in VGG16",
        needs="a real clip; weights",
        on_request=True,
        has_faces=False,
    ),
    Family(
        name="cpbd",
        rows=("cpbd",),
        what="sharpness of edges",
        has_faces=False,
        caution="depends on the size and is not monotonic: a strong blur can score above a weak one",
    ),
    Family(
        name="fid", rows=("fid",), what="distance of two sets of frames", needs="--manifest; weights", has_faces=False
    ),
    Family(
        name="fvd", rows=("fvd",), what="distance of two sets of videos", needs="--manifest; weights", has_faces=False
    ),
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
    Family(
        name="shape",
        rows=("identity_shape~mesh",),
        what="same person, by the shape of the face alone",
        caution="tells bone structure, weakly: a companion of CSIM, no replacement",
    ),
    Family(
        name="lmd",
        rows=(
            "lmd",
            "lmd_eye",
            "lmd_raw",
            "lmd_face",
            "lmd~mesh",
            "lmd_eye~mesh",
            "lmd_raw~mesh",
            "lmd_face~mesh",
        ),
        what="distance of landmarks, by FAN where it is here and by our mesh",
        needs="a real clip",
    ),
    Family(
        name="ard",
        rows=("are", "ard", "geodesic", "are~mesh", "ard~mesh", "geodesic~mesh"),
        what="head pose against the real one, by a 3DMM where its weights are here and by our mesh",
    ),
    Family(name="diversity", rows=("diversity", "diversity~mesh_deg"), what="spread of head motion"),
    Family(
        name="beat_align",
        rows=(
            "beat_align",
            "beat_align_chance",
            "beat_align_gain",
            "beat_align~mesh",
            "beat_align_chance~mesh",
            "beat_align_gain~mesh",
        ),
        what="pauses of the head at onsets of the sound",
        needs="sound",
        caution="holds next to nothing on speech: read what is above chance, and rank no methods by it",
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
        ),
        what="jitter, blinks, opening of the mouth",
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
        caution="the F1 of a unit that is rare in the real clip hangs on single frames",
    ),
    Family(
        name="lip_reading",
        rows=("lip_reading_acc",),
        what="words that were recognised",
        needs="--predictions",
        has_faces=False,
    ),
    Family(
        name="lag",
        rows=("lag~mouth", "lag_set~mouth"),
        what="how late the picture is, by a linear map",
        needs="4 s with sound",
        caution="precise to 2 or 3 frames, no substitute for SyncNet's offset",
    ),
    Family(
        name="lag_loudness",
        rows=("lag~loudness",),
        what="how late the picture is, by loudness alone: no better than chance",
        needs="4 s with sound",
        on_request=True,
    ),
    Family(name="silence", rows=("mouth_open_silence~mesh",), what="opening of the mouth in silence", needs="sound"),
    Family(
        name="speed",
        rows=("rtf", "work_fps"),
        what="how long it took to make",
        needs="--work-seconds",
        has_faces=False,
    ),
    Family(
        name="lse",
        rows=("lse_d", "lse_c", "av_conf"),
        what="lips and sound, by SyncNet",
        needs="sound; weights",
        caution="real video has an LSE-C of about 8, which generators trained on SyncNet exceed: more is not more real",
    ),
    Family(
        name="lse_whole",
        rows=("lse_d_whole", "lse_c_whole", "av_conf_whole"),
        what="the same of whole frames, for clips that are crops of faces (LRS)",
        needs="sound; weights",
        on_request=True,
        has_faces=False,
    ),
    Family(
        name=ALWAYS, rows=("face_found", "frozen"), what="faces found, frozen frames: always measured", has_faces=False
    ),
)
"""In the order of tables."""

NAMES = tuple(family.name for family in FAMILIES)


_LOWER = {"l1", "lpips", "lpips_vgg", "fid", "fvd", "lmd", "lmd_eye", "lmd_raw", "lmd_face", "ard", "geodesic", "au_h",
          "lse_d", "lse_d_whole", "rtf"}  # fmt: skip
_HIGHER = {"psnr", "psnr_pooled", "ssim", "ssim_uniform", "cpbd", "csim_paired", "csim_source", "csim_all_pairs",
           "identity_shape", "au_f1", "au_f1_usual", "au_acc", "lip_reading_acc", "lse_c", "lse_c_whole", "av_conf",
           "av_conf_whole", "work_fps", "face_found"}  # fmt: skip


def better(row: str) -> str:
    """Which way a row is better: "lower", "higher" or, for most, "as real"; empty where that means nothing."""
    name = row.partition("~")[0]
    if name in _LOWER or name in _HIGHER:
        return "lower" if name in _LOWER else "higher"
    if name.endswith("_chance"):
        return ""
    return "as real"


def chosen_families(names: Iterable[str], otherwise: Iterable[str] = ()) -> tuple[str, ...]:
    """Families that are to be measured, in the order of tables.

    Args:
        names: families or rows of them. otherwise: families taken if there are no names; none: all but those that are
            measured on request only.
    Raises:
        UsageError: no such metric.
    """
    usual = {family.name for family in FAMILIES if not family.on_request}
    wanted = {_family_of(name) for name in names} or {name for name in otherwise if name in NAMES} or usual
    wanted.add(ALWAYS)
    return tuple(name for name in NAMES if name in wanted)


def have_faces(names: Iterable[str]) -> bool:
    """Whether any of these families looks for faces."""
    return any(family.has_faces for family in FAMILIES if family.name in set(names))


def as_text() -> str:
    """The families, one a line."""
    width = max(map(len, NAMES))
    lines = []
    for family in FAMILIES:
        needs = f" (needs {family.needs})" if family.needs else ""
        needs += " (only if named)" if family.on_request else ""
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
