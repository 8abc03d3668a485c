"""Samples -> overlapping analysis frames, block by block, so that sound of any length fits in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np
import numpy.typing as npt

from talkhead.errors import InputError

SAMPLE_RATE = 16_000
BLOCK_S = 20.0
_RESAMPLE_HALF_WIDTH = 10  # `resample_poly` looks this many samples of the slower rate to either side


class Speech(Protocol):
    """Mono speech that can be read several times, block by block, without holding it all."""

    @property
    def sample_rate(self) -> int:
        """Samples per second."""
        ...

    def blocks(self, seconds: float = BLOCK_S) -> Iterator[npt.NDArray[np.float32]]:
        """Consecutive float32 blocks, (n,), in [-1, 1]; the last may be shorter."""
        ...


def speech_samples(speech: Speech, block_s: float = BLOCK_S) -> Iterator[npt.NDArray[np.float64]]:
    """The samples of a `Speech` at 16 kHz, block by block; other rates are resampled by a polyphase filter.

    Not-a-number samples become 0, so that one broken packet does not spoil a file.

    Args:
        speech: mono speech. block_s: seconds asked of it at a time.
    Returns:
        Iterator of (n,) float64 blocks in [-1, 1].
    Raises:
        InputError: the sample rate is below 2 kHz.
    """
    rate = int(speech.sample_rate)
    if rate < 2000:
        raise InputError(f"speech has a sample rate of {rate} Hz, expected at least 2000")
    blocks = (np.nan_to_num(np.asarray(block, np.float64)) for block in speech.blocks(block_s))
    return blocks if rate == SAMPLE_RATE else _resampled(blocks, rate)


def _resampled(blocks: Iterable[npt.NDArray[np.float64]], rate: int) -> Iterator[npt.NDArray[np.float64]]:
    """Polyphase resampling on a fixed grid of chunks with context, hence independent of the block size."""
    from scipy.signal import resample_poly

    divisor = math.gcd(rate, SAMPLE_RATE)
    up, down = SAMPLE_RATE // divisor, rate // divisor
    context = down * math.ceil((_RESAMPLE_HALF_WIDTH * max(up, down) / up + 1) / down)
    chunk = down * max(1, math.ceil(4.0 * rate / down))
    head, tail = np.zeros(context), np.zeros(0)
    for block in blocks:
        tail = np.concatenate([tail, block])
        while len(tail) >= chunk + context:
            piece = np.concatenate([head, tail[: chunk + context]])
            yield resample_poly(piece, up, down)[context // down * up :][: chunk // down * up]
            head, tail = piece[chunk : chunk + context], tail[chunk:]
    if len(tail):
        out = resample_poly(np.concatenate([head, tail, np.zeros(context)]), up, down)[context // down * up :]
        yield out[: math.ceil(len(tail) * up / down)]


def preemphasised(blocks: Iterable[npt.NDArray[np.float64]], coefficient: float) -> Iterator[npt.NDArray[np.float64]]:
    """`y[n] = x[n] - coefficient * x[n - 1]` over consecutive blocks, x[-1] = 0."""
    last = 0.0
    for block in blocks:
        if len(block):
            yield block - coefficient * np.concatenate([[last], block[:-1]])
            last = float(block[-1])


def framed(
    blocks: Iterable[npt.NDArray[np.float64]], frame_length: int, hop_length: int
) -> Iterator[npt.NDArray[np.float64]]:
    """Overlapping frames; frame k is centred on sample `k * hop_length`, zeros outside the sound.

    Args:
        blocks: consecutive samples. frame_length: samples per frame, even. hop_length: samples from frame to frame.
    Returns:
        Iterator of (n, frame_length) read-only views, `1 + n_samples // hop_length` frames in all.
    """
    half = frame_length // 2
    buffer, n_samples, n_done = np.zeros(half), 0, 0
    for block in blocks:
        n_samples += len(block)
        buffer = np.concatenate([buffer, block])
        n_ready = (len(buffer) - frame_length) // hop_length + 1
        if n_ready > 0:
            yield _views(buffer, frame_length, hop_length, n_ready)
            buffer, n_done = buffer[n_ready * hop_length :], n_done + n_ready
    n_left = 1 + n_samples // hop_length - n_done
    if n_left > 0:
        buffer = np.concatenate([buffer, np.zeros((n_left - 1) * hop_length + frame_length)])
        yield _views(buffer, frame_length, hop_length, n_left)


def _views(buffer: npt.NDArray[np.float64], frame_length: int, hop_length: int, count: int) -> npt.NDArray[np.float64]:
    return np.lib.stride_tricks.sliding_window_view(buffer, frame_length)[::hop_length][:count]
