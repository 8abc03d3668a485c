"""A compressed stream -> the video it stands for, drawn by any system that reads its space."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from talkhead.coeffs.anchor import anchored
from talkhead.coeffs.container import Coeffs
from talkhead.coeffs.file import require_space, write_coeffs
from talkhead.coeffs.stream import StreamReader
from talkhead.errors import CompressedStreamError
from talkhead.pipelines.choose import choose_system
from talkhead.pipelines.config import RenderKeywords, RenderSettings, Result
from talkhead.pipelines.inputs import PathLike, stamped
from talkhead.pipelines.outputs import check_coeff_output, check_destination
from talkhead.pipelines.reference_frame import LARGEST
from talkhead.pipelines.render import (
    fitted_to,
    has_codes,
    heard_in_file,
    one_frame,
    open_renderer,
    picture_wishes,
    readable,
    result_of,
    write_frames,
)
from talkhead.protocols import Source

if TYPE_CHECKING:
    from typing_extensions import Unpack

COEFF_SUFFIX = ".safetensors"


@dataclass(frozen=True, kw_only=True, slots=True)
class Opened:
    """A stream that was read.

    Attributes:
        coeffs: the motion. reference: one frame, of the picture. source: the picture and the face in it that moves.
        sound: a file of the sound, None without.
    """

    coeffs: Coeffs
    reference: Coeffs
    source: Source
    sound: Path | None


def decompress(
    stream: PathLike, output: PathLike, *, frame: int | None = None, **words: Unpack[RenderKeywords]
) -> Result:
    """Draw a compressed stream.

    Args:
        stream: file that `compress` wrote, or "-". output: a video, a picture (one frame), a folder for pictures of all
            frames, or a coefficient file (`.safetensors`) for the motion alone. frame: only this frame, from 0.
        words: who draws, and how to make and write the pictures; see `RenderSettings`.
    Raises:
        CompressedStreamError: no such stream, damaged, cut off, or of a space that nobody here knows.
        FaceNotFoundError: no face in its picture. WeightsError: of a learned system. UsageError: options that do not
            fit.
    """
    from talkhead.media.stdin import spooled_input

    settings = RenderSettings.of(words)
    if Path(output).suffix.lower() == COEFF_SUFFIX:
        check_coeff_output(output, overwrite=settings.overwrite, inputs=[stream])
        with spooled_input(stream) as path:
            return _write_motion(path, stream, output, settings)
    kind = check_destination(output, overwrite=settings.overwrite, inputs=[stream])
    with spooled_input(stream) as path, open_stream(path, name=_name(stream)) as opened:
        coeffs = opened.coeffs
        frame = one_frame(coeffs, kind, frame)
        space = coeffs.space if has_codes(coeffs) else None
        chosen = choose_system(settings.machine, "render", space=space, wishes={"render": picture_wishes(settings)})
        renderer = open_renderer(chosen, opened.source, settings)
        if chosen.is_aligned or not chosen.reads(coeffs.space):
            coeffs = fitted_to(
                readable(coeffs, chosen, settings, opened.source), opened.source, chosen, settings.machine
            )
        else:
            coeffs = anchored(coeffs, opened.reference, renderer.rest_coeffs())
        if not settings.dry_run:
            sound = opened.sound if kind == "video" else None
            features = heard_in_file(chosen, renderer, opened.sound, coeffs, settings)
            write_frames(renderer, coeffs, output, kind, audio=sound, settings=settings, features=features, frame=frame)
        return result_of(output, renderer, coeffs, chosen, settings, frame)


def read_compressed(path: PathLike) -> Coeffs:
    """The motion of a compressed stream.

    Raises:
        CompressedStreamError: no such stream, damaged, or of a space that nobody here knows.
    """
    with StreamReader(path) as reader:
        _check_space(reader)
        return _described(reader, str(path))


@contextlib.contextmanager
def open_stream(path: Path, *, name: str) -> Iterator[Opened]:
    """Read a stream for drawing; the file of its sound is there until the block ends.

    Args:
        path: the file. name: what to call it in messages.
    Raises:
        CompressedStreamError, FaceNotFoundError: as `decompress`.
    """
    from talkhead.face.mesh import choose_face
    from talkhead.media.image import decode_image

    with contextlib.ExitStack() as stack:
        reader = stack.enter_context(StreamReader(path, name))
        _check_space(reader)
        image = decode_image(reader.picture(), reader.picture_kind, f"the picture in {name}")
        if image.size != reader.info.size:
            raise CompressedStreamError(f"{name}: its picture is {image.size}, expected {reader.info.size}")
        face = reader.info.face
        found = choose_face(image.pixels, "largest" if face == LARGEST else face - 1, name=f"the picture in {name}")
        sound = None
        if reader.sound_kind is not None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="talkhead-")))
            sound = folder / ("sound.m4a" if reader.sound_kind == "mp4" else "sound.mka")
            reader.copy_sound(sound)
        yield Opened(
            coeffs=_described(reader, name),
            reference=reader.info.reference(),
            source=Source(image=image.pixels, landmarks=found, name=f"the picture in {name}"),
            sound=sound,
        )


def _write_motion(path: Path, stream: PathLike, output: PathLike, settings: RenderSettings) -> Result:
    with StreamReader(path, _name(stream)) as reader:
        _check_space(reader)
        coeffs = stamped(_described(reader, _name(stream)), "decompress", {}, stream)
    if not settings.dry_run:
        write_coeffs(output, coeffs, settings.overwrite)
    return Result(output=str(output), n_frames=len(coeffs), fps=coeffs.fps, written=not settings.dry_run)


def _described(reader: StreamReader, name: str) -> Coeffs:
    """The motion, with what its stream is in `params`."""
    sizes, info = reader.sizes, reader.info
    about = {
        "stream": name,
        "format": info.format,
        "motion_kbit_s": round(8 * sizes.motion * info.fps / info.n_frames / 1000, 3),
        "picture": f"{reader.picture_kind}, {sizes.picture} bytes",
        "sound": f"{reader.sound_kind}, {sizes.sound} bytes" if reader.sound_kind else "none",
    }
    return reader.coeffs().replace(params=about)


def _check_space(reader: StreamReader) -> None:
    """Refuse codes of a face model that is not here, by its name."""
    from talkhead.face3d.spaces import space_of

    space = reader.info.space
    known = space_of(space)
    if known is None:
        raise CompressedStreamError(f"{reader.name}: codes of space {space}, which nobody here knows")
    require_space(reader.info.reference(), known.name, f"{reader.name}: they")


def _name(stream: PathLike) -> str:
    return "standard input" if str(stream) == "-" else str(stream)
