"""`talkhead frontalize`: turn a photo's or a coefficient file's head to the camera."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from talkhead.cli import options
from talkhead.cli.report import Reporter
from talkhead.errors import UsageError
from talkhead.pipelines.config import DEFAULTS

VIEW = "View"


@options.reporting
@options.rendering
def command(
    source: Annotated[str, typer.Argument(metavar="IN", help="Photo, or coefficient file; - is standard input.")],
    output: Annotated[
        str,
        typer.Option("--output", "-o", metavar="PATH", help="Picture, or coefficient file; - is standard output."),
    ] = "-",
    strength: Annotated[
        float, typer.Option("--strength", min=0, max=1, help="1: all the way to the front, 0: not at all.")
    ] = 1.0,
    neutral: Annotated[bool, typer.Option("--neutral", help="Take the expression out too.")] = False,
    yaw: Annotated[
        str | None,
        typer.Option(
            metavar="DEGREES",
            help="Other views of a photo: a value, -30,30 passed through in 2 s, or t:v,t:v keyframes; 0 is frontal.",
            rich_help_panel=VIEW,
        ),
    ] = None,
    pitch: Annotated[str | None, typer.Option(metavar="DEGREES", help="Nod.", rich_help_panel=VIEW)] = None,
    roll: Annotated[str | None, typer.Option(metavar="DEGREES", help="Tilt.", rich_help_panel=VIEW)] = None,
    fps: Annotated[
        float, typer.Option("--fps", min=1, max=240, help="Frames per second of a film.", rich_help_panel=VIEW)
    ] = DEFAULTS.fps,
    *,
    words: dict[str, Any],
    reporter: Reporter,
) -> None:
    """Turn the head to the camera: photo -> photo, coefficients -> coefficients."""
    from talkhead.pipelines.extract import looks_like_media
    from talkhead.pipelines.frontalize import frontalize, frontalize_coeffs
    from talkhead.pipelines.outputs import check_coeff_output

    if looks_like_media(source):
        if output == "-":
            raise UsageError("no output given", hint="add -o OUT.png")
        result = frontalize(
            source, output, strength=strength, neutral=neutral, yaw=yaw, pitch=pitch, roll=roll, fps=fps,
            progress=reporter, **words,
        )  # fmt: skip
        options.report_result(reporter, result)
        return
    if neutral or (yaw, pitch, roll) != (None, None, None):
        raise UsageError(
            "--neutral --yaw --pitch --roll are for photos", hint="talkhead edit has them for coefficient files"
        )
    check_coeff_output(output, overwrite=words["overwrite"], inputs=[source])
    dry_run = words["dry_run"]
    if not dry_run:
        options.refuse_terminal(output)
    coeffs = frontalize_coeffs(source, None if dry_run else output, strength=strength, overwrite=words["overwrite"])
    options.report_coeffs(reporter, output, coeffs, written=not dry_run)
