"""`talkhead decompress`: compressed stream -> video, picture, folder of frames, or coefficients."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from talkhead.cli import options
from talkhead.cli.report import Reporter


@options.reporting
@options.rendering
def command(
    stream: Annotated[
        str, typer.Argument(metavar="STREAM", help="File that compress wrote (.thc); - is standard input.")
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="A video (.mp4), a picture (.png), a folder (ends in /), or the motion alone (.safetensors).",
        ),
    ],
    frame: Annotated[
        int | None,
        typer.Option("--frame", min=0, metavar="N", help="Only frame N, from 0.", show_default="0 for a picture"),
    ] = None,
    *,
    words: dict[str, Any],
    reporter: Reporter,
) -> None:
    """Draw a compressed stream: STREAM -> video, picture or folder."""
    from talkhead.pipelines.decompress import decompress

    result = decompress(stream, output, frame=frame, progress=reporter, **words)
    if result.size is None:
        text = f"{'' if result.written else 'would write '}{result.output}: "
        reporter.result(f"{text}{options.counted(result.n_frames)} at {result.fps:g} fps", **result.as_dict())
    else:
        options.report_result(reporter, result)
