"""`talkhead animate`: photo + speech -> video."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from talkhead.cli import options
from talkhead.cli.options import SPEAKING
from talkhead.cli.report import Reporter
from talkhead.errors import MediaError, UsageError
from talkhead.pipelines.config import DEFAULTS

log = logging.getLogger(__name__)


@options.reporting
def command(
    face: options.Face,
    audio: options.Audio,
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="PATH", help="Video to write.", show_default=False)
    ] = None,
    result_dir: Annotated[
        str | None, typer.Option("--result-dir", metavar="FOLDER", help="Instead of -o: write FACE_AUDIO.mp4 there.")
    ] = None,
    fps: options.Fps = DEFAULTS.fps,
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    exp_scale: options.ExpScale = DEFAULTS.exp_scale,
    articulation: options.Articulation = DEFAULTS.articulation,
    phonemes: options.Phonemes = None,
    phoneme_set: options.PhonemeSetOption = options.PhonemeSet.auto,
    transcript: options.Transcript = None,
    blinks: options.Blinks = True,
    pose_style: options.PoseStyle = DEFAULTS.pose_style,
    pose_scale: options.PoseScale = DEFAULTS.pose_scale,
    reference: options.Reference = None,
    ref_pose: Annotated[
        str | None,
        typer.Option(
            "--ref-pose",
            metavar="CLIP|COEFFS",
            help="Take the head motion of this clip, played to and fro.",
            rich_help_panel=SPEAKING,
        ),
    ] = None,
    ref_eyeblink: options.RefEyeblink = None,
    yaw: Annotated[
        str | None,
        typer.Option(
            metavar="DEGREES",
            help="Set the head's turn: a value, t:v,t:v keyframes, or v,v,v over the whole speech.",
            rich_help_panel=SPEAKING,
        ),
    ] = None,
    pitch: Annotated[
        str | None, typer.Option(metavar="DEGREES", help="Set the head's nod.", rich_help_panel=SPEAKING)
    ] = None,
    roll: Annotated[
        str | None, typer.Option(metavar="DEGREES", help="Set the head's tilt.", rich_help_panel=SPEAKING)
    ] = None,
    enhancer: Annotated[str | None, typer.Option("--enhancer", hidden=True)] = None,
    background_enhancer: Annotated[str | None, typer.Option("--background-enhancer", hidden=True)] = None,
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
    seed: options.Seed = DEFAULTS.seed,
    *,
    reporter: Reporter,
) -> None:
    """Make a photo speak: FACE + AUDIO -> video.

    Understands SadTalker's option names too (--source_image, --driven_audio, --result_dir, --still, ...).
    """
    from talkhead.pipelines.animate import animate

    if enhancer or background_enhancer:
        log.warning("there is no enhancer here: the video is as sharp as the photo")
    if dry_run and result_dir and not Path(result_dir).is_dir():
        raise UsageError(f"--dry-run makes no folder, and {result_dir} is not there yet")
    result = animate(
        face,
        audio,
        _output(output, result_dir, face, audio),
        system=system,
        device=options.checked_device(device),
        dtype=dtype.value,
        seed=seed,
        fps=fps,
        size=size,
        framing=framing.value,
        face_choice=face_choice,
        exp_scale=exp_scale,
        articulation=articulation,
        phonemes=phonemes,
        phoneme_set=phoneme_set.value,
        transcript=transcript,
        blinks=blinks,
        pose_style=pose_style,
        pose_scale=pose_scale,
        reference=reference,
        ref_pose=ref_pose,
        ref_eyeblink=ref_eyeblink,
        yaw=yaw,
        pitch=pitch,
        roll=roll,
        crf=crf,
        codec=codec.value if codec else None,
        mark=not no_mark,
        visible_mark=visible_mark,
        overwrite=overwrite,
        dry_run=dry_run,
        progress=reporter,
    )
    options.report_result(reporter, result)


def _output(output: str | None, folder: str | None, face: str, audio: str) -> str:
    if output and folder:
        raise UsageError("-o and --result-dir are two answers to one question; give one")
    if output:
        return output
    if not folder:
        raise UsageError("no output given", hint="add -o OUT.mp4")
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MediaError(f"cannot make the folder {folder}: {(error.strerror or str(error)).lower()}") from error
    sound = "stdin" if audio == "-" else Path(audio).stem
    return str(Path(folder) / f"{Path(face).stem}_{sound}.mp4")
