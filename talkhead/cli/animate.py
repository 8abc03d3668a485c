"""`talkhead animate`: photo + speech -> video."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from talkhead.cli import options
from talkhead.cli.report import Reporter
from talkhead.errors import MediaError, UsageError
from talkhead.pipelines.config import DEFAULTS


@options.reporting
@options.rendering
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
    exp_scale: options.ExpScale = DEFAULTS.exp_scale,
    articulation: options.Articulation = DEFAULTS.articulation,
    phonemes: options.Phonemes = None,
    phoneme_set: options.PhonemeSetOption = options.PhonemeSet.auto,
    transcript: options.Transcript = None,
    blinks: options.Blinks = True,
    pose_style: options.PoseStyle = DEFAULTS.pose_style,
    pose_scale: options.PoseScale = DEFAULTS.pose_scale,
    reference: options.Manner = None,
    ref_pose: options.RefPose = None,
    ref_eyeblink: options.RefEyeblink = None,
    yaw: options.Yaw = None,
    pitch: options.Pitch = None,
    roll: options.Roll = None,
    seed: options.Seed = DEFAULTS.seed,
    *,
    words: dict[str, Any],
    reporter: Reporter,
) -> None:
    """Make a photo speak: FACE + AUDIO -> video.

    Understands SadTalker's option names too (--source_image, --driven_audio, --result_dir, --still, ...).
    """
    from talkhead.pipelines.animate import animate

    if words["dry_run"] and result_dir and not Path(result_dir).is_dir():
        raise UsageError(f"--dry-run makes no folder, and {result_dir} is not there yet")
    result = animate(
        face,
        audio,
        _output(output, result_dir, face, audio),
        seed=seed,
        fps=fps,
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
        progress=reporter,
        **words,
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
