"""Where results go: coefficients to their file; frames to a video, a picture or a folder, by the output's name."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from talkhead.coeffs.container import Coeffs
from talkhead.coeffs.file import STDIO, write_coeffs
from talkhead.errors import MediaError, OutputExistsError, UsageError
from talkhead.files import check_output
from talkhead.pipelines.config import DEFAULTS, Codec, RenderSettings

if TYPE_CHECKING:
    from talkhead.media.video import FrameFolderWriter, VideoWriter

Frame = npt.NDArray[np.uint8]
Kind = Literal["video", "picture", "folder"]

LABEL = "synthetic"
VIDEO_SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".webm"})  # that can be written
PICTURE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"})
READ_ONLY_SUFFIXES = frozenset(
    (".gif", ".avif", ".heic", ".jfif", ".jp2", ".ppm", ".tga")
    + (".avi", ".3gp", ".flv", ".mpg", ".mpeg", ".mts", ".ogv", ".ts", ".wmv", ".y4m")
    + (".wav", ".mp3", ".m4a", ".aac", ".flac", ".ogg", ".opus", ".wma")
)
MEDIA_SUFFIXES = VIDEO_SUFFIXES | PICTURE_SUFFIXES | READ_ONLY_SUFFIXES


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoOptions:
    """How a video is written.

    Attributes:
        crf: quality, 0 best .. 51 worst. codec: None chooses by the suffix. mark: put the invisible mark and the note
            into it. visible_mark: also write a small label into the picture. overwrite: replace what is there.
    """

    crf: int = DEFAULTS.crf
    codec: Codec | None = DEFAULTS.codec
    mark: bool = True
    visible_mark: bool = False
    overwrite: bool = False


def video_options(settings: RenderSettings) -> VideoOptions:
    """The part of the settings that is about writing."""
    return VideoOptions(
        crf=settings.crf,
        codec=settings.codec,
        mark=settings.mark,
        visible_mark=settings.visible_mark,
        overwrite=settings.overwrite,
    )


def check_coeff_output(output: str | Path | None, *, overwrite: bool, inputs: Iterable[object] = ()) -> None:
    """Refuse a coefficient file that cannot be written, before any work.

    Raises:
        UsageError: the name is that of a picture, video or sound, or of one of the `inputs`. OutputExistsError,
            MediaError: as `check_output`.
    """
    if output is None or output == STDIO:
        return
    if Path(output).suffix.lower() in MEDIA_SUFFIXES:
        raise UsageError(
            f"this makes coefficients, and {output} is the name of a picture, video or sound",
            hint="end it in .safetensors; talkhead render makes pictures and videos of coefficients",
        )
    refuse_inputs(output, inputs)
    check_output(output, overwrite)


def refuse_inputs(output: str | Path, inputs: Iterable[object]) -> None:
    """Keep an output from replacing what it is made from, even with `overwrite`.

    Args:
        output: the file to be written. inputs: paths; anything else among them is passed over.
    Raises:
        UsageError: the output is one of the inputs, under this or another name.
    """
    for path in inputs:
        if isinstance(path, (str, Path)) and path != STDIO and _is_same_file(output, path):
            raise UsageError(f"{output} is an input too, and inputs are left alone", hint="choose another output path")


def _is_same_file(one: str | Path, other: str | Path) -> bool:
    try:
        return Path(one).is_file() and os.path.samefile(one, other)  # noqa: PTH121 - either may be text
    except (OSError, ValueError):
        return False


def write_if_asked(coeffs: Coeffs, output: str | Path | None, *, overwrite: bool) -> Coeffs:
    """Write coefficients to `output` unless it is None; returns them either way.

    A name in `.csv` or `.mat` asks for blend shapes or SadTalker's format.
    """
    if output is None:
        return coeffs
    from talkhead.coeffs.neighbours import export_neighbour, is_neighbour

    if is_neighbour(output):
        from talkhead.face3d.morphable import load_builtin

        export_neighbour(output, coeffs, load_builtin().space, overwrite)
    else:
        write_coeffs(output, coeffs, overwrite)
    return coeffs


def output_kind(output: str | Path) -> Kind:
    """What an output name asks for.

    Raises:
        UsageError: a suffix that is neither a picture's nor a video's, or "-".
    """
    text = str(output)
    if text == "-":
        raise UsageError("pictures and videos cannot go to standard output", hint="give a file name to -o")
    suffix = Path(text).suffix.lower()
    if text.endswith(("/", os.sep)) or Path(text).is_dir() or not suffix:
        return "folder"
    if suffix in VIDEO_SUFFIXES:
        return "video"
    if suffix in PICTURE_SUFFIXES:
        return "picture"
    raise UsageError(
        f"cannot tell what to write from the name {text}", hint="end it in .mp4, in .png, or in / for a folder"
    )


def check_destination(output: str | Path, *, overwrite: bool, inputs: Iterable[object] = ()) -> Kind:
    """Refuse an output that cannot be written, before any work.

    Raises:
        OutputExistsError: it is there and `overwrite` is false. MediaError: it cannot be written. UsageError: it is
            one of the `inputs`.
    """
    kind = output_kind(output)
    if kind != "folder":
        refuse_inputs(output, inputs)
        check_output(output, overwrite)
        return kind
    folder = Path(output)
    if folder.exists() and not folder.is_dir():
        raise MediaError(f"cannot write {folder}: it is a file")
    if not overwrite and folder.is_dir() and any(folder.iterdir()):
        raise OutputExistsError(f"{folder} already exists and is not empty", hint="use --overwrite or another name")
    if not folder.parent.is_dir():
        raise MediaError(f"cannot write {folder}: there is no folder {folder.parent}", hint="create it first")
    if not os.access(folder if folder.is_dir() else folder.parent, os.W_OK):
        raise MediaError(f"cannot write {folder}: the folder is not writable", hint="choose another output path")
    return kind


def size_in_file(output: str | Path, size: tuple[int, int], codec: Codec | None) -> tuple[int, int]:
    """Width and height that frames of `size` have in the file: films but lossless ones are even both ways."""
    if output_kind(output) != "video" or codec == "ffv1":
        return size
    return size[0] + size[0] % 2, size[1] + size[1] % 2


def open_frames(
    output: str | Path,
    kind: Kind,
    size: tuple[int, int],
    fps: float,
    *,
    audio: Path | None,
    options: VideoOptions,
) -> VideoWriter | FrameFolderWriter:
    """A writer of frames, as a context manager with `write(frame)`; frames are (H, W, 3) uint8 RGB.

    What it makes appears when the block ends well; after an error or an interrupt nothing stays.
    """
    from talkhead.media.video import FrameFolderWriter, VideoWriter

    label = LABEL if options.visible_mark else None
    if kind == "folder":
        return FrameFolderWriter(output, size, overwrite=options.overwrite, mark=options.mark, label=label)
    return VideoWriter(
        output,
        size,
        fps,
        audio=audio,
        crf=options.crf,
        codec=options.codec,
        mark=options.mark,
        label=label,
        overwrite=options.overwrite,
    )


def write_picture(frame: Frame, output: str | Path, options: VideoOptions) -> None:
    """Write one frame as a picture, marked as a video's frames are."""
    from talkhead.media.image import write_image
    from talkhead.media.mark import Label, Mark

    size = (frame.shape[1], frame.shape[0])
    frame = np.array(frame)
    if options.visible_mark:
        Label(size, LABEL).draw(frame)
    if options.mark:
        frame = Mark(size).apply_rgb(frame)
    write_image(output, frame, overwrite=options.overwrite)
