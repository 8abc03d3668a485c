"""`talkhead render`: photo + coefficients -> video, picture or folder of frames."""

from __future__ import annotations

from typing import Annotated

import typer

from talkhead.cli import options
from talkhead.cli.report import Reporter
from talkhead.pipelines.config import DEFAULTS


@options.reporting
def command(
    face: options.Face,
    motion: Annotated[
        list[str],
        typer.Argument(
            metavar="COEFFS...",
            help="Coefficient files; tracks of later ones replace those of earlier ones; - is standard input.",
        ),
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", metavar="PATH", help="A video (.mp4), a picture (.png) or a folder (ends in /)."
        ),
    ],
    audio: Annotated[str | None, typer.Option("--audio", metavar="PATH", help="Sound track to put in.")] = None,
    frame: Annotated[
        int | None,
        typer.Option("--frame", min=0, metavar="N", help="Only frame N, from 0.", show_default="0 for a picture"),
    ] = None,
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    size: options.Size = None,
    framing: options.FramingOption = options.Framing.full,
    face_choice: options.FaceChoice = DEFAULTS.face,
    crf: options.Crf = DEFAULTS.crf,
    codec: options.CodecOption = None,
    no_mark: options.NoMark = False,
    visible_mark: options.VisibleMark = False,
    system: options.System = DEFAULTS.system,
    device: options.Device = DEFAULTS.device,
    dtype: options.DtypeOption = options.Dtype.auto,
    *,
    reporter: Reporter,
) -> None:
    """Move a photo by coefficient files: FACE + COEFFS -> video, picture or folder."""
    from talkhead.pipelines.render import render

    result = render(
        face,
        motion,
        output,
        audio=audio,
        frame=frame,
        system=system,
        device=options.checked_device(device),
        dtype=dtype.value,
        size=size,
        framing=framing.value,
        face_choice=face_choice,
        crf=crf,
        codec=codec.value if codec else None,
        mark=not no_mark,
        visible_mark=visible_mark,
        overwrite=overwrite,
        dry_run=dry_run,
        progress=reporter,
    )
    options.report_result(reporter, result)
