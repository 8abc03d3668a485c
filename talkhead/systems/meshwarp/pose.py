"""Head motion from speech: a noisy oscillator that follows the voice, as heads of talking people do.

Second-order autoregression at 25 Hz with coefficients pooled over tracked talking clips: rotations of 2-3 degrees
standard deviation around 0.6 Hz, uncorrelated after a second; louder means head up and livelier, the head a little
ahead of the voice; translation follows from turning about the neck. A reference clip replaces these numbers by its own
(vector autoregression with shrinkage).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from talkhead.audio.framing import Speech
from talkhead.audio.prosody import STEPS_PER_SECOND, Prosody, analyse, runs, smoothed, syllable_nuclei
from talkhead.audio.windows import count_frames, frame_times, sample_track
from talkhead.coeffs.container import Coeffs
from talkhead.errors import InputError, UsageError
from talkhead.geometry import euler_to_matrix
from talkhead.systems.meshwarp.blinks import gaze_of_seed

Style = Literal["still", "calm", "natural", "lively"]
STYLES: tuple[Style, ...] = get_args(Style)
POSE_SPACE = "pose"  # rotations and translations mean the same in every space
RATE = 25.0

_SCALE = {"still": 0.0, "calm": 0.5, "natural": 1.0, "lively": 1.45}
_NOD_DEG = {"still": 0.0, "calm": 0.6, "natural": 1.4, "lively": 2.4}
_SD_DEG = np.array([2.6, 3.0, 2.1])  # pitch, yaw, roll
_AR1 = np.array([1.815, 1.718, 1.849])
_AR2 = np.array([-0.846, -0.760, -0.871])
_NOISE_SD = np.array([0.096, 0.137, 0.075])  # gives unit variance
_PITCH_SHARE = 0.18  # of the pitch variance follows the voice (0.10-0.25 in tracked clips)
_HEAD_AHEAD_S = 0.18
_NECK = np.array([0.0, -0.81, -0.45])  # pivot in the head frame, model units: 0.9 and 0.5 eye distances
_SWAY = 1.3  # the shoulders give way too: turning about the neck alone explains three quarters of the translation
_FIXATION = 0.7  # share of the head's turn that the eyes take back
_SOFT_LIMIT_DEG = np.array([11.0, 14.0, 9.0])  # beyond that a single photo shows what it cannot know
_MIN_REFERENCE_S = 3.0
_SHRINK_TO, _RIDGE, _MAX_RADIUS = (1.6, -0.66), 0.02, 0.985
_REFERENCE_TRUST = 0.8  # of the logarithm of the amplitude; the rest is the population's

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Dynamics:
    """y[t] = a1 y[t-1] + a2 y[t-2] + noise, (3, 3) each; `sd_deg` (3,) is what the result is scaled to."""

    a1: F64
    a2: F64
    noise: F64
    sd_deg: F64


def pose(
    speech: Speech | None,
    *,
    fps: float = 25.0,
    seed: int = 0,
    style: Style = "natural",
    motion: float = 1.0,
    reference: Coeffs | None = None,
    duration_s: float | None = None,
    fixate: bool = True,
) -> Coeffs:
    """Head motion for a voice, or idle motion for none.

    Args:
        speech: mono speech; None for idle motion of `duration_s` seconds.
        fps: frames per second. seed: of all chance. style: amplitude and nods; `still` does not move at all.
        motion: further factor on all angles and shifts, 0..3.
        reference: coefficients of at least 3 s of a talking head whose manner of moving to take on; needs `rot`.
        duration_s: length of idle motion. fixate: turn the eyes against the head, as eyes do that look at somebody.
    Returns:
        `rot` (T, 3) and `trans` (T, 3), relative to the source's own pose; frame 0 is zero. With `fixate` also `gaze`
        (T, 2), the small eye movements of `audio2coeff` with the same seed included.
    Raises:
        InputError: the sound has no samples; the reference has no rotations or is too short.
        UsageError: unknown style, motion or fps out of range, neither speech nor duration.
    """
    if style not in STYLES:
        raise UsageError(f"unknown style {style!r}", hint="styles: " + ", ".join(STYLES))
    if not 0.0 <= motion <= 3.0:
        raise UsageError(f"motion is {motion:g}, expected 0..3")
    if speech is None and duration_s is None:
        raise UsageError("head motion needs speech or a duration")
    prosody = None if speech is None else analyse(speech)
    seconds = float(duration_s or 0.0) if prosody is None else prosody.duration_s
    n_frames, n_ticks = count_frames(seconds, fps), count_frames(seconds, RATE) + 1
    dynamics = _population() if reference is None else _learnt(reference)
    rng = np.random.default_rng([seed, 7])
    degrees = _SCALE[style] * _wander(dynamics, n_ticks, _voice(prosody, n_ticks), rng)
    if prosody is not None:
        degrees[:, 0] += _NOD_DEG[style] * dynamics.sd_deg[0] / _SD_DEG[0] * _nods(prosody, n_ticks, rng)
    limit = _SOFT_LIMIT_DEG * max(1.0, motion)
    degrees = limit * np.tanh(motion * degrees / limit)
    rot = np.deg2rad(_at_rate(degrees - degrees[0], n_frames, fps))
    counter = np.stack([-rot[:, 1], rot[:, 0]], -1)
    gaze = (_FIXATION * counter + gaze_of_seed(n_frames, fps, seed)).astype(np.float32) if fixate else None
    trans = _SWAY * (_NECK - euler_to_matrix(rot) @ _NECK)
    return Coeffs(
        space=POSE_SPACE,
        fps=float(fps),
        n_frames=n_frames,
        rot=rot.astype(np.float32),
        trans=trans.astype(np.float32),
        gaze=gaze,
        relative=frozenset({"rot", "trans", "gaze"} if fixate else {"rot", "trans"}),
        params={"style": style, "motion": float(motion), "seed": int(seed), "reference": reference is not None},
    )


def _population() -> _Dynamics:
    return _Dynamics(a1=np.diag(_AR1), a2=np.diag(_AR2), noise=np.diag(_NOISE_SD), sd_deg=_SD_DEG)


def _voice(prosody: Prosody | None, n_ticks: int) -> tuple[F64, F64]:
    """What the head hears 0.18 s ahead, at 25 Hz: deviation of loudness (about unit sd), and loudness 0..1."""
    if prosody is None or not prosody.is_speech.any():
        return np.zeros(n_ticks), np.zeros(n_ticks)
    level = np.maximum(prosody.level_db, prosody.speech_db - 40.0).astype(np.float64)
    spoken = prosody.is_speech
    deviation = np.clip((level - level[spoken].mean()) / (level[spoken].std() + 1e-6), -2.0, 2.0)
    for start, end in runs(~spoken):
        # A pause lowers the head for half a second; then it forgets.
        deviation[start:end] *= np.exp(-np.maximum(0.0, np.arange(end - start) / STEPS_PER_SECOND - 0.5) / 0.3)
    heard = [smoothed(deviation, 0.5), smoothed(prosody.loudness(), 0.4)]
    ahead = [sample_track(track, STEPS_PER_SECOND, n_ticks, RATE, lead_s=_HEAD_AHEAD_S) for track in heard]
    return ahead[0], ahead[1]


def _wander(dynamics: _Dynamics, n_ticks: int, voice: tuple[F64, F64], rng: np.random.Generator) -> F64:
    """The oscillators driven by noise and voice, (n_ticks, 3) degrees, from rest at zero."""
    deviation, loudness = voice
    liveliness = 0.6 + 0.4 * loudness
    shocks = rng.normal(size=(n_ticks, 3)) @ dynamics.noise.T * liveliness[:, None]
    pull = _simulate(dynamics, np.outer(deviation, [-1.0, 0.0, 0.0]))
    free = _simulate(dynamics, shocks)
    pull_sd = pull[:, 0].std()
    free /= _stationary_sd(dynamics) * np.sqrt(np.mean(liveliness**2))
    if pull_sd > 1e-6:
        free[:, 0] *= np.sqrt(1.0 - _PITCH_SHARE)
        free[:, 0] += np.sqrt(_PITCH_SHARE) * pull[:, 0] / pull_sd
    return free * dynamics.sd_deg


def _simulate(dynamics: _Dynamics, inputs: F64) -> F64:
    out = np.zeros_like(inputs)
    before, last = np.zeros(3), np.zeros(3)
    for t in range(1, len(inputs)):
        before, last = last, dynamics.a1 @ last + dynamics.a2 @ before + inputs[t]
        out[t] = last
    return out


def _companion(a1: F64, a2: F64) -> F64:
    return np.block([[a1, a2], [np.eye(3), np.zeros((3, 3))]])


def _stationary_sd(dynamics: _Dynamics) -> F64:
    """Standard deviation of each angle in the long run, (3,)."""
    step, spread = _companion(dynamics.a1, dynamics.a2), np.zeros((6, 6))
    spread[:3, :3] = dynamics.noise @ dynamics.noise.T
    for _ in range(12):  # doubling: 2^12 steps, far beyond any memory at the radius limit
        spread, step = spread + step @ spread @ step.T, step @ step
    return np.asarray(np.sqrt(np.diag(spread)[:3]))


def _nods(prosody: Prosody, n_ticks: int, rng: np.random.Generator) -> F64:
    """Short nods on stressed syllables, (n_ticks,), peak about 1, at least 0.6 s apart."""
    nuclei, stress = syllable_nuclei(prosody)
    track, moments = np.zeros(n_ticks), frame_times(n_ticks, RATE)
    if len(nuclei) < 2:
        return track
    threshold, spread, last = np.median(stress), stress.std() + 1e-6, -np.inf
    for step, strength in zip(nuclei, stress, strict=True):
        when = step / STEPS_PER_SECOND
        if strength < threshold or when - last < 0.6 or rng.random() < 0.3:
            continue
        size = float(np.clip(0.5 + 0.5 * (strength - threshold) / spread, 0.4, 1.4) * rng.uniform(0.7, 1.2))
        near = slice(*np.searchsorted(moments, [when - 1.0, when + 2.0]))
        phase = (moments[near] - when) / 0.22
        # Down on the vowel, a little above the start afterwards.
        track[near] += size * (np.exp(-0.5 * phase**2) - 0.35 * np.exp(-0.5 * ((phase - 2.0) / 1.2) ** 2))
        last = when
    return track * np.clip(moments / 0.5, 0.0, 1.0)


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


def _learnt(reference: Coeffs) -> _Dynamics:
    """Dynamics of a reference head: ridge towards the population, residual covariance kept, damped if needed."""
    if reference.rot is None:
        raise InputError("the reference has no head rotations", hint="make one with: talkhead extract CLIP -o REF")
    if reference.duration_s < _MIN_REFERENCE_S:
        raise InputError(f"the reference lasts {reference.duration_s:.1f} s, expected at least {_MIN_REFERENCE_S:g}")
    n_ticks = int(reference.duration_s * RATE)
    degrees = np.rad2deg(np.unwrap(reference.rot.astype(np.float64), axis=0))
    degrees = sample_track(degrees, reference.fps, n_ticks, RATE)
    degrees = degrees - degrees.mean(0)
    measured = degrees.std(0)
    sd_deg = np.exp(_REFERENCE_TRUST * np.log(measured + 0.05) + (1 - _REFERENCE_TRUST) * np.log(_SD_DEG))
    unit = degrees / (measured + 0.05)
    past, now = np.concatenate([unit[1:-1], unit[:-2]], 1), unit[2:]
    prior = np.concatenate([np.eye(3) * _SHRINK_TO[0], np.eye(3) * _SHRINK_TO[1]])
    gram = past.T @ past + _RIDGE * len(now) * np.eye(6)
    weights = prior + np.linalg.solve(gram, past.T @ (now - past @ prior))
    a1, a2 = weights[:3].T, weights[3:].T
    radius = float(np.abs(np.linalg.eigvals(_companion(a1, a2))).max())
    if radius > _MAX_RADIUS:
        shrink = _MAX_RADIUS / radius
        a1, a2 = a1 * shrink, a2 * shrink**2
    residual = now - past @ np.concatenate([a1.T, a2.T])
    noise = np.linalg.cholesky(residual.T @ residual / len(now) + 1e-6 * np.eye(3))
    return _Dynamics(a1=a1, a2=a2, noise=noise, sd_deg=sd_deg)
