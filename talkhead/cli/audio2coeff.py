"""`talkhead audio2coeff`: speech -> expression and blinks."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from talkhead.cli import options
from talkhead.cli.report import Reporter
from talkhead.pipelines.config import DEFAULTS


@options.reporting
@options.computing
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
    reference: Annotated[
        str | None,
        typer.Option(
            "--reference",
            metavar="PHOTO|CLIP|COEFFS",
            help="The face that will speak, for systems that ask for it (sadtalker).",
            rich_help_panel=options.SPEAKING,
        ),
    ] = None,
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    seed: options.Seed = DEFAULTS.seed,
    *,
    machine: dict[str, Any],
    reporter: Reporter,
) -> None:
    """Make mouth and eyelids move with speech: AUDIO -> coefficients."""
    from talkhead.pipelines.audio2coeff import audio2coeff

    if not dry_run:
        options.refuse_terminal(output)
    coeffs = audio2coeff(
        audio,
        output,
        seed=seed,
        fps=fps,
        exp_scale=exp_scale,
        articulation=articulation,
        phonemes=phonemes,
        phoneme_set=phoneme_set.value,
        transcript=transcript,
        blinks=blinks,
        ref_eyeblink=ref_eyeblink,
        reference=reference,
        overwrite=overwrite,
        dry_run=dry_run,
        progress=reporter,
        **machine,
    )
    options.report_coeffs(reporter, output, coeffs, written=not dry_run)
