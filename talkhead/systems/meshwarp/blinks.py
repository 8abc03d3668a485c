"""Blinks: when, how fast, how far.

People talking blink 10-33 times a minute (Doughty 2001), rates log-normal between people (Bentivoglio et al. 1997),
preferably where speech pauses (Nakano and Kitazawa 2010; Cummins 2012) and as the eyes jump (Evinger et al. 1994), not
all of them shutting the eye. In tracked talking clips lids are below half for 80-160 ms, 7 of 12 times within 0.2 s of
a pause.
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
        per_minute, rate_sd: median rate of people and its spread between them, of the logarithm.
        slowest, fastest: limits of the rate.
        min_gap_s: shortest time between two. gap_sd: of the logarithm of the gap.
        closing_s, shut_s, opening_s: phases of a blink.
        reach_s: a blink this near to a prompt (phrase end, glance) moves there most often (`moved_share`) and comes
            `after_s` +- `jitter_s` later.
        double_share: share of blinks that come twice. partial_share: share that does not shut the eye.
    """

    per_minute: float = 19.0
    rate_sd: float = 0.35
    slowest: float = 10.0
    fastest: float = 33.0
    min_gap_s: float = 1.0
    gap_sd: float = 0.5
    closing_s: float = 0.06
    shut_s: float = 0.04
    opening_s: float = 0.14
    reach_s: float = 1.2
    moved_share: float = 0.85
    after_s: float = 0.06
    jitter_s: float = 0.08
    double_share: float = 0.05
    partial_share: float = 0.12


DEFAULT_BLINKS = BlinkConfig()


def blink_times(
    duration_s: float,
    rng: np.random.Generator,
    prompts_s: npt.NDArray[np.float64] | None = None,
    config: BlinkConfig = DEFAULT_BLINKS,
) -> npt.NDArray[np.float64]:
    """Moments at which the lids begin to close, seconds, rising, (k,).

    Args:
        duration_s: of the video. rng: source of chance. prompts_s: moments that ask for a blink: phrase ends, glances
            away. config: statistics.
    """
    rate = config.per_minute * float(np.exp(config.rate_sd * rng.normal()))
    rate = float(np.clip(rate, config.slowest, config.fastest))
    typical = 60.0 / rate * np.exp(-(config.gap_sd**2) / 2)
    prompts = np.zeros(0) if prompts_s is None else np.asarray(prompts_s, np.float64)
    times: list[float] = []
    now = float(rng.uniform(0.15, 0.9)) * typical
    while now < duration_s - 0.1:
        gap = typical * float(np.exp(rng.normal(0.0, config.gap_sd)))
        moved, late = rng.random() < config.moved_share, config.after_s + config.jitter_s * float(rng.normal())
        twice, again = rng.random() < config.double_share, float(rng.uniform(0.3, 0.45))
        moment = now
        if moved and len(prompts):
            nearest = float(prompts[np.argmin(np.abs(prompts - now))])
            moment = nearest + late if abs(nearest - now) < config.reach_s else now
        if moment >= 0.0 and (not times or moment - times[-1] >= config.min_gap_s):
            times.extend([moment, moment + again] if twice else [moment])
        now += max(config.min_gap_s, gap)
    return np.asarray([t for t in times if t < duration_s - 0.1])


def blink_track(
    n_frames: int,
    fps: float,
    rng: np.random.Generator,
    prompts_s: npt.NDArray[np.float64] | None = None,
    config: BlinkConfig = DEFAULT_BLINKS,
) -> F32:
    """Lid closure over time, both eyes together, (T, 2) in 0..1; arguments as of `blink_times`.

    Lids fall fast and rise slowly; moments are continuous, so blinks begin between frames too, and every full blink is
    shut for at least one frame.
    """
    moments = frame_times(n_frames, fps)
    closure = np.zeros(n_frames)
    for start in blink_times(n_frames / fps, rng, prompts_s, config):
        pace, depth = float(rng.uniform(0.85, 1.25)), float(rng.uniform(0.93, 1.0))
        depth *= float(rng.uniform(0.55, 0.85)) if rng.random() < config.partial_share else 1.0
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
