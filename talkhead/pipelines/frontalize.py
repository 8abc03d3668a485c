"""A photo or coefficients -> the same with the head turned to the camera."""

from __future__ import annotations

from typing import TYPE_CHECKING

from talkhead.coeffs.container import Coeffs
from talkhead.coeffs.edit import apply_edits, parse_edit
from talkhead.coeffs.frontalize import frontalize as frontal
from talkhead.coeffs.retime import stretch
from talkhead.errors import UsageError
from talkhead.pipelines.choose import choose_system
from talkhead.pipelines.config import DEFAULTS, RenderKeywords, RenderSettings, Result
from talkhead.pipelines.inputs import Motion, PathLike, Photo, known_space, open_source, read_motion, stamped
from talkhead.pipelines.outputs import check_coeff_output, check_destination, write_if_asked
from talkhead.pipelines.render import one_frame, open_renderer, own_coeffs, placed, result_of, spread, write_frames

if TYPE_CHECKING:
    from typing_extensions import Unpack


SWEEP_S = 2.0
"""How long a film of views lasts that names no times."""


def frontalize(
    face: Photo,
    output: PathLike,
    *,
    strength: float = 1.0,
    neutral: bool = False,
    yaw: str | float | None = None,
    pitch: str | float | None = None,
    roll: str | float | None = None,
    fps: float = DEFAULTS.fps,
    **words: Unpack[RenderKeywords],
) -> Result:
    """Turn the head of a photo to the camera, or to other views.

    Args:
        face: photo. output: picture, or a video or folder of several views. strength: 1 all the way, 0 not at all.
        neutral: take the expression out too. yaw, pitch, roll: degrees from the front instead of 0: a value, `v,v,v`
            passed through in 2 s, or `t:v,t:v` keyframes. fps: of a video.
        words: how to make and write the pictures; see `RenderSettings`.
    Raises:
        FaceNotFoundError: no face. UsageError: a system that cannot do this, or several views for one picture.
    """
    settings = RenderSettings.of(words)
    kind = check_destination(output, overwrite=settings.overwrite, inputs=[face, settings.face_choice])
    angles = {"yaw": yaw, "pitch": pitch, "roll": roll}
    texts = {name: str(angle) for name, angle in angles.items() if angle is not None}
    turns = [parse_edit(name, "=" + spread(text, SWEEP_S)) for name, text in texts.items()]
    length_s = max((turn.length_s for turn in turns), default=0.0)
    if kind == "picture" and length_s:
        raise UsageError("several views make a film, not a picture", hint="end the output's name in .mp4")
    if neutral:
        turns.append(parse_edit("neutral", ""))
    chosen = choose_system(settings.machine, "frontalize")
    source = open_source(face, settings.face_choice)
    renderer = open_renderer(chosen, source, settings)
    own = own_coeffs(renderer, source, chosen, settings.machine, fps)
    view = frontal(own, strength=strength)
    if kind != "picture" and length_s:
        view = stretch(view, round(length_s * fps) + 1.0)
    coeffs = placed(apply_edits(view, turns, space=known_space(own.space)), own)
    frame = one_frame(coeffs, kind, None)
    if not settings.dry_run:
        write_frames(renderer, coeffs, output, kind, audio=None, settings=settings, frame=frame)
    return result_of(output, renderer, coeffs, chosen, settings, frame)


def frontalize_coeffs(
    motion: Motion, output: PathLike | None = None, *, strength: float = 1.0, overwrite: bool = False
) -> Coeffs:
    """Turn the head of every frame to the camera; expression, eyelids and gaze stay.

    Args:
        motion: coefficients, a file or "-". output: file to write too. strength: 1 all the way, 0 not at all.
    """
    check_coeff_output(output, overwrite=overwrite, inputs=[motion])
    coeffs = read_motion(motion)
    result = stamped(frontal(coeffs, strength=strength), "frontalize", {"frontalize": strength})
    return write_if_asked(result, output, overwrite=overwrite)
