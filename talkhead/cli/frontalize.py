"""`talkhead frontalize`: turn a photo's or a coefficient file's head to the camera."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from talkhead.cli import options
from talkhead.cli.report import Reporter
from talkhead.errors import UsageError


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
        result = frontalize(source, output, strength=strength, progress=reporter, **words)
        options.report_result(reporter, result)
        return
    check_coeff_output(output, overwrite=words["overwrite"], inputs=[source])
    dry_run = words["dry_run"]
    if not dry_run:
        options.refuse_terminal(output)
    coeffs = frontalize_coeffs(source, None if dry_run else output, strength=strength, overwrite=words["overwrite"])
    options.report_coeffs(reporter, output, coeffs, written=not dry_run)
