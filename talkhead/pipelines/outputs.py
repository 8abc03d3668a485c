"""Where frames go: a video, one picture, or a folder of pictures, decided by the name of the output."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from talkhead.errors import MediaError, OutputExistsError, UsageError
from talkhead.files import check_output
from talkhead.pipelines.config import DEFAULTS

Frame = npt.NDArray[np.uint8]
Kind = Literal["video", "picture", "folder"]

VIDEO_SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi"})
PICTURE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"})


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoOptions:
    """How a video is written.

    Attributes:
        crf: quality, 0 best .. 51 worst. codec: video codec. mark: put the invisible mark and the note into it.
        visible_mark: also write a small label into the picture. overwrite: replace what is there.
    """

    crf: int = DEFAULTS.crf
    codec: str = DEFAULTS.codec
    mark: bool = True
    visible_mark: bool = False
    overwrite: bool = False


def output_kind(output: str | os.PathLike[str]) -> Kind:
    """What an output name asks for.

    Raises:
        UsageError: a suffix that is neither a picture's nor a video's, or "-".
    """
    text = os.fspath(output)
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


def check_destination(output: str | os.PathLike[str], *, overwrite: bool) -> Kind:
    """Refuse an output that cannot be written, before any work.

    Raises:
        OutputExistsError: it is there and `overwrite` is false. MediaError: it cannot be written.
    """
    kind = output_kind(output)
    if kind != "folder":
        check_output(output, overwrite)
        return kind
    folder = Path(output)
    if folder.exists() and not folder.is_dir():
        raise MediaError(f"cannot write {folder}: it is a file")
    if not overwrite and folder.is_dir() and any(folder.iterdir()):
        raise OutputExistsError(f"{folder} already exists and is not empty", hint="use --overwrite or another name")
    if not folder.parent.is_dir():
        raise MediaError(f"cannot write {folder}: there is no folder {folder.parent}", hint="create it first")
    return kind


@contextlib.contextmanager
def open_video(
    output: str | os.PathLike[str],
    size: tuple[int, int],
    fps: float,
    *,
    audio: Path | None,
    options: VideoOptions,
    note: dict[str, str],
) -> Iterator[Callable[[Frame], None]]:
    """Open a video for writing; yields a function that takes one frame, (H, W, 3) uint8 RGB.

    The file appears when the block ends well; on an error or an interrupt nothing stays.
    """
    from talkhead.media.video import VideoWriter

    arguments: dict[str, Any] = {"audio": audio, "crf": options.crf, "codec": options.codec, "metadata": note}
    arguments |= {"mark": options.mark, "visible_mark": options.visible_mark, "overwrite": options.overwrite}
    with VideoWriter(output, size, fps, **arguments) as writer:
        yield writer.write


@contextlib.contextmanager
def open_folder(output: str | os.PathLike[str], *, overwrite: bool) -> Iterator[Callable[[Frame], None]]:
    """Open a folder of numbered PNG pictures; yields a function that takes one frame.

    Pictures made so far stay when the run is interrupted: each is complete in itself.
    """
    from talkhead.media.image import write_image

    folder = Path(output)
    try:
        folder.mkdir(exist_ok=True)
    except OSError as cause:
        raise MediaError(f"cannot write {folder}: {(cause.strerror or str(cause)).lower()}") from cause
    written = 0

    def write(frame: Frame) -> None:
        nonlocal written
        write_image(folder / f"{written:06d}.png", frame, overwrite=overwrite)
        written += 1

    yield write
