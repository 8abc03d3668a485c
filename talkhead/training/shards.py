"""Shards: tar files of samples as WebDataset reads them, appended to video by video, read by byte ranges.

A sample is a stretch of up to 50 frames; its members share the name before the first dot (docs/training.md).
"""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, overload

import numpy as np
import numpy.typing as npt

from talkhead.coeffs.container import Coeffs
from talkhead.coeffs.file import read_coeffs, to_bytes
from talkhead.errors import InputError, TalkheadError
from talkhead.protocols import Reference, TrainingClip
from talkhead.training.config import SAMPLE_RATE, SAMPLES_PER_FRAME, Picture

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]
END = bytes(2 * tarfile.BLOCKSIZE)  # what a tar file ends with
OPEN_SHARDS = 8


# Writing


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """What is stored of a frame: picture and mask as files' bytes; the mask empty where none is kept."""

    picture: bytes
    mask: bytes = b""


def encode_picture(pixels: U8, kind: Picture, quality: int) -> bytes:
    """(S, S, 3) uint8 RGB or (S, S) uint8 -> bytes of a JPEG (colour at full resolution) or PNG file."""
    import cv2

    options = [cv2.IMWRITE_PNG_COMPRESSION, 4]
    if kind == "jpg":
        full = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
        options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, full]
    ordered = pixels[..., ::-1] if pixels.ndim == 3 else pixels
    done, data = cv2.imencode(f".{kind}", np.ascontiguousarray(ordered), options)
    assert done, (pixels.shape, kind)
    return bytes(data)


def sample_members(
    about: Mapping[str, Any],
    coeffs: Coeffs,
    frames: Sequence[Stored],
    references: Sequence[Stored],
    reference_coeffs: Coeffs,
    sound: npt.NDArray[np.int16] | None,
    features: Mapping[str, F32],
    kind: Picture,
) -> list[tuple[str, bytes]]:
    """The files of one sample, by the part of their name after the first dot.

    Args:
        about: `name`, `person`, `start`, `picture` (suffix), `references` (their frames in the video), and more.
        coeffs: of the frames. frames, references: pictures and masks. reference_coeffs: a frame for each reference.
        sound: (T * 640,) or None. features: what listeners heard, (T, n) by name. kind: of picture files.
    """
    from safetensors.numpy import save

    members = [("json", json.dumps(dict(about), sort_keys=True).encode()), ("coeffs.safetensors", to_bytes(coeffs))]
    if sound is not None:
        members.append(("sound.wav", _wav(sound)))
    if features:
        members.append(("features.safetensors", save({k: np.ascontiguousarray(v) for k, v in features.items()})))
    members.append(("references.safetensors", to_bytes(reference_coeffs)))
    for kept, word in ((references, "reference"), (frames, "frame")):
        for number, stored in enumerate(kept):
            members.append((f"{word}.{number:03d}.{kind}", stored.picture))
            if stored.mask:
                members.append((f"{word}.{number:03d}.mask.png", stored.mask))
    return members


def write_sample(stream: BinaryIO, key: str, members: Sequence[tuple[str, bytes]]) -> int:
    """Append one sample to a tar file that has no end yet; equal members give equal bytes. Returns their number."""
    written = 0
    for name, data in members:
        entry = tarfile.TarInfo(f"{key}.{name}")
        entry.size, entry.mode = len(data), 0o644
        padding = bytes(-len(data) % tarfile.BLOCKSIZE)
        written += stream.write(entry.tobuf(tarfile.USTAR_FORMAT) + data + padding)
    return written


class ShardWriter:
    """Appends the samples of whole videos to shards; a new one is begun when the last is full.

    What was appended counts once its place is in the journal of the set: after a crash, whatever lies beyond
    the ends that the journal knows is cut off.

    Args:
        folder: of the shards, there already. limit: bytes after which a new shard is begun. ends: how many bytes of
            each shard count, by number.
    """

    def __init__(self, folder: Path, limit: int, ends: Mapping[int, int]) -> None:
        self._folder, self._limit = folder, limit
        self._number, self._end = max(ends.items(), default=(0, 0))
        self._stream: BinaryIO | None = None
        for path in folder.glob("*.tar"):
            if not path.stem.isdecimal() or int(path.stem) not in ends:
                path.unlink()

    def append(self, part: Path) -> tuple[int, int]:
        """Append a tar file without end; returns the shard's number, and where in it the part begins."""
        if self._end >= self._limit:
            self.close()
            self._number, self._end = self._number + 1, 0
        if self._stream is None:
            path = shard_path(self._folder, self._number)
            self._stream = path.open("r+b" if path.exists() else "w+b")
            self._stream.truncate(self._end)
            self._stream.seek(self._end)
        begin = self._end
        with part.open("rb") as source:
            while block := source.read(1 << 20):
                self._end += self._stream.write(block)
        self._stream.flush()
        os.fsync(self._stream.fileno())
        return self._number, begin

    def close(self) -> None:
        """End the shard, so that every tar reader takes it for whole; appending may go on later."""
        if self._stream is not None:
            self._stream.write(END)
            self._stream.close()
            self._stream = None


def shard_path(folder: Path, number: int) -> Path:
    """The file of a shard."""
    return folder / f"{number:05d}.tar"


def _wav(samples: npt.NDArray[np.int16]) -> bytes:
    import wave

    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(samples.astype("<i2").tobytes())
    return out.getvalue()


# Reading


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a sample lies, and what it is of.

    Attributes:
        shard: number. offset, n_bytes: in the shard. video: number in the set. start: first frame, in the video.
        n_frames: of the sample. video_frames: of the whole video.
    """

    shard: int
    offset: int
    n_bytes: int
    video: int
    start: int
    n_frames: int
    video_frames: int


class ShardReader:
    """Reads samples by their places; keeps at most `OPEN_SHARDS` files open. Not for several threads at once.

    Args:
        folder: of the shards.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: OrderedDict[int, BinaryIO] = OrderedDict()

    def __getstate__(self) -> Path:
        return self._folder

    def __setstate__(self, folder: Path) -> None:
        self._folder, self._open = folder, OrderedDict()

    def clip(self, place: Place, references_before: int | None = None) -> TrainingClip:
        """A sample; its pictures are read and decoded when they are asked for.

        Args:
            place: where it lies. references_before: leave out references from this frame of the video on, as far as
                one remains: the earliest.
        Raises:
            InputError: the shard is missing or damaged.
        """
        try:
            members = dict(self._members(place))
            return self._decoded(place, members, references_before)
        except (tarfile.TarError, OSError, KeyError, ValueError, EOFError, TalkheadError) as error:
            path = shard_path(self._folder, place.shard)
            raise InputError(
                f"{path} is damaged at byte {place.offset}: {error}", hint="prepare the set again"
            ) from error

    def read(self, shard: int, offset: int, n_bytes: int) -> bytes:
        """A range of bytes of a shard.

        Raises:
            InputError: it ends before.
        """
        stream = self._stream(shard)
        stream.seek(offset)
        data = stream.read(n_bytes)
        if len(data) != n_bytes:
            raise InputError(f"{shard_path(self._folder, shard)} ends before byte {offset + n_bytes}")
        return data

    def close(self) -> None:
        """Close the files; reading opens them again."""
        while self._open:
            self._open.popitem()[1].close()

    def _stream(self, shard: int) -> BinaryIO:
        if shard in self._open:
            self._open.move_to_end(shard)
        else:
            while len(self._open) >= OPEN_SHARDS:
                self._open.popitem(last=False)[1].close()
            self._open[shard] = shard_path(self._folder, shard).open("rb")
        return self._open[shard]

    def _members(self, place: Place) -> Iterator[tuple[str, tuple[int, int]]]:
        """Names after the first dot, and where their bytes lie: read by their headers alone."""
        offset, end = place.offset, place.offset + place.n_bytes
        while offset < end:
            entry = tarfile.TarInfo.frombuf(self.read(place.shard, offset, tarfile.BLOCKSIZE), "utf-8", "strict")
            offset += tarfile.BLOCKSIZE
            yield entry.name.partition(".")[2], (offset, entry.size)
            offset += -(-entry.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE

    def _decoded(self, place: Place, members: Mapping[str, tuple[int, int]], before: int | None) -> TrainingClip:
        from safetensors.numpy import load

        def content(name: str) -> bytes:
            return self.read(place.shard, *members[name])

        about = json.loads(content("json"))
        kind = about["picture"]
        coeffs, at_references = (
            read_coeffs(io.BytesIO(content(f"{name}.safetensors"))) for name in ("coeffs", "references")
        )
        features = load(content("features.safetensors")) if "features.safetensors" in members else {}
        has_masks = "frame.000.mask.png" in members

        def pictures(word: str, numbers: Sequence[int], suffix: str) -> Pictures:
            places = [members[f"{word}.{number:03d}.{suffix}"] for number in numbers]
            return Pictures([_Later(self, place.shard, *at) for at in places])

        frames, kept = range(len(coeffs)), _kept(about["references"], before)
        masks = pictures("reference", kept, "mask.png") if has_masks else None
        return TrainingClip(
            name=about["name"],
            person=about["person"],
            start=about["start"],
            images=pictures("frame", frames, kind),
            masks=pictures("frame", frames, "mask.png") if has_masks else (),
            coeffs=coeffs,
            sound=_samples(content("sound.wav")) if "sound.wav" in members else None,
            features=features,
            references=References(pictures("reference", kept, kind), masks, at_references.at(np.array(kept))),
        )


class Pictures(Sequence[U8]):
    """Pictures that are made when they are asked for; nothing is kept.

    Args:
        makers: one for each.
    """

    def __init__(self, makers: Sequence[Callable[[], U8]]) -> None:
        self._makers = makers

    def __len__(self) -> int:
        return len(self._makers)

    @overload
    def __getitem__(self, index: int) -> U8: ...
    @overload
    def __getitem__(self, index: slice) -> Pictures: ...
    def __getitem__(self, index: int | slice) -> U8 | Pictures:
        if isinstance(index, slice):
            return Pictures(self._makers[index])
        return self._makers[index]()


class References(Sequence[Reference]):
    """References whose pictures are decoded when they are asked for.

    Args:
        looks: pictures. masks: as many, or None. coeffs: a frame for each.
    """

    def __init__(self, looks: Sequence[U8], masks: Sequence[U8] | None, coeffs: Coeffs) -> None:
        self._looks, self._masks, self._coeffs = looks, masks, coeffs

    def __len__(self) -> int:
        return len(self._looks)

    @overload
    def __getitem__(self, index: int) -> Reference: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Reference]: ...
    def __getitem__(self, index: int | slice) -> Reference | Sequence[Reference]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        place = range(len(self))[index]
        mask = None if self._masks is None else self._masks[place]
        return Reference(image=self._looks[place], coeffs=self._coeffs.at(slice(place, place + 1)), mask=mask)


@dataclass(frozen=True, slots=True)
class _Later:
    """Decodes a picture of a shard."""

    reader: ShardReader
    shard: int
    offset: int
    n_bytes: int

    def __call__(self) -> U8:
        import cv2

        data = np.frombuffer(self.reader.read(self.shard, self.offset, self.n_bytes), np.uint8)
        pixels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
        if pixels is None:
            raise InputError(f"a picture of shard {self.shard} is damaged (byte {self.offset})")
        return np.ascontiguousarray(pixels[..., ::-1] if pixels.ndim == 3 else pixels)


def _kept(numbers: Sequence[int], before: int | None) -> list[int]:
    """Which references count, by their frames in the video."""
    found = [i for i, number in enumerate(numbers) if before is None or number < before]
    return found or [int(np.argmin(numbers))]


def _samples(data: bytes) -> npt.NDArray[np.int16]:
    import wave

    with wave.open(io.BytesIO(data)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.int16)
    if len(samples) % SAMPLES_PER_FRAME:
        raise InputError(f"{len(samples)} samples of sound, expected a multiple of {SAMPLES_PER_FRAME}")
    return samples
