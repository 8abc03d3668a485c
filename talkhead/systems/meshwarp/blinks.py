"""Blinks and small eye movements: when, how fast, how far.

Rates and durations: spontaneous blinks of people talking, 18 +- 8 per minute with log-normal gaps, 80-200 ms below 60 %
of the usual lid opening; they fall on phrase ends more often than inside phrases.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from talkhead.audio.windows import frame_times

F32 = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class BlinkConfig:
    """Statistics of blinking.

    Attributes:
        per_minute, per_minute_sd: mean rate of people and its spread between them. min_gap_s: shortest time between
            two. gap_sd: of the logarithm of the gap. closing_s, shut_s, opening_s: phases. phrase_reach_s: a blink
            this near to a phrase end moves there. double_share: share of blinks that come twice.
    """

    per_minute: float = 18.0
    per_minute_sd: float = 8.0
    min_gap_s: float = 1.0
    gap_sd: float = 0.5
    closing_s: float = 0.06
    shut_s: float = 0.04
    opening_s: float = 0.14
    phrase_reach_s: float = 0.8
    double_share: float = 0.05


DEFAULT_BLINKS = BlinkConfig()


def blink_times(
    duration_s: float,
    rng: np.random.Generator,
    phrase_ends_s: npt.NDArray[np.float64] | None = None,
    config: BlinkConfig = DEFAULT_BLINKS,
) -> npt.NDArray[np.float64]:
    """Moments at which the lids begin to close, seconds, rising, (k,)."""
    rate = float(np.clip(rng.normal(config.per_minute, config.per_minute_sd), 0.4 * config.per_minute, 30.0))
    typical = 60.0 / rate * np.exp(-(config.gap_sd**2) / 2)
    ends = np.zeros(0) if phrase_ends_s is None else np.asarray(phrase_ends_s, np.float64)
    times: list[float] = []
    now = float(rng.uniform(0.4, 0.9)) * typical
    while now < duration_s - 0.1:
        moment = now
        if len(ends):
            nearest = float(ends[np.argmin(np.abs(ends - now))])
            if abs(nearest - now) < config.phrase_reach_s and nearest < duration_s - 0.1:
                moment = nearest
        if not times or moment - times[-1] >= config.min_gap_s:
            times.append(moment)
            if rng.random() < config.double_share:
                times.append(moment + float(rng.uniform(0.3, 0.45)))
        now = max(now, moment) + max(config.min_gap_s, typical * float(np.exp(rng.normal(0.0, config.gap_sd))))
    return np.asarray([t for t in times if t < duration_s - 0.1])


def blink_track(
    n_frames: int,
    fps: float,
    rng: np.random.Generator,
    phrase_ends_s: npt.NDArray[np.float64] | None = None,
    config: BlinkConfig = DEFAULT_BLINKS,
) -> F32:
    """Lid closure over time, both eyes together, (T, 2) in 0..1.

    Lids fall fast and rise slowly; moments are continuous, so blinks begin between frames too, and every blink is shut
    for at least one frame.
    """
    moments = frame_times(n_frames, fps)
    closure = np.zeros(n_frames)
    for start in blink_times(n_frames / fps, rng, phrase_ends_s, config):
        pace, depth = float(rng.uniform(0.85, 1.25)), float(rng.uniform(0.93, 1.0))
        shut_s = max(config.shut_s * pace, 1.0 / fps)
        span = np.searchsorted(moments, [start, start + (config.closing_s + config.opening_s) * pace + shut_s])
        near = slice(*span)
        profile = _profile(moments[near] - start, config.closing_s * pace, shut_s, config.opening_s * pace)
        closure[near] = np.maximum(closure[near], depth * profile)
    return np.repeat(closure[:, None], 2, 1).astype(np.float32)


def _profile(t: npt.NDArray[np.float64], closing_s: float, shut_s: float, opening_s: float) -> npt.NDArray[np.float64]:
    falling = np.sin(0.5 * np.pi * np.clip(t / closing_s, 0.0, 1.0)) ** 2
    rest = np.clip((t - closing_s - shut_s) / opening_s, 0.0, 1.0)
    return np.asarray(falling * (0.5 + 0.5 * np.cos(np.pi * rest**0.8)))


def gaze_of_seed(n_frames: int, fps: float, seed: int) -> F32:
    """`gaze_track` of a seed; expression and head motion of one seed thus move the eyes alike."""
    return gaze_track(n_frames, fps, np.random.default_rng([seed, 1]))


def gaze_track(n_frames: int, fps: float, rng: np.random.Generator, extent: float = 1.0) -> F32:
    """Small jumps of the eyes around the camera, (T, 2) radians, x to image right, y up, starting at 0.

    Fixations of 0.5-3 s; a jump lasts 40 ms.

    Args:
        n_frames, fps: of the video. rng: source of chance. extent: factor on all angles.
    """
    moments = frame_times(n_frames, fps)
    gaze = np.zeros((n_frames, 2))
    start, here = float(rng.uniform(0.6, 2.0)), np.zeros(2)
    while start < moments[-1]:
        there = rng.normal(0.0, 1.0, 2) * (0.035, 0.018) * (1.0 if rng.random() < 0.6 else 0.3)
        following = start + float(np.clip(rng.lognormal(0.2, 0.6), 0.5, 4.0))
        rest = slice(*np.searchsorted(moments, [start, following + 0.04]))
        share = np.clip((moments[rest] - start) / 0.04, 0.0, 1.0)[:, None]
        gaze[rest] = here + share * (there - here)
        here, start = there, following
    return (extent * np.clip(gaze, -0.08, 0.08)).astype(np.float32)
