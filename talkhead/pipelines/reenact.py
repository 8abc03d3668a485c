"""Photo + driving video -> video: track and fit the driver, lay the motion on the photo, render."""

from __future__ import annotations

from pathlib import Path

from talkhead.coeffs.retarget import retarget
from talkhead.errors import UsageError
from talkhead.pipelines.choose import choose_system
from talkhead.pipelines.config import DEFAULTS, Codec, Framing, MotionMode, Result, check_options
from talkhead.pipelines.extract import extract_photo, extract_video
from talkhead.pipelines.inputs import PathLike, Photo, known_space, open_source
from talkhead.pipelines.outputs import VideoOptions, check_destination, size_in_file
from talkhead.pipelines.progress import NoProgress, Progress
from talkhead.pipelines.render import open_renderer, placed, result_of, write_frames


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
    system: str = DEFAULTS.system,
    device: str = DEFAULTS.device,
    dtype: str = DEFAULTS.dtype,
    size: int | None = None,
    framing: Framing = DEFAULTS.framing,
    face_choice: str | int | PathLike = DEFAULTS.face,
    crf: int = DEFAULTS.crf,
    codec: Codec | None = DEFAULTS.codec,
    mark: bool = True,
    visible_mark: bool = False,
    overwrite: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Result:
    """Move a photo as a person in a video moves.

    Args:
        face: photo. driving: video of the driver, whose sound is taken too. audio: another sound track.
        motion: `relative` adds the driver's changes since rest to the photo, `absolute` takes the driver's own pose
            and expression, `auto` is absolute when driver and photo are the same person. motion_scale: strength.
        driver_face: which face of the driving video. fps: of the result; None keeps the driving video's.
        Others: as in `render`.
    Raises:
        MediaError, FaceNotFoundError, FaceChoiceError: unsuitable inputs.
    """
    from talkhead.media.video import probe

    check_options(framing=framing, size=size, motion=motion)
    inputs = [face, driving, audio, face_choice, driver_face]
    kind = check_destination(output, overwrite=overwrite, inputs=inputs)
    if kind == "picture":
        raise UsageError(f"reenact makes a video, but {output} is a picture", hint="end the name in .mp4")
    progress = progress or NoProgress()
    chosen = choose_system(system, "reenact", device)
    info = probe(driving)
    source = open_source(face, face_choice)
    sound = Path(audio) if audio is not None else Path(driving) if info.has_audio else None
    renderer = open_renderer(chosen, source, device=device, dtype=dtype, size=size, framing=framing)
    if dry_run:
        rate = fps or info.fps
        n_frames = round(info.duration_s * rate)
        in_file = size_in_file(output, renderer.size, codec)
        return Result(output=str(output), system=chosen.name, n_frames=n_frames, fps=rate, size=in_file, written=False)
    driver = extract_video(driving, driver_face, fps, progress=progress)
    own = extract_photo(source, driver.fps)
    coeffs = placed(retarget(driver, source=own, mode=motion, motion_scale=motion_scale, space=known_space()), own)
    options = VideoOptions(crf=crf, codec=codec, mark=mark, visible_mark=visible_mark, overwrite=overwrite)
    write_frames(renderer, coeffs, output, kind, audio=sound, options=options, progress=progress)
    return result_of(output, renderer, coeffs, chosen, codec)
