"""`talkhead reenact`: photo + driving video -> video."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from talkhead.cli import options
from talkhead.cli.report import Reporter
from talkhead.pipelines.config import DEFAULTS

TRANSFER = "Transfer"


@options.reporting
@options.rendering
def command(
    face: options.Face,
    driving: Annotated[str, typer.Argument(metavar="DRIVING", help="Video of the person who drives.")],
    output: options.Output,
    fps: options.FpsOrSource = f"{DEFAULTS.fps:g}",
    audio: Annotated[
        str | None, typer.Option("--audio", metavar="PATH", help="Sound track instead of the driving video's.")
    ] = None,
    motion: Annotated[
        options.MotionMode,
        typer.Option(
            "--motion",
            help="relative: changes since the driver's own rest; absolute: the driver's very pose and expression; "
            "adapted: these, at the photo's mean size and place (HeadGAN); auto: absolute for the same person, else as "
            "the system does by itself, relative or (headgan) adapted.",
            rich_help_panel=TRANSFER,
        ),
    ] = options.MotionMode.auto,
    motion_scale: Annotated[
        float, typer.Option("--motion-scale", min=0, max=5, help="Strength of the motion.", rich_help_panel=TRANSFER)
    ] = 1.0,
    driver_face: Annotated[
        str,
        typer.Option(
            "--driver-face",
            metavar="largest|INDEX|PICTURE",
            help="Which face of the driving video.",
            rich_help_panel=TRANSFER,
        ),
    ] = DEFAULTS.face,
    *,
    words: dict[str, Any],
    reporter: Reporter,
) -> None:
    """Move a photo as a person in a video moves: FACE + DRIVING -> video."""
    from talkhead.pipelines.reenact import reenact

    result = reenact(
        face,
        driving,
        output,
        audio=audio,
        motion=motion.value,
        motion_scale=motion_scale,
        driver_face=driver_face,
        fps=options.parse_fps(fps),
        progress=reporter,
        **words,
    )
    options.report_result(reporter, result)
