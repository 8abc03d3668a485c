"""What a voice makes the head do: lift with loudness, liveliness, beats on stressed syllables, leaning between phrases.

Measured on tracked talking clips (scripts/measure_head_motion.py): loudness smoothed over half a second, read 0.3 s
ahead, explains a quarter of the pitch of people left out of the fit; the head moves faster while the voice is loud; in
three clips of four accented syllables come with a lift 0.1 s after the vowel from a dip 0.4 s before, in the fourth the
other way round; sideways leaning changes between phrases rather than within. In line with Hadar et al. (1983), Graf et
al. (2002), Munhall et al. (2004), Krivokapic (2014) and, for posture at boundaries, Shattuck-Hufnagel et al. (2010).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from talkhead.audio.prosody import STEPS_PER_SECOND, Prosody, runs, smoothed
from talkhead.audio.windows import frame_times, sample_track
from talkhead.systems.meshwarp.accents import accents
from talkhead.systems.meshwarp.head_dynamics import RATE

_LIFT_AHEAD_S, _LIFT_WIDTH_S = 0.3, 0.5
_CONTRAST = 5.0
_LIVELY_AHEAD_S, _LIVELY_WIDTH_S = 0.3, 0.4  # the oscillators answer a little later
_PAUSE_GAIN, _LONG_PAUSE_GAIN = 0.45, 0.3
_FORGET_AFTER_S, _FORGET_S = 0.5, 0.4  # a pause lowers the head for half a second; then it settles
_LOCAL_S = 16.0  # full width of the window that says what is loud
_BORDER_S = 0.3  # pauses from this length on are borders between phrases
_LONGEST_STAY_S = 10.0
_BEAT = ((1.0, 0.1, 0.14), (-0.45, -0.33, 0.17), (-0.2, 0.55, 0.2))  # bumps: height, seconds after the vowel, width
_BEAT_GAP_S, _BEAT_SHARE = 0.6, 0.4  # at least so far apart; of the syllables may get one

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Rhythm:
    """Tracks at 25 Hz, (n,) each.

    Attributes:
        lift: how far the head is raised by the voice, unit standard deviation in speech. liveliness: gain of its
            wandering, about 1 in speech. beats: short lifts on stressed syllables, peak about 1. lean: posture of the
            body, unit standard deviation, constant within phrases.
    """

    lift: F64
    liveliness: F64
    beats: F64
    lean: F64


def rhythm_of(prosody: Prosody | None, n_ticks: int, rng: np.random.Generator) -> Rhythm:
    """What the head gets from a voice, or from none.

    Args:
        prosody: of the voice; None or one without speech gives idling. n_ticks: steps of 1/25 s.
        rng: decides which syllables get a beat, and where the body leans.
    """
    lean_rng, beat_rng = rng.spawn(2)
    if prosody is None or not prosody.is_speech.any():
        quiet = np.zeros(n_ticks)
        lean = _lean(np.zeros((0, 2)), n_ticks, lean_rng)
        return Rhythm(lift=quiet, liveliness=np.full(n_ticks, _PAUSE_GAIN), beats=quiet, lean=lean)
    pauses = runs(~prosody.is_speech) / STEPS_PER_SECOND
    return Rhythm(
        lift=_lift(prosody, n_ticks),
        liveliness=_liveliness(prosody, n_ticks),
        beats=_beats(prosody, n_ticks, beat_rng),
        lean=_lean(pauses[pauses[:, 1] - pauses[:, 0] >= _BORDER_S], n_ticks, lean_rng),
    )


def _lift(prosody: Prosody, n_ticks: int) -> F64:
    level = np.maximum(prosody.level_db, prosody.speech_db - 40.0).astype(np.float64)
    spoken = prosody.is_speech
    usual = _local_mean(level, spoken)
    spread = np.sqrt(np.mean((level - usual)[spoken] ** 2)) + 1e-6
    deviation = np.clip((level - usual) / spread, -2.0, 2.0)
    deviation = smoothed(deviation * _settling(spoken), _LIFT_WIDTH_S)
    deviation /= deviation[spoken].std() + 0.1
    return sample_track(deviation, STEPS_PER_SECOND, n_ticks, RATE, lead_s=_LIFT_AHEAD_S)


def _liveliness(prosody: Prosody, n_ticks: int) -> F64:
    spoken = prosody.is_speech
    loudness = smoothed(prosody.loudness(), _LIVELY_WIDTH_S)
    strength = np.minimum(loudness / (_local_mean(loudness, spoken) + 1e-6), 1.5) ** _CONTRAST
    idle = _LONG_PAUSE_GAIN + (_PAUSE_GAIN - _LONG_PAUSE_GAIN) * smoothed(_settling(spoken), _LIVELY_WIDTH_S)
    gain = idle + (1.0 - _PAUSE_GAIN) * strength
    gain /= np.sqrt(np.mean(gain[spoken] ** 2))
    heard = sample_track(gain, STEPS_PER_SECOND, n_ticks, RATE, lead_s=_LIVELY_AHEAD_S)
    left_s = prosody.duration_s - frame_times(n_ticks, RATE)
    return np.asarray(heard * np.clip(left_s / 0.4, _LONG_PAUSE_GAIN, 1.0))  # nobody starts a move as the film ends


def _local_mean(track: F64, spoken: npt.NDArray[np.bool_]) -> F64:
    """What a track is in the speech of the seconds around, (n,): a quiet passage is not a dull one."""
    weight = spoken + 1e-3
    whole = float(np.average(track, weights=weight))
    around = smoothed(weight, _LOCAL_S)
    return np.asarray(smoothed(weight * (track - whole), _LOCAL_S) / around + whole)


def _settling(spoken: npt.NDArray[np.bool_]) -> F64:
    """(n,) 1 in speech and at the start of pauses, falling to 0 in long ones; rises again before speech returns."""
    share = np.ones(len(spoken))
    for start, end in runs(~spoken):
        since = np.arange(end - start) / STEPS_PER_SECOND
        share[start:end] = np.exp(-np.maximum(0.0, since - _FORGET_AFTER_S) / _FORGET_S)
    return share


def _beats(prosody: Prosody, n_ticks: int, rng: np.random.Generator) -> F64:
    """A short dip, a lift onto the accented vowel, and back: the mean course about accents in tracked clips."""
    track, moments = np.zeros(n_ticks), frame_times(n_ticks, RATE)
    for accent in accents(prosody, rng, share=_BEAT_SHARE, apart_s=_BEAT_GAP_S, skipped=0.15):
        near = slice(*np.searchsorted(moments, [accent.when_s - 1.2, accent.when_s + 1.5]))
        size = accent.size * float(rng.uniform(0.7, 1.2))
        for height, after_s, width_s in _BEAT:
            track[near] += size * height * np.exp(-0.5 * ((moments[near] - accent.when_s - after_s) / width_s) ** 2)
    return track


def _lean(pauses: F64, n_ticks: int, rng: np.random.Generator) -> F64:
    """Steps between postures, each a smooth move of 0.6-1.1 s around the middle of a pause."""
    track, moments, here = np.zeros(n_ticks), frame_times(n_ticks, RATE), 0.0
    for middle in _borders(pauses, n_ticks / RATE, rng):
        there = float(np.clip(0.5 * here + 0.87 * rng.normal(), -2.0, 2.0))
        share = np.clip((moments - middle) / rng.uniform(0.6, 1.1) + 0.5, 0.0, 1.0)
        track += (there - here) * share**3 * (share * (6.0 * share - 15.0) + 10.0)
        here = there
    return track


def _borders(pauses: F64, duration_s: float, rng: np.random.Generator) -> list[float]:
    """Moments at which posture changes: pauses, and in between when nobody pauses for long."""
    out, last = [], 0.0
    for middle in [*(pauses.mean(1) if len(pauses) else []), duration_s]:
        while middle - last > _LONGEST_STAY_S:
            last += float(rng.uniform(0.5, 1.0)) * _LONGEST_STAY_S
            out.append(last)
        if middle - last > 1.0 and middle < duration_s - 0.5:
            out.append(float(middle))
            last = float(middle)
    return out
