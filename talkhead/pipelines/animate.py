"""The main job: photo + speech -> video; audio2coeff, pose and render in one streaming run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from talkhead.audio.phonemes import PhonemeSet
from talkhead.errors import UsageError
from talkhead.pipelines.audio2coeff import Phonemes, Speaking, expression_of
from talkhead.pipelines.choose import Wishes, choose_system, partner
from talkhead.pipelines.config import DEFAULTS, Job, RenderKeywords, RenderSettings, Result, check_options
from talkhead.pipelines.inputs import Audio, Motion, PathLike, Photo, open_source, open_speech
from talkhead.pipelines.outputs import check_destination
from talkhead.pipelines.pose import Moving, head_of
from talkhead.pipelines.render import heard, open_renderer, picture_wishes, result_of, turned, turned_by, write_frames
from talkhead.progress import NoProgress
from talkhead.protocols import Stage

if TYPE_CHECKING:
    from typing_extensions import Unpack

SPEECH_STAGES: tuple[Stage, Stage] = ("audio2coeff", "pose")


def animate(
    face: Photo,
    audio: Audio,
    output: PathLike,
    *,
    seed: int = DEFAULTS.seed,
    fps: float = DEFAULTS.fps,
    exp_scale: float = DEFAULTS.exp_scale,
    articulation: float = DEFAULTS.articulation,
    phonemes: Phonemes | None = None,
    phoneme_set: PhonemeSet = DEFAULTS.phoneme_set,
    transcript: PathLike | None = None,
    blinks: bool = True,
    pose_style: str | int = DEFAULTS.pose_style,
    pose_scale: float = DEFAULTS.pose_scale,
    reference: Motion | None = None,
    ref_pose: Motion | None = None,
    ref_eyeblink: Motion | None = None,
    yaw: str | float | None = None,
    pitch: str | float | None = None,
    roll: str | float | None = None,
    **words: Unpack[RenderKeywords],
) -> Result:
    """Make a photo speak.

    Args:
        face: photo, or a video whose first frame is taken. audio: speech. output: the video.
        exp_scale, articulation, phonemes, phoneme_set, transcript, blinks: how the face speaks, and what is known of
            the words, as in `audio2coeff`.
        pose_style, pose_scale: how the head moves. reference: clip or coefficients whose manner of moving is
            imitated. ref_pose, ref_eyeblink: clip or coefficients whose head motion or eyelids are taken.
        yaw, pitch, roll: head angles in degrees instead of the speech's own: a value, `t:v,t:v` keyframes, or `v,v,v`
            spread over the speech. Relative to the photo with meshwarp; with sadtalker 0 is frontal.
        words: how to make and write the pictures; see `RenderSettings`.
    Raises:
        MediaError, FaceNotFoundError, FaceChoiceError: unsuitable inputs. UsageError: options that are out of range
            or exclude each other, or that the system does not have. WeightsError: of a learned system.
            InputError, EnvironmentProblem: as in `audio2coeff`, about phonemes and transcript. OutputExistsError: see
            `overwrite`.
    """
    settings = RenderSettings.of(words)
    check_options(seed=seed, pose_scale=pose_scale)
    inputs = [face, audio, reference, ref_pose, ref_eyeblink, settings.face_choice, phonemes, transcript]
    kind = check_destination(output, overwrite=settings.overwrite, inputs=inputs)
    if kind == "picture":
        raise UsageError(f"animate makes a video, but {output} is a picture", hint="end the name in .mp4")
    if reference is not None and ref_pose is not None:
        raise UsageError("reference and ref_pose both say how the head moves; give one")
    speaking = Speaking.of(exp_scale, articulation, blinks, phonemes, phoneme_set, transcript, ref_eyeblink)
    moving = Moving(style=pose_style, scale=pose_scale, ref_pose=ref_pose)
    progress = settings.progress or NoProgress()
    wishes: Wishes = {
        "render": picture_wishes(settings),
        "audio2coeff": speaking.wishes(),
        "pose": moving.wishes() | {"manner": reference},
    }
    chosen = choose_system(settings.machine, "render", wishes=wishes)
    if reference is not None and "manner" not in partner(chosen, "pose").understands:
        raise UsageError(
            f"{chosen.name} learns no manner of moving from a clip",
            hint="--ref-pose takes a clip's head motion as it is; --pose-style has ready manners",
        )
    angles = {name: None if a is None else str(a) for name, a in (("yaw", yaw), ("pitch", pitch), ("roll", roll))}
    with open_speech(audio) as opened:
        source = open_source(face, settings.face_choice)
        renderer = open_renderer(chosen, source, settings, turned_by(chosen, angles))
        own = renderer.rest_coeffs()
        listener, mover = (partner(chosen, stage) for stage in SPEECH_STAGES)
        job = Job(machine=settings.machine, fps=fps, seed=seed, progress=progress)
        coeffs = expression_of(
            opened.speech, listener, speaking, job, reference=own if "face" in listener.understands else None
        )
        manner = own if "face" in mover.understands else reference
        head = head_of(opened.speech, mover, moving, job, reference=manner, n_frames=len(coeffs))
        coeffs = turned(coeffs.merged(head), chosen, angles)
        if not settings.dry_run:
            features = heard(chosen, renderer, opened.speech, coeffs, settings)
            write_frames(renderer, coeffs, output, kind, audio=opened.path, settings=settings, features=features)
    return result_of(output, renderer, coeffs, chosen, settings)
