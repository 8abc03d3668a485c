"""A compressed stream read: its motion, its picture with the face that moves, its sound."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from talkhead.coeffs.container import Coeffs
from talkhead.coeffs.file import require_space
from talkhead.coeffs.stream import LARGEST, StreamReader
from talkhead.errors import CompressedStreamError
from talkhead.protocols import Source


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


def read_compressed(path: str | Path) -> Coeffs:
    """The motion of a compressed stream.

    Raises:
        CompressedStreamError: no such stream, damaged, or of a space that nobody here knows.
    """
    with StreamReader(path) as reader:
        check_space(reader)
        return described(reader, str(path))


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
        check_space(reader)
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
            coeffs=described(reader, name),
            reference=reader.info.reference(),
            source=Source(image=image.pixels, landmarks=found, name=f"the picture in {name}"),
            sound=sound,
        )


def described(reader: StreamReader, name: str) -> Coeffs:
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


def check_space(reader: StreamReader) -> None:
    """Refuse codes of a face model that is not here, by its name."""
    from talkhead.face3d.spaces import space_of

    space = reader.info.space
    known = space_of(space)
    if known is None:
        raise CompressedStreamError(f"{reader.name}: codes of space {space}, which nobody here knows")
    require_space(reader.info.reference(), known.name, f"{reader.name}: they")
