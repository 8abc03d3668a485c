"""What a voice does apart from its words: loudness, activity, spectral shape, syllables and phrase ends.

All tracks have 100 steps per second, step k centred on second k / 100; only these few floats per step are held, so
hours of sound fit in memory. Levels are decibels of full scale; loud and silent are found from the sound itself.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from talkhead.audio.framing import SAMPLE_RATE, Speech, framed, speech_samples
from talkhead.errors import InputError

HOP_LENGTH = 160
STEPS_PER_SECOND = SAMPLE_RATE / HOP_LENGTH
FRAME_LENGTH = 400  # 25 ms
N_FFT = 512
FLOOR_DB = -100.0
BANDS_HZ = ((60, 350), (350, 1000), (1000, 2500), (2500, 4000), (4000, 7900))
JAW_REGION_HZ = (200, 1100)  # holds the first formant: rises as the jaw opens
FRONT_REGION_HZ = (800, 3200)  # holds the second formant: rises as the tongue goes forward and the lips spread

_CONTRAST_DB = 12.0  # speech rises at least this far above its pauses
_GATE_ABOVE_NOISE_DB, _GATE_BELOW_SPEECH_DB, _GATE_FULL_SCALE_DB = 8.0, 32.0, -70.0
_STEADY_LEVEL_DB = -45.0  # a sound without pauses counts as speech only above this level ...
_STEADY_SD_DB = 1.0  # ... and if its level moves more than that of hum or hiss
_GAP_S, _BURST_S = 0.15, 0.06  # closures inside words are not pauses; clicks are not speech

_LOG = logging.getLogger(__name__)

F32 = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class Prosody:
    """Tracks at 100 steps per second.

    Attributes:
        n_samples: length of the sound at 16 kHz. level_db: (n,) of the whole band, full scale = 0.
        bands_db: (n, 5) levels in `BANDS_HZ`. jaw_hz, front_hz: (n,) centroids of the amplitude spectrum in the
            regions of the first and second formant.
        is_speech: (n,) bool. speech_db, noise_db: typical loud speech, and the level of pauses.
    """

    n_samples: int
    level_db: F32
    bands_db: F32
    jaw_hz: F32
    front_hz: F32
    is_speech: npt.NDArray[np.bool_]
    speech_db: float
    noise_db: float

    @property
    def duration_s(self) -> float:
        """Length of the sound in seconds."""
        return self.n_samples / SAMPLE_RATE

    def loudness(self) -> npt.NDArray[np.float64]:
        """(n,) 0 at 30 dB below typical loud speech and in pauses, 1 at its level."""
        loud: npt.NDArray[np.float64] = np.clip(1.0 + (self.level_db - self.speech_db) / 30.0, 0.0, 1.2)
        return loud * self.is_speech


def analyse(speech: Speech) -> Prosody:
    """Measure a voice in one pass.

    Args:
        speech: mono speech, any length.
    Returns:
        The tracks; a warning is logged when nothing in them sounds like speech.
    Raises:
        InputError: the sound has no samples.
    """
    counts: list[int] = []
    level, bands, jaw, front = [], [], [], []
    window = 0.5 - 0.5 * np.cos(2.0 * np.pi * (np.arange(FRAME_LENGTH) + 0.5) / FRAME_LENGTH)
    hz = np.arange(N_FFT // 2 + 1) * SAMPLE_RATE / N_FFT
    pick = np.stack([(hz >= low) & (hz < high) for low, high in BANDS_HZ], -1).astype(np.float64)

    for frames in framed(_counted(speech_samples(speech), counts), FRAME_LENGTH, HOP_LENGTH):
        power = np.abs(np.fft.rfft(frames * window, N_FFT)) ** 2 / (FRAME_LENGTH * window.sum()) + 1e-14
        level.append(_decibels(power.sum(1)))
        bands.append(_decibels(power @ pick))
        amplitude = np.sqrt(power)
        jaw.append(_centroid(amplitude, hz, JAW_REGION_HZ))
        front.append(_centroid(amplitude, hz, FRONT_REGION_HZ))
    n_samples = sum(counts)
    if not n_samples:
        raise InputError("the sound has no samples", hint="give a file with at least a fraction of a second of speech")
    level_db = np.concatenate(level)
    is_speech, speech_db, noise_db = find_speech(level_db)
    if not is_speech.any():
        seconds = n_samples / SAMPLE_RATE
        _LOG.warning("no speech found in %.3g s of sound: the mouth stays closed, the head idles", seconds)
    return Prosody(
        n_samples=n_samples,
        level_db=level_db,
        bands_db=np.concatenate(bands),
        jaw_hz=np.concatenate(jaw),
        front_hz=np.concatenate(front),
        is_speech=is_speech,
        speech_db=speech_db,
        noise_db=noise_db,
    )


def _counted(blocks: Iterator[npt.NDArray[np.float64]], counts: list[int]) -> Iterator[npt.NDArray[np.float64]]:
    for block in blocks:
        counts.append(len(block))
        yield block


def _decibels(power: npt.NDArray[np.float64]) -> F32:
    return np.maximum(FLOOR_DB, 10.0 * np.log10(power)).astype(np.float32)


def _centroid(amplitude: npt.NDArray[np.float64], hz: npt.NDArray[np.float64], region: tuple[int, int]) -> F32:
    inside = (hz >= region[0]) & (hz < region[1])
    centroid: F32 = (amplitude[:, inside] @ hz[inside] / amplitude[:, inside].sum(1)).astype(np.float32)
    return centroid


def find_speech(level_db: F32) -> tuple[npt.NDArray[np.bool_], float, float]:
    """Which steps are speech, judged by level against the sound's own pauses.

    Args:
        level_db: (n,) at 100 steps per second.
    Returns:
        is_speech (n,), the level of loud speech, the level of pauses. Hum, hiss and silence give no speech.
    """
    smooth = smoothed(np.asarray(level_db, np.float64), 0.15)
    noise_db = float(np.percentile(smooth, 10))
    risen = smooth > max(noise_db + _CONTRAST_DB, _GATE_FULL_SCALE_DB + _CONTRAST_DB)
    if risen.sum() < max(5, min(30, 0.2 * len(risen))):
        loud = float(np.percentile(level_db, 90))
        if loud < _STEADY_LEVEL_DB or float(np.std(level_db[level_db > loud - 20.0])) < _STEADY_SD_DB:
            return np.zeros(len(level_db), bool), loud, noise_db
        noise_db, risen = min(noise_db, loud - 40.0), smooth > loud - 20.0
    speech_db = float(np.percentile(level_db[risen], 90))
    gate = max(noise_db + _GATE_ABOVE_NOISE_DB, speech_db - _GATE_BELOW_SPEECH_DB, _GATE_FULL_SCALE_DB)
    is_speech = _without_short_runs(level_db > gate, round(_BURST_S * STEPS_PER_SECOND), value=True)
    is_speech = _without_short_runs(is_speech, round(_GAP_S * STEPS_PER_SECOND), value=False)
    return is_speech, speech_db, noise_db


def speech_activity(speech: Speech) -> npt.NDArray[np.bool_]:
    """Which hundredths of a second hold speech, (n,) bool (see `analyse`)."""
    return analyse(speech).is_speech


def runs(flags: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """Start and end (exclusive) of each run of true values, (n_runs, 2)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return edges.reshape(-1, 2)


def _without_short_runs(flags: npt.NDArray[np.bool_], shortest: int, *, value: bool) -> npt.NDArray[np.bool_]:
    """Flip runs of `value` shorter than `shortest`; runs of False at the ends are pauses and stay."""
    out = flags.copy()
    for start, end in runs(flags if value else ~flags):
        at_border = start == 0 or end == len(flags)
        if end - start < shortest and (value or not at_border):
            out[start:end] = not value
    return out


def smoothed(track: npt.NDArray[np.float64], width_s: float, rate: float = STEPS_PER_SECOND) -> npt.NDArray[np.float64]:
    """A Hann-weighted moving mean of the given full width, ends held, (n,)."""
    half = max(1, round(width_s * rate / 2))
    kernel = np.hanning(2 * half + 1)
    padded = np.concatenate([np.repeat(track[:1], half), track, np.repeat(track[-1:], half)])
    return np.convolve(padded, kernel / kernel.sum(), "valid")


def syllable_nuclei(prosody: Prosody) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """Vowel centres: peaks of the level between 350 and 2500 Hz, at least 100 ms apart and 2.5 dB above their valleys.

    Args:
        prosody: of `analyse`.
    Returns:
        Steps (k,), and how far each stands out of the second around it in decibels (k,) (stress).
    """
    power = 10.0 ** (prosody.bands_db[:, 1].astype(np.float64) / 10) + 10.0 ** (prosody.bands_db[:, 2] / 10)
    track = smoothed(10.0 * np.log10(power), 0.09)
    around = smoothed(np.maximum(track, prosody.speech_db - 35.0), 1.0)
    peaks: list[int] = []
    valley, last, best = np.inf, -100, -1
    for step, value in enumerate(track):
        if best >= 0 and value < track[best] - 2.5:
            if prosody.is_speech[best] and best - last >= 10:
                peaks.append(best)
                last = best
            best, valley = -1, value
        elif best < 0:
            valley = min(valley, value)
            best = step if value > valley + 2.5 else -1
        elif value > track[best]:
            best = step
    index = np.asarray(peaks, np.intp)
    return index, track[index] - around[index]


def phrase_ends(prosody: Prosody, pause_s: float = 0.25) -> npt.NDArray[np.float64]:
    """Seconds at which a stretch of speech ends in a pause of at least `pause_s` (or the end), (k,)."""
    spans = runs(prosody.is_speech) / STEPS_PER_SECOND
    if not len(spans):
        return np.zeros(0)
    gaps = np.append(spans[1:, 0], np.inf) - spans[:, 1]
    return np.asarray(spans[gaps >= pause_s, 1], np.float64)
