"""How well lips follow speech, judged against the real mouth that spoke it, and what can be said without one.

All correlations that count are read over frames with speech and at the clip's own, fixed offset between picture and
sound. People wait and breathe in with their mouth open, which no sound predicts, so whole clips mislead; and with a
free lag even loudness alone "follows" (r 0.3 on short clips), so the best lag is reported beside its chance level only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from talkhead.audio.framing import SAMPLE_RATE, Speech, speech_samples
from talkhead.audio.prosody import runs
from talkhead.errors import ShapeError
from talkhead.evaluation.face_curves import RATE, FaceCurves, MouthCurves
from talkhead.evaluation.measurement import Grade, Measurement

F64 = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

MAX_LAG = 12  # frames, either way
SPEECH_SHARE, SPEECH_FLOOR = 0.12, 10 ** (-55 / 20)  # of the sound's 95th percentile; of full scale
SILENCE_MARGIN = 4  # frames away from any speech
CLOSED, NEARLY_CLOSED = 0.18, 0.28  # of the clip's 95th percentile
CLOSED_ACTIVITY = 0.20
LONGEST_CLOSURE, CLOSURE_SLACK = 10, 2  # frames
CONTACT = 0.02  # eye distances between lips that touch; what a tracker sees of closed lips
VISUAL_LEAD_S = 0.04
BLINK = 0.6  # of the median eye aspect
LEAST_SPEECH, LEAST_SILENCE = 10, 4  # frames

_HOP = round(SAMPLE_RATE / RATE)
_QUIET = 1e-6
_UNMOVED = np.zeros(1, np.intp)


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """One curve against the true one. Lags are frames; positive: the true mouth is later.

    Attributes:
        r0, r_best, lag: correlation over the whole clip, at the clip's offset and at the best lag around it.
        rs0, rs_best, rs_lag: the same over frames with speech; `rs0` is the number to judge by. 0 for a still curve.
        rs_chance: 95th percentile of `rs_best` when the prediction is shifted in a circle by a second or more.
        p_chance: share of such shifts that reach `rs_best`. sd_ratio: amplitude over the true one.
    """

    r0: float
    r_best: float
    lag: int
    rs0: float
    rs_best: float
    rs_lag: int
    rs_chance: float
    p_chance: float
    sd_ratio: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ClosureScore:
    """Lips that meet when the true ones do. NaN where there is nothing to count.

    Attributes:
        n_true, n_predicted: closures in speech of at most 0.4 s. recall: share of the true ones near which the
            predicted mouth is nearly closed. precision: the same with the roles exchanged. chance: recall of the
            prediction shifted in a circle: recall means something above this only.
    """

    n_true: int
    n_predicted: int
    recall: float
    precision: float
    chance: float


@dataclass(frozen=True, kw_only=True, slots=True)
class LipScore:
    """A predicted mouth against the real one.

    Attributes:
        n_frames, n_speech: frames compared, and those with speech. offset: frames the real picture is late.
        opening, width, chin: each curve. loudness: the root of the loudness as if it were an opening, the baseline.
        closures: of the lips. silence_opening: mean opening away from speech over the 95th percentile; NaN without
            silence.
    """

    n_frames: int
    n_speech: int
    offset: float
    opening: Agreement
    width: Agreement
    chin: Agreement
    loudness: Agreement
    closures: ClosureScore
    silence_opening: float

    def measurements(self, source: str = "mesh", frames_dropped: int = 0) -> list[Measurement]:
        """The numbers that count, as rows of a report; `source` says where the curves come from."""
        too_short = f"{self.n_speech} frames of speech" if self.n_speech < LEAST_SPEECH else ""
        no_closure = too_short or ("" if self.closures.n_true else "no closures in the real clip")
        rows: list[tuple[str, str, float, str, str]] = [
            *(
                (f"lip_rs0_{name}", "lips-rs0/fixed-offset", value.rs0, too_short, "")
                for name, value in (
                    ("opening", self.opening),
                    ("width", self.width),
                    ("chin", self.chin),
                    ("loudness", self.loudness),
                )
            ),
            ("lip_closure_recall", "lips-closures/18-28-80ms", self.closures.recall, no_closure, ""),
            ("lip_closure_chance", "lips-closures/18-28-80ms", self.closures.chance, no_closure, ""),
            (
                "lip_closure_precision",
                "lips-closures/18-28-80ms",
                self.closures.precision,
                too_short or ("" if self.closures.n_predicted else "no closures in the prediction"),
                "",
            ),
            ("lip_silence_opening", "lips-silence/p95", self.silence_opening, self._no_silence(), ""),
            ("lip_lag", "lips-lag/best-rs", float(self.opening.rs_lag), too_short, "frames"),
            ("lip_lag_p", "lips-lag/circular-shifts", self.opening.p_chance, too_short, ""),
            ("lip_sd_ratio", "lips-sd-ratio/whole-clip", self.opening.sd_ratio, "", ""),
        ]
        grade: Grade = "proxy"
        return [
            Measurement(
                name=f"{name}~{source}",
                definition=definition,
                grade=grade,
                value=None if reason or not np.isfinite(value) else value,
                reason=reason or ("" if np.isfinite(value) else "the clip is too short"),
                unit=unit,
                n_frames=self.n_frames,
                frames_dropped=frames_dropped,
                params={"offset_frames": self.offset, "fps": RATE},
            )
            for name, definition, value, reason, unit in rows
        ]

    def _no_silence(self) -> str:
        return "" if np.isfinite(self.silence_opening) else "no silence in the clip"


@dataclass(frozen=True, kw_only=True, slots=True)
class LipActivity:
    """What can be said of a talking face without a real one beside it. NaN where there is nothing to measure.

    Attributes:
        opening_p95, opening_sd_speech, opening_silence: eye distances. closures_per_s: of speech.
        jitter: mean second difference of the opening over its deviation. width_sd: eye distances.
        loudness_r, loudness_lag: best correlation of opening and root of loudness, and its lag in frames.
        rot_sd_deg, rot_speed_deg_s: pitch, yaw, roll. blinks_per_min. found: share of frames that show the face.
    """

    n_frames: int
    found: float
    opening_p95: float
    opening_sd_speech: float
    opening_silence: float
    closures_per_s: float
    jitter: float
    width_sd: float
    loudness_r: float
    loudness_lag: int
    rot_sd_deg: tuple[float, float, float]
    rot_speed_deg_s: tuple[float, float, float]
    blinks_per_min: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ContactScore:
    """Sounds that need closed lips, and whether they got them.

    Attributes:
        smallest: (n,) smallest opening near each sound, eye distances. n_closed: how many touch. chance: share that
            would if the mouth were shifted in time.
    """

    smallest: tuple[float, ...]
    n_closed: int
    chance: float


def loudness(speech: Speech, n_frames: int) -> F64:
    """Root mean square of 80 ms of sound around the middle of each frame, (n_frames,), full scale = 1.

    Frame t covers [t, t + 1) / 25 s. Streams; frames after the end of the sound are silent.
    """
    half = _HOP // 2
    sums: list[F64] = []
    rest, n_samples = np.zeros(0), 0
    for block in speech_samples(speech):
        n_samples += len(block)
        rest = np.concatenate([rest, block**2])
        whole = len(rest) // half * half
        sums.append(rest[:whole].reshape(-1, half).sum(1))
        rest = rest[whole:]
    total = np.concatenate([[0.0], np.cumsum(np.concatenate([*sums, [rest.sum()]]))])
    edges = np.minimum(np.arange(len(total)) * half, n_samples)
    frames = np.arange(n_frames)
    first, last = (np.clip(2 * frames + shift, 0, len(edges) - 1) for shift in (-1, 3))
    power = (total[last] - total[first]) / np.maximum(edges[last] - edges[first], 1)
    return np.where(frames * _HOP < n_samples, np.sqrt(power + 1e-12), _QUIET)


def spoken_frames(loud: F64) -> Flags:
    """Which frames hold speech: louder than 12 % of the 95th percentile, and than -55 dB of full scale."""
    return loud > max(SPEECH_SHARE * float(np.percentile(loud, 95)), SPEECH_FLOOR)


def silent_frames(spoken: Flags) -> Flags:
    """Which frames are more than 160 ms away from any speech."""
    width = 2 * SILENCE_MARGIN + 1
    padded = np.pad(spoken, SILENCE_MARGIN)
    return ~np.lib.stride_tricks.sliding_window_view(padded, width).any(1)


def score_lips(predicted: MouthCurves, true: MouthCurves, loud: F64, *, offset: float = 0.0) -> LipScore:
    """Judge a predicted mouth by the real one; the curves may have different units.

    Args:
        predicted, true: cut to the shorter. loud: of the sound (`loudness`), at least as long.
        offset: frames by which the real picture is later than its own sound, which may be a fraction; taken out first.
    Raises:
        ShapeError: `loud` is shorter than the curves, or nothing is left after the offset.
    """
    n = min(len(predicted), len(true))
    if len(loud) < n:
        raise ShapeError("loud", loud.shape, f"at least ({n},)")
    moments = np.arange(n) + offset
    kept = np.flatnonzero((moments >= 0) & (moments <= n - 1))
    if not len(kept):
        raise ShapeError("true", (n,), f"more frames than the offset {offset:g}")

    def moved(curve: F64) -> F64:
        return np.interp(kept + offset, np.arange(n), curve[:n])

    loud = loud[:n][kept]
    spoken = spoken_frames(loud)
    pairs = {
        name: (np.asarray(getattr(predicted, name)[:n][kept], np.float64), moved(getattr(true, name)))
        for name in ("opening", "width", "chin")
    }
    opening, true_opening = pairs["opening"]
    return LipScore(
        n_frames=len(kept),
        n_speech=int(spoken.sum()),
        offset=float(offset),
        **{name: agreement(*pair, spoken) for name, pair in pairs.items()},
        loudness=agreement(np.sqrt(loud), true_opening, spoken),
        closures=score_closures(opening, true_opening, spoken),
        silence_opening=_silence_opening(opening, spoken),
    )


def agreement(predicted: F64, true: F64, spoken: Flags) -> Agreement:
    """Compare two curves (n,) of which `spoken` (n,) frames hold speech; see `Agreement`."""
    lags = np.arange(-MAX_LAG, MAX_LAG + 1)
    whole, in_speech = (correlations(predicted, true, where)[:, 0] for where in (np.ones_like(spoken), spoken))
    best, best_spoken = int(np.argmax(whole)), int(np.argmax(in_speech))
    shifts = _shifts(len(true))
    null = correlations(predicted, true, spoken, shifts).max(0) if len(shifts) else np.full(1, np.nan)
    return Agreement(
        r0=float(whole[MAX_LAG]),
        r_best=float(whole[best]),
        lag=int(lags[best]),
        rs0=float(in_speech[MAX_LAG]),
        rs_best=float(in_speech[best_spoken]),
        rs_lag=int(lags[best_spoken]),
        rs_chance=float(np.percentile(null, 95)),
        p_chance=float((null >= in_speech[best_spoken]).mean()) if len(shifts) else float("nan"),
        sd_ratio=float(predicted.std() / (true.std() + 1e-9)),
    )


def correlations(predicted: F64, true: F64, where: Flags, shifts: npt.NDArray[np.intp] = _UNMOVED) -> F64:
    """Pearson r of `predicted[t]` and `true[t + lag]` over the frames t in `where`, for each lag of +-`MAX_LAG`.

    Args:
        predicted, true, where: (n,). shifts: frames by which `predicted` is moved in a circle first. All moves come
            from a few Fourier transforms, so that clips may be long.
    Returns:
        (25, n_shifts); 0 where a curve stands still or fewer than 10 frames remain.
    """
    n = len(true)
    frames, out = np.arange(n), np.zeros((2 * MAX_LAG + 1, len(shifts)))
    a, b = _standardised(predicted), _standardised(true)
    plain, squared = np.conj(np.fft.rfft(a)), np.conj(np.fft.rfft(a**2))

    def summed(weights: F64, spectrum: npt.NDArray[np.complex128]) -> F64:
        """Sum over t of weights[t] * curve[t - shift], for each shift."""
        return np.fft.irfft(np.fft.rfft(weights) * spectrum, n)[shifts]

    for row, lag in enumerate(range(-MAX_LAG, MAX_LAG + 1)):
        mask = where & (frames + lag >= 0) & (frames + lag < n)
        count = int(mask.sum())
        if count < LEAST_SPEECH:
            continue
        later, weights = np.roll(b, -lag), mask.astype(np.float64)
        mean_b, var_b = later[mask].mean(), later[mask].var()
        var_a = summed(weights, squared) / count - (summed(weights, plain) / count) ** 2
        covariance = summed(weights * (later - mean_b), plain) / count
        moving = (var_a > 1e-10) & (var_b > 1e-10)
        out[row, moving] = covariance[moving] / np.sqrt(var_a[moving] * var_b)
    return np.clip(out, -1.0, 1.0)


def find_closures(opening: F64, spoken: Flags, threshold: float = CLOSED) -> tuple[npt.NDArray[np.intp], F64]:
    """Moments at which lips close in speech.

    Args:
        opening: (n,). spoken: (n,) frames with speech. threshold: share of the 95th percentile that counts as closed.
    Returns:
        The most closed frame of each run below the threshold that is at most 0.4 s long and lies in speech, (k,); and
        the opening with 0 at the clip's low end and 1 at its 95th percentile, (n,).
    """
    high = float(np.percentile(opening, 95))
    low = max(min(float(np.percentile(opening, 2)), 0.25 * high), 0.0)
    scaled = (opening - low) / (high - low + 1e-9)
    centres = [
        start + int(np.argmin(scaled[start:end]))
        for start, end in runs(scaled < threshold)
        if end - start <= LONGEST_CLOSURE
        and start > 0
        and end < len(opening)
        and spoken[max(0, start - 2) : end + 2].mean() > 0.5
    ]
    return np.array(centres, np.intp), scaled


def score_closures(predicted: F64, true: F64, spoken: Flags) -> ClosureScore:
    """Compare the closures of two openings (n,); see `ClosureScore`."""
    (expected, scaled_true), (made, scaled) = find_closures(true, spoken), find_closures(predicted, spoken)
    recall = _met(expected, scaled < NEARLY_CLOSED, _UNMOVED)
    precision = _met(made, scaled_true < NEARLY_CLOSED, _UNMOVED)
    chance = _met(expected, scaled < NEARLY_CLOSED, _shifts(len(true)))
    return ClosureScore(n_true=len(expected), n_predicted=len(made), recall=recall, precision=precision, chance=chance)


def score_contacts(
    opening: F64, sounds: Sequence[tuple[float, float]], *, lead_s: float = VISUAL_LEAD_S, contact: float = CONTACT
) -> ContactScore:
    """Whether lips meet on sounds that need it (p, b, m) and whose times are known.

    A sound has contact if the lips are less than `contact` apart in a frame that overlaps its visible interval: its
    own, `lead_s` early. Sounds that crowd a short text make the chance level high.

    Args:
        opening: (n,) eye distances, at `RATE`. sounds: start and end of each, seconds. lead_s: lips before sound.
    """
    moments = np.arange(len(opening)) / RATE
    slack = 0.5 / RATE + 1e-6
    near = [
        np.flatnonzero((moments >= start - lead_s - slack) & (moments <= end - lead_s + slack)) for start, end in sounds
    ]
    smallest = [float(opening[frames].min()) if len(frames) else float("nan") for frames in near]
    closed, shifts = opening < contact, _shifts(len(opening))
    by_chance = [closed[(frames[:, None] - shifts) % len(opening)].any(0).mean() for frames in near if len(frames)]
    return ContactScore(
        smallest=tuple(smallest),
        n_closed=sum(value < contact for value in smallest),
        chance=float(np.mean(by_chance)) if by_chance and len(shifts) else float("nan"),
    )


def lip_activity(face: FaceCurves, loud: F64) -> LipActivity:
    """Measure a talking face that has no real counterpart.

    Args:
        face: tracked curves (n). loud: of the sound (`loudness`), at least as long.
    Raises:
        ShapeError: `loud` is shorter than the curves.
    """
    opening, n = face.mouth.opening, len(face)
    if len(loud) < n:
        raise ShapeError("loud", loud.shape, f"at least ({n},)")
    loud = loud[:n]
    spoken = spoken_frames(loud)
    silent = silent_frames(spoken)
    heard = correlations(np.sqrt(loud), opening, np.ones_like(spoken))[:, 0]
    best = int(np.argmax(heard))
    turn = np.degrees(face.rot - face.rot.mean(0))
    speed = np.abs(np.diff(turn, axis=0)).mean(0) * RATE if n > 1 else np.full(3, np.nan)
    pitch, yaw, roll = turn.std(0).tolist()
    n_blinks = len(runs(face.eye_aspect < BLINK * np.median(face.eye_aspect)))
    bends = np.abs(np.diff(opening, 2))
    return LipActivity(
        n_frames=n,
        found=float(face.found.mean()),
        opening_p95=float(np.percentile(opening, 95)),
        opening_sd_speech=float(opening[spoken].std()) if spoken.any() else float("nan"),
        opening_silence=float(opening[silent].mean()) if silent.sum() >= LEAST_SILENCE else float("nan"),
        closures_per_s=len(find_closures(opening, spoken, CLOSED_ACTIVITY)[0]) / max(spoken.sum() / RATE, 0.1),
        jitter=float(bends.mean() / (opening.std() + 1e-9)) if len(bends) else float("nan"),
        width_sd=float(face.mouth.width.std()),
        loudness_r=float(heard[best]),
        loudness_lag=best - MAX_LAG,
        rot_sd_deg=(pitch, yaw, roll),
        rot_speed_deg_s=(float(speed[0]), float(speed[1]), float(speed[2])),
        blinks_per_min=n_blinks / (n / RATE) * 60.0,
    )


def _shifts(n: int) -> npt.NDArray[np.intp]:
    """Circular shifts for chance levels: a second or more either way, less in clips under 3.2 s; maybe none."""
    return np.arange(25, n - 25, 3) if n > 80 else np.arange(10, n - 10, 2)


def _standardised(curve: F64) -> F64:
    deviation = curve.std()
    return (curve - curve.mean()) / deviation if deviation > 1e-9 else np.zeros(len(curve))


def _met(centres: npt.NDArray[np.intp], is_low: Flags, shifts: npt.NDArray[np.intp]) -> float:
    """Share of moments with a low frame within `CLOSURE_SLACK`, mean over circular shifts of the flags."""
    if not len(centres) or not len(shifts):
        return float("nan")
    n = len(is_low)
    hits = np.zeros(len(shifts))
    for centre in centres:
        near = np.arange(max(0, centre - CLOSURE_SLACK), min(n, centre + CLOSURE_SLACK + 1))
        hits += is_low[(near[:, None] - shifts) % n].any(0)
    return float(hits.mean() / len(centres))


def _silence_opening(opening: F64, spoken: Flags) -> float:
    silent = silent_frames(spoken)
    if silent.sum() < LEAST_SILENCE:
        return float("nan")
    return float(np.maximum(find_closures(opening, spoken)[1][silent], 0.0).mean())
