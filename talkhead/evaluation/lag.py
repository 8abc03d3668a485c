"""How late the picture is against the sound, without a network: precise to 2 or 3 frames, no substitute for SyncNet.

Two readings. `lag~loudness` correlates the opening of the lips with loudness: on real speech its peak is no better than
chance, clip by clip, so it is given on request. `lag~mouth` foretells four curves of the mouth from the sound by a
linear map (`LipMap`) and correlates those. Both look +-12 frames far, at 25 frames per second; positive: picture late.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt

from talkhead.audio.framing import SAMPLE_RATE, Speech, framed, speech_samples
from talkhead.audio.mel import mel_filterbank
from talkhead.errors import CoeffFileError, InputError, ShapeError
from talkhead.evaluation.face_curves import RATE
from talkhead.evaluation.lips import loudness
from talkhead.evaluation.measurement import Measurement, measurement_of
from talkhead.evaluation.mesh_readings import MeshReadings
from talkhead.evaluation.onsets import BLOCK_S
from talkhead.files import atomic_output

F64 = npt.NDArray[np.float64]
Floats = npt.NDArray[np.floating[Any]]
Params = dict[str, float | int | str]

MAX_LAG = 12
LEAST_S = 4.0
RELIABLE = 0.25
"""Peak above the median of the curve; a weak gate: clips above it were 4 and 7 frames wrong."""
CURVES = ("gap", "width", "outer_gap", "pout")
N_MELS, CONTEXT = 20, 2  # bands; frames before and after
FLOOR = 1e-6  # of full scale, squared: silence
RIDGE = 1.0  # left-out clips are met equally well from 0.3 to 3

_HOP, _N_FFT = 160, 512
_ROWS_AT_ONCE = 4096
_STEPS = round(SAMPLE_RATE / RATE / _HOP)


@dataclass(frozen=True, kw_only=True, slots=True)
class Lag:
    """A correlation by lag.

    Attributes:
        curve: (25,) mean correlation with the picture 12 frames early ... 12 late. frames: where it peaks, by a
            parabola through the highest three. peak: its height. rise: peak above the median of the curve.
    """

    curve: F64
    frames: float
    peak: float
    rise: float

    @property
    def is_reliable(self) -> bool:
        """Whether the peak stands out; a weak gate."""
        return self.rise >= RELIABLE


def lag_curve(heard: Floats, seen: Floats) -> F64:
    """Pearson correlation of `heard[t]` and `seen[t + lag]`, mean over columns, for lags -12..12.

    Args:
        heard, seen: (T, D) or (T,). Columns that stand still count as 0.
    Returns:
        (25,).
    Raises:
        ShapeError: they differ in shape, or have fewer than 30 frames.
    """
    a, b = (np.asarray(x, np.float64).reshape(len(x), -1) for x in (heard, seen))
    if a.shape != b.shape:
        raise ShapeError("heard", a.shape, f"{b.shape}, as seen")
    n = len(a)
    if n < 30:
        raise ShapeError("heard", a.shape, "at least 30 frames")
    curve = np.zeros(2 * MAX_LAG + 1)
    for i, lag in enumerate(range(-MAX_LAG, MAX_LAG + 1)):
        first, second = a[max(0, -lag) : n - max(0, lag)], b[max(0, lag) : n - max(0, -lag)]
        first, second = first - first.mean(0), second - second.mean(0)
        norm = np.sqrt((first**2).sum(0) * (second**2).sum(0))
        curve[i] = np.divide((first * second).sum(0), norm, out=np.zeros_like(norm), where=norm > 1e-12).mean()
    return curve


def find_lag(curve: F64) -> Lag:
    """The peak of a curve (25,) of correlations, or of the mean of such curves over a set."""
    best = int(np.argmax(curve))
    offset = 0.0
    if 0 < best < len(curve) - 1:
        before, peak, after = curve[best - 1 : best + 2]
        bend = before - 2 * peak + after
        offset = float(0.5 * (before - after) / bend) if bend < 0 else 0.0
    height = float(curve[best])
    return Lag(curve=curve, frames=best - MAX_LAG + offset, peak=height, rise=height - float(np.median(curve)))


def loudness_lag(opening: Floats, speech: Speech) -> Lag:
    """Lag of the opening of the lips, (T,) at 25 frames per second, behind the root of the loudness."""
    return find_lag(lag_curve(np.sqrt(loudness(speech, len(opening))), opening))


def sound_levels(speech: Speech, n_frames: int) -> F64:
    """Log-mel levels of the sound in each frame of 40 ms, standardised over the clip.

    Returns:
        (n_frames, 20). Frames after the end of the sound are silent.
    """
    bank = mel_filterbank(_N_FFT, N_MELS, 60.0, SAMPLE_RATE / 2).T
    hann = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(_N_FFT) / _N_FFT)
    power, n_done = np.zeros((n_frames, N_MELS)), 0
    for frames in framed(speech_samples(speech, BLOCK_S), _N_FFT, _HOP):
        if n_done >= n_frames * _STEPS:
            break
        found = np.abs(np.fft.rfft(frames[: n_frames * _STEPS - n_done] * hann, axis=1)) ** 2 @ bank
        np.add.at(power, (n_done + np.arange(len(found))) // _STEPS, found)
        n_done += len(found)
    # In place: these are the largest numbers of a long clip.
    np.log(np.add(power, FLOOR, out=power), out=power)
    power -= power.mean(0)
    power /= np.sqrt(np.einsum("tm,tm->m", power, power) / max(len(power), 1)) + 1e-9
    return power


def band_levels(speech: Speech, n_frames: int) -> F64:
    """`sound_levels` with 2 frames around, (n_frames, 100): 20 bands of frames t - 2 ... t + 2."""
    padded = np.pad(sound_levels(speech, n_frames), ((CONTEXT, CONTEXT), (0, 0)), mode="edge")
    return np.concatenate([padded[i : i + n_frames] for i in range(2 * CONTEXT + 1)], axis=1)


def mouth_curves(readings: MeshReadings) -> F64:
    """Opening, width, outer opening and pout of a clip, bridged where no face was seen and standardised, (T, 4).

    Raises:
        InputError: fewer than half of the frames show the face.
    """
    found = readings.found
    if not len(found) or found.mean() < 0.5:
        raise InputError(f"{int(found.sum())} of {len(found)} frames show a face; half of them are needed for a lag")
    at = np.flatnonzero(found)
    columns = [np.interp(np.arange(len(found)), at, getattr(readings, name)[at]) for name in CURVES]
    return _standardised(np.stack(columns, -1))


@dataclass(frozen=True, kw_only=True, slots=True)
class LipMap:
    """A linear map from sound to mouth.

    Attributes:
        weights: (100, 4). origin: what it was fitted on.
    """

    weights: F64
    origin: str = ""

    def __post_init__(self) -> None:
        expected = (N_MELS * (2 * CONTEXT + 1), len(CURVES))
        if self.weights.shape != expected:
            raise ShapeError("weights", self.weights.shape, str(expected))

    def foretell(self, bands: F64) -> F64:
        """Curves of the mouth, (T, 4), from `band_levels`."""
        return bands @ self.weights

    def foretell_long(self, levels: F64) -> F64:
        """The same from `sound_levels`, (T, 20), in a fifth of the memory."""
        weights = self.weights.reshape(2 * CONTEXT + 1, N_MELS, len(CURVES))
        n = len(levels)
        out = np.zeros((n, len(CURVES)))
        for start in range(0, n, _ROWS_AT_ONCE):
            at = np.arange(start, min(start + _ROWS_AT_ONCE, n))
            for i, weight in enumerate(weights):
                out[at] += levels[np.clip(at + i - CONTEXT, 0, n - 1)] @ weight
        return out

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a .safetensors file."""
        from safetensors.numpy import save

        with atomic_output(path, overwrite=True, error=CoeffFileError) as temporary:
            temporary.write_bytes(save({"weights": self.weights.astype(np.float32)}, {"origin": self.origin}))


def load_lip_map(path: str | os.PathLike[str]) -> LipMap:
    """Read what `LipMap.save` wrote.

    Raises:
        CoeffFileError: unreadable, or of another kind.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="numpy") as file:
            weights = np.asarray(file.get_tensor("weights"), np.float64)
            return LipMap(weights=weights, origin=(file.metadata() or {}).get("origin", ""))
    except (OSError, SafetensorError, ShapeError) as error:
        raise CoeffFileError(f"{path} is no lip map: {error}", hint="scripts/fit_lag_map.py makes one") from error


@cache
def builtin_lip_map() -> LipMap:
    """The map that comes with the package; `origin` tells its clips (scripts/fit_lag_map.py)."""
    with resources.as_file(resources.files("talkhead") / "data" / "lip_map.safetensors") as path:
        return load_lip_map(path)


def in_sync(bands: F64, curves: F64, offset: float) -> tuple[F64, F64]:
    """Bands (T, 100) and curves (T, 4) of a clip whose picture is `offset` frames late, with the offset taken out."""
    moments = np.arange(len(bands)) + offset
    kept = (moments >= 0) & (moments <= len(bands) - 1)
    moved = [np.interp(moments[kept], np.arange(len(bands)), column) for column in curves.T]
    return bands[kept], np.stack(moved, -1)


def fit_lip_map(clips: Sequence[tuple[F64, F64]], *, ridge: float = RIDGE, origin: str = "") -> LipMap:
    """The ridge regression from sound to mouth over clips that are in sync.

    Args:
        clips: `band_levels` (T, 100) and `mouth_curves` (T, 4) of each. ridge: penalty per frame. origin: of the clips.
    Raises:
        InputError: no clips.
    """
    if not clips:
        raise InputError("a lip map needs at least one clip")
    bands, curves = (np.concatenate(side) for side in zip(*clips, strict=True))
    penalty = ridge * len(bands) * np.eye(bands.shape[1])
    return LipMap(weights=np.linalg.solve(bands.T @ bands + penalty, bands.T @ curves), origin=origin)


def mouth_lag(readings: MeshReadings, speech: Speech, lip_map: LipMap) -> Lag:
    """Lag of a mouth, read at 25 frames per second, behind the sound.

    Raises:
        InputError: too few faces. ShapeError: fewer than 30 frames.
    """
    curves = mouth_curves(readings)
    return find_lag(lag_curve(lip_map.foretell_long(sound_levels(speech, len(curves))), curves))


def lag_or_reason(readings: MeshReadings, speech: Speech | None, lip_map: LipMap | None = None) -> Lag | str:
    """`mouth_lag`, or why a clip has none: no sound, under 4 s, or a face in fewer than half of the frames.

    Args:
        readings: at 25 frames per second. speech: of the clip. lip_map: default the one that comes with the package.
    """
    why_not = _why_not(readings, speech)
    if why_not or speech is None:
        return why_not
    return mouth_lag(readings, speech, lip_map or builtin_lip_map())


def loudness_lag_measurement(readings: MeshReadings, speech: Speech | None, no_speech: str = "") -> Measurement:
    """`lag~loudness` of a clip; arguments as `lag_or_reason`, and why there is no sound."""
    lag: Lag | str = no_speech if speech is None and no_speech else _why_not(readings, speech)
    if not lag and speech is not None:
        at = np.flatnonzero(readings.found)
        lag = loudness_lag(np.interp(np.arange(len(readings)), at, readings.gap[at]), speech)
    return _row("lag~loudness", "lag/opening-loudness", lag, readings, {})


def lag_measurement(lag: Lag | str, readings: MeshReadings, lip_map: LipMap | None = None) -> Measurement:
    """`lag~mouth` of a clip, from what `lag_or_reason` gave."""
    origin = (lip_map or builtin_lip_map()).origin
    return _row("lag~mouth", "lag/ridge-20mel-5frames", lag, readings, {"lip_map": origin})


def set_lag_measurement(lags: Sequence[Lag]) -> Measurement:
    """`lag_set~mouth`: one lag of many clips made by one method, from the mean of their curves.

    Clips that shared no lag would not agree on a peak; the mean finds what they share.
    """
    mean = find_lag(np.mean([lag.curve for lag in lags], axis=0)) if lags else None
    return measurement_of(
        float("nan") if mean is None else mean.frames,
        "no clip has a lag",
        name="lag_set~mouth",
        definition="lag/ridge-20mel-5frames/mean-curve",
        grade="proxy",
        unit="frames",
        n_frames=0,
        n_clips=len(lags),
        params={"fps": RATE, "max_lag": MAX_LAG, **_confidence(mean)},
    )


def _why_not(readings: MeshReadings, speech: Speech | None) -> str:
    found = readings.found
    if speech is None:
        return "no sound"
    if len(found) < LEAST_S * RATE:
        return f"{len(found) / RATE:.1f} s are fewer than {LEAST_S:g} s"
    return "" if found.mean() >= 0.5 else "fewer than half of the frames show a face"


def _row(name: str, definition: str, lag: Lag | str, readings: MeshReadings, params: Params) -> Measurement:
    found = readings.found
    there = None if isinstance(lag, str) else lag
    return measurement_of(
        float("nan") if there is None else there.frames,
        lag if isinstance(lag, str) else "",
        name=name,
        definition=definition,
        grade="proxy",
        unit="frames",
        n_frames=int(found.sum()),
        frames_dropped=int((~found).sum()),
        params={"fps": RATE, "max_lag": MAX_LAG, **params, **_confidence(there)},
    )


def _confidence(lag: Lag | None) -> Params:
    return {} if lag is None else {"peak": lag.peak, "rise": lag.rise, "reliable": lag.is_reliable}


def _standardised(columns: F64) -> F64:
    return (columns - columns.mean(0)) / (columns.std(0) + 1e-9)
