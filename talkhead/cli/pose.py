"""`talkhead pose`: speech -> head motion."""

from __future__ import annotations

from typing import Any

from talkhead.cli import options
from talkhead.cli.report import Reporter
from talkhead.pipelines.config import DEFAULTS


@options.reporting
@options.computing
def command(
    audio: options.Audio,
    output: options.CoeffOutput = "-",
    fps: options.Fps = DEFAULTS.fps,
    reference: options.Reference = None,
    ref_pose: options.RefPose = None,
    pose_style: options.PoseStyle = DEFAULTS.pose_style,
    pose_scale: options.PoseScale = DEFAULTS.pose_scale,
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    seed: options.Seed = DEFAULTS.seed,
    *,
    machine: dict[str, Any],
    reporter: Reporter,
) -> None:
    """Make the head move with speech: AUDIO -> coefficients."""
    from talkhead.pipelines.pose import pose

    if not dry_run:
        options.refuse_terminal(output)
    coeffs = pose(
        audio,
        output,
        reference=reference,
        ref_pose=ref_pose,
        seed=seed,
        fps=fps,
        pose_style=pose_style,
        pose_scale=pose_scale,
        overwrite=overwrite,
        dry_run=dry_run,
        progress=reporter,
        **machine,
    )
    options.report_coeffs(reporter, output, coeffs, written=not dry_run)
