"""Speech -> head motion over time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from talkhead.coeffs.container import Coeffs
from talkhead.errors import UsageError
from talkhead.pipelines.borrow import borrowed_pose, open_reference
from talkhead.pipelines.choose import build, choose_system
from talkhead.pipelines.config import DEFAULTS, Job, Machine, MachineKeywords, check_options
from talkhead.pipelines.inputs import Audio, Motion, PathLike, name_of, open_speech, stamped
from talkhead.pipelines.outputs import check_coeff_output, write_if_asked
from talkhead.progress import NoProgress, Progress
from talkhead.protocols import Speech, SystemInfo

if TYPE_CHECKING:
    from typing_extensions import Unpack


def pose(
    audio: Audio,
    output: PathLike | None = None,
    *,
    reference: Motion | None = None,
    ref_pose: Motion | None = None,
    seed: int = DEFAULTS.seed,
    fps: float = DEFAULTS.fps,
    pose_style: str | int = DEFAULTS.pose_style,
    pose_scale: float = DEFAULTS.pose_scale,
    overwrite: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
    **machine: Unpack[MachineKeywords],
) -> Coeffs:
    """Make the head motion that goes with speech, relative to the pose of the face that will speak.

    Args:
        audio: path, "-", (mono samples, sample_rate), or a `Speech`. output: coefficient file to write too.
        reference: clip or coefficients of somebody whose manner of moving is imitated; with sadtalker, photo, clip or
            coefficients of the face that will speak. ref_pose: clip or coefficients whose head motion is taken; with
            sadtalker it is added to the speech's own. pose_style: one of the system's styles, by name or number.
        pose_scale: 1 as the style has it, 0 still. dry_run: write nothing. machine: who computes; see `Machine`.
    Returns:
        `rot` and `trans`, relative, starting at rest; perhaps `gaze`, relative.
    Raises:
        MediaError: the sound cannot be read. UsageError: no such style. InputError: the reference is too short or has
            no head rotations. WeightsError: of a learned system.
    """
    check_options(seed=seed, pose_scale=pose_scale)
    check_coeff_output(output, overwrite=overwrite, inputs=[audio, reference, ref_pose])
    job = Job(machine=Machine.of({**machine, "is_dry": dry_run}), fps=fps, seed=seed, progress=progress or NoProgress())
    moving = Moving(style=pose_style, scale=pose_scale, ref_pose=ref_pose)
    chosen = choose_system(job.machine, "pose", wishes={"pose": moving.wishes()})
    if reference is not None and ref_pose is not None and "face" not in chosen.understands:
        raise UsageError("reference and ref_pose both say how the head moves; give one")
    with open_speech(audio) as opened:
        coeffs = head_of(opened.speech, chosen, moving, job, reference=reference)
        params = {
            "system": chosen.name, "seed": seed, "fps": fps, "pose_style": pose_style, "pose_scale": pose_scale,
            "reference": name_of(reference), "ref_pose": name_of(ref_pose),
        }  # fmt: skip
        coeffs = stamped(coeffs, "pose", params, opened.path)
    return coeffs if dry_run else write_if_asked(coeffs, output, overwrite=overwrite)


@dataclass(frozen=True, kw_only=True, slots=True)
class Moving:
    """How the head is to move: style and strength as in `pose`, and a clip whose motion is taken."""

    style: str | int
    scale: float
    ref_pose: Motion | None = None

    def wishes(self) -> dict[str, Any]:
        """What not every system can do; see `SystemInfo.lacks`."""
        return {"pose_style": self.style}


def head_of(
    speech: Speech,
    system: SystemInfo,
    moving: Moving,
    job: Job,
    *,
    reference: Motion | None,
    n_frames: int | None = None,
) -> Coeffs:
    """Run a system's `AudioToPose`, or take the head motion of a clip where the system does not mix the two.

    Args:
        speech: what is said. system: who moves. moving: how. job: where and how fast. reference: as in `pose`.
        n_frames: how many frames a clip's motion is needed for; None counts them in the speech.
    """
    takes_clips = "ref_pose" in system.understands
    if moving.ref_pose is not None and not takes_clips:
        return borrowed_pose(moving.ref_pose, n_frames or _count(speech, job.fps), job.fps)
    known: dict[str, Any] = {}
    if moving.ref_pose is not None:
        known["ref_pose"] = open_reference(
            moving.ref_pose, job.fps, system, job.machine, needs=("rot",), absolute=False
        )
    needs = ("rot", "trans") if "face" in system.understands else ()
    learnt = None if reference is None else open_reference(reference, job.fps, system, job.machine, needs=needs)
    move = build(system, "pose", job.machine, job.progress)
    with job.progress.stage("pose", None):
        coeffs: Coeffs = move(
            speech, fps=job.fps, seed=job.seed, style=moving.style, motion=moving.scale, reference=learnt, **known
        )
    return coeffs


def _count(speech: Speech, fps: float) -> int:
    from talkhead.audio.windows import count_frames

    n_samples = sum(len(block) for block in speech.blocks())
    return count_frames(n_samples / speech.sample_rate, fps)
