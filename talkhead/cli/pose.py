"""`talkhead pose`: speech -> head motion."""

from __future__ import annotations

from typing import Annotated

import typer

from talkhead.cli import options
from talkhead.cli.report import Reporter
from talkhead.pipelines.config import DEFAULTS


@options.reporting
def command(
    audio: options.Audio,
    output: options.CoeffOutput = "-",
    fps: options.Fps = DEFAULTS.fps,
    reference: Annotated[
        str | None, typer.Option("--reference", metavar="CLIP|COEFFS", help="Move in the manner of this clip.")
    ] = None,
    pose_style: Annotated[
        str,
        typer.Option("--pose-style", help="still, calm, natural, lively, presenter, or a person's number 0..45."),
    ] = DEFAULTS.pose_style,
    pose_scale: Annotated[
        float, typer.Option("--pose-scale", min=0, max=3, help="Strength of the motion.")
    ] = DEFAULTS.pose_scale,
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    system: options.System = DEFAULTS.system,
    device: options.Device = DEFAULTS.device,
    dtype: options.DtypeOption = options.Dtype.auto,
    seed: options.Seed = DEFAULTS.seed,
    *,
    reporter: Reporter,
) -> None:
    """Make the head move with speech: AUDIO -> coefficients."""
    from talkhead.pipelines.pose import pose

    options.checked_device(device)
    if dry_run:
        return options.report_plan(reporter, output, overwrite, audio=audio, system=system, stage="pose")
    options.refuse_terminal(output)
    coeffs = pose(
        audio,
        output,
        reference=reference,
        system=system,
        device=device,
        dtype=dtype.value,
        seed=seed,
        fps=fps,
        pose_style=pose_style,
        pose_scale=pose_scale,
        overwrite=overwrite,
        progress=reporter,
    )
    options.report_coeffs(reporter, output, coeffs)
    return None
