"""`talkhead eval`: numbers of a generated video, beside a real one or alone; of a set; of several runs."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from talkhead.cli import options
from talkhead.cli.report import Reporter
from talkhead.errors import PartialFailure, UsageError

if TYPE_CHECKING:
    from talkhead.evaluation.evaluation import Evaluation

WHAT, FILES = "What is measured", "Files"


class PoolWord(str, Enum):
    """What counts alike in a set."""

    clips = "clips"
    frames = "frames"


@options.reporting
def command(
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="GENERATED [REAL]", help="The video to judge, and the real one."),
    ] = None,
    audio: Annotated[
        str | None, typer.Option("--audio", metavar="WAV", help="The speech; default the video's own.")
    ] = None,
    source: Annotated[
        str | None, typer.Option("--source", metavar="PHOTO", help="The photo that was animated.")
    ] = None,
    manifest: Annotated[
        str | None,
        typer.Option(
            "--manifest",
            metavar="CSV",
            help="Instead, a set: columns generated, real, audio, source, id, au_real, au_generated.",
        ),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option("--metric", metavar="NAME", help="Only this; may be repeated.", rich_help_panel=WHAT),
    ] = None,
    require: Annotated[
        list[str] | None,
        typer.Option("--require", metavar="NAME", help="End with code 3 if this has no value.", rich_help_panel=WHAT),
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            "--protocol", metavar="NAME", help="Settings of a paper.", show_default="plain", rich_help_panel=WHAT
        ),
    ] = None,
    pool: Annotated[
        PoolWord | None,
        typer.Option("--pool", help="What counts alike in a set.", show_default="the protocol's", rich_help_panel=WHAT),
    ] = None,
    every: Annotated[
        int | None,
        typer.Option(
            "--every",
            min=1,
            metavar="N",
            help="PSNR, SSIM, L1, CPBD, LPIPS, FID: one frame of N.",
            show_default="the protocol's",
            rich_help_panel=WHAT,
        ),
    ] = None,
    crop: Annotated[
        bool | None,
        typer.Option(
            "--crop/--no-crop",
            help="Cut a square around the face out of every frame, the same of both clips.",
            show_default="the protocol's: what is not square",
            rich_help_panel=WHAT,
        ),
    ] = None,
    min_track: Annotated[
        int | None,
        typer.Option(
            "--min-track",
            min=13,
            metavar="N",
            help="SyncNet: frames that must show a face.",
            show_default="the published 100",
            rich_help_panel=WHAT,
        ),
    ] = None,
    au_csv: Annotated[
        tuple[str, str] | None,
        typer.Option("--au-csv", metavar="REAL GENERATED", help="OpenFace's CSV files.", rich_help_panel=WHAT),
    ] = None,
    zero_division: Annotated[
        int | None,
        typer.Option(
            "--zero-division",
            min=0,
            max=0,
            metavar="0",
            help="F1 of an action unit that no frame shows.",
            show_default="left out of the mean",
            rich_help_panel=WHAT,
        ),
    ] = None,
    predictions: Annotated[
        str | None,
        typer.Option("--predictions", metavar="CSV", help="A lip reader's: label, prediction.", rich_help_panel=WHAT),
    ] = None,
    work_seconds: Annotated[
        float | None,
        typer.Option("--work-seconds", min=0.001, metavar="S", help="How long it took to make.", rich_help_panel=WHAT),
    ] = None,
    load_seconds: Annotated[
        float | None,
        typer.Option(
            "--load-seconds", min=0.001, metavar="S", help="And loading the models, apart.", rich_help_panel=WHAT
        ),
    ] = None,
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="JSON", help="Write everything.", rich_help_panel=FILES)
    ] = None,
    csv: Annotated[
        str | None, typer.Option("--csv", metavar="CSV", help="Write a flat table.", rich_help_panel=FILES)
    ] = None,
    report: Annotated[
        str | None,
        typer.Option("--report", metavar="HTML", help="Write a page with plots and frames.", rich_help_panel=FILES),
    ] = None,
    cache: Annotated[
        bool, typer.Option("--cache", help="Keep the tracked faces beside the videos.", rich_help_panel=FILES)
    ] = False,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with a set that was interrupted.", rich_help_panel=FILES),
    ] = False,
    overwrite: options.Overwrite = False,
    compare: Annotated[
        bool, typer.Option("--compare", help="The arguments are two or more JSON files of runs.")
    ] = False,
    list_metrics: Annotated[bool, typer.Option("--list-metrics", help="Show the metrics and exit.")] = False,
    list_protocols: Annotated[
        bool,
        typer.Option("--list-protocols", help="Show the protocols and exit."),
    ] = False,
    device: options.Device = "auto",
    dtype: options.DtypeOption = options.Dtype.auto,
    *,
    reporter: Reporter,
) -> None:
    """Measure a generated video: every metric says what it is, and why where it has no value."""
    if list_metrics or list_protocols:
        return _list(reporter, list_metrics, list_protocols)
    if compare:
        return _compare(reporter, files or [])
    if len(files or []) > 2:
        raise UsageError(f"one or two videos, not {len(files or [])}", hint="--compare takes more, --manifest a set")
    generated, real = [*(files or []), None, None][:2]
    from talkhead.evaluation.families import check_required
    from talkhead.pipelines.evaluate import check_requirements, evaluate

    check_required(require or ())
    found = evaluate(
        generated, real, audio=audio, source=source, manifest=manifest, metrics=metric or (), protocol=protocol,
        pool=None if pool is None else pool.value, every=every, crop=crop, min_track=min_track,
        au_csv=au_csv, zero_division="leave out" if zero_division is None else 0, predictions=predictions,
        work_seconds=work_seconds, load_seconds=load_seconds, cache=cache, resume=resume, output=output, csv=csv,
        report=report, overwrite=overwrite,
        device=options.checked_device(device), dtype=dtype.value, progress=reporter,
    )  # fmt: skip
    _show(reporter, found, [path for path in (output, csv, report) if path is not None])
    check_requirements(found, require or ())
    if found.failures:
        raise PartialFailure(f"{len(found.failures)} of {len(found.failures) + len(found.clips)} clips were not judged")
    return None


def _show(reporter: Reporter, found: Evaluation, written: list[str]) -> None:
    from talkhead.evaluation.table import as_text

    wrote = f"\n\nwrote {', '.join(written)}" if written else ""
    reporter.table(as_text(found) + wrote, **found.as_dict(), written=written)


def _list(reporter: Reporter, metrics: bool, protocols: bool) -> None:
    from talkhead.evaluation import families, protocol

    if metrics:
        named = {family.name: list(family.rows) for family in families.FAMILIES}
        reporter.table(families.as_text(), metrics=named)
    if protocols:
        presets = [preset.as_dict() for preset in protocol.PROTOCOLS.values()]
        reporter.table(protocol.as_text(), protocols=presets)


def _compare(reporter: Reporter, files: list[str]) -> None:
    from talkhead.evaluation.table import compare

    text, rows = compare([Path(file) for file in files])
    reporter.table(text, rows=rows)
