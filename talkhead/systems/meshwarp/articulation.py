"""Speech -> what the mouth does, as named tracks: rules on the spectrum (first version).

Only `mouth_tracks` is used by the rest; a predictor with the same result can take its place.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from talkhead.audio.framing import Speech
from talkhead.audio.prosody import STEPS_PER_SECOND, Prosody, analyse, smoothed
from talkhead.audio.windows import count_frames, sample_track

VISUAL_LEAD_S = 0.04  # lips are this much ahead of the sound (mean over tracked clips)
OPENS_BEFORE_S, FADE_S = 0.08, 0.18
_SPEECH_MEAN, _SPEECH_SD = 0.45, 0.29  # of real openings, in units of a speaker's 95th percentile

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class MouthTracks:
    """What the mouth does, (T,) each, 0 = at rest with the lips together.

    Attributes:
        open: distance of the inner lips, 1 = as wide as a speaker's widest vowels (95th percentile).
        jaw: lowering of the chin. wide: corners apart. pucker: corners together, lips forward. funnel: lips rounded
            and apart. close: lips pressed (p b m). tuck: lower lip under the upper teeth (f v). upper, lower: lips
            drawn off the teeth.
    """

    open: F64
    jaw: F64
    wide: F64
    pucker: F64
    funnel: F64
    close: F64
    tuck: F64
    upper: F64
    lower: F64

    def stacked(self) -> F64:
        """All tracks in the order of the fields, (T, 9)."""
        return np.stack([getattr(self, f.name) for f in fields(self)], -1)


def mouth_tracks(speech: Speech, fps: float = 25.0, *, prosody: Prosody | None = None) -> MouthTracks:
    """What the mouth does while these sounds are spoken.

    Args:
        speech: mono speech. fps: frames per second of the tracks. prosody: of the same speech, if at hand.
    Returns:
        Tracks of `count_frames(duration, fps)` frames; all at rest where there is no speech.
    Raises:
        InputError: the sound has no samples.
    """
    prosody = prosody or analyse(speech)
    n_frames = count_frames(prosody.duration_s, fps)
    if not prosody.is_speech.any():
        return MouthTracks(**{f.name: np.zeros(n_frames) for f in fields(MouthTracks)})
    steps = _rules(prosody) * speech_gate(prosody)[:, None]
    sampled = sample_track(steps, STEPS_PER_SECOND, n_frames, fps, lead_s=VISUAL_LEAD_S)
    return MouthTracks(**{f.name: sampled[:, i] for i, f in enumerate(fields(MouthTracks))})


def speech_gate(prosody: Prosody) -> F64:
    """1 in speech, 0 in pauses; rises 80 ms before the sound and falls over 180 ms after it, (n,) at 100 steps/s."""
    early, late = round(OPENS_BEFORE_S * STEPS_PER_SECOND), round(FADE_S * STEPS_PER_SECOND)
    rise = 0.5 - 0.5 * np.cos(np.pi * np.arange(1, early + 1) / (early + 1))
    fall = 0.5 + 0.5 * np.cos(np.pi * np.arange(1, late + 1) / (late + 1))
    spoken = prosody.is_speech.astype(np.float64)
    gate, n = spoken.copy(), len(spoken)
    for shift, weight in enumerate(rise[::-1][:n], 1):
        gate[: n - shift] = np.maximum(gate[: n - shift], weight * spoken[shift:])
    for shift, weight in enumerate(fall[:n], 1):
        gate[shift:] = np.maximum(gate[shift:], weight * spoken[: n - shift])
    return gate


def _rules(prosody: Prosody) -> F64:
    """Phonetic rules on band levels and formant regions, (n, 9) at 100 steps per second."""
    spoken = prosody.is_speech
    bands = np.maximum(prosody.bands_db, prosody.speech_db - 60.0).astype(np.float64)

    def scores(track: npt.NDArray[np.floating[Any]]) -> F64:
        values = smoothed(np.asarray(track, np.float64), 0.05)
        return np.asarray(np.clip((values - values[spoken].mean()) / (values[spoken].std() + 1e-6), -3.0, 3.0))

    murmur, mid, teeth, hiss = (scores(bands[:, i]) for i in (0, 2, 3, 4))
    jaw_region, front = scores(prosody.jaw_hz), scores(prosody.front_hz)
    loud = scores(np.maximum(prosody.level_db, prosody.speech_db - 60.0))
    sibilance = _rise(bands[:, 4] - bands[:, 1], 3.0, 15.0)
    shibilance = _rise(bands[:, 3] - bands[:, 1], 3.0, 15.0)
    voiced = _rise(bands[:, 0] - bands[:, 4], 0.0, 12.0) * _rise(loud, -1.5, 0.0)
    opening = np.clip(_SPEECH_MEAN + _SPEECH_SD * (jaw_region + teeth + hiss - murmur) / 1.9, 0.0, 1.15)
    # Nasal murmur and voiced closures: low band strong, everything above it gone. Unvoiced ones: a short dip of all.
    hum = _rise(bands[:, 0] - np.logaddexp(bands[:, 1], bands[:, 2]), 4.0, 12.0) * _rise(murmur, -0.5, 0.5)
    dip = _rise(_valley(mid), 1.0, 2.2) * (1.0 - sibilance)
    close = np.clip(np.maximum(hum, 0.8 * dip), 0.0, 1.0)
    open_lips = opening * (1.0 - 0.9 * close)
    back = voiced * _rise(-front, 0.3, 1.5) * (1.0 - close)
    tuck = _rise(hiss - teeth, 0.3, 1.2) * _rise(-loud, 0.3, 1.2) * (1.0 - sibilance) * (1.0 - dip)
    tracks = [
        open_lips * (1.0 - 0.6 * tuck) * (1.0 - 0.35 * back),
        np.clip(0.35 + 0.22 * (jaw_region + 0.7 * loud - 0.5 * front), 0.0, 1.0) * (1.0 - 0.7 * close),
        np.clip(0.25 + 0.2 * (front + hiss - 0.5 * jaw_region), 0.0, 1.0) * (1.0 - back) * (1.0 - close),
        0.7 * back * _rise(-jaw_region, -0.5, 1.0),
        0.5 * back + 0.5 * shibilance * (1.0 - sibilance),
        close,
        0.8 * tuck,
        0.15 + 0.15 * sibilance - 0.15 * close,
        np.clip(0.25 + 0.15 * sibilance - 0.25 * close - 0.2 * back, 0.0, 1.0),
    ]
    return np.stack([smoothed(t, 0.06) for t in tracks], -1)


def _rise(values: F64, low: float, high: float) -> F64:
    """0 below `low`, 1 above `high`, smooth between."""
    x = np.clip((values - low) / (high - low), 0.0, 1.0)
    return np.asarray(x * x * (3.0 - 2.0 * x))


def _valley(track: F64, reach_s: float = 0.09) -> F64:
    """How far each step lies below the lower of the two peaks within `reach_s` to either side."""
    reach = round(reach_s * STEPS_PER_SECOND)
    padded = np.pad(track, reach, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, reach + 1).max(1)
    before, after = windows[: len(track)], windows[reach : reach + len(track)]
    return np.asarray(np.minimum(before, after) - track)
