"""Motion <-> few bytes: what the chunks of a compressed stream hold (docs/compressed-stream.md).

Raw formats store the numbers as they are, as HeadGAN's section on compression counts them. The compact format predicts
a chunk of frames by the frame before it, transforms the rest along time, rounds it and codes it with adaptive models.
All arithmetic that the decoding of symbols depends on is on whole numbers, or on the four exact operations and the
square root of IEEE 754, so that every machine reads what any other wrote.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from talkhead.coeffs.container import Coeffs
from talkhead.errors import CoeffFileError, CompressedStreamError

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

MotionFormat = Literal["compact", "float16", "float32"]
FORMATS: tuple[MotionFormat, ...] = ("compact", "float16", "float32")
TRACKS = ("exp", "rot", "trans", "scale", "eyelid", "gaze", "tongue")
"""Tracks that a stream can hold, in the order of its columns; their numbers in the file are positions here, from 1."""
WIDTHS = {"rot": 3, "trans": 3, "scale": 1, "eyelid": 2, "gaze": 2, "tongue": 1}
CHUNK_FRAMES = 16

# A value is rounded up from this part of a step on: what is sent for less costs more bits than it is worth.
_ROUND_UP_FROM = 0.6
# Symbols are rounded values from -_LARGEST + 1 to _LARGEST - 1; the two at the ends announce larger ones.
_LARGEST = 32
_MAX_VALUE = 1 << 23
# What a model knows of its symbols fades by a quarter a chunk, so that a nod does not make the next rest expensive.
_FADE = (3, 4)
# Where the bands of frequencies that share a model start: halves of octaves; the lowest, which move most, stand alone.
_BAND_STARTS = (0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192)
# Before the first chunk: mean size in 1/256, halved from one band to the next, as if seen in so many values.
_FIRST_MEAN, _FIRST_WEIGHT = 512, 3


@dataclass(frozen=True, slots=True)
class Track:
    """One track of a stream.

    Attributes:
        name: of `TRACKS`. reference: (columns,) float32, of the frame that the picture shows: what the first chunk is
            predicted by. relative: whether it is an offset from the source's rest. steps: (columns,) float32, by which
            the compact format rounds; None in raw formats.
    """

    name: str
    reference: F32
    relative: bool = False
    steps: F32 | None = None

    @property
    def columns(self) -> int:
        """How many values a frame has."""
        return len(self.reference)


class CompactEncoder:
    """Rounds and codes chunk after chunk; `CompactDecoder` reads them in the same order.

    Args:
        tracks: of the stream, each with its steps. chunk_frames: frames of a chunk; the last may have fewer.
    """

    def __init__(self, tracks: Sequence[Track], chunk_frames: int = CHUNK_FRAMES) -> None:
        self._columns = _Columns(tracks)
        self._models = _Models(self._columns.count, chunk_frames)
        self._last = self._columns.start()

    def encode(self, chunk: Coeffs) -> bytes:
        """The payload of the next chunk.

        Args:
            chunk: 1 to `chunk_frames` frames with every track of the stream.
        Raises:
            CoeffFileError: a track is missing, a scale is not positive, or a value is so large that it cannot be
                counted in its steps.
        """
        values = self._columns.of(chunk, self._last)
        basis = _basis(len(values))
        wanted = basis @ (values - self._last) / self._columns.steps  # (n, columns)
        rounded = np.floor(np.abs(wanted) + 1 - _ROUND_UP_FROM)
        if rounded.max(initial=0) >= _MAX_VALUE:
            raise CoeffFileError(
                "motion changes by more steps than the compact format can count", hint="use --format float32"
            )
        symbols = np.copysign(rounded, wanted).astype(np.int64)
        self._last = self._last + basis[:, -1] @ (symbols * self._columns.steps)
        return self._models.encode(symbols)


class CompactDecoder:
    """The inverse of `CompactEncoder`.

    Args:
        tracks, chunk_frames: as there.
    """

    def __init__(self, tracks: Sequence[Track], chunk_frames: int = CHUNK_FRAMES) -> None:
        self._columns = _Columns(tracks)
        self._models = _Models(self._columns.count, chunk_frames)
        self._last = self._columns.start()

    def decode(self, payload: bytes, n_frames: int) -> dict[str, F32]:
        """The tracks of the next chunk, (n_frames, ...) each, in the shapes of `Coeffs`.

        Raises:
            CompressedStreamError: the payload is no code of so many frames.
        """
        symbols = self._models.decode(payload, n_frames)
        basis = _basis(n_frames)
        values = self._last + basis.T @ (symbols * self._columns.steps)
        self._last = self._last + basis[:, -1] @ (symbols * self._columns.steps)
        return self._columns.tracks_of(values)


class RawCodec:
    """Records of so many numbers a frame, as they are: `float32` keeps every bit, `float16` half of the bytes.

    In `float16` the position of the head is `trans * scale`, in pixels from the middle of the picture: its error is
    then below 0.07 px in a picture of 256 px, whatever the size of the head. Angles up to 30 degrees are off by less
    than 0.02 degrees.

    Args:
        tracks: of the stream. dtype: `float32` or `float16`.
    """

    def __init__(self, tracks: Sequence[Track], dtype: Literal["float32", "float16"]) -> None:
        self._names = [track.name for track in tracks]
        self._columns = [track.columns for track in tracks]
        self._dtype = np.dtype("<f4" if dtype == "float32" else "<f2")
        self._in_pixels = dtype == "float16" and _has_pixels(tracks)

    @property
    def record_bytes(self) -> int:
        """Bytes of one frame."""
        return sum(self._columns) * self._dtype.itemsize

    def encode(self, chunk: Coeffs) -> bytes:
        """The records of some frames.

        Raises:
            CoeffFileError: a track is missing, or a value does not fit into 16 bits.
        """
        values = {name: _track(chunk, name) for name in self._names}
        if self._in_pixels:
            # The reader divides by the size it has: rounding of the size then does not move the head.
            values["trans"] = values["trans"].astype(np.float64) * values["scale"]
        table = np.concatenate([values[name] for name in self._names], axis=1)
        with np.errstate(over="ignore"):
            coded = table.astype(self._dtype)
        if not np.isfinite(coded).all():
            raise CoeffFileError("a value of the motion is too large for 16 bits", hint="use --format float32")
        return coded.tobytes()

    def decode(self, records: bytes) -> dict[str, F32]:
        """The tracks of whole records, in the shapes of `Coeffs`."""
        table = np.frombuffer(records, self._dtype).reshape(-1, sum(self._columns)).astype(np.float32)
        parts = dict(zip(self._names, np.split(table, np.cumsum(self._columns)[:-1], axis=1), strict=True))
        if self._in_pixels:
            with np.errstate(divide="ignore", invalid="ignore"):
                parts["trans"] = parts["trans"] / parts["scale"]
        return _shaped(parts)


def widths_of(coeffs: Coeffs) -> dict[str, int]:
    """Columns of each track of motion that a stream can hold."""
    found = {name: getattr(coeffs, name) for name in TRACKS}
    return {name: 1 if t.ndim == 1 else t.shape[1] for name, t in found.items() if t is not None}


def reference_of(coeffs: Coeffs, name: str) -> F32:
    """One frame's values of a track as a row, (columns,)."""
    return np.atleast_1d(_track(coeffs, name)[0]).copy()


def chunks(coeffs: Coeffs, n_frames: int = CHUNK_FRAMES) -> Iterator[Coeffs]:
    """Consecutive pieces; the last may be shorter."""
    for start in range(0, len(coeffs), n_frames):
        yield coeffs.at(slice(start, min(start + n_frames, len(coeffs))))


class _Columns:
    """Tracks as columns in which a step means the same whatever the size of the head is.

    Absolute `trans` becomes the position in units of the reference's size, `scale` the logarithm of its change.
    """

    def __init__(self, tracks: Sequence[Track]) -> None:
        self._tracks = tuple(tracks)
        self.steps = np.concatenate([_steps(track) for track in self._tracks])
        self.count = len(self.steps)
        self._ends = np.cumsum([track.columns for track in self._tracks])[:-1]
        by_name = {track.name: track for track in self._tracks}
        scale = by_name.get("scale")
        self._size = 1.0 if scale is None or scale.relative else float(scale.reference[0])
        self._in_pixels = _has_pixels(self._tracks)
        self._first = {track.name: track.reference[None].astype(np.float64) for track in self._tracks}

    def start(self) -> F64:
        """The columns of the reference."""
        return self._joined(dict(self._first))[0]

    def of(self, chunk: Coeffs, last: F64) -> F64:
        """Columns of a chunk, (n, count); angles go on from `last` without jumps of a whole turn."""
        values = {track.name: _track(chunk, track.name).astype(np.float64) for track in self._tracks}
        if "rot" in values:
            before = self._parts(last[None])["rot"]
            values["rot"] = np.unwrap(np.concatenate([before, values["rot"]]), axis=0)[1:]
        return self._joined(values)

    def tracks_of(self, columns: F64) -> dict[str, F32]:
        """The inverse of `of`."""
        parts = self._parts(columns)
        with np.errstate(over="ignore", invalid="ignore"):  # of nonsense; whoever makes Coeffs of it is told
            if "scale" in parts:
                parts["scale"] = self._size * np.exp(parts["scale"])
            if self._in_pixels:
                parts["trans"] = parts["trans"] * self._size / parts["scale"]
            return _shaped({name: part.astype(np.float32) for name, part in parts.items()})

    def _parts(self, columns: F64) -> dict[str, F64]:
        names = [track.name for track in self._tracks]
        return dict(zip(names, np.split(columns, self._ends, axis=1), strict=True))

    def _joined(self, values: dict[str, F64]) -> F64:
        if "scale" in values:
            if (values["scale"] <= 0).any():
                raise CoeffFileError("a head of size 0 cannot be compressed: its scale must be positive")
            if self._in_pixels:
                values["trans"] = values["trans"] * values["scale"] / self._size
            values["scale"] = np.log(values["scale"] / self._size)
        return np.concatenate([values[track.name] for track in self._tracks], axis=1)


class _Models:
    """Entropy models of the symbols, one per column and band of frequencies, that learn from chunk to chunk."""

    def __init__(self, n_columns: int, chunk_frames: int) -> None:
        self._bands = _bands(chunk_frames)
        n_bands = int(self._bands[-1]) + 1
        means = [max(_FIRST_MEAN >> band, 1) for band in range(n_bands)]
        self._weight: I64 = np.full((n_bands, n_columns), _FIRST_WEIGHT, np.int64)
        self._total: I64 = np.array(means, np.int64)[:, None] * self._weight

    def encode(self, symbols: I64) -> bytes:
        stream = _constriction()
        encoder = stream.queue.RangeEncoder()
        family, tables = self._tables(len(symbols))
        capped = np.clip(symbols, -_LARGEST, _LARGEST).reshape(-1)
        encoder.encode((capped + _LARGEST).astype(np.int32), family, tables)
        flat = symbols.reshape(-1)
        for size in (np.abs(flat[np.abs(capped) == _LARGEST]) - _LARGEST + 1).tolist():
            n_bits = size.bit_length() - 1
            encoder.encode(n_bits, stream.model.Uniform(_LARGEST))
            if n_bits:
                encoder.encode(size - (1 << n_bits), stream.model.Uniform(1 << n_bits))
        self._learn(symbols)
        words: npt.NDArray[np.uint32] = encoder.get_compressed()
        return words.astype("<u4").tobytes()

    def decode(self, payload: bytes, n_frames: int) -> I64:
        if len(payload) % 4:
            raise CompressedStreamError(f"a chunk has {len(payload)} bytes, expected whole words of 4")
        stream = _constriction()
        decoder = stream.queue.RangeDecoder(np.frombuffer(payload, "<u4").astype(np.uint32))
        family, tables = self._tables(n_frames)
        try:
            flat = decoder.decode(family, tables).astype(np.int64) - _LARGEST
            for i in np.flatnonzero(np.abs(flat) == _LARGEST):
                n_bits = int(decoder.decode(stream.model.Uniform(_LARGEST)))
                if n_bits >= _MAX_VALUE.bit_length():
                    raise CompressedStreamError("a chunk holds a value that is too large")
                size = (1 << n_bits) + (int(decoder.decode(stream.model.Uniform(1 << n_bits))) if n_bits else 0)
                flat[i] = np.sign(flat[i]) * (size + _LARGEST - 1)
            if not decoder.maybe_exhausted():
                raise CompressedStreamError("a chunk is longer than its symbols")
        except (AssertionError, ValueError) as cause:
            raise CompressedStreamError("a chunk cannot be decoded") from cause
        symbols: I64 = flat.reshape(n_frames, -1)
        self._learn(symbols)
        return symbols

    def _tables(self, n_frames: int) -> tuple[Any, F32]:
        levels = np.searchsorted(_levels(), self._total // self._weight, side="right") - 1  # (bands, columns)
        rows = _probabilities()[levels[self._bands_of(n_frames)]]  # (n, columns, symbols)
        return _constriction().model.Categorical(perfect=False), rows.reshape(-1, rows.shape[-1])

    def _learn(self, symbols: I64) -> None:
        bands = self._bands_of(len(symbols))
        sizes = np.minimum(np.abs(symbols), 1 << 16) * 256
        kept, of = _FADE
        self._total = np.maximum(self._total * kept // of, 1)
        self._weight = np.maximum(self._weight * kept // of, 1)
        np.add.at(self._total, bands, sizes)
        np.add.at(self._weight, bands, 1)

    def _bands_of(self, n_frames: int) -> npt.NDArray[np.intp]:
        full = len(self._bands)
        return self._bands[np.arange(n_frames) * full // n_frames]


def _constriction() -> Any:
    """The stream coders; loaded when the first chunk is."""
    import constriction  # type: ignore[import-untyped]

    return constriction.stream


@functools.lru_cache(maxsize=4)
def _bands(n: int) -> npt.NDArray[np.intp]:
    """The band of each of n frequencies."""
    return np.searchsorted(_BAND_STARTS, np.arange(n), side="right") - 1


@functools.lru_cache(maxsize=1)
def _levels() -> I64:
    """Mean sizes of symbols for which there is a table, in 1/256: each about a fifth above the one before."""
    levels = [0, 1]
    while levels[-1] < 256 * _LARGEST:
        levels.append(max(levels[-1] + 1, levels[-1] * 6 // 5))
    return np.array(levels, np.int64)


@functools.lru_cache(maxsize=1)
def _probabilities() -> F32:
    """Two-sided geometric distributions with the mean sizes of `_levels`, (levels, 2 * _LARGEST + 1) float32."""
    mean = np.maximum(_levels().astype(np.float64), 0.5) / 256
    ratio = (np.sqrt(1 + mean**2) - 1) / mean
    falling = np.cumprod(np.repeat(ratio[:, None], _LARGEST, axis=1), axis=1)  # ratio^1 .. ratio^_LARGEST
    falling[:, -1] /= 1 - ratio  # all that is larger
    side = falling * ((1 - ratio) / (1 + ratio))[:, None]
    middle = ((1 - ratio) / (1 + ratio))[:, None]
    table: F32 = np.concatenate([side[:, ::-1], middle, side], axis=1).astype(np.float32)
    return table


@functools.lru_cache(maxsize=64)
def _basis(n: int) -> F64:
    """The sine transform DST-VII of n frames, (n, n), rows are frequencies.

    Its waves start at 0 just before the first frame: the best fit for what wanders away from a known value, as motion
    does from the last frame of the chunk before.
    """
    k = np.arange(n)
    waves: F64 = 2 / np.sqrt(2 * n + 1) * np.sin(np.pi * np.outer(2 * k + 1, k + 1) / (2 * n + 1))
    return waves


def _has_pixels(tracks: Sequence[Track]) -> bool:
    """Whether position and size are both measured in a picture, so that their product is a place in it."""
    absolute = {track.name for track in tracks if not track.relative}
    return {"trans", "scale"} <= absolute


def _steps(track: Track) -> F64:
    assert track.steps is not None
    return track.steps.astype(np.float64)


def _track(coeffs: Coeffs, name: str) -> F32:
    values: F32 | None = getattr(coeffs, name)
    if values is None:
        raise CoeffFileError(f"the motion has no {name}, which the stream has")
    return values.reshape(len(values), -1)


def _shaped(parts: dict[str, F32]) -> dict[str, F32]:
    return {
        name: np.ascontiguousarray(part[:, 0] if name in ("scale", "tongue") else part, np.float32)
        for name, part in parts.items()
    }
