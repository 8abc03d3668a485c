"""`talkhead pose`: speech -> head motion."""

from __future__ import annotations

from talkhead.cli import options
from talkhead.cli.report import Reporter
from talkhead.pipelines.config import DEFAULTS


@options.reporting
def command(
    audio: options.Audio,
    output: options.CoeffOutput = "-",
    fps: options.Fps = DEFAULTS.fps,
    reference: options.Reference = None,
    pose_style: options.PoseStyle = DEFAULTS.pose_style,
    pose_scale: options.PoseScale = DEFAULTS.pose_scale,
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
    if not dry_run:
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
        dry_run=dry_run,
        progress=reporter,
    )
    options.report_coeffs(reporter, output, coeffs, written=not dry_run)
