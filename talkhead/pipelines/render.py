"""Photo + coefficients -> frames -> video, picture or folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from talkhead.coeffs.container import Coeffs
from talkhead.coeffs.retarget import retarget
from talkhead.errors import CoeffFileError, UsageError
from talkhead.pipelines.choose import build, choose_system
from talkhead.pipelines.config import DEFAULTS, Codec, Framing, Result, check_options
from talkhead.pipelines.extract import extract_photo
from talkhead.pipelines.inputs import Motion, PathLike, Photo, known_space, open_source, read_motion
from talkhead.pipelines.outputs import (
    Kind,
    VideoOptions,
    check_destination,
    open_frames,
    size_in_file,
    write_picture,
)
from talkhead.pipelines.progress import NoProgress, Progress, tracked
from talkhead.protocols import Drive, Renderer, Source, SystemInfo


def render(
    face: Photo,
    motion: Motion | Sequence[Motion],
    output: PathLike,
    *,
    audio: PathLike | None = None,
    frame: int | None = None,
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
    """Move a photo by coefficients.

    Args:
        face: photo. motion: coefficients, files or "-", merged in order. output: a video, a picture (one frame), or a
            folder for pictures of all frames. audio: sound track to put in. frame: only this frame, from 0.
        size: longer side of the output, pixels; None keeps the photo's. framing: whole picture or head.
        mark, visible_mark: invisible and visible mark of origin. dry_run: check everything, write nothing.
    Raises:
        CoeffFileError: broken, or of a space the system does not read. FaceNotFoundError: no face in the photo.
        OutputExistsError: the output is there and `overwrite` is false.
    """
    check_options(framing=framing, size=size)
    files = [motion] if isinstance(motion, (str, Path, Coeffs)) else motion
    kind = check_destination(output, overwrite=overwrite, inputs=[face, *files, audio, face_choice])
    if audio is not None and kind != "video":
        raise UsageError("--audio needs a video to go into", hint="end the output's name in .mp4")
    coeffs = one_frame(read_motion(motion), kind, frame)
    chosen = choose_system(system, "render", device)
    source = open_source(face, face_choice)
    renderer = open_renderer(chosen, source, device=device, dtype=dtype, size=size, framing=framing)
    check_space(coeffs, chosen)
    coeffs = fitted_to(coeffs, source)
    options = VideoOptions(crf=crf, codec=codec, mark=mark, visible_mark=visible_mark, overwrite=overwrite)
    if dry_run:
        return result_of(output, renderer, coeffs, chosen, codec, written=False)
    sound = None if audio is None else Path(audio)
    write_frames(renderer, coeffs, output, kind, audio=sound, options=options, progress=progress or NoProgress())
    return result_of(output, renderer, coeffs, chosen, codec)


def open_renderer(
    system: SystemInfo, source: Source, *, device: str, dtype: str, size: int | None, framing: Framing
) -> Renderer:
    """Prepare a source with a system's renderer."""
    factory = build(system, "render", device=device, dtype=dtype)
    renderer: Renderer = factory(source, size=size, framing=framing)
    return renderer


def check_space(coeffs: Coeffs, system: SystemInfo) -> None:
    """Refuse codes that the system's renderer cannot read.

    Raises:
        CoeffFileError: naming both spaces.
    """
    coded = coeffs.exp is not None or coeffs.id is not None
    if coded and not any(coeffs.space == s or coeffs.space.startswith(f"{s}-") for s in system.spaces):
        raise CoeffFileError(
            f"codes of space {coeffs.space}, but {system.name} reads {' '.join(system.spaces)}",
            hint="talkhead systems lists who reads which; edit --space converts",
        )


def fitted_to(coeffs: Coeffs, source: Source) -> Coeffs:
    """Bring absolute motion to the place and size of the photo's head; relative motion needs nothing.

    Coefficients of a picture of the photo's size are taken at their word; from other pictures only the changes count.
    """
    if not any(getattr(coeffs, name) is not None and name not in coeffs.relative for name in ("trans", "scale")):
        return coeffs
    own = extract_photo(source, coeffs.fps, like=coeffs)
    height, width = source.image.shape[:2]
    if coeffs.size is not None and tuple(coeffs.size) != (width, height):
        coeffs = retarget(coeffs, source=own, mode="absolute", space=known_space())
    return placed(coeffs, own)


def placed(coeffs: Coeffs, own: Coeffs) -> Coeffs:
    """Absolute position and size as offsets from a photo's own, so that they hold at any output size and framing.

    Args:
        coeffs: motion measured in the photo's pixels, or in those of a picture of the same size. own: coefficients of
            the photo, one frame.
    """
    changes: dict[str, Any] = {}
    relative = set(coeffs.relative)
    if coeffs.trans is not None and own.trans is not None and "trans" not in relative:
        changes["trans"] = coeffs.trans - own.trans[:1]
        relative.add("trans")
    if coeffs.scale is not None and own.scale is not None and "scale" not in relative:
        changes["scale"] = coeffs.scale / own.scale[:1]
        relative.add("scale")
    return coeffs.replace(relative=frozenset(relative), **changes) if changes else coeffs


def one_frame(coeffs: Coeffs, kind: Kind, frame: int | None) -> Coeffs:
    """Cut motion down to the frame asked for; a picture shows frame 0 unless told otherwise.

    Raises:
        UsageError: there is no such frame, or `frame` with a video.
    """
    if frame is None and kind != "picture":
        return coeffs
    if kind == "video":
        raise UsageError("--frame makes a picture, not a video", hint="end the output's name in .png")
    index = frame or 0
    if not 0 <= index < len(coeffs):
        raise UsageError(f"--frame is {index}, the motion has {len(coeffs)} frames, counted from 0")
    return coeffs.at(slice(index, index + 1))


def write_frames(
    renderer: Renderer,
    coeffs: Coeffs,
    output: PathLike,
    kind: Kind,
    *,
    audio: Path | None,
    options: VideoOptions,
    progress: Progress,
) -> None:
    """Render and write frame by frame; no more than a few frames are in memory at a time."""
    frames = tracked(renderer.render(Drive(coeffs=coeffs)), progress, "render", len(coeffs))
    if kind == "picture":
        write_picture(list(frames)[0], output, options)
        return
    with open_frames(output, kind, renderer.size, coeffs.fps, audio=audio, options=options) as writer:
        for image in frames:
            writer.write(image)


def result_of(
    output: PathLike,
    renderer: Renderer,
    coeffs: Coeffs,
    system: SystemInfo,
    codec: Codec | None = None,
    *,
    written: bool = True,
) -> Result:
    """The result of rendering `coeffs`."""
    return Result(
        output=str(output),
        system=system.name,
        n_frames=len(coeffs),
        fps=coeffs.fps,
        size=size_in_file(output, renderer.size, codec),
        written=written,
    )
