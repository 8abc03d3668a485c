"""Speech -> head motion over time."""

from __future__ import annotations

from talkhead.coeffs.container import Coeffs
from talkhead.pipelines.borrow import open_reference
from talkhead.pipelines.choose import build, choose_system
from talkhead.pipelines.config import DEFAULTS, check_options
from talkhead.pipelines.inputs import Audio, Motion, PathLike, name_of, open_speech, stamped
from talkhead.pipelines.outputs import check_coeff_output, write_if_asked
from talkhead.pipelines.progress import NoProgress, Progress


def pose(
    audio: Audio,
    output: PathLike | None = None,
    *,
    reference: Motion | None = None,
    system: str = DEFAULTS.system,
    device: str = DEFAULTS.device,
    dtype: str = DEFAULTS.dtype,
    seed: int = DEFAULTS.seed,
    fps: float = DEFAULTS.fps,
    pose_style: str | int = DEFAULTS.pose_style,
    pose_scale: float = DEFAULTS.pose_scale,
    overwrite: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Coeffs:
    """Make the head motion that goes with speech, relative to the pose of the face that will speak.

    Args:
        audio: path, "-", (mono samples, sample_rate), or a `Speech`. output: coefficient file to write too.
        reference: clip or coefficients of somebody whose manner of moving is imitated. pose_style: one of the
            system's styles, by name or number. pose_scale: 1 as the style has it, 0 still. dry_run: write nothing.
    Returns:
        `rot` and `trans`, relative, starting at zero; perhaps `gaze`, relative.
    Raises:
        MediaError: the sound cannot be read. UsageError: no such style. InputError: the reference is too short or has
            no head rotations.
    """
    check_options(seed=seed, pose_scale=pose_scale)
    check_coeff_output(output, overwrite=overwrite, inputs=[audio, reference])
    chosen = choose_system(system, "pose", device)
    move = build(chosen, "pose", device=device, dtype=dtype)
    manner = None if reference is None else open_reference(reference, fps)
    progress = progress or NoProgress()
    with open_speech(audio) as opened, progress.stage("pose", None):
        coeffs: Coeffs = move(opened.speech, fps=fps, seed=seed, style=pose_style, motion=pose_scale, reference=manner)
        params = {
            "system": chosen.name, "seed": seed, "fps": fps, "pose_style": pose_style, "pose_scale": pose_scale,
            "reference": name_of(reference),
        }  # fmt: skip
        coeffs = stamped(coeffs, "pose", params, opened.path)
    return coeffs if dry_run else write_if_asked(coeffs, output, overwrite=overwrite)
