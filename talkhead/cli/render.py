"""`talkhead render`: photo + coefficients -> video, picture or folder of frames."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from talkhead.cli import options
from talkhead.cli.report import Reporter
from talkhead.pipelines.config import DEFAULTS


@options.reporting
@options.rendering
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
    still: Annotated[
        bool, typer.Option("--still", help="Leave the head as it is in the photo.", rich_help_panel=options.SPEAKING)
    ] = False,
    exp_scale: options.ExpScale = DEFAULTS.exp_scale,
    yaw: options.Yaw = None,
    pitch: options.Pitch = None,
    roll: options.Roll = None,
    *,
    words: dict[str, Any],
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
        still=still,
        exp_scale=exp_scale,
        yaw=yaw,
        pitch=pitch,
        roll=roll,
        progress=reporter,
        **words,
    )
    options.report_result(reporter, result)
