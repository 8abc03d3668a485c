"""`talkhead prepare`: videos -> a training set."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from talkhead.cli import options
from talkhead.cli.report import Reporter
from talkhead.errors import PartialFailure
from talkhead.training.config import PREPARE, PrepareConfig

if TYPE_CHECKING:
    from talkhead.training.index import TrainingSet

KEPT, DROPPED = "What is kept", "What is dropped"


class PictureWord(str, Enum):
    """How frames are stored."""

    jpg = "jpg"
    png = "png"


class MasksWord(str, Enum):
    """Masks of the person."""

    none = "none"
    quick = "quick"
    fine = "fine"


_PICTURE, _MASKS = PictureWord(PREPARE.picture), MasksWord(PREPARE.masks)


@options.reporting
def command(
    videos: Annotated[
        list[str],
        typer.Argument(
            metavar="VIDEOS...", help="Video files, folders of them, or a CSV with columns path, start, end, person."
        ),
    ],
    output: Annotated[str, typer.Option("--output", "-o", metavar="SET", help="Folder of the set.")],
    size: Annotated[
        int, typer.Option("--size", min=32, max=2048, help="Side of the pictures, pixels.", rich_help_panel=KEPT)
    ] = PREPARE.size,
    listen: Annotated[
        list[str] | None,
        typer.Option(
            "--listen",
            metavar="SYSTEM[:WAY]",
            help="Also store what this system hears; headgan:recognised with the letters of English speech.",
            rich_help_panel=KEPT,
        ),
    ] = None,
    picture: Annotated[
        PictureWord, typer.Option("--picture", help="How frames are stored.", rich_help_panel=KEPT)
    ] = _PICTURE,
    quality: Annotated[
        int, typer.Option("--quality", min=1, max=100, help="Of JPEG.", rich_help_panel=KEPT)
    ] = PREPARE.quality,
    masks: Annotated[
        MasksWord, typer.Option("--masks", help="Masks of the person; fine takes long.", rich_help_panel=KEPT)
    ] = _MASKS,
    references: Annotated[
        int,
        typer.Option(
            "--references", min=1, max=100, help="Pictures of differently turned heads.", rich_help_panel=KEPT
        ),
    ] = PREPARE.n_references,
    max_seconds: Annotated[
        float, typer.Option("--max-seconds", min=1, help="Longer clips are cut.", rich_help_panel=KEPT)
    ] = PREPARE.max_s,
    shard_mb: Annotated[
        float, typer.Option("--shard-mb", min=1, help="Size of a shard, megabytes.", rich_help_panel=KEPT)
    ] = PREPARE.shard_mb,
    min_seconds: Annotated[
        float, typer.Option("--min-seconds", min=0.04, help="Clips shorter than this.", rich_help_panel=DROPPED)
    ] = PREPARE.min_s,
    max_motion: Annotated[
        float,
        typer.Option(
            "--max-motion", min=0, help="Clips whose face wanders over more of the crop.", rich_help_panel=DROPPED
        ),
    ] = PREPARE.max_motion,
    keep_several: Annotated[
        bool, typer.Option("--keep-several", help="Not those with a second face.", rich_help_panel=DROPPED)
    ] = False,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Videos at a time.")] = 1,
    device: options.Device = "cpu",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Throw a set that is there away first.")] = False,
    dry_run: options.DryRun = False,
    *,
    reporter: Reporter,
) -> None:
    """Make a training set of videos; run again, it goes on where it was interrupted."""
    from talkhead.training.prepare import prepare

    config = PrepareConfig(
        size=size,
        listen=tuple(listen or ()),
        picture=picture.value,
        quality=quality,
        masks=masks.value,
        n_references=references,
        max_s=max_seconds,
        shard_mb=shard_mb,
        min_s=min_seconds,
        max_motion=max_motion,
        several="keep" if keep_several else "drop",
    )
    found = prepare(
        videos, output, config=config, jobs=jobs, device=options.checked_device(device), overwrite=overwrite,
        dry_run=dry_run, progress=reporter,
    )  # fmt: skip
    _show(reporter, found, videos, dry_run)


def _show(reporter: Reporter, found: TrainingSet, videos: list[str], dry_run: bool) -> None:
    summary = found.summary()
    if dry_run:
        from talkhead.training.videos import find_videos

        wanted = find_videos(videos)
        n_new = len({video.key for video in wanted} - {outcome.key for outcome in found.outcomes})
        text = f"would write {found.folder}: {n_new} of {len(wanted)} videos are to be prepared"
        reporter.result(text, output=str(found.folder), written=False, n_videos=len(wanted), n_new=n_new)
        return
    text = (
        f"{found.folder}: {summary['n_kept']} of {summary['n_videos']} videos, {summary['n_frames']} frames"
        f" ({summary['seconds']:.0f} s) in {summary['n_samples']} samples, {summary['n_shards']}"
        f" shard{'' if summary['n_shards'] == 1 else 's'}, {summary['bytes'] / 1e6:.1f} MB"
    )
    reporter.result(text, output=str(found.folder), written=True, **summary)
    failed = [outcome for outcome in found.outcomes if outcome.is_failure]
    if failed:
        names = ", ".join(outcome.label for outcome in failed[:3]) + (", ..." if len(failed) > 3 else "")
        raise PartialFailure(f"{len(failed)} of {len(found.outcomes)} videos could not be read: {names}")
