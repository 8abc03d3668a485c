"""Photo + driving video -> video: measure the driver, lay the motion on the photo, render."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from talkhead.coeffs.retarget import retarget
from talkhead.errors import UsageError
from talkhead.pipelines.choose import build_extractor, choose_system
from talkhead.pipelines.config import DEFAULTS, MotionMode, RenderKeywords, RenderSettings, Result, check_options
from talkhead.pipelines.extract import extract_video
from talkhead.pipelines.inputs import PathLike, Photo, check_sound, known_space, open_source
from talkhead.pipelines.outputs import check_destination, size_in_file
from talkhead.pipelines.render import (
    heard_in_file,
    open_renderer,
    own_coeffs,
    picture_wishes,
    placed,
    result_of,
    write_frames,
)
from talkhead.progress import NoProgress

if TYPE_CHECKING:
    from typing_extensions import Unpack


def reenact(
    face: Photo,
    driving: PathLike,
    output: PathLike,
    *,
    audio: PathLike | None = None,
    motion: MotionMode = DEFAULTS.motion,
    motion_scale: float = 1.0,
    driver_face: str | int | PathLike = DEFAULTS.face,
    fps: float | None = DEFAULTS.fps,
    **words: Unpack[RenderKeywords],
) -> Result:
    """Move a photo as a person in a video moves.

    Args:
        face: photo. driving: video of the driver, whose sound is taken too. audio: another sound track.
        motion: `relative` adds the driver's changes since rest to the photo, `absolute` takes the driver's own pose
            and expression, `adapted` brings these to the photo's mean size and place, as HeadGAN does; `auto` is
            absolute when driver and photo are the same person, else what the system does by itself. motion_scale:
            strength.
        driver_face: which face of the driving video. fps: of the result; None keeps the driving video's.
        words: how to make and write the pictures; see `RenderSettings`.
    Raises:
        MediaError, FaceNotFoundError, FaceChoiceError: unsuitable inputs.
    """
    from talkhead.media.video import probe

    settings = RenderSettings.of(words)
    check_options(motion=motion)
    check_sound(audio)
    inputs = [face, driving, audio, settings.face_choice, driver_face]
    kind = check_destination(output, overwrite=settings.overwrite, inputs=inputs)
    if kind == "picture":
        raise UsageError(f"reenact makes a video, but {output} is a picture", hint="end the name in .mp4")
    progress = settings.progress or NoProgress()
    chosen = choose_system(settings.machine, "reenact", wishes={"render": picture_wishes(settings)})
    info = probe(driving)
    source = open_source(face, settings.face_choice)
    sound = Path(audio) if audio is not None else Path(driving) if info.has_audio else None
    renderer = open_renderer(chosen, source, settings)
    if settings.dry_run:
        rate = fps or info.fps
        n_frames = round(info.duration_s * rate)
        in_file = size_in_file(output, renderer.size, settings.codec)
        return Result(output=str(output), system=chosen.name, n_frames=n_frames, fps=rate, size=in_file, written=False)
    extractor = build_extractor(chosen, settings.machine, progress)
    # Of a foreign space nobody knows how far apart two people's identity codes are, nor which codes open the mouth:
    # then motion is relative, and the opening is read off the points.
    is_foreign = chosen.is_aligned
    driver = extract_video(driving, driver_face, fps, extractor=extractor, landmarks=is_foreign, progress=progress)
    own = own_coeffs(renderer, source, chosen, settings.machine, driver.fps)
    space = None if is_foreign else known_space(own.space)
    mode: MotionMode = "relative" if is_foreign and motion == "auto" else motion
    coeffs = retarget(driver, source=own, mode=mode, transfer=chosen.transfer, motion_scale=motion_scale, space=space)
    coeffs = coeffs if is_foreign else placed(coeffs, own)
    features = heard_in_file(chosen, renderer, sound, coeffs, settings)
    write_frames(renderer, coeffs, output, kind, audio=sound, settings=settings, features=features)
    return result_of(output, renderer, coeffs, chosen, settings)
