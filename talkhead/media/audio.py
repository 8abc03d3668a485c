"""Sound in: mono float32 at one rate, streamed from whatever ffmpeg reads."""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from talkhead.errors import MediaError, ShapeError, UsageError
from talkhead.media.ffmpeg import FFmpeg, input_args
from talkhead.media.probe import MediaInfo, probe

_log = logging.getLogger(__name__)

F32 = npt.NDArray[np.float32]
SAMPLE_RATE = 16000
BLOCK_S = 20.0
MAX_DURATION_S = 24 * 3600.0
# A file whose header promises more than it holds is damaged; some tenths of a second are rounding and padding.
_MISSING_SHARE, _MISSING_S = 0.02, 0.5
_BYTES = 4
# Fills gaps with silence, and averages channels: without the last option ffmpeg adds them 3 dB too loud.
_TO_MONO = "aresample=async=1:first_pts=0:out_chlayout=mono:rematrix_maxval=1.0"


class AudioStream:
    """The sound of a file, decoded anew at every reading; memory does not grow with length.

    Implements `protocols.Speech`. Channels are averaged. Time 0 is where the file starts, as for `open_clip`: silence
    precedes sound that starts later, so sample n and frame m of one film belong together.

    Args:
        path: any file with sound, a film included. sample_rate: of the blocks, Hz. start_s, end_s: part to read,
            seconds.
    Raises:
        MediaError: missing, empty, damaged, without sound, or longer than 24 hours.
        UsageError: `start_s`, `end_s` or `sample_rate` is out of range.
    """

    def __init__(
        self,
        path: str | Path,
        sample_rate: int = SAMPLE_RATE,
        *,
        start_s: float = 0.0,
        end_s: float | None = None,
    ) -> None:
        if not 1000 <= sample_rate <= 768_000:
            raise UsageError(f"sample_rate is {sample_rate}, expected 1000 to 768000 Hz")
        if start_s < 0 or (end_s is not None and end_s <= start_s):
            raise UsageError(f"cannot read from {start_s:g} s to {end_s} s")
        self.info = probe(path)
        self.path = self.info.path
        if not self.info.has_audio:
            raise MediaError(f"no sound in {self.path}")
        _check_complete(self.info)
        self._start_s, self._end_s = start_s, end_s
        self._sample_rate = sample_rate
        self._n_samples: int | None = None
        if self.duration_s > MAX_DURATION_S:
            raise MediaError(f"{self.path} lasts {self.duration_s / 3600:.1f} h; sound above 24 h is refused")

    @property
    def sample_rate(self) -> int:
        """Samples per second of the blocks."""
        return self._sample_rate

    @property
    def duration_s(self) -> float:
        """Length in seconds: the header's word, or exact once the sound has been read to its end."""
        if self._n_samples is not None:
            return self._n_samples / self._sample_rate
        end = min(self._end_s or np.inf, self.info.duration_s)
        return float(max(end - self._start_s, 0.0))

    def blocks(self, seconds: float = BLOCK_S) -> Iterator[F32]:
        """Consecutive blocks, (n,) float32 in [-1, 1]; the last may be shorter.

        Args:
            seconds: length of a block.
        Raises:
            MediaError: nothing can be decoded, or the file ends long before its header says.
        """
        block = max(round(seconds * self._sample_rate), 1)
        total = 0
        with FFmpeg(self._arguments(), drain=True) as process:
            while len(samples := _read_samples(process, block)):
                total += len(samples)
                if total > MAX_DURATION_S * self._sample_rate:
                    raise MediaError(f"{self.path} lasts more than 24 h; so much sound is refused")
                yield samples
            status = process.wait()
            self._check_end(process, status, total)
        self._n_samples = total

    def _arguments(self) -> list[str]:
        seek = ["-ss", f"{self._start_s:.6f}"] if self._start_s else []
        until = ["-t", f"{self._end_s - self._start_s:.6f}"] if self._end_s is not None else []
        return [
            *seek,
            *until,
            *input_args(self.path),
            *("-map", f"0:{self.info.audio_index}", "-af", _TO_MONO),
            *("-ar", str(self._sample_rate), "-c:a", "pcm_f32le", "-f", "f32le", "pipe:1"),
        ]

    def _check_end(self, process: FFmpeg, status: int, total: int) -> None:
        if total == 0:
            raise MediaError(f"cannot read {self.path}: {process.reason() if process.said else 'it holds no sound'}")
        read_s = total / self._sample_rate
        is_short = self.duration_s - read_s > max(_MISSING_SHARE * self.duration_s, _MISSING_S)
        if is_short and self.info.is_duration_exact and (status != 0 or process.said):
            raise MediaError(
                f"{self.path} is damaged: {read_s:.1f} of {self.duration_s:.1f} s can be read ({process.reason()})"
            )
        if status != 0:
            raise MediaError(f"cannot read {self.path} after {read_s:.1f} s: {process.reason()}")
        if process.said:
            _log.info("%s: %s", self.path, process.reason())


@dataclass(frozen=True, slots=True)
class Waveform:
    """Sound held in memory; implements `protocols.Speech`.

    Attributes:
        samples: (S,) float32 in [-1, 1], mono. sample_rate: Hz.
    Raises:
        ShapeError: `samples` is not one row. MediaError: it is empty or not finite. UsageError: no such rate.
    """

    samples: F32
    sample_rate: int = SAMPLE_RATE

    def __post_init__(self) -> None:
        if self.samples.ndim != 1:
            raise ShapeError("samples", self.samples.shape, "(S,)")
        if not len(self.samples):
            raise MediaError("the sound is empty")
        if not np.isfinite(self.samples).all():
            raise MediaError("the sound has values that are not finite")
        if self.sample_rate < 1:
            raise UsageError(f"sample_rate is {self.sample_rate}, expected 1 Hz or more")

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.sample_rate

    def blocks(self, seconds: float = BLOCK_S) -> Iterator[F32]:
        """Consecutive blocks, (n,) float32; the last may be shorter."""
        block = max(round(seconds * self.sample_rate), 1)
        for start in range(0, len(self.samples), block):
            yield self.samples[start : start + block].astype(np.float32, copy=False)


def read_waveform(path: str | Path, sample_rate: int = SAMPLE_RATE) -> Waveform:
    """All sound of a file at once; for short sounds and tests.

    Raises:
        MediaError: as `AudioStream`.
    """
    return Waveform(np.concatenate(list(AudioStream(path, sample_rate).blocks())), sample_rate)


def _read_samples(process: FFmpeg, count: int) -> F32:
    data = bytearray()
    while len(data) < count * _BYTES:
        piece = process.stdout.read(count * _BYTES - len(data))
        if not piece:
            break
        data += piece
    samples = np.frombuffer(bytes(data[: len(data) // _BYTES * _BYTES]), "<f4")
    # Float files may hold anything.
    return np.clip(np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0), -1, 1).astype(np.float32, copy=False)


def _check_complete(info: MediaInfo) -> None:
    """Refuse a WAV file that was cut: ffmpeg would take it for a shorter one."""
    if "wav" not in info.formats:
        return
    promised = _wav_data_end(info.path)
    size = info.path.stat().st_size
    if promised is not None and size < promised:
        raise MediaError(f"{info.path} is damaged: it ends after {size} of {promised} bytes")


def _wav_data_end(path: Path) -> int | None:
    """Where the sound of a RIFF file should end, in bytes; None when the header does not say (streamed files)."""
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return None
        while len(chunk := file.read(8)) == 8:
            name, length = struct.unpack("<4sI", chunk)
            if name == b"data":
                # Recorders and pipes that do not know the length yet write one of the largest values, or zero.
                return None if length == 0 or length >= 0x7FFFF000 else file.tell() + length
            file.seek(length + length % 2, 1)
    return None
