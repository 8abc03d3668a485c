"""Mel-frequency cepstral coefficients as SyncNet was trained with: HTK's recipe on 16-bit numbers, streaming.

25 ms every 10 ms, no window, 26 triangles on the mel scale up to the Nyquist frequency, the logarithm's cosine
transform, liftered; the first coefficient is replaced by the logarithm of the frame's energy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from talkhead.audio.framing import SAMPLE_RATE, Speech, preemphasised, speech_samples

F64 = npt.NDArray[np.float64]

N_COEFFS = 13
FRAME_LENGTH, HOP_LENGTH = SAMPLE_RATE * 25 // 1000, SAMPLE_RATE // 100
N_FFT, N_FILTERS = 512, 26
PREEMPHASIS, LIFTER = 0.97, 22
FULL_SCALE = 32768  # of 16-bit numbers, which the energies are of
_TINY = float(np.finfo(float).eps)  # in place of no energy at all


def speech_mfcc(speech: Speech) -> Iterator[F64]:
    """MFCC of speech as 16-bit sound at 16 kHz, block by block: see `mfcc`."""
    return mfcc(as_int16(speech_samples(speech)))


def as_int16(blocks: Iterable[F64]) -> Iterator[F64]:
    """Samples in [-1, 1] -> what a 16-bit file holds of them, (n,) float64 with whole numbers."""
    for block in blocks:
        yield np.clip(np.rint(block * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1)


def mfcc(blocks: Iterable[F64]) -> Iterator[F64]:
    """Coefficients of consecutive samples.

    Args:
        blocks: (n,) each, 16 kHz, -32768..32767.
    Yields:
        (n, 13); row k is of samples 160 k to 160 k + 399. All samples are covered: zeros fill up the last row, which
        is there even for no samples at all.
    """
    triangles, cosines = _triangles(), _cosines()
    for frames in _frames(preemphasised(blocks, PREEMPHASIS)):
        power = np.abs(np.fft.rfft(frames, N_FFT)) ** 2 / N_FFT
        energy = power.sum(1)
        bands = power @ triangles.T
        coeffs = np.log(np.where(bands == 0, _TINY, bands)) @ cosines.T
        coeffs[:, 0] = np.log(np.where(energy == 0, _TINY, energy))
        yield coeffs


def _frames(blocks: Iterable[F64]) -> Iterator[F64]:
    """Overlapping frames, (n, 400), the first at sample 0, the last filled up with zeros."""
    rest, is_first = np.zeros(0), True
    for block in blocks:
        rest = np.concatenate([rest, block])
        n_ready = (len(rest) - FRAME_LENGTH) // HOP_LENGTH + 1
        if n_ready > 0:
            yield np.lib.stride_tricks.sliding_window_view(rest, FRAME_LENGTH)[::HOP_LENGTH][:n_ready]
            rest, is_first = rest[n_ready * HOP_LENGTH :], False
    overlap = FRAME_LENGTH - HOP_LENGTH
    if is_first or len(rest) > overlap:
        yield np.pad(rest, (0, FRAME_LENGTH - len(rest)))[None]


def _triangles() -> F64:
    """(26, 257): triangles between whole bins, even on the mel scale."""
    highest = 2595 * np.log10(1 + SAMPLE_RATE / 2 / 700)
    corners = 700 * (10 ** (np.linspace(0, highest, N_FILTERS + 2) / 2595) - 1)
    edges = np.floor((N_FFT + 1) * corners / SAMPLE_RATE)[:, None]
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    bins = np.arange(N_FFT // 2 + 1)
    rising, falling = (bins - low) / (middle - low), (high - bins) / (high - middle)
    return np.where((bins >= low) & (bins < middle), rising, np.where((bins >= middle) & (bins < high), falling, 0.0))


def _cosines() -> F64:
    """(13, 26): the orthonormal cosine transform (type II), liftered."""
    k = np.arange(N_COEFFS)[:, None]
    cosines = np.cos(np.pi * k * (2 * np.arange(N_FILTERS) + 1) / (2 * N_FILTERS)) * np.sqrt(2 / N_FILTERS)
    cosines[0] /= np.sqrt(2)
    return cosines * (1 + LIFTER / 2 * np.sin(np.pi * k / LIFTER))
