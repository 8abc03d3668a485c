"""Make synthetic speech sound like recordings: voice, room, microphone, noise."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt
from scipy.signal import butter, fftconvolve, istft, lfilter, resample_poly, stft

from talkhead.systems.meshwarp.visemes import Segment

RATE = 16_000
LEVEL = 0.08
_PERIOD_MS = 5.0

F32 = npt.NDArray[np.float32]


def recorded(
    sound: F32, rate: int, sounds: list[Segment], rng: np.random.Generator, babble: list[F32]
) -> tuple[F32, list[Segment]]:
    """One augmented utterance at 16 kHz with its segments moved along.

    Args:
        sound: (n,) at `rate`. sounds: its segments. babble: earlier utterances at 16 kHz.
    """
    pace = float(np.clip(np.exp(rng.normal(0, 0.13)), 0.72, 1.4))
    ratio = Fraction(RATE / (rate * pace)).limit_denominator(200)
    x = resample_poly(sound, ratio.numerator, ratio.denominator).astype(np.float64)
    scale = float(ratio) * rate / RATE
    lead, tail = (float(rng.uniform(0, 2.0 if rng.random() < 0.15 else 0.8)) for _ in range(2))
    x = np.concatenate([np.zeros(int(lead * RATE)), x, np.zeros(int(tail * RATE))])
    end = len(x) / RATE
    moved = [Segment(s.name, s.start * scale + lead, s.end * scale + lead) for s in sounds]
    last = moved[-1].end
    moved = [Segment("SIL", 0.0, moved[0].start), *moved, Segment("SIL", last, max(end, last))]
    x = _coloured(x, rng)
    if rng.random() < 0.15:
        x = _breathy(x, rng)
    if rng.random() < 0.45:
        x = _in_room(x, rng)
    if rng.random() < 0.2:
        low, high = rng.uniform(60, 350), rng.uniform(3000, 7500)
        x = lfilter(*butter(2, [low, high], "band", fs=RATE), x)
    x = x / (np.sqrt(np.mean(x**2)) + 1e-9) * LEVEL
    if rng.random() < 0.2:
        drive = rng.uniform(1.0, 5.0)
        x = np.tanh(drive * x / LEVEL / 4) * LEVEL * 4 / drive
    if rng.random() < 0.75:
        x = x + _noise(len(x), rng, babble) * LEVEL * 10 ** (-rng.uniform(5, 35) / 20)
    if rng.random() < 0.5:
        knots = np.interp(np.arange(len(x)), np.linspace(0, len(x), 5), rng.normal(0, 3, 5))
        x = x * 10 ** (knots / 20)
    x = x / (np.sqrt(np.mean(x**2)) + 1e-9) * LEVEL * 10 ** (rng.normal(0, 3) / 20)
    return x.astype(np.float32), [s for s in moved if s.end > s.start]


def _coloured(x: npt.NDArray[np.float64], rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """A random 8-point equaliser on a warped frequency axis, and a tilt."""
    if rng.random() > 0.7:
        return x
    spectrum = np.fft.rfft(x)
    axis = np.log1p(np.fft.rfftfreq(len(x), 1 / RATE) / 700) / np.log1p(8000 / 700)
    gain = np.interp(axis, np.linspace(0, 1, 8), rng.normal(0, rng.uniform(1, 6), 8)) + rng.normal(0, 4) * (axis - 0.5)
    return np.fft.irfft(spectrum * 10 ** (gain / 20), len(x))


def _breathy(x: npt.NDArray[np.float64], rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Noise-excited above 0, 0.8 or 2 kHz: whisper and breath."""
    hz, _, spectrum = stft(x, RATE, nperseg=512)
    above = hz >= rng.choice([0.0, 800.0, 2000.0])
    spectrum[above] = np.abs(spectrum[above]) * np.exp(2j * np.pi * rng.random(spectrum[above].shape))
    return istft(spectrum, RATE, nperseg=512)[1][: len(x)]


def _in_room(x: npt.NDArray[np.float64], rng: np.random.Generator) -> npt.NDArray[np.float64]:
    decay = rng.uniform(0.08, 0.6)
    t = np.arange(int(decay * RATE)) / RATE
    echo = rng.normal(size=len(t)) * np.exp(-6.9 * t / decay)
    echo *= rng.uniform(0.1, 0.7) / (np.linalg.norm(echo) + 1e-9)
    echo[0] = 1.0
    return fftconvolve(x, echo)[: len(x)]


def _noise(n: int, rng: np.random.Generator, babble: list[F32]) -> npt.NDArray[np.float64]:
    kind = rng.integers(5)
    if kind == 3 and len(babble) > 3:
        out = np.zeros(n)
        for k in rng.integers(len(babble), size=int(rng.integers(1, 5))):
            out += np.resize(np.roll(babble[k], int(rng.integers(len(babble[k])))), n)
    elif kind == 4:
        t, out = np.arange(n) / RATE, np.zeros(n)
        for start in np.arange(0, n / RATE, 0.5):
            inside = (t >= start) & (t < start + 0.5)
            for pitch in 110 * 2 ** (rng.integers(0, 36, 3) / 12):
                for h in range(1, 6):
                    out[inside] += np.sin(2 * np.pi * pitch * h * t[inside]) / h
    else:
        spectrum = np.fft.rfft(rng.normal(size=n))
        spectrum /= np.maximum(np.fft.rfftfreq(n, 1 / RATE), 30.0) ** (0.0, 0.5, 1.0)[min(kind, 2)]
        out = np.fft.irfft(spectrum, n)
    return out / (np.sqrt(np.mean(out**2)) + 1e-9)


def revoiced(sound: F32, rate: int, rng: np.random.Generator) -> F32:
    """The same words by another speaker: pitch, its movement, length of the vocal tract, breath (WORLD vocoder).

    Higher voices get shorter tracts, loosely. Times stay as they are.

    Args:
        sound: (n,) at `rate`.
    Returns:
        (n,), or the sound itself where it is hardly voiced.
    """
    import pyworld

    x = np.ascontiguousarray(sound, np.float64)
    coarse, times = pyworld.dio(x, rate, f0_floor=60.0, f0_ceil=500.0, frame_period=_PERIOD_MS)
    pitch = pyworld.stonemask(x, coarse, times, rate)
    voiced = pitch > 0
    if voiced.mean() < 0.1:
        return sound
    envelope, breath = pyworld.cheaptrick(x, pitch, times, rate), pyworld.d4c(x, pitch, times, rate)
    log = np.log(pitch[voiced])
    typical = np.log(rng.uniform(85.0, 270.0))
    n_knots = max(3, len(pitch) // 60)
    drift = np.interp(np.arange(len(pitch)), np.linspace(0, len(pitch), n_knots), rng.normal(0, 0.08, n_knots))
    jitter = rng.normal(0, rng.uniform(0, 0.02), len(log))
    changed = np.zeros_like(pitch)
    moved = typical + (log - log.mean()) * rng.uniform(0.6, 1.8) + drift[voiced] + jitter
    changed[voiced] = np.clip(np.exp(moved), 60.0, 450.0)
    tract = float(np.clip(np.exp(0.25 * (typical - log.mean()) + rng.normal(0, 0.07)), 0.8, 1.25))
    n = envelope.shape[1]
    bend = 1.0 + rng.normal(0, 0.03) * np.sin(np.pi * np.arange(n) / n)
    where = np.clip(np.arange(n) / tract * bend, 0, n - 1.001)
    low = where.astype(int)
    share = where - low

    def at_formants(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.ascontiguousarray(rows[:, low] * (1 - share) + rows[:, low + 1] * share)

    envelope = np.exp(at_formants(np.log(envelope + 1e-12)))
    breath = np.clip(at_formants(breath) ** np.exp(rng.normal(0, 0.5)), 0.0, 1.0)
    out = pyworld.synthesize(changed, envelope, breath, rate, _PERIOD_MS)[: len(x)]
    return np.pad(out, (0, len(x) - len(out))).astype(np.float32)
