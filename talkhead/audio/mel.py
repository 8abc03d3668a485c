"""The 80-bin log-mel spectrum of lip-sync networks (Wav2Lip's recipe, used by SadTalker), streaming, numpy only.

16 kHz, pre-emphasis 0.97, 50 ms periodic Hann windows every 12.5 ms, Slaney mel bands 55-7600 Hz, decibels
mapped so that -100..0 dB becomes -4..4. See docs/ and the tests for recorded reference numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from talkhead.audio.framing import BLOCK_S, SAMPLE_RATE, Speech, framed, preemphasised, speech_samples

N_FFT = 800
HOP_LENGTH = 200
STEPS_PER_SECOND = SAMPLE_RATE / HOP_LENGTH
N_MELS = 80
F_MIN_HZ, F_MAX_HZ = 55.0, 7600.0
PREEMPHASIS = 0.97
MIN_AMPLITUDE = 1e-5
REFERENCE_DB = 20.0
RANGE_DB = 100.0
LIMIT = 4.0

_LINEAR_HZ_PER_MEL = 200.0 / 3.0  # Slaney's scale: linear below 1 kHz, then 27 steps per factor 6.4
_BREAK_HZ, _LOG_STEP = 1000.0, np.log(6.4) / 27.0


def hz_to_mel(hz: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Slaney's mel scale (Auditory Toolbox, 1998)."""
    f = np.asarray(hz, np.float64)
    log_part = _BREAK_HZ / _LINEAR_HZ_PER_MEL + np.log(np.maximum(f, _BREAK_HZ) / _BREAK_HZ) / _LOG_STEP
    return np.where(f < _BREAK_HZ, f / _LINEAR_HZ_PER_MEL, log_part)


def mel_to_hz(mel: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """The inverse of `hz_to_mel`."""
    m = np.asarray(mel, np.float64)
    break_mel = _BREAK_HZ / _LINEAR_HZ_PER_MEL
    return np.where(m < break_mel, m * _LINEAR_HZ_PER_MEL, _BREAK_HZ * np.exp(_LOG_STEP * (m - break_mel)))


def mel_filterbank(
    n_fft: int = N_FFT,
    n_mels: int = N_MELS,
    f_min_hz: float = F_MIN_HZ,
    f_max_hz: float = F_MAX_HZ,
    sample_rate: int = SAMPLE_RATE,
) -> npt.NDArray[np.float64]:
    """Triangles of equal area on Slaney's scale, (n_mels, n_fft // 2 + 1)."""
    edges = mel_to_hz(np.linspace(hz_to_mel(f_min_hz), hz_to_mel(f_max_hz), n_mels + 2))
    bins = np.arange(n_fft // 2 + 1) * sample_rate / n_fft
    rising = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    triangles: npt.NDArray[np.float64] = np.maximum(0.0, np.minimum(rising, falling))
    return triangles * (2.0 / (edges[2:] - edges[:-2]))[:, None]


@lru_cache(maxsize=1)
def _window_and_bank() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    hann = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(N_FFT) / N_FFT)
    return hann, mel_filterbank().T.copy()


def mel_blocks(speech: Speech, block_s: float = BLOCK_S, gain: float = 1.0) -> Iterator[npt.NDArray[np.float64]]:
    """The log-mel spectrum in consecutive pieces.

    Args:
        speech: mono speech; any sample rate, resampled to 16 kHz.
        block_s: seconds read at a time; the numbers do not depend on it.
        gain: factor on the samples first.
    Returns:
        Iterator of (n, 80) float64 in [-4, 4]; `1 + n_samples // 200` rows in all, row k centred on second k / 80.
    """
    hann, bank = _window_and_bank()
    emphasised = preemphasised((gain * x for x in speech_samples(speech, block_s)), PREEMPHASIS)
    for frames in framed(emphasised, N_FFT, HOP_LENGTH):
        magnitude = np.abs(np.fft.rfft(frames * hann, axis=1))
        decibels = 20.0 * np.log10(np.maximum(MIN_AMPLITUDE, magnitude @ bank)) - REFERENCE_DB
        yield np.clip(2.0 * LIMIT * (decibels + RANGE_DB) / RANGE_DB - LIMIT, -LIMIT, LIMIT)


def mel_spectrogram(speech: Speech) -> npt.NDArray[np.float32]:
    """The whole log-mel spectrum, (n_steps, 80) float32 in [-4, 4], 80 steps per second (see `mel_blocks`)."""
    return np.concatenate([block.astype(np.float32) for block in mel_blocks(speech)])
