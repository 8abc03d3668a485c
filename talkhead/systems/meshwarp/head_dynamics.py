"""How a head wanders: second-order autoregressions at 25 Hz, of people in general, of a numbered one, of a reference.

Coefficients are pooled over tracked talking clips: damped oscillators at 0.55-0.69 Hz whose memory fades within a
second. A reference clip replaces amplitudes and dynamics by its own (vector autoregression, ridge towards the
population), which carries its manner on for any length.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from talkhead.audio.windows import sample_track
from talkhead.coeffs.container import Coeffs
from talkhead.errors import InputError
from talkhead.geometry import euler_to_matrix, matrix_to_euler, mean_rotation
from talkhead.systems.meshwarp.config import UNITS_PER_EYE_DISTANCE

RATE = 25.0
# Pitch, yaw, roll in the long run, so that clips of 5-8 s have the medians of tracked ones: 2.6, 3.0, 2.1 about their
# own mean.
SD_DEG = np.array([3.0, 4.0, 3.2])
# From the head's turn to where it goes, eye distances per radian (medians of least-squares fits on tracked clips):
# nodding carries the face down, turning carries it to the side, tilting leans it over.
LEVER_NOD, LEVER_TURN, LEVER_TILT = -1.35, 0.6, -0.65
SWAY_SD = np.array([0.065, 0.035])  # x, y, eye distances: what the shoulders do besides, left over by those fits

_AR1 = np.array([1.815, 1.718, 1.849])
_AR2 = np.array([-0.846, -0.760, -0.871])
_SPREAD = np.array([0.45, 0.6, 0.5])  # of the logarithm of the amplitude between people (range of the clips / 2.85,
_COMMON = 0.6  # made smaller, for a photo cannot turn far) and how much of it pitch, yaw and roll share
_TEMPO_SPREAD = 0.15
_SLOW_SHARE, _SLOW_TEMPO = 0.3, 0.4  # of the variance lasts longer than clips of a few seconds can show to a fit
_MIN_REFERENCE_S = 3.0
_SHRINK_TO, _RIDGE, _MAX_RADIUS = (1.6, -0.66), 0.02, 0.985
_TRUST_HALF_S = 0.4  # seconds of reference that weigh as much as knowing people in general
_MASS = np.array([0.25, 0.5, 0.25])  # frames at 25 Hz; heads do not start and stop within one
_STEADYING = np.array([0.09, 0.24, 0.34, 0.24, 0.09])  # tracking noise must not become motion

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Dynamics:
    """One head's manner of wandering.

    Attributes:
        a1, a2, noise: (3, 3), y[t] = a1 y[t-1] + a2 y[t-2] + noise e[t], e white of unit variance, 25 steps a second.
        sd_deg: (3,) pitch, yaw, roll, degrees: what the result is scaled to. sway: (2,) x and y of the shoulders' own
            motion, standard deviations, eye distances. slow: share of the variance in a slower oscillator besides.
    """

    a1: F64
    a2: F64
    noise: F64
    sd_deg: F64
    sway: F64
    slow: float = 0.0

    def wander(self, liveliness: F64, rng: np.random.Generator) -> F64:
        """Chance motion from rest at zero, (n, 3) degrees.

        Args:
            liveliness: (n,) gain of what drives it; where it is 1, `sd_deg` is reached. rng: source of chance.
        """
        fast_rng, slow_rng = rng.spawn(2)
        unit = np.sqrt(1.0 - self.slow) * self._oscillate(liveliness, fast_rng)
        if self.slow:
            unit += np.sqrt(self.slow) * population(_SLOW_TEMPO, slow=0.0)._oscillate(liveliness, slow_rng)
        return np.asarray(_smoothed(unit, _MASS) * self.sd_deg)

    def _oscillate(self, liveliness: F64, rng: np.random.Generator) -> F64:
        shocks = rng.normal(size=(len(liveliness), 3)) @ self.noise.T * liveliness[:, None]
        out, before, last = np.zeros_like(shocks), np.zeros(3), np.zeros(3)
        for t in range(1, len(out)):
            before, last = last, self.a1 @ last + self.a2 @ before + shocks[t]
            out[t] = last
        return np.asarray(out / self.stationary_sd())

    def stationary_sd(self) -> F64:
        """Standard deviation of each angle of the unscaled process in the long run, (3,)."""
        return np.asarray(np.sqrt(np.diag(self._covariance())[:3]))

    def seen_within(self, n_ticks: int) -> F64:
        """Share of the long-run standard deviation that a stretch of so many steps shows about its own mean, (3,).

        A stretch shorter than the process's memory hides its slow part: 1 - var(mean) / var, from the autocovariance.
        """
        step, state = _companion(self.a1, self.a2), self._covariance()
        variance, power = np.diag(state)[:3], state
        of_mean = variance / n_ticks
        for lag in range(1, min(n_ticks, 500)):
            power = step @ power
            of_mean = of_mean + 2.0 * (1.0 - lag / n_ticks) / n_ticks * np.diag(power)[:3]
        return np.asarray(np.sqrt(np.clip(1.0 - of_mean / variance, 0.1, 1.0)))

    def _covariance(self) -> F64:
        step, spread = _companion(self.a1, self.a2), np.zeros((6, 6))
        spread[:3, :3] = self.noise @ self.noise.T
        for _ in range(12):  # doubling: 2^12 steps, far beyond any memory at the radius limit
            spread, step = spread + step @ spread @ step.T, step @ step
        return spread


def population(tempo: float = 1.0, slow: float = _SLOW_SHARE) -> Dynamics:
    """People in general; `tempo` is a factor on how fast they move, `slow` as in `Dynamics`."""
    radius, turn = np.sqrt(-_AR2), np.arccos(_AR1 / (2.0 * np.sqrt(-_AR2)))
    radius, turn = radius**tempo, turn * tempo
    return Dynamics(
        a1=np.diag(2.0 * radius * np.cos(turn)),
        a2=np.diag(-(radius**2)),
        noise=np.eye(3),
        sd_deg=SD_DEG.copy(),
        sway=SWAY_SD.copy(),
        slow=slow,
    )


def numbered(number: int) -> Dynamics:
    """The person with this number: amplitudes and tempo drawn, once and for all, from the spread between people."""
    rng = np.random.default_rng([number, 46])
    shared, own = rng.normal(), rng.normal(size=3)
    deviation = np.clip(np.sqrt(_COMMON) * shared + np.sqrt(1.0 - _COMMON) * own, -1.7, 1.4)
    person = population(float(np.exp(_TEMPO_SPREAD * np.clip(rng.normal(), -2, 2))))
    factor = np.exp(_SPREAD * deviation)
    return replace(person, sd_deg=SD_DEG * factor, sway=SWAY_SD * float(np.exp(0.4 * rng.normal())))


def learnt(reference: Coeffs) -> Dynamics:
    """The manner of a reference head: ridge towards the population, residual covariance kept, damped if needed.

    Args:
        reference: at least 3 s with `rot`; `trans` gives the sway of the shoulders.
    Raises:
        InputError: it has no rotations, or is too short.
    """
    if reference.rot is None:
        raise InputError("the reference has no head rotations", hint="make one with: talkhead extract CLIP -o REF")
    if reference.duration_s < _MIN_REFERENCE_S:
        raise InputError(f"the reference lasts {reference.duration_s:.1f} s, expected at least {_MIN_REFERENCE_S:g}")
    degrees = steady_degrees(reference)
    trust = reference.duration_s / (reference.duration_s + _TRUST_HALF_S)
    measured = degrees.std(0) + 0.05
    unit = degrees / measured
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
    person = Dynamics(a1=a1, a2=a2, noise=noise, sd_deg=SD_DEG, sway=_sway(reference, np.deg2rad(degrees), trust))
    whole = measured / person.seen_within(len(degrees))
    return replace(person, sd_deg=np.exp(trust * np.log(whole) + (1.0 - trust) * np.log(SD_DEG)))


def steady_degrees(coeffs: Coeffs) -> F64:
    """Rotations about their mean at 25 Hz, without tracking noise, (n, 3) pitch, yaw, roll, degrees."""
    assert coeffs.rot is not None
    turns = euler_to_matrix(coeffs.rot)
    angles = np.rad2deg(matrix_to_euler(turns @ mean_rotation(turns).T))
    return _steadied(angles, coeffs)


def carried_along(rot: F64) -> F64:
    """Where turning about the neck carries the face, (n, 2) x and y in eye distances, for rotations (n, 3) radians."""
    pitch, yaw, roll = np.sin(rot).T
    return np.stack([LEVER_TURN * yaw + LEVER_TILT * roll, LEVER_NOD * pitch], -1)


def _sway(reference: Coeffs, rot: F64, trust: float) -> F64:
    """What is left of the reference's shifts when turning is taken out; people in general where it has none."""
    if reference.trans is None:
        return SWAY_SD.copy()
    shifts = _steadied(reference.trans[:, :2].astype(np.float64) / UNITS_PER_EYE_DISTANCE, reference)
    rest = (shifts - carried_along(rot)).std(0) + 0.003
    return np.asarray(np.minimum(np.exp(trust * np.log(rest) + (1.0 - trust) * np.log(SWAY_SD)), 2.5 * SWAY_SD))


def _steadied(track: F64, coeffs: Coeffs) -> F64:
    smooth = _smoothed(sample_track(track, coeffs.fps, int(coeffs.duration_s * RATE), RATE), _STEADYING)
    return np.asarray(smooth - smooth.mean(0))


def _smoothed(track: F64, kernel: F64) -> F64:
    reach = len(kernel) // 2
    padded = np.pad(track, ((reach, reach), (0, 0)), mode="edge")
    return np.stack([np.convolve(column, kernel, "valid") for column in padded.T], -1)


def _companion(a1: F64, a2: F64) -> F64:
    return np.block([[a1, a2], [np.eye(3), np.zeros((3, 3))]])
