"""`talkhead compress`: talking video, or coefficients and a photo -> a stream of a few kbit/s."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from talkhead.cli import options
from talkhead.cli.report import Reporter
from talkhead.pipelines.config import COMPRESS_DEFAULTS, DEFAULTS

if TYPE_CHECKING:
    from talkhead.pipelines.compress import CompressResult

CODING = "Coding"


class Quality(str, Enum):
    """How finely the compact format rounds."""

    low = "low"
    medium = "medium"
    high = "high"
    best = "best"


class Format(str, Enum):
    """How motion is stored."""

    compact = "compact"
    float32 = "float32"
    float16 = "float16"


class Picture(str, Enum):
    """Formats of the reference picture."""

    webp = "webp"
    png = "png"
    jpeg = "jpeg"


class Sound(str, Enum):
    """What becomes of the sound."""

    copy = "copy"
    opus = "opus"
    none = "none"


DEFAULT_QUALITY = Quality(COMPRESS_DEFAULTS.quality)
DEFAULT_FORMAT = Format(COMPRESS_DEFAULTS.format)
DEFAULT_PICTURE = Picture(COMPRESS_DEFAULTS.picture)
DEFAULT_SOUND = Sound(COMPRESS_DEFAULTS.sound)


@options.reporting
@options.computing
def command(
    motion: Annotated[
        str, typer.Argument(metavar="VIDEO|COEFFS", help="Talking video; or a coefficient file, - is standard input.")
    ],
    face: Annotated[
        str | None,
        typer.Argument(
            metavar="FACE", help="Photo to be moved, instead of the video's most suitable frame.", show_default=False
        ),
    ] = None,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="PATH", help="Stream to write (.thc); - is standard output.")
    ] = "-",
    quality: Annotated[
        Quality,
        typer.Option(
            "--quality", help="How finely the compact format rounds: best is 2 kbit/s.", rich_help_panel=CODING
        ),
    ] = DEFAULT_QUALITY,
    format_: Annotated[
        Format,
        typer.Option(
            "--format",
            help="compact: rounded and coded; float32 and float16: the numbers themselves, 28 and 14 kbit/s.",
            rich_help_panel=CODING,
        ),
    ] = DEFAULT_FORMAT,
    eyes: Annotated[
        bool | None,
        typer.Option(
            "--eyes/--no-eyes",
            help="Store lids, gaze and tongue.",
            show_default="with compact",
            rich_help_panel=CODING,
        ),
    ] = None,
    picture: Annotated[
        Picture,
        typer.Option("--picture", help="Format of the reference picture; png loses nothing.", rich_help_panel=CODING),
    ] = DEFAULT_PICTURE,
    picture_quality: Annotated[
        int, typer.Option("--picture-quality", min=1, max=100, help="Of webp and jpeg.", rich_help_panel=CODING)
    ] = COMPRESS_DEFAULTS.picture_quality,
    sound: Annotated[
        Sound,
        typer.Option("--sound", help="copy: as it is; opus: 24 kbit/s; none: leave it out.", rich_help_panel=CODING),
    ] = DEFAULT_SOUND,
    audio: Annotated[
        str | None, typer.Option("--audio", metavar="PATH", help="Sound track instead of the video's.")
    ] = None,
    fps: options.FpsOrSource = f"{DEFAULTS.fps:g}",
    face_choice: options.FaceChoice = DEFAULTS.face,
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    *,
    machine: dict[str, Any],
    reporter: Reporter,
) -> None:
    """Compress a talking video to a picture and a few numbers a frame: VIDEO -> stream."""
    from talkhead.pipelines.compress import compress

    if not dry_run:
        options.refuse_terminal(output, "compressed streams")
    result = compress(
        motion,
        output,
        face=face,
        quality=quality.value,
        format=format_.value,
        eyes=eyes,
        picture=picture.value,
        picture_quality=picture_quality,
        sound=sound.value,
        audio=audio,
        fps=options.parse_fps(fps),
        face_choice=face_choice,
        overwrite=overwrite,
        dry_run=dry_run,
        progress=reporter,
        **machine,
    )
    if output != "-" or dry_run:
        reporter.result(_as_text(result), **result.as_dict())


def _as_text(result: CompressResult) -> str:
    target = "standard output" if result.output == "-" else result.output
    length = f"{options.counted(result.n_frames)} at {result.fps:g} fps, {result.duration_s:.2f} s"
    if not result.written:
        return f"would write {target}: {length}"
    sound = f", sound {_kilobytes(result.sound_bytes)}" if result.sound_bytes else ""
    return (
        f"{target}: {length}, motion {result.motion_kbit_s:.2f} kbit/s (off by {result.error_mean:.2f} % of the eye"
        f" distance, 95 % of the points by less than {result.error_p95:.2f} %), picture"
        f" {_kilobytes(result.picture_bytes)}{sound}"
    )


def _kilobytes(n_bytes: int) -> str:
    return f"{n_bytes / 1000:.1f} kB"
