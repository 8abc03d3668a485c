"""The main job: photo + speech -> video; audio2coeff, pose and render in one streaming run."""

from __future__ import annotations

from talkhead.audio.phonemes import PhonemeSet
from talkhead.coeffs.container import Coeffs
from talkhead.coeffs.edit import apply_edits, parse_edit
from talkhead.errors import UsageError
from talkhead.pipelines.audio2coeff import Phonemes, Speaking, expression_of, with_eyelids
from talkhead.pipelines.borrow import borrowed_pose, open_reference
from talkhead.pipelines.choose import build, choose_system, partner
from talkhead.pipelines.config import DEFAULTS, Codec, Framing, Result, check_options
from talkhead.pipelines.inputs import Audio, Motion, PathLike, Photo, open_source, open_speech
from talkhead.pipelines.outputs import VideoOptions, check_destination
from talkhead.pipelines.progress import NoProgress, Progress
from talkhead.pipelines.render import open_renderer, result_of, write_frames
from talkhead.protocols import Speech, SystemInfo


def animate(
    face: Photo,
    audio: Audio,
    output: PathLike,
    *,
    system: str = DEFAULTS.system,
    device: str = DEFAULTS.device,
    dtype: str = DEFAULTS.dtype,
    seed: int = DEFAULTS.seed,
    fps: float = DEFAULTS.fps,
    size: int | None = None,
    framing: Framing = DEFAULTS.framing,
    face_choice: str | int | PathLike = DEFAULTS.face,
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
    yaw: str | None = None,
    pitch: str | None = None,
    roll: str | None = None,
    crf: int = DEFAULTS.crf,
    codec: Codec | None = DEFAULTS.codec,
    mark: bool = True,
    visible_mark: bool = False,
    overwrite: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Result:
    """Make a photo speak.

    Args:
        face: photo, or a video whose first frame is taken. audio: speech. output: the video.
        exp_scale, articulation, phonemes, phoneme_set, transcript, blinks: how the face speaks, and what is known of
            the words, as in `audio2coeff`.
        pose_style, pose_scale: how the head moves. reference: clip or coefficients whose manner of moving is
            imitated. ref_pose, ref_eyeblink: clip or coefficients whose head motion or eyelids are taken as they are.
        yaw, pitch, roll: head angles in degrees instead of the speech's own, relative to the photo: a value,
            `t:v,t:v` keyframes, or `v,v,v` spread over the speech.
        size, framing, face_choice, mark, visible_mark, dry_run: as in `render`.
    Raises:
        MediaError, FaceNotFoundError, FaceChoiceError: unsuitable inputs. UsageError: options that are out of range
            or exclude each other. InputError, EnvironmentProblem: as in `audio2coeff`, about phonemes and transcript.
            OutputExistsError: see `overwrite`.
    """
    check_options(framing=framing, size=size, seed=seed, pose_scale=pose_scale)
    inputs = [face, audio, reference, ref_pose, ref_eyeblink, face_choice, phonemes, transcript]
    kind = check_destination(output, overwrite=overwrite, inputs=inputs)
    if kind == "picture":
        raise UsageError(f"animate makes a video, but {output} is a picture", hint="end the name in .mp4")
    if reference is not None and ref_pose is not None:
        raise UsageError("reference and ref_pose both say how the head moves; give one")
    speaking = Speaking.of(exp_scale, articulation, blinks, phonemes, phoneme_set, transcript)
    progress = progress or NoProgress()
    chosen = choose_system(system, "render", device)
    with open_speech(audio) as opened:
        source = open_source(face, face_choice)
        coeffs = _expression(opened.speech, chosen, (device, dtype), fps, seed, speaking, ref_eyeblink, progress)
        if ref_pose is not None:
            coeffs = coeffs.merged(borrowed_pose(ref_pose, len(coeffs), fps))
        else:
            manner = None if reference is None else open_reference(reference, fps)
            move = build(partner(chosen, "pose", device), "pose", device=device, dtype=dtype)
            with progress.stage("pose", None):
                head = move(opened.speech, fps=fps, seed=seed, style=pose_style, motion=pose_scale, reference=manner)
            coeffs = coeffs.merged(head)
        coeffs = _turned(coeffs, {"yaw": yaw, "pitch": pitch, "roll": roll})
        renderer = open_renderer(chosen, source, device=device, dtype=dtype, size=size, framing=framing)
        if not dry_run:
            options = VideoOptions(crf=crf, codec=codec, mark=mark, visible_mark=visible_mark, overwrite=overwrite)
            write_frames(renderer, coeffs, output, kind, audio=opened.path, options=options, progress=progress)
    return result_of(output, renderer, coeffs, chosen, codec, written=not dry_run)


def _expression(
    speech: Speech,
    chosen: SystemInfo,
    machine: tuple[str, str],
    fps: float,
    seed: int,
    speaking: Speaking,
    ref_eyeblink: Motion | None,
    progress: Progress,
) -> Coeffs:
    device, dtype = machine
    listen = build(partner(chosen, "audio2coeff", device), "audio2coeff", device=device, dtype=dtype)
    coeffs = expression_of(speech, listen, fps, seed, speaking, progress)
    return coeffs if ref_eyeblink is None else with_eyelids(coeffs, ref_eyeblink)


def _turned(coeffs: Coeffs, angles: dict[str, str | None]) -> Coeffs:
    """Head angles set by the user in place of the speech's own."""
    edits = [
        parse_edit(name, "=" + spread(text, coeffs.duration_s)) for name, text in angles.items() if text is not None
    ]
    return apply_edits(coeffs, edits) if edits else coeffs


def spread(text: str, duration_s: float) -> str:
    """`v,v,v` -> keyframes at equal distances over the whole duration; anything else stays."""
    values = text.split(",")
    if len(values) == 1 or ":" in text:
        return text
    step = duration_s / (len(values) - 1)
    return ",".join(f"{i * step:.6f}:{value}" for i, value in enumerate(values))
