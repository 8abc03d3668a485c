"""The compressed stream as a file (docs/compressed-stream.md): header, picture, motion, sound, each with a checksum.

A reader checks all of it when it is opened, before anything is decoded, and never asks for more memory than the bytes
that are really there justify.
"""

from __future__ import annotations

import contextlib
import math
import os
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import numpy.typing as npt

from talkhead.coeffs.codec import (
    CHUNK_FRAMES,
    FORMATS,
    TRACKS,
    WIDTHS,
    CompactDecoder,
    CompactEncoder,
    MotionFormat,
    RawCodec,
    Track,
)
from talkhead.coeffs.container import Coeffs
from talkhead.coeffs.layout import MAYBE_RELATIVE
from talkhead.errors import CoeffFileError, CompressedStreamError

F32 = npt.NDArray[np.float32]
PictureKind = Literal["png", "webp", "jpeg"]
SoundKind = Literal["mp4", "matroska"]

MAGIC = b"\x89THC"
VERSION = 1
LARGEST = 0
"""`StreamInfo.face`: the largest face of the picture; others are counted from the left, from 1."""
PICTURES: tuple[PictureKind, ...] = ("png", "webp", "jpeg")
SOUNDS: tuple[SoundKind, ...] = ("mp4", "matroska")

_PREFIX = struct.Struct("<4sHI")  # magic, version, bytes of the header
_FIXED = struct.Struct("<BBBBdIII BII BQI")  # the motion; kind, bytes and checksum of the picture, and of the sound
_TRACK = struct.Struct("<BBH")
_CRC = struct.Struct("<I")
_CHUNK = struct.Struct("<H")  # words of the payload
_MAX_HEADER = 1 << 20
_MAX_EXP = 4096
_MAX_PIXELS = 100_000_000
_MAX_DURATION_S = 24 * 3600.0
_RAW_FRAMES = 256  # of a raw stream that are read at once
_BLOCK = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamInfo:
    """What a stream says about its motion.

    Attributes:
        format: of the motion. space: of the codes. fps: of the motion. n_frames: its length.
        size: width and height of the picture in whose pixels it was measured. id: (n_id,) or None.
        tracks: what each frame has. face: which face of the picture moves, counted from the left.
        chunk_frames: frames coded together, in the compact format.
    """

    format: MotionFormat
    space: str
    fps: float
    n_frames: int
    size: tuple[int, int]
    tracks: tuple[Track, ...]
    id: F32 | None = None
    face: int = 0
    chunk_frames: int = CHUNK_FRAMES

    def reference(self) -> Coeffs:
        """Coefficients of the picture, one frame."""
        rows = {
            track.name: track.reference if track.name in ("scale", "tongue") else track.reference[None]
            for track in self.tracks
        }
        return self.coeffs(rows, 1)

    def coeffs(self, tracks: Mapping[str, F32], n_frames: int) -> Coeffs:
        """Coefficients with these tracks.

        Raises:
            CoeffFileError: they hold values that are not finite.
        """
        values: dict[str, Any] = dict(tracks)
        return Coeffs(
            space=self.space,
            fps=self.fps,
            n_frames=n_frames,
            id=self.id,
            size=np.array(self.size, np.float32),
            relative=frozenset(track.name for track in self.tracks if track.relative),
            **values,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamSizes:
    """Bytes of the parts; `motion` is that of the frames alone, `header` everything that is none of the others."""

    header: int
    picture: int
    motion: int
    sound: int

    @property
    def total(self) -> int:
        """Bytes of the file."""
        return self.header + self.picture + self.motion + self.sound


@dataclass(frozen=True, kw_only=True, slots=True)
class SoundFile:
    """A file of sound that goes in as it is, and its container."""

    path: Path
    kind: SoundKind


def write_stream(
    out: BinaryIO,
    info: StreamInfo,
    motion: Iterable[Coeffs],
    *,
    picture: bytes,
    picture_kind: PictureKind,
    sound: SoundFile | None = None,
) -> StreamSizes:
    """Write a stream, front to back.

    Args:
        out: open for writing; need not be seekable. info: about the motion. motion: pieces of it that follow each
            other, of `info.chunk_frames` frames each in the compact format, the last one shorter perhaps.
        picture: of the face, a file in memory. picture_kind: its format. sound: to go in, None for none.
    Raises:
        CoeffFileError: the motion cannot be coded, or is not `info.n_frames` long. CompressedStreamError: a fact of
            `info` is out of its range.
    """
    sound_bytes, sound_crc = (0, 0) if sound is None else _measure(sound.path)
    header = _header(
        info,
        (PICTURES.index(picture_kind) + 1, len(picture), zlib.crc32(picture)),
        (0 if sound is None else SOUNDS.index(sound.kind) + 1, sound_bytes, sound_crc),
    )
    out.write(header)
    out.write(picture)
    write = _write_compact if info.format == "compact" else _write_raw
    motion_bytes, trailer_bytes = write(out, info, motion)
    if sound is not None:
        with sound.path.open("rb") as stream:
            while block := stream.read(_BLOCK):
                out.write(block)
    return StreamSizes(header=len(header) + trailer_bytes, picture=len(picture), motion=motion_bytes, sound=sound_bytes)


class StreamReader:
    """An open stream, checked from its first byte to its last; frames are decoded when they are asked for.

    Args:
        path: the file. name: what to call it in messages; default the path.
    Attributes:
        info: about the motion. sizes: bytes of the parts. picture_kind: format of the picture. sound_kind: container
            of the sound, None without.
    Raises:
        CompressedStreamError: missing, no such stream, of a newer version, cut off, or altered.
    """

    def __init__(self, path: str | os.PathLike[str], name: str = "") -> None:
        self.name = name or str(path)
        with self._named():
            self._file = Path(path).open("rb")  # noqa: SIM115 - closed by `__exit__`
            try:
                self._open()
            except BaseException:
                self._file.close()
                raise

    def __enter__(self) -> StreamReader:
        return self

    def __exit__(self, *details: object) -> None:
        self._file.close()

    def picture(self) -> bytes:
        """The picture, a file of `picture_kind`."""
        self._file.seek(self._picture_at)
        return self._file.read(self.sizes.picture)

    def copy_sound(self, target: Path) -> None:
        """Write the sound's file to `target`, byte for byte as it went in.

        Raises:
            CompressedStreamError: there is none.
        """
        if self.sound_kind is None:
            raise CompressedStreamError(f"{self.name} has no sound")
        self._file.seek(self._sound_at)
        with target.open("wb") as out:
            for block in self._blocks(self.sizes.sound, "sound"):
                out.write(block)

    def motion(self) -> Iterator[Coeffs]:
        """The motion in consecutive pieces.

        Raises:
            CompressedStreamError: a piece cannot be decoded, though its checksum fits.
        """
        with self._named():
            decoded = self._compact() if self.info.format == "compact" else self._raw()
            for tracks, n_frames in decoded:
                try:
                    yield self.info.coeffs(tracks, n_frames)
                except CoeffFileError as cause:
                    raise CompressedStreamError(cause.message) from cause

    def coeffs(self) -> Coeffs:
        """The whole motion: 160 bytes a frame in memory."""
        pieces = list(self.motion())
        tracks = {
            track.name: np.concatenate([getattr(piece, track.name) for piece in pieces]) for track in self.info.tracks
        }
        return self.info.coeffs(tracks, self.info.n_frames)

    def _open(self) -> None:
        self._size = os.fstat(self._file.fileno()).st_size
        self.info, picture, sound, header_bytes = _read_header(self._file, self._size)
        self.picture_kind = PICTURES[picture[0] - 1]
        self.sound_kind = SOUNDS[sound[0] - 1] if sound[0] else None
        self._picture_at = header_bytes
        self._check("picture", picture)
        self._motion_at = self._file.tell()
        motion_bytes, trailer_bytes = self._check_motion()
        self._sound_at = self._file.tell()
        self._check("sound", sound)
        rest = self._size - self._file.tell()
        if rest:
            raise CompressedStreamError(f"{rest} bytes follow after its end")
        self.sizes = StreamSizes(
            header=header_bytes + trailer_bytes, picture=picture[1], motion=motion_bytes, sound=sound[1]
        )

    def _check(self, part: str, entry: tuple[int, int, int]) -> None:
        _, n_bytes, expected = entry
        crc = 0
        for block in self._blocks(n_bytes, part):
            crc = zlib.crc32(block, crc)
        if crc != expected and n_bytes:
            raise CompressedStreamError(f"the {part} is damaged: its checksum does not fit")

    def _check_motion(self) -> tuple[int, int]:
        """Walk through the motion: its bytes, and those of a checksum after it."""
        if self.info.format == "compact":
            start = self._file.tell()
            for _ in self._payloads():
                pass
            return self._file.tell() - start, 0
        n_bytes = _raw_codec(self.info).record_bytes * self.info.n_frames
        crc = 0
        for block in self._blocks(n_bytes, "motion"):
            crc = zlib.crc32(block, crc)
        if _CRC.unpack(self._exactly(_CRC.size, "motion")) != (crc,):
            raise CompressedStreamError("the motion is damaged: its checksum does not fit")
        return n_bytes, _CRC.size

    def _payloads(self) -> Iterator[tuple[bytes, int]]:
        """The chunks' payloads, and how many frames each has."""
        frames, size = self.info.n_frames, self.info.chunk_frames
        at = self._motion_at
        for number, start in enumerate(range(0, frames, size)):
            self._file.seek(at)  # the caller may have read picture or sound in between
            part = f"motion (chunk {number})"
            head = self._exactly(_CHUNK.size, part)
            payload = self._exactly(4 * _CHUNK.unpack(head)[0], part)
            found = _CRC.unpack(self._exactly(_CRC.size, part))[0]
            if found != _chunk_crc(number, head, payload):
                raise CompressedStreamError(f"the motion is damaged: the checksum of chunk {number} does not fit")
            at = self._file.tell()
            yield payload, min(size, frames - start)

    def _compact(self) -> Iterator[tuple[dict[str, F32], int]]:
        decoder = CompactDecoder(self.info.tracks, self.info.chunk_frames)
        for payload, n_frames in self._payloads():
            yield decoder.decode(payload, n_frames), n_frames

    def _raw(self) -> Iterator[tuple[dict[str, F32], int]]:
        codec = _raw_codec(self.info)
        for start in range(0, self.info.n_frames, _RAW_FRAMES):
            n_frames = min(_RAW_FRAMES, self.info.n_frames - start)
            self._file.seek(self._motion_at + start * codec.record_bytes)
            yield codec.decode(self._exactly(n_frames * codec.record_bytes, "motion")), n_frames

    def _blocks(self, n_bytes: int, part: str) -> Iterator[bytes]:
        left = n_bytes
        if left > self._size - self._file.tell():
            raise _cut_off(part, left, self._size - self._file.tell())
        while left:
            block = self._exactly(min(left, _BLOCK), part)
            left -= len(block)
            yield block

    def _exactly(self, n_bytes: int, part: str) -> bytes:
        data = self._file.read(n_bytes)
        if len(data) < n_bytes:
            raise _cut_off(part, n_bytes, len(data))
        return data

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """Put the stream's name before whatever is wrong with it."""
        try:
            yield
        except CompressedStreamError as cause:
            raise CompressedStreamError(f"{self.name}: {cause.message}", hint=cause.hint) from cause
        except OSError as cause:
            raise CompressedStreamError(f"cannot read {self.name}: {(cause.strerror or str(cause)).lower()}") from cause


def is_stream(path: str | os.PathLike[str]) -> bool:
    """Whether a file begins as a compressed stream does."""
    try:
        with Path(path).open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def _write_compact(out: BinaryIO, info: StreamInfo, motion: Iterable[Coeffs]) -> tuple[int, int]:
    encoder = CompactEncoder(info.tracks, info.chunk_frames)
    n_bytes = n_frames = 0
    for number, chunk in enumerate(motion):
        if len(chunk) != min(info.chunk_frames, info.n_frames - n_frames):
            raise CoeffFileError(f"a chunk of {len(chunk)} frames, expected {info.chunk_frames}")
        payload = encoder.encode(chunk)
        head = _CHUNK.pack(len(payload) // 4)
        n_bytes += out.write(head + payload + _CRC.pack(_chunk_crc(number, head, payload)))
        n_frames += len(chunk)
    _check_length(n_frames, info)
    return n_bytes, 0


def _write_raw(out: BinaryIO, info: StreamInfo, motion: Iterable[Coeffs]) -> tuple[int, int]:
    codec = _raw_codec(info)
    n_bytes = crc = 0
    for chunk in motion:
        records = codec.encode(chunk)
        crc = zlib.crc32(records, crc)
        n_bytes += out.write(records)
    _check_length(n_bytes // codec.record_bytes, info)
    return n_bytes, out.write(_CRC.pack(crc))


def _check_length(n_frames: int, info: StreamInfo) -> None:
    if n_frames != info.n_frames:
        raise CoeffFileError(f"{n_frames} frames came, expected {info.n_frames}")


def _raw_codec(info: StreamInfo) -> RawCodec:
    return RawCodec(info.tracks, "float16" if info.format == "float16" else "float32")


def _chunk_crc(number: int, head: bytes, payload: bytes) -> int:
    """The number goes in too, so that a chunk in the wrong place is noticed."""
    return zlib.crc32(payload, zlib.crc32(head, number))


def _measure(path: Path) -> tuple[int, int]:
    """Bytes and checksum of a file."""
    n_bytes = crc = 0
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            n_bytes += len(block)
            crc = zlib.crc32(block, crc)
    return n_bytes, crc


def _header(info: StreamInfo, picture: tuple[int, int, int], sound: tuple[int, int, int]) -> bytes:
    _check_info(info)
    space = info.space.encode()
    codes = np.zeros(0, np.float32) if info.id is None else info.id
    is_compact = info.format == "compact"
    body = [
        _FIXED.pack(
            FORMATS.index(info.format) + 1,
            info.chunk_frames if is_compact else 0,
            info.face,
            len(info.tracks),
            info.fps,
            info.n_frames,
            *info.size,
            *picture,
            *sound,
        ),
        bytes([len(space)]) + space,
        struct.pack("<H", len(codes)) + codes.astype("<f4").tobytes(),
    ]
    for track in info.tracks:
        body.append(_TRACK.pack(TRACKS.index(track.name) + 1, int(track.relative), track.columns))
        body.append(track.reference.astype("<f4").tobytes())
        if is_compact:
            assert track.steps is not None
            body.append(track.steps.astype("<f4").tobytes())
    content = b"".join(body)
    prefix = _PREFIX.pack(MAGIC, VERSION, _PREFIX.size + len(content) + _CRC.size)
    return prefix + content + _CRC.pack(zlib.crc32(prefix + content))


def _read_header(file: BinaryIO, size: int) -> tuple[StreamInfo, tuple[int, int, int], tuple[int, int, int], int]:
    """Parse and check the header: about the motion, entries of picture and sound (kind, bytes, checksum), its size."""
    start = file.read(_PREFIX.size)
    if not start:
        raise CompressedStreamError("the file is empty")
    if start[: len(MAGIC)] != MAGIC[: len(start)]:
        raise CompressedStreamError("not a compressed stream", hint="talkhead compress makes such files")
    if len(start) < _PREFIX.size:
        raise _cut_off("header", _PREFIX.size, len(start))
    _, version, n_bytes = _PREFIX.unpack(start)
    if version != VERSION:
        raise CompressedStreamError(
            f"version {version} of the format, this talkhead reads version {VERSION}", hint="install a newer talkhead"
        )
    if not _PREFIX.size + _FIXED.size <= n_bytes <= _MAX_HEADER:
        raise CompressedStreamError(f"the header is damaged: {n_bytes} bytes long")
    if n_bytes > size:
        raise _cut_off("header", n_bytes, size)
    whole = start + file.read(n_bytes - _PREFIX.size)
    if _CRC.unpack(whole[-_CRC.size :])[0] != zlib.crc32(whole[: -_CRC.size]):
        raise CompressedStreamError("the header is damaged: its checksum does not fit")
    try:
        info, picture, sound = _parse(memoryview(whole)[_PREFIX.size : -_CRC.size])
    except (struct.error, IndexError, ValueError) as cause:
        raise CompressedStreamError("the header makes no sense") from cause
    _check_info(info)
    return info, picture, sound, n_bytes


def _parse(body: memoryview) -> tuple[StreamInfo, tuple[int, int, int], tuple[int, int, int]]:
    (number, chunk_frames, face, n_tracks, fps, n_frames, width, height, *parts) = _FIXED.unpack_from(body)
    picture, sound = (parts[0], parts[1], parts[2]), (parts[3], parts[4], parts[5])
    form = _named_number(FORMATS, number, "motion format")
    _named_number(PICTURES, picture[0], "picture format")
    if sound[0]:
        _named_number(SOUNDS, sound[0], "container of sound")
    at = _FIXED.size
    length = body[at]
    space = bytes(body[at + 1 : at + 1 + length]).decode()
    at += 1 + length
    n_id = struct.unpack_from("<H", body, at)[0]
    codes, at = _floats(body, at + 2, n_id)
    tracks = []
    for _ in range(n_tracks):
        which, flags, columns = _TRACK.unpack_from(body, at)
        name = _named_number(TRACKS, which, "track")
        if flags > 1:
            raise CompressedStreamError(f"{name} has flags {flags}, which this talkhead does not know")
        reference, at = _floats(body, at + _TRACK.size, columns)
        steps, at = _floats(body, at, columns) if form == "compact" else (None, at)
        tracks.append(Track(name, reference, bool(flags), steps))
    if at != len(body):
        raise CompressedStreamError(f"the header has {len(body) - at} bytes too many")
    info = StreamInfo(
        format=form,
        space=space,
        fps=fps,
        n_frames=n_frames,
        size=(width, height),
        tracks=tuple(tracks),
        id=codes if n_id else None,
        face=face,
        chunk_frames=chunk_frames if form == "compact" else CHUNK_FRAMES,
    )
    return info, picture, sound


def _floats(body: memoryview, at: int, count: int) -> tuple[F32, int]:
    end = at + 4 * count
    if end > len(body):
        raise CompressedStreamError("the header ends within its numbers")
    return np.frombuffer(body[at:end], "<f4").astype(np.float32), end


def _named_number(names: tuple[Any, ...], number: int, what: str) -> Any:
    if not 1 <= number <= len(names):
        raise CompressedStreamError(f"{what} {number} is unknown", hint="install a newer talkhead")
    return names[number - 1]


def _check_info(info: StreamInfo) -> None:
    """Refuse facts out of range, of a file or of a caller."""
    if not (math.isfinite(info.fps) and 0 < info.fps <= 1000):
        raise CompressedStreamError(f"fps is {info.fps:g}, expected more than 0 and at most 1000")
    if not 1 <= info.n_frames <= min(_MAX_DURATION_S * info.fps, 2**32 - 1):
        raise CompressedStreamError(f"{info.n_frames} frames at {info.fps:g} fps, expected 1 frame to 24 h")
    width, height = info.size
    if not (width >= 1 and height >= 1 and width * height <= _MAX_PIXELS):
        raise CompressedStreamError(f"the picture is {width}x{height}, expected 1 pixel to 100 megapixels")
    if not 0 < len(info.space.encode()) < 256:
        raise CompressedStreamError("the name of the space is missing or too long")
    if not (0 <= info.face < 256 and 1 <= info.chunk_frames < 256):
        raise CompressedStreamError(f"face {info.face} or chunks of {info.chunk_frames} frames: expected below 256")
    names = [track.name for track in info.tracks]
    if not names or len(set(names)) != len(names):
        raise CompressedStreamError(f"tracks {' '.join(names) or 'none'}: expected at least one, each once")
    for track in info.tracks:
        _check_track(track, is_compact=info.format == "compact")
    if info.id is not None and not np.isfinite(info.id).all():
        raise CompressedStreamError("id has values that are not finite")


def _check_track(track: Track, *, is_compact: bool) -> None:
    widest = WIDTHS.get(track.name, _MAX_EXP)
    if not (track.columns == widest or (track.name == "exp" and 1 <= track.columns <= widest)):
        raise CompressedStreamError(f"{track.name} has {track.columns} columns, expected {widest}")
    if track.relative and track.name not in MAYBE_RELATIVE:
        raise CompressedStreamError(f"{track.name} cannot be relative")
    if not np.isfinite(track.reference).all():
        raise CompressedStreamError(f"the reference's {track.name} has values that are not finite")
    if track.name == "scale" and not track.reference[0] > 0:
        raise CompressedStreamError("the reference's scale is not positive")
    if is_compact and not (track.steps is not None and np.isfinite(track.steps).all() and (track.steps > 0).all()):
        raise CompressedStreamError(f"the steps of {track.name} are not positive numbers")


def _cut_off(part: str, needed: int, left: int) -> CompressedStreamError:
    return CompressedStreamError(f"cut off in its {part}: {needed} bytes are needed, {left} are there")
