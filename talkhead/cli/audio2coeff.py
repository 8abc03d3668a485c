"""`talkhead audio2coeff`: speech -> expression and blinks."""

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
    exp_scale: options.ExpScale = DEFAULTS.exp_scale,
    articulation: options.Articulation = DEFAULTS.articulation,
    phonemes: options.Phonemes = None,
    phoneme_set: options.PhonemeSetOption = options.PhonemeSet.auto,
    transcript: options.Transcript = None,
    blinks: Annotated[
        bool, typer.Option("--blinks/--no-blinks", help="Blink now and then.", rich_help_panel=options.SPEAKING)
    ] = True,
    ref_eyeblink: Annotated[
        str | None,
        typer.Option(
            "--ref-eyeblink", metavar="CLIP", help="Take the blinks of this clip.", rich_help_panel=options.SPEAKING
        ),
    ] = None,
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
    if dry_run:
        from talkhead.pipelines.audio2coeff import Speaking

        Speaking.of(exp_scale, articulation, blinks, phonemes, phoneme_set.value, transcript)
        return options.report_plan(reporter, output, overwrite, audio=audio, system=system, stage="audio2coeff")
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
        progress=reporter,
    )
    options.report_coeffs(reporter, output, coeffs)
    return None
