"""Onsets of a sound: where its spectrum rises at once (Boeck, Krebs and Schedl 2012), by numpy alone, streaming."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from talkhead.audio.framing import SAMPLE_RATE, Speech, framed, speech_samples
from talkhead.audio.mel import mel_filterbank

F64 = npt.NDArray[np.float64]

HOP_LENGTH = 160
STEPS_PER_SECOND = SAMPLE_RATE / HOP_LENGTH
N_FFT, N_MELS = 512, 40
RANGE_DB = 80.0  # below the loudest band of the sound nothing is heard
DELTA = 0.07  # of the highest rise: how far an onset stands out of its surroundings
BLOCK_S = 2.0  # read at once: spectra take fifty times the memory of their sound
BEFORE_STEPS, AROUND_STEPS, WAIT_STEPS = 3, 10, 3  # 30 ms, 100 ms, 30 ms


def spectral_flux(speech: Speech) -> F64:
    """Mean rise of the mel bands from step to step, (n,) dB, 100 steps per second; step k is centred on k / 100 s.

    Memory grows by one number per step; the sound is read twice.
    """
    loudest = max((float(bands.max()) for bands in _band_levels(speech)), default=0.0)
    floor = loudest - RANGE_DB
    last: F64 | None = None
    rises: list[F64] = []
    for bands in _band_levels(speech):
        levels = np.maximum(bands, floor)
        before = levels[:1] if last is None else last
        rises.append(np.maximum(np.diff(np.concatenate([before, levels]), axis=0), 0.0).mean(1))
        last = levels[-1:]
    return np.concatenate(rises) if rises else np.zeros(0)


def pick_peaks(flux: F64) -> npt.NDArray[np.intp]:
    """Steps of the onsets, (k,): higher than the 30 ms before, and than the mean of 100 ms around by `DELTA`."""
    if not len(flux) or np.ptp(flux) <= 0:
        return np.zeros(0, np.intp)
    height = (flux - flux.min()) / np.ptp(flux)
    window = np.lib.stride_tricks.sliding_window_view
    highest = window(np.pad(height, (BEFORE_STEPS, 0)), BEFORE_STEPS + 1).max(1)
    inside = np.pad(np.ones_like(height), AROUND_STEPS)
    sums, counts = (window(x, 2 * AROUND_STEPS + 1).sum(1) for x in (np.pad(height, AROUND_STEPS), inside))
    picked: list[int] = []
    for step in np.flatnonzero((height >= highest) & (height >= sums / counts + DELTA)).tolist():
        if not picked or step - picked[-1] > WAIT_STEPS:
            picked.append(step)
    return np.array(picked, np.intp)


def onset_times(speech: Speech) -> F64:
    """When onsets are heard, (k,) seconds."""
    return pick_peaks(spectral_flux(speech)) / STEPS_PER_SECOND


def _band_levels(speech: Speech) -> Iterator[F64]:
    bank = mel_filterbank(N_FFT, N_MELS, 0.0, SAMPLE_RATE / 2).T
    hann = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(N_FFT) / N_FFT)
    for frames in framed(speech_samples(speech, BLOCK_S), N_FFT, HOP_LENGTH):
        power = np.abs(np.fft.rfft(frames * hann, axis=1)) ** 2
        yield 10.0 * np.log10(np.maximum(power @ bank, 1e-10))
