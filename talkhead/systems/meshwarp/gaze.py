"""Where the eyes of a talking face look: fixations about the camera, glances away when a phrase begins, lids along.

Speakers look away as they begin to speak and in pauses, and back towards the end (Kendon 1967); glances away last about
0.9 s (Lee, Badler and Badler 2002). Upper lids follow vertical gaze closely (Becker and Fuchs 1988). In tracked talking
clips the eyes take back 0.6-0.8 of the head's turn and 0.4-0.65 of its nod.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from talkhead.audio.prosody import STEPS_PER_SECOND, Prosody, runs
from talkhead.audio.windows import frame_times

MAX_GLANCE = 0.10  # radians sideways; farther, a face in a picture seems to look at something
_BACK = np.array([0.7, 0.5])  # share of the head's turn and nod that the eyes take back
_JUMP_S = 0.04
_SHORTEST_S = 0.25
_FIXATION_S, _FIXATION_SD = 1.0, 0.55  # median and spread of the logarithm
_SCAN = np.array([0.014, 0.008])  # standard deviation of fixations about the camera, radians
_AWAY_S, _AWAY_SD = 0.9, 0.35
_AWAY_IN_PAUSE, _PAUSE_S = 0.5, 0.3
_AWAY_EVERY_S, _APART_S = 7.0, 2.0  # in long speech without pauses, and while idling
_LID_PER_RADIAN = 1.3  # closure; 12 mm of eyeball radius over about 9 mm of open eye

F64 = npt.NDArray[np.float64]
F32 = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class Glance:
    """The eyes leave the camera at `start_s` for `length_s`, to x and y radians."""

    start_s: float
    length_s: float
    x: float
    y: float


def gaze_of_seed(n_frames: int, fps: float, seed: int, prosody: Prosody | None = None) -> F32:
    """`gaze_track` of a seed; expression and head motion of one seed thus move the eyes alike."""
    return gaze_track(n_frames, fps, np.random.default_rng([seed, 1]), glances_of_seed(n_frames / fps, seed, prosody))


def glances_of_seed(duration_s: float, seed: int, prosody: Prosody | None = None) -> list[Glance]:
    """`glances` of a seed."""
    return glances(duration_s, np.random.default_rng([seed, 4]), prosody)


def gaze_track(n_frames: int, fps: float, rng: np.random.Generator, away: list[Glance] | None = None) -> F32:
    """Eye movements of somebody who talks to the camera, (T, 2) radians, x to image right, y up, starting at 0.

    Args:
        n_frames, fps: of the video. rng: of the fixations. away: glances away from the camera, in order.
    """
    moments = frame_times(n_frames, fps)
    gaze, here = np.zeros((n_frames, 2)), np.zeros(2)
    targets = _targets(n_frames / fps, rng, away or [])
    for (start, there), (end, _) in pairwise([*targets, (np.inf, here)]):
        stay = slice(*np.searchsorted(moments, [start, end]))
        share = np.clip((moments[stay] - start) / _JUMP_S, 0.0, 1.0)[:, None]
        gaze[stay] = here + share * (there - here)
        here = there
    return gaze.astype(np.float32)


def _targets(duration_s: float, rng: np.random.Generator, away: list[Glance]) -> list[tuple[float, F64]]:
    """When the eyes jump, and where to: from fixation to fixation, glances in between."""
    targets: list[tuple[float, F64]] = []
    now = float(rng.uniform(0.5, 1.5))
    for glance in [*away, None]:
        until = duration_s if glance is None else glance.start_s
        while now < until - _SHORTEST_S:
            targets.append((now, rng.normal(size=2) * _SCAN))
            now += float(np.clip(_FIXATION_S * rng.lognormal(0.0, _FIXATION_SD), _SHORTEST_S, 4.0))
        if glance is not None:
            if now > until:  # the fixation that was to last longer is cut short
                now = until
            targets.append((now, np.array([glance.x, glance.y])))
            now += glance.length_s
    return targets


def counter_gaze(rot: F64) -> F64:
    """What the eyes take back of a head's rotations (T, 3) radians, (T, 2) radians."""
    return np.asarray(_BACK * np.stack([-rot[:, 1], rot[:, 0]], -1))


def lids_with_gaze(gaze: npt.NDArray[np.floating[Any]]) -> F64:
    """How far the lids come down with a gaze (T, 2), both eyes alike, (T, 2) closure, below 0 when looking up."""
    return np.asarray(np.repeat(-_LID_PER_RADIAN * np.asarray(gaze, np.float64)[:, 1:], 2, 1))


def glances(duration_s: float, rng: np.random.Generator, prosody: Prosody | None = None) -> list[Glance]:
    """When and where somebody looks away: from pauses into the next words, and now and then besides.

    Args:
        duration_s: of the video. rng: source of chance. prosody: of the voice; None while idling.
    """
    begins: list[float] = []
    if prosody is not None and prosody.is_speech.any():
        for start, end in runs(~prosody.is_speech) / STEPS_PER_SECOND:
            if start > 0 and end < prosody.duration_s and end - start >= _PAUSE_S and rng.random() < _AWAY_IN_PAUSE:
                begins.append(max(start + 0.05, end - float(rng.uniform(0.15, 0.5))))
    edges = [1.0, *begins, duration_s]
    for before, after in pairwise(edges):
        now = before + _APART_S + float(rng.exponential(_AWAY_EVERY_S))
        while now < after - _APART_S:
            begins.append(now)
            now += _APART_S + float(rng.exponential(_AWAY_EVERY_S))
    chosen: list[Glance] = []
    for begin in sorted(begins):
        if not chosen or begin > chosen[-1].start_s + chosen[-1].length_s + 0.5:
            chosen.append(_glance(begin, rng))
    return chosen


def _glance(start_s: float, rng: np.random.Generator) -> Glance:
    """Aside, and level, up or down about equally often."""
    side = 1.0 if rng.random() < 0.5 else -1.0
    height = float(rng.choice([0.035, 0.0, -0.04])) + float(np.clip(rng.normal(0.0, 0.01), -0.02, 0.02))
    return Glance(
        start_s=start_s,
        length_s=float(np.clip(_AWAY_S * rng.lognormal(0.0, _AWAY_SD), 0.4, 2.2)),
        x=side * float(rng.uniform(0.04, MAX_GLANCE)),
        y=height,
    )
