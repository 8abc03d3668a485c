"""`talkhead audio2coeff`: speech -> expression and blinks."""

from __future__ import annotations

from talkhead.cli import options
from talkhead.cli.report import Reporter
from talkhead.pipelines.config import DEFAULTS


@options.reporting
def command(
    audio: options.Audio,
    output: options.CoeffOutput = "-",
    fps: options.Fps = DEFAULTS.fps,
    exp_scale: options.ExpScale = DEFAULTS.exp_scale,
    articulation: options.Articulation = DEFAULTS.articulation,
    phonemes: options.Phonemes = None,
    phoneme_set: options.PhonemeSetOption = options.PhonemeSet.auto,
    transcript: options.Transcript = None,
    blinks: options.Blinks = True,
    ref_eyeblink: options.RefEyeblink = None,
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    system: options.System = DEFAULTS.system,
    device: options.Device = DEFAULTS.device,
    dtype: options.DtypeOption = options.Dtype.auto,
    seed: options.Seed = DEFAULTS.seed,
    *,
    reporter: Reporter,
) -> None:
    """Make mouth and eyelids move with speech: AUDIO -> coefficients."""
    from talkhead.pipelines.audio2coeff import audio2coeff

    options.checked_device(device)
    if not dry_run:
        options.refuse_terminal(output)
    coeffs = audio2coeff(
        audio,
        output,
        system=system,
        device=device,
        dtype=dtype.value,
        seed=seed,
        fps=fps,
        exp_scale=exp_scale,
        articulation=articulation,
        phonemes=phonemes,
        phoneme_set=phoneme_set.value,
        transcript=transcript,
        blinks=blinks,
        ref_eyeblink=ref_eyeblink,
        overwrite=overwrite,
        dry_run=dry_run,
        progress=reporter,
    )
    options.report_coeffs(reporter, output, coeffs, written=not dry_run)
