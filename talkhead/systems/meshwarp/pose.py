"""Head motion from speech: a noisy oscillator that follows the voice, as heads of talking people do.

Rotations wander (`head_dynamics`) in the rhythm of the voice (`head_rhythm`); translation follows from turning about
the neck and from leaning; the eyes look back. Everything starts at the source's own pose, at rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from talkhead.audio.framing import Speech
from talkhead.audio.prosody import Prosody, analyse
from talkhead.audio.windows import count_frames, frame_times
from talkhead.coeffs.container import Coeffs
from talkhead.errors import UsageError
from talkhead.systems.meshwarp.config import UNITS_PER_EYE_DISTANCE
from talkhead.systems.meshwarp.gaze import counter_gaze, gaze_of_seed
from talkhead.systems.meshwarp.head_dynamics import (
    RATE,
    SD_DEG,
    Dynamics,
    carried_along,
    learnt,
    numbered,
    population,
)
from talkhead.systems.meshwarp.head_rhythm import Rhythm, rhythm_of

Style = Literal["still", "calm", "natural", "lively", "presenter"]
STYLES: tuple[Style, ...] = get_args(Style)
N_NUMBERED = 46
POSE_SPACE = "pose"  # rotations and translations mean the same in every space

_LEAN_TILT_SHARE, _LEAN_SHIFT_SHARE = 0.25, 0.5  # of the variance of roll and of sideways sway is posture
_SWAY_TEMPO = 0.6  # shoulders move slower than heads
_SOFT_LIMIT_DEG = np.array([13.0, 18.0, 12.0])  # beyond that a single photo shows what it cannot know
_SHIFT_LIMIT = 0.2  # eye distances; farther, somebody walks out of the picture
_DEPARTURE_S = 0.8

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Manner:
    """How a style differs from people in general.

    Attributes:
        extent: factors on pitch, yaw and roll. beat_deg: lift on the strongest syllables. voice_share: how much of the
            pitch variance follows the voice (0.1-0.5 in tracked clips). sway: factor on the motion of the shoulders.
    """

    extent: tuple[float, float, float] = (1.0, 1.0, 1.0)
    beat_deg: float = 1.6
    voice_share: float = 0.2
    sway: float = 1.0


MANNERS: dict[Style, Manner] = {
    "still": Manner(extent=(0.0, 0.0, 0.0), beat_deg=0.0, sway=0.0),
    "calm": Manner(extent=(0.5, 0.5, 0.5), beat_deg=0.8, sway=0.5),
    "natural": Manner(),
    "lively": Manner(extent=(1.45, 1.45, 1.45), beat_deg=2.4, sway=1.3),
    "presenter": Manner(extent=(0.95, 0.45, 0.6), beat_deg=2.4, voice_share=0.35, sway=0.5),
}


def pose(
    speech: Speech | None,
    *,
    fps: float = 25.0,
    seed: int = 0,
    style: str | int = "natural",
    motion: float = 1.0,
    reference: Coeffs | None = None,
    duration_s: float | None = None,
    fixate: bool = True,
) -> Coeffs:
    """Head motion for a voice, or idle motion for none.

    Args:
        speech: mono speech; None for idle motion of `duration_s` seconds.
        fps: frames per second. seed: of all chance. motion: further factor on all angles and shifts, 0..3.
        style: a name of `STYLES` (`still` does not move at all; `presenter` faces the camera and beats time), or a
            number 0..45: a person with an own extent, tempo and beat, the same for every seed.
        reference: coefficients of at least 3 s of a talking head whose manner of moving to take on; needs `rot`.
        duration_s: length of idle motion. fixate: turn the eyes against the head, as eyes do that look at somebody.
    Returns:
        `rot` (T, 3) and `trans` (T, 3), relative to the source's own pose; frame 0 is zero. With `fixate` also `gaze`
        (T, 2), the eye movements of `audio2coeff` with the same seed included.
    Raises:
        InputError: the sound has no samples; the reference has no rotations or is too short.
        UsageError: unknown style, motion or fps out of range, neither speech nor duration.
    """
    manner, dynamics = _manner_of(style)
    if not 0.0 <= motion <= 3.0:
        raise UsageError(f"motion is {motion:g}, expected 0..3")
    if speech is None and duration_s is None:
        raise UsageError("head motion needs speech or a duration")
    prosody = None if speech is None else analyse(speech)
    seconds = float(duration_s or 0.0) if prosody is None else prosody.duration_s
    n_frames = count_frames(seconds, fps)
    n_ticks = count_frames(seconds, RATE) + 1
    dynamics = dynamics if reference is None else learnt(reference)
    rhythm_rng, wander_rng, sway_rng = np.random.default_rng([seed, 7]).spawn(3)
    rhythm = rhythm_of(prosody, n_ticks, rhythm_rng)
    degrees, shift = _motion(dynamics, manner, rhythm, wander_rng, sway_rng)
    limit = _SOFT_LIMIT_DEG * max(1.0, motion)
    rot = np.deg2rad(_at_rate(limit * np.tanh(motion * degrees / limit), n_frames, fps))
    trans = np.zeros((n_frames, 3))
    trans[:, :2] = UNITS_PER_EYE_DISTANCE * (carried_along(rot) + motion * _at_rate(shift, n_frames, fps))
    gaze = _looking(rot, n_frames, fps, seed, prosody) if fixate else None
    return Coeffs(
        space=POSE_SPACE,
        fps=float(fps),
        n_frames=n_frames,
        rot=rot.astype(np.float32),
        trans=trans.astype(np.float32),
        gaze=gaze,
        relative=frozenset({"rot", "trans", "gaze"} if fixate else {"rot", "trans"}),
    )


def _manner_of(style: str | int) -> tuple[Manner, Dynamics]:
    name = str(style)
    if name.isascii() and name.isdecimal() and int(name) < N_NUMBERED:
        number = int(name)
        rng = np.random.default_rng([number, 47])
        person = numbered(number)
        beat_deg = float(rng.lognormal(0.4, 0.5)) * float(np.sqrt(person.sd_deg[0] / SD_DEG[0]))
        beat_deg *= 1.0 if rng.random() < 0.75 else -1.0  # three clips of four lift, one dips
        return Manner(beat_deg=beat_deg, voice_share=float(rng.uniform(0.1, 0.4))), person
    for known in STYLES:
        if name == known:
            return MANNERS[known], population()
    raise UsageError(
        f"unknown style {name!r}", hint=f"styles: {', '.join(STYLES)}, or a number from 0 to {N_NUMBERED - 1}"
    )


def _motion(
    dynamics: Dynamics, manner: Manner, rhythm: Rhythm, rng: np.random.Generator, sway_rng: np.random.Generator
) -> tuple[F64, F64]:
    """Angles (n, 3) in degrees and shifts of the shoulders (n, 2) in eye distances, from rest at zero."""
    extent = np.array(manner.extent)
    sd = extent * dynamics.sd_deg
    degrees = extent * dynamics.wander(rhythm.liveliness, rng)
    degrees[:, 0] *= np.sqrt(1.0 - manner.voice_share)
    degrees[:, 0] -= np.sqrt(manner.voice_share) * sd[0] * rhythm.lift
    degrees[:, 0] -= manner.beat_deg * dynamics.sd_deg[0] / SD_DEG[0] * rhythm.beats
    degrees[:, 2] *= np.sqrt(1.0 - _LEAN_TILT_SHARE)
    degrees[:, 2] += np.sqrt(_LEAN_TILT_SHARE) * sd[2] * rhythm.lean
    own = population(_SWAY_TEMPO).wander(rhythm.liveliness, sway_rng)[:, :2] / SD_DEG[:2]
    own[:, 0] *= np.sqrt(1.0 - _LEAN_SHIFT_SHARE)
    # A head tilted to one side (roll) goes with a body leaning there, as in `carried_along`.
    own[:, 0] -= np.sqrt(_LEAN_SHIFT_SHARE) * rhythm.lean
    leave = _departure(len(degrees))[:, None]
    return leave * degrees, leave * _SHIFT_LIMIT * np.tanh(manner.sway * dynamics.sway * own / _SHIFT_LIMIT)


def _departure(n_ticks: int) -> F64:
    """0 -> 1 over the first 0.8 s, smoothly: the head leaves the photo's own pose from rest."""
    share = np.clip(frame_times(n_ticks, RATE) / _DEPARTURE_S, 0.0, 1.0)
    return np.asarray(share * share * (3.0 - 2.0 * share))


def _looking(rot: F64, n_frames: int, fps: float, seed: int, prosody: Prosody | None) -> npt.NDArray[np.float32]:
    return (counter_gaze(rot) + gaze_of_seed(n_frames, fps, seed, prosody)).astype(np.float32)


def _at_rate(track: F64, n_frames: int, fps: float) -> F64:
    """25 Hz ticks -> frames, by a smooth (Catmull-Rom) curve; the first tick is the first frame."""
    if fps == RATE:
        return track[:n_frames]
    where = np.clip(np.arange(n_frames) * RATE / fps, 0, len(track) - 1)
    left = np.minimum(where.astype(int), len(track) - 2) if len(track) > 1 else np.zeros(n_frames, int)
    x = (where - left)[:, None]
    p = [track[np.clip(left + k, 0, len(track) - 1)] for k in (-1, 0, 1, 2)]
    bend = (2 * p[0] - 5 * p[1] + 4 * p[2] - p[3]) * x**2 + (3 * (p[1] - p[2]) + p[3] - p[0]) * x**3
    return np.asarray(p[1] + 0.5 * ((p[2] - p[0]) * x + bend), np.float64)
