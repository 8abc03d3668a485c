"""`talkhead frontalize`: turn a photo's or a coefficient file's head to the camera."""

from __future__ import annotations

from typing import Annotated

import typer

from talkhead.cli import options
from talkhead.cli.report import Reporter
from talkhead.errors import UsageError
from talkhead.pipelines.config import DEFAULTS


@options.reporting
def command(
    source: Annotated[str, typer.Argument(metavar="IN", help="Photo, or coefficient file; - is standard input.")],
    output: Annotated[
        str,
        typer.Option("--output", "-o", metavar="PATH", help="Picture, or coefficient file; - is standard output."),
    ] = "-",
    strength: Annotated[
        float, typer.Option("--strength", min=0, max=1, help="1: all the way to the front, 0: not at all.")
    ] = 1.0,
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    size: options.Size = None,
    framing: options.FramingOption = options.Framing.full,
    face_choice: options.FaceChoice = DEFAULTS.face,
    no_mark: options.NoMark = False,
    visible_mark: options.VisibleMark = False,
    system: options.System = DEFAULTS.system,
    device: options.Device = DEFAULTS.device,
    dtype: options.DtypeOption = options.Dtype.auto,
    *,
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
            source,
            output,
            strength=strength,
            system=system,
            device=options.checked_device(device),
            dtype=dtype.value,
            size=size,
            framing=framing.value,
            face_choice=face_choice,
            mark=not no_mark,
            visible_mark=visible_mark,
            overwrite=overwrite,
            dry_run=dry_run,
            progress=reporter,
        )
        options.report_result(reporter, result)
        return
    check_coeff_output(output, overwrite=overwrite, inputs=[source])
    if not dry_run:
        options.refuse_terminal(output)
    coeffs = frontalize_coeffs(source, None if dry_run else output, strength=strength, overwrite=overwrite)
    options.report_coeffs(reporter, output, coeffs, written=not dry_run)
