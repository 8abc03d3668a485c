"""The file of a compressed stream: what goes in comes out, and nothing that is damaged passes."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest

from talkhead.coeffs.codec import TRACKS, Track, chunks, reference_of, widths_of
from talkhead.coeffs.container import Coeffs
from talkhead.coeffs.stream import MAGIC, SoundFile, StreamInfo, StreamReader, is_stream, write_stream
from talkhead.errors import CoeffFileError, CompressedStreamError

PICTURE = b"\x89PNG and so on"
SOUND = bytes(range(60))


def motion_of(n_frames=40, seed=0):
    rng = np.random.default_rng(seed)

    def walk(columns):
        return np.cumsum(0.02 * rng.normal(size=(n_frames, columns)), axis=0).astype(np.float32)

    return Coeffs(
        space="toy-00000001",
        fps=25.0,
        n_frames=n_frames,
        id=np.arange(3, dtype=np.float32),
        exp=walk(28),
        rot=walk(3),
        trans=walk(3),
        scale=(80 + walk(1)[:, 0]).astype(np.float32),
        eyelid=walk(2),
        size=np.array([64, 48], np.float32),
    )


def info_of(motion, form="compact", names=TRACKS, **changes):
    first = motion.at(slice(0, 1))
    tracks = tuple(
        Track(name, reference_of(first, name), name in motion.relative, steps)
        for name, width in widths_of(motion).items()
        if name in names
        for steps in [np.full(width, 0.01, np.float32) if form == "compact" else None]
    )
    facts = {
        "format": form, "space": motion.space, "fps": motion.fps, "n_frames": len(motion), "size": (64, 48),
        "tracks": tracks, "id": motion.id,
    }  # fmt: skip
    return StreamInfo(**(facts | changes))


def written(motion, info, sound=None, picture=PICTURE):
    out = io.BytesIO()
    sizes = write_stream(out, info, chunks(motion, info.chunk_frames), picture=picture, picture_kind="png", sound=sound)
    assert sizes.total == len(out.getvalue())
    return out.getvalue(), sizes


@pytest.fixture
def sound(tmp_path):
    path = tmp_path / "sound"
    path.write_bytes(SOUND)
    return SoundFile(path=path, kind="matroska")


@pytest.fixture
def opened(tmp_path):
    """Open bytes as a stream: `opened(data)`."""
    readers = []

    def open_(data, name="x.thc"):
        path = tmp_path / name
        path.write_bytes(data)
        readers.append(StreamReader(path, name))
        return readers[-1]

    yield open_
    for reader in readers:
        reader.__exit__()


@pytest.mark.parametrize("form", ["compact", "float16", "float32"])
def test_everything_comes_back(opened, sound, tmp_path, form):
    motion = motion_of()
    info = info_of(motion, form, face=2)
    data, sizes = written(motion, info, sound)
    reader = opened(data)
    assert (reader.picture_kind, reader.picture(), reader.sound_kind) == ("png", PICTURE, "matroska")
    assert reader.sizes == sizes
    reader.copy_sound(tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == SOUND
    found = reader.info
    assert (found.format, found.space, found.fps, found.n_frames, found.face) == (form, motion.space, 25.0, 40, 2)
    coeffs = reader.coeffs()
    assert (coeffs.space, coeffs.fps, len(coeffs)) == (motion.space, motion.fps, 40)
    np.testing.assert_array_equal(coeffs.id, motion.id)
    np.testing.assert_array_equal(coeffs.size, [64, 48])
    for name in widths_of(motion):
        np.testing.assert_allclose(getattr(coeffs, name), getattr(motion, name), atol=0.1, rtol=2e-3)
        np.testing.assert_array_equal(getattr(found.reference(), name)[0], getattr(motion, name)[0])
    if form == "float32":
        assert coeffs.exp.tobytes() == motion.exp.tobytes()


@pytest.mark.parametrize(("form", "record"), [("float32", 140), ("float16", 70)])
def test_raw_sizes_are_a_header_and_so_many_bytes_a_frame(form, record):
    paper = ("exp", "rot", "trans", "scale")
    sizes = []
    for n_frames in (1, 40, 300):
        motion = motion_of(n_frames)
        data, found = written(motion, info_of(motion, form, paper))
        assert found.motion == n_frames * record
        sizes.append(len(data) - n_frames * record)
    assert sizes[0] == sizes[1] == sizes[2]
    assert record * 8 * 25 / 1000 == (28.0 if form == "float32" else 14.0)


def test_equal_motion_gives_equal_bytes():
    motion = motion_of()
    assert written(motion, info_of(motion))[0] == written(motion, info_of(motion))[0]


def test_motion_can_be_read_again_and_beside_other_parts(opened, sound):
    motion = motion_of(50)
    reader = opened(written(motion, info_of(motion), sound)[0])
    pieces = []
    for piece in reader.motion():
        assert reader.picture() == PICTURE
        pieces.append(piece.exp)
    assert [len(p) for p in pieces] == [16, 16, 16, 2]
    np.testing.assert_array_equal(np.concatenate(pieces), reader.coeffs().exp)


@pytest.mark.parametrize(("form", "n_frames"), [("compact", 17), ("float16", 3)])
def test_every_truncation_is_refused(opened, sound, form, n_frames):
    motion = motion_of(n_frames)
    data, _ = written(motion, info_of(motion, form), SoundFile(path=sound.path, kind="mp4"))
    for length in range(len(data)):
        with pytest.raises(CompressedStreamError) as refused:
            opened(data[:length])
        assert refused.value.message.startswith("x.thc: "), length
    with pytest.raises(CompressedStreamError, match="cut off in its sound"):
        opened(data[:-1])
    with pytest.raises(CompressedStreamError, match="1 bytes follow"):
        opened(data + b"\0")


@pytest.mark.parametrize(("form", "n_frames"), [("compact", 17), ("float32", 2)])
def test_every_flipped_byte_is_refused(opened, sound, form, n_frames):
    motion = motion_of(n_frames)
    data, _ = written(motion, info_of(motion, form), sound)
    rng = np.random.default_rng(0)
    for at in range(len(data)):
        broken = bytearray(data)
        broken[at] ^= int(rng.integers(1, 256))
        with pytest.raises(CompressedStreamError):
            opened(bytes(broken))


def test_chunks_in_the_wrong_order_are_refused(opened):
    motion = motion_of(1).at(np.zeros(48, int))
    info = info_of(motion)
    data, sizes = written(motion, info)
    start = len(data) - sizes.motion
    parts, at = [], start
    while at < len(data):
        size = 2 + 4 * struct.unpack_from("<H", data, at)[0] + 4
        parts.append(data[at : at + size])
        at += size
    assert len(parts) == 3
    with pytest.raises(CompressedStreamError, match="chunk 1"):
        opened(data[:start] + parts[0] + parts[2] + parts[1])


def resealed(data, change):
    """A header changed by somebody who knows how to make its checksum fit."""
    size = struct.unpack_from("<I", data, 6)[0]
    header = bytearray(data[: size - 4])
    change(header)
    return bytes(header) + struct.pack("<I", zlib.crc32(bytes(header))) + data[size:]


def set_bytes(offset, form, value):
    return lambda header: struct.pack_into(form, header, offset, value)


# Offsets of docs/compressed-stream.md.
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (set_bytes(4, "<H", 2), "version 2"),
        (set_bytes(4, "<H", 0), "version 0"),
        (set_bytes(10, "<B", 9), "motion format 9"),
        (set_bytes(11, "<B", 0), "chunks of 0 frames"),
        (set_bytes(13, "<B", 200), "header"),  # more tracks than there are
        (set_bytes(14, "<d", float("nan")), "fps is nan"),
        (set_bytes(14, "<d", -25.0), "fps is -25"),
        (set_bytes(22, "<I", 0), "0 frames"),
        (set_bytes(22, "<I", 4_000_000_000), "4000000000 frames"),
        (set_bytes(22, "<I", 2_000_000), "cut off in its motion"),
        (set_bytes(26, "<I", 0), "0x48"),
        (set_bytes(26, "<I", 4_000_000_000), "100 megapixels"),
        (set_bytes(34, "<B", 7), "picture format 7"),
        (set_bytes(35, "<I", 4_000_000_000), "cut off in its picture: 4000000000 bytes are needed"),
        (set_bytes(43, "<B", 9), "container of sound 9"),
        (set_bytes(44, "<Q", 1 << 62), "cut off in its sound"),
        (set_bytes(57, "<B", 0xFF), "header"),  # the space's name is no text any more
        (set_bytes(69, "<H", 60_000), "header"),  # codes of identity beyond the end
        (set_bytes(83, "<B", 77), "track 77"),
        (set_bytes(84, "<B", 2), "flags 2"),
        (set_bytes(85, "<H", 0), "track .* is unknown"),  # its numbers are read as the next one
        (set_bytes(85, "<H", 65_535), "header"),
        (set_bytes(87, "<f", float("inf")), "exp has values that are not finite"),
        (set_bytes(87 + 4 * 28, "<f", 0.0), "steps of exp"),
        (set_bytes(71, "<f", float("nan")), "id has values"),
    ],
)  # fmt: skip
def test_headers_that_make_no_sense_are_refused_by_name(opened, sound, change, words):
    motion = motion_of(20)
    data, _ = written(motion, info_of(motion), sound)
    assert data[56:69] == b"\x0ctoy-00000001"
    with pytest.raises(CompressedStreamError, match=words):
        opened(resealed(data, change))


def test_promises_of_a_short_file_allocate_nothing(opened):
    """A header may promise a day of motion: memory follows the bytes that are there."""
    import tracemalloc

    motion = motion_of(20)
    data, _ = written(motion, info_of(motion, "float32"))
    huge = resealed(data, set_bytes(22, "<I", 2_000_000))
    tracemalloc.start()
    with pytest.raises(CompressedStreamError, match="cut off in its motion"):
        opened(huge)
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"\x89PNG\r\n\x1a\n and a picture", "not a compressed stream"),
        (b"this is a letter to my aunt", "not a compressed stream"),
        (MAGIC, "cut off in its header"),
        (MAGIC + struct.pack("<HI", 1, 0), "header is damaged"),
        (MAGIC + struct.pack("<HI", 1, 1 << 30), "header is damaged"),
    ],
)
def test_other_files_are_refused(opened, data, words):
    with pytest.raises(CompressedStreamError, match=words):
        opened(data)


def test_missing_files_are_refused(tmp_path):
    for path in (tmp_path / "none.thc", tmp_path):
        assert not is_stream(path)
        with pytest.raises(CompressedStreamError, match="cannot read"):
            StreamReader(path)


def test_streams_are_known_by_their_first_bytes(tmp_path):
    motion = motion_of(1)
    (tmp_path / "a").write_bytes(written(motion, info_of(motion))[0])
    (tmp_path / "b").write_bytes(PICTURE)
    assert is_stream(tmp_path / "a") and not is_stream(tmp_path / "b")


def test_a_stream_without_sound_has_none_to_copy(opened, tmp_path):
    motion = motion_of(3)
    reader = opened(written(motion, info_of(motion))[0])
    assert reader.sound_kind is None
    with pytest.raises(CompressedStreamError, match="no sound"):
        reader.copy_sound(tmp_path / "copy")


def test_values_that_overflow_are_refused_when_decoded(opened):
    """Steps of a foreign maker may blow numbers up though every checksum fits."""
    motion = motion_of(20)
    data, _ = written(motion, info_of(motion))
    reader = opened(resealed(data, set_bytes(87 + 4 * 28, "<f", 3e38)))
    with pytest.raises(CompressedStreamError, match="not finite"):
        reader.coeffs()


def test_motion_of_another_length_is_refused():
    motion = motion_of(20)
    for form in ("compact", "float32"):
        with pytest.raises(CoeffFileError, match="20 frames came|chunk of 4 frames"):
            written(motion, info_of(motion, form, n_frames=21))


def test_relative_tracks_stay_relative(opened):
    motion = motion_of(8).replace(relative=frozenset({"rot", "exp"}))
    reader = opened(written(motion, info_of(motion))[0])
    assert reader.coeffs().relative == {"rot", "exp"}


def test_tracks_that_cannot_be_are_refused():
    motion = motion_of(4)
    info = info_of(motion)
    lids = Track("eyelid", np.zeros(2, np.float32), True, np.ones(2, np.float32))
    wide = Track("rot", np.zeros(4, np.float32), False, np.ones(4, np.float32))
    flat = Track("scale", np.zeros(1, np.float32), False, np.ones(1, np.float32))
    for tracks, words in (
        ((lids,), "eyelid cannot be relative"),
        ((wide,), "rot has 4 columns"),
        ((flat,), "scale is not positive"),
        ((), "at least one"),
        ((info.tracks[0], info.tracks[0]), "each once"),
    ):
        with pytest.raises(CompressedStreamError, match=words):
            written(motion, info_of(motion, tracks=tracks))
