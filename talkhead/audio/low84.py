"""84 numbers a video frame about how speech sounds: HeadGAN's low-level features (Doukas et al. 2021, section 3.2).

21 short-term features every 2.5 ms over 20 ms - what pyAudioAnalysis (Giannakopoulos 2015) computes, without chroma -
and their differences; then mean and standard deviation over eight video frames around the frame. Named in
`SHORT_FEATURES`; a row is means, means of differences, deviations, deviations of differences.

`low84` is ours: 16 kHz, streaming, windows centred on the frame, finite in silence. `low84_compat` is the published
code's, for its checkpoints.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from talkhead.audio.framing import SAMPLE_RATE, Speech, speech_samples
from talkhead.audio.windows import frame_times
from talkhead.errors import ShapeError, UsageError

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

SHORT_FEATURES = (
    "zcr", "energy", "energy_entropy", "spectral_centroid", "spectral_spread", "spectral_entropy", "spectral_flux",
    "spectral_rolloff", *(f"mfcc_{i}" for i in range(1, 14)),
)  # fmt: skip
N_LOW = 4 * len(SHORT_FEATURES)

WINDOW_LENGTH, HOP_LENGTH = SAMPLE_RATE // 50, SAMPLE_RATE // 400
"""Samples of a short window (half a frame at 25 a second) and from one to the next (a sixteenth)."""
MID_STEPS = 128
"""Short windows in a row: eight frames at 25 a second, four before the frame's moment and four after."""

_STEPS_PER_SECOND = SAMPLE_RATE / HOP_LENGTH
_EPSILON = 1e-8
_N_BLOCKS = 10  # of an entropy
_ROLLOFF = 0.90
_N_MFCC = 13
_CHUNK = 4096  # short windows that are analysed at a time: 10 MB


def low84(speech: Speech, *, fps: float, n_frames: int) -> F32:
    """Features of video frames; frame i looks at the sound from `i / fps - 0.16` to `i / fps + 0.16` seconds.

    The sound is read twice, a block at a time: its mean and peak are taken out of it, as in the published code.

    Args:
        speech: mono speech. fps, n_frames: of the video; frames beyond the sound's end hear its last moment.
    Returns:
        (n_frames, 84) float32, finite.
    Raises:
        UsageError: `fps` or `n_frames` is not positive. InputError: the sample rate is below 2 kHz.
    """
    if n_frames < 1 or not (np.isfinite(fps) and fps > 0):
        raise UsageError(f"{n_frames} frames at {fps} a second: expected more than none")
    mean, peak = _level(speech)
    middles = np.rint(frame_times(n_frames, fps) * _STEPS_PER_SECOND).astype(np.int64)
    short = _with_differences(_short_features(_levelled(speech, mean, peak)))
    return _summaries(short, middles - MID_STEPS // 2).astype(np.float32)


def low84_compat(samples: npt.NDArray[np.int16], sample_rate: int, fps: float) -> F64:
    """Features as the published code has them, flaws kept.

    Row i summarises frames i to i + 7 (not centred); window and hop are rounded to whole samples at the sound's own
    rate, so that rows drift at 44.1 kHz; the mel bank takes the spectrum's bins to reach up to the sample rate; digital
    silence gives not-a-number in centroid and spread.

    Args:
        samples: (S,) or (S, channels), int16; channels are averaged. sample_rate, fps: of the sound and the video.
    Returns:
        (rows, 84) float64, one for each frame that begins before the last short window.
    Raises:
        ShapeError: another shape. UsageError: the sound is shorter than a short window.
    """
    if samples.ndim not in (1, 2):
        raise ShapeError("samples", samples.shape, "(S,) or (S, channels)")
    mono = samples.astype(np.float64) if samples.ndim == 1 else samples.astype(np.float64).mean(1)
    window, hop = round(sample_rate * 8 / (16 * fps)), round(sample_rate / (16 * fps))
    if len(mono) < window:
        raise UsageError(f"a sound of {len(mono)} samples is shorter than a window of {window}")
    signal = mono / 32768
    signal = (signal - signal.mean()) / (np.abs(signal).max() + 1e-10)
    views = np.lib.stride_tricks.sliding_window_view(signal, window)[::hop]
    with np.errstate(invalid="ignore"):
        short = _with_differences(_compat_features(views, sample_rate))
        return _summaries(short, np.arange(0, len(views), 16))


def _compat_features(views: F64, rate: int) -> Iterator[F64]:
    bank, before = mel_bank(rate, views.shape[1] // 2, highest=float(rate)), None
    for start in range(0, len(views), _CHUNK):
        found, before = _features(views[start : start + _CHUNK], before, rate, bank, floor=0.0)
        yield found


def _level(speech: Speech) -> tuple[float, float]:
    """Mean, and largest amplitude before the mean is taken out."""
    total, count, peak = 0.0, 0, 0.0
    for block in speech_samples(speech):
        total += float(block.sum())
        count += len(block)
        peak = max(peak, float(np.abs(block).max(initial=0.0)))
    return total / max(count, 1), peak


def _levelled(speech: Speech, mean: float, peak: float) -> Iterator[F64]:
    for block in speech_samples(speech):
        yield (block - mean) / (peak + 1e-10)


def _short_features(blocks: Iterator[F64]) -> Iterator[F64]:
    """Features (n, 21) of consecutive short windows; a sound shorter than one window is filled up with zeros."""
    bank = mel_bank(SAMPLE_RATE, WINDOW_LENGTH // 2, highest=SAMPLE_RATE / 2)
    rest, before, is_first = np.zeros(0), None, True
    for block in blocks:
        rest = np.concatenate([rest, block])
        while (n := min(_CHUNK, (len(rest) - WINDOW_LENGTH) // HOP_LENGTH + 1)) > 0:
            frames = np.lib.stride_tricks.sliding_window_view(rest, WINDOW_LENGTH)[::HOP_LENGTH][:n]
            found, before = _features(frames, before, SAMPLE_RATE, bank, floor=_EPSILON)
            rest, is_first = rest[n * HOP_LENGTH :], False
            yield found
    if is_first:
        filled = np.pad(rest, (0, WINDOW_LENGTH - len(rest)))[None]
        yield _features(filled, None, SAMPLE_RATE, bank, floor=_EPSILON)[0]


def _with_differences(features: Iterator[F64]) -> Iterator[F64]:
    """(n, 21) -> (n, 42): and by how much each differs from the window before; the first does not."""
    last = None
    for found in features:
        steps = np.diff(found, axis=0, prepend=found[:1] if last is None else last)
        last = found[-1:]
        yield np.concatenate([found, steps], 1)


def _summaries(short: Iterator[F64], starts: npt.NDArray[np.int64]) -> F64:
    """Mean and deviation of `MID_STEPS` short windows (n, 42) from each start on, as far as there are any, (T, 84).

    `starts` ascend and may lie outside the sound, whose ends are heard then. Only what the next row needs is held.
    """
    rows = np.empty((len(starts), N_LOW))
    kept, first, done = np.zeros((0, 2 * len(SHORT_FEATURES))), 0, 0

    def summary(start: int) -> F64:
        low = int(np.clip(start - first, 0, len(kept) - 1))
        part = kept[low : max(low + 1, start - first + MID_STEPS)]
        return np.concatenate([part.mean(0), part.std(0)])

    for found in short:
        kept = np.concatenate([kept, found])
        while done < len(starts) and starts[done] + MID_STEPS <= first + len(kept):
            rows[done] = summary(starts[done])
            done += 1
        if done == len(starts):
            return rows
        # The last short window stays: a row that starts beyond the end hears it.
        unused = min(starts[done] - first, len(kept) - 1)
        if unused > 0:
            kept, first = kept[unused:], first + unused
    for i in range(done, len(starts)):
        rows[i] = summary(starts[i])
    return rows


def _features(frames: F64, before: F64 | None, rate: int, bank: F64, floor: float) -> tuple[F64, F64]:
    """Short-term features.

    Args:
        frames: (n, window). before: spectrum of the window before the first, (bins,); None: there is none.
        rate: samples per second. bank: (40, bins) mel triangles. floor: the least that a spectrum's peak counts as.
    Returns:
        (n, 21); the last spectrum (bins,).
    """
    length = frames.shape[1]
    n_bins = length // 2
    spectra = np.abs(np.fft.rfft(frames, axis=1))[:, :n_bins] / n_bins
    energies = (frames**2).sum(1)
    crossings = np.abs(np.diff(np.sign(frames), axis=1)).sum(1) / 2 / (length - 1)
    centroid, spread = _centroid_and_spread(spectra, rate, floor)
    powers = spectra**2
    shares = spectra / (spectra + _EPSILON).sum(1, keepdims=True)
    first = shares[:1] if before is None else (before / (before + _EPSILON).sum())[None]
    flux = (np.diff(shares, axis=0, prepend=first) ** 2).sum(1)
    cepstra = np.log10(spectra @ bank.T + _EPSILON) @ _cosines(len(bank)).T
    columns = (
        crossings, energies / length, _entropy(frames**2, energies), centroid, spread,
        _entropy(powers, powers.sum(1)), flux, _rolloff(powers),
    )  # fmt: skip
    return np.concatenate([np.stack(columns, 1), cepstra], 1), spectra[-1]


def _centroid_and_spread(spectra: F64, rate: int, floor: float) -> tuple[F64, F64]:
    """Middle and width of spectra (n, bins), both as shares of half the sample rate."""
    n_bins = spectra.shape[1]
    frequencies = np.arange(1, n_bins + 1) * (rate / (2 * n_bins))
    scaled = spectra / np.maximum(spectra.max(1, keepdims=True), floor)
    total = scaled.sum(1) + _EPSILON
    centroid = scaled @ frequencies / total
    spread = np.sqrt((scaled * (frequencies - centroid[:, None]) ** 2).sum(1) / total)
    return centroid / (rate / 2), spread / (rate / 2)


def _entropy(powers: F64, totals: F64) -> F64:
    """How evenly powers (n, length) are spread over ten equal stretches, bits; what is left over counts as nothing."""
    n, length = powers.shape
    stretch = length // _N_BLOCKS
    parts = powers[:, : stretch * _N_BLOCKS].reshape(n, _N_BLOCKS, stretch).sum(2)
    shares = parts / (totals[:, None] + _EPSILON)
    return -(shares * np.log2(shares + _EPSILON)).sum(1)


def _rolloff(powers: F64) -> F64:
    """Below which share of the bins 90 % of the power lies; 0 of none."""
    above = np.cumsum(powers, 1) + _EPSILON > _ROLLOFF * powers.sum(1, keepdims=True)
    return above.argmax(1) / powers.shape[1]


@functools.lru_cache(maxsize=8)
def mel_bank(rate: int, n_bins: int, highest: float) -> F64:
    """40 triangles of equal area: 13 at even steps from 133 Hz, 27 at even ratios above (Slaney's Auditory Toolbox).

    Args:
        rate: samples per second. n_bins: of the spectrum. highest: frequency that the bins are taken to reach up to:
            half the rate, or by mistake (`low84_compat`) the rate.
    Returns:
        (40, n_bins).
    """
    n_linear, n_log, lowest, step, ratio = 13, 27, 133.33, 200 / 3, 1.0711703
    linear = lowest + step * np.arange(n_linear)
    edges = np.concatenate([linear, linear[-1] * ratio ** np.arange(1, n_log + 3)])
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    bins = np.arange(n_bins)
    frequencies = bins * (highest / n_bins)
    place = edges * (n_bins / highest)
    a, b, c = (np.floor(x)[:, None] for x in (place[:-2], place[1:-1], place[2:]))
    height = 2 / (high - low)
    rising = np.where((bins > a) & (bins <= b), (frequencies - low) / (middle - low), 0)
    falling = np.where((bins > b) & (bins <= c), (high - frequencies) / (high - middle), 0)
    bank = height * (rising + falling)
    bank.setflags(write=False)
    return bank


def _cosines(n: int) -> F64:
    """(13, n): the orthonormal cosine transform (type II)."""
    k = np.arange(_N_MFCC)[:, None]
    cosines = np.cos(np.pi * k * (2 * np.arange(n) + 1) / (2 * n)) * np.sqrt(2 / n)
    cosines[0] /= np.sqrt(2)
    return cosines
