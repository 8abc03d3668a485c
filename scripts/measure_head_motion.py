"""Head motion and blinks made from speech, beside those of tracked talking clips.

    python scripts/measure_head_motion.py CLIP[@FRAMES]... [--speech WAV]... [--seeds 12] [--tracks FOLDER]
        [--few-shot] [--plot OUT.png]

FRAMES: how late a clip's picture is against its sound, frames of 1/25 s. Prints: each clip; every style for the sound
of the same clips (median over clips and seeds); ten minutes of speech (the sounds in turn, pauses between); with
`--few-shot`, what the first 3 and 5 s of each clip teach about its rest. `--tracks` keeps tracked clips. Both sides are
smoothed over five frames. Correlations with the voice are the best within 0.6 s, and beside them what the same search
finds with the sound shifted in a circle (median), for short clips correlate with anything.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from talkhead.audio.prosody import STEPS_PER_SECOND, Prosody, analyse, phrase_ends, runs, smoothed, syllable_nuclei
from talkhead.audio.windows import sample_track
from talkhead.coeffs.container import Coeffs
from talkhead.coeffs.file import read_coeffs
from talkhead.media.audio import AudioStream, Waveform, read_waveform
from talkhead.pipelines.extract import extract
from talkhead.systems.meshwarp.audio2coeff import audio2coeff
from talkhead.systems.meshwarp.config import UNITS_PER_EYE_DISTANCE
from talkhead.systems.meshwarp.head_dynamics import RATE, steady_degrees
from talkhead.systems.meshwarp.pose import STYLES, pose

F64 = npt.NDArray[np.float64]
AXES = ("pitch", "yaw", "roll")
REACH = 15  # frames: 0.6 s
PEOPLE = {  # medians over eight tracked talking clips of seven speakers
    "sd": (2.6, 3.0, 2.1), "speed": (10.0, 8.0, 5.0), "speed95": (25.0, 24.0, 15.0),
    "blinks/min": (28.0,),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Talk:
    """A voice, and in clips the head that goes with it; the picture is `late` frames behind the sound."""

    name: str
    prosody: Prosody
    coeffs: Coeffs | None = None
    late: float = 0.0


def measure(coeffs: Coeffs, prosody: Prosody | None, late: float = 0.0) -> dict[str, tuple[float, ...]]:
    """Statistics of a track by name; three numbers are pitch, yaw, roll."""
    degrees = steady_degrees(coeffs)
    speed = np.abs(np.diff(degrees, axis=0)) * RATE
    row: dict[str, tuple[float, ...]] = {
        "sd": tuple(degrees.std(0)),
        "speed": tuple(speed.mean(0)),
        "speed95": tuple(np.percentile(speed, 95, 0)),
        "accel/speed": tuple(np.abs(np.diff(degrees, 2, axis=0)).mean(0) * RATE**2 / speed.mean(0)),
        "max": tuple(np.abs(degrees).max(0)),
        "centroid": _spectrum(degrees)[0],
        "f90": _spectrum(degrees)[1],
        "r(0.2 s)": _autocorrelation(degrees, 5),
        "r(1 s)": _autocorrelation(degrees, 25),
        "r(py pr yr)": tuple(np.corrcoef(degrees.T)[[0, 0, 1], [1, 2, 2]]),
    }
    if coeffs.trans is not None:
        row["shift sd"] = tuple((coeffs.trans[:, :2] / UNITS_PER_EYE_DISTANCE).std(0))
    if prosody is not None and prosody.is_speech.any():
        row |= _with_voice(degrees, prosody, late)
    return row


def _spectrum(track: F64) -> tuple[tuple[float, ...], tuple[float, ...]]:
    power = np.abs(np.fft.rfft(track * np.hanning(len(track))[:, None], axis=0))[1:] ** 2
    hz = np.fft.rfftfreq(len(track), 1.0 / RATE)[1:]
    below = np.cumsum(power, 0) / power.sum(0)
    centroid = (power * hz[:, None]).sum(0) / power.sum(0)
    return tuple(centroid), tuple(float(hz[np.argmax(column > 0.9)]) for column in below.T)


def _autocorrelation(track: F64, lag: int) -> tuple[float, ...]:
    return tuple((track[lag:] * track[:-lag]).mean(0) / track.var(0))


def _with_voice(degrees: F64, prosody: Prosody, late: float) -> dict[str, tuple[float, ...]]:
    """Coupling: best-lag r, its lag in seconds (negative: the head is ahead), the r that chance finds."""
    n, lead_s = len(degrees), -late / RATE
    level = np.maximum(prosody.level_db, prosody.speech_db - 40.0).astype(np.float64)
    heard = [smoothed(track, 0.28) for track in (level, prosody.loudness())]
    energy, loudness = (sample_track(track, STEPS_PER_SECOND, n, RATE, lead_s=lead_s) for track in heard)
    speed = np.linalg.norm(np.diff(degrees, axis=0, prepend=degrees[:1]), axis=1) * RATE
    speed = np.convolve(np.pad(speed, 4, mode="edge"), np.hanning(11)[1:-1] / np.hanning(11).sum(), "valid")
    nuclei, stress = syllable_nuclei(prosody)
    strong = nuclei[stress > np.percentile(stress, 75)] if len(stress) > 3 else nuclei
    moments = strong / STEPS_PER_SECOND * RATE + late
    return {
        "pitch~energy": _coupling(degrees[:, 0], energy),
        "speed~loudness": _coupling(speed, loudness),
        "accent pitch": (_around(degrees[:, 0] / degrees[:, 0].std(), moments),),
    }


def _coupling(track: F64, voice: F64) -> tuple[float, float, float]:
    best, lag = _best_lag(track, voice)
    shifts = range(50, len(track) - 50, max(1, len(track) // 40))
    chance = [abs(_best_lag(track, np.roll(voice, shift))[0]) for shift in shifts]
    return best, lag / RATE, float(np.median(chance)) if chance else float("nan")


def _best_lag(track: F64, voice: F64) -> tuple[float, int]:
    n = len(track)
    every = [_r(track[max(0, k) : n + min(0, k)], voice[max(0, -k) : n + min(0, -k)]) for k in range(-REACH, REACH + 1)]
    best = int(np.argmax(np.abs(every)))
    return every[best], best - REACH


def _r(a: F64, b: F64) -> float:
    a, b = a - a.mean(), b - b.mean()
    return float(a @ b / np.sqrt(a @ a * (b @ b) + 1e-12))


def _around(track: F64, moments: F64) -> float:
    """Mean of a track 0-0.24 s after moments minus the mean of the half seconds before and after."""
    at = [int(round(m)) for m in moments if 13 < m < len(track) - 20]
    change = [track[i : i + 7].mean() - (track[i - 12 : i - 4].mean() + track[i + 11 : i + 19].mean()) / 2 for i in at]
    return float(np.mean(change)) if change else float("nan")


def measure_blinks(coeffs: Coeffs, prosody: Prosody, late: float = 0.0) -> dict[str, tuple[float, ...]]:
    """Rate, time below half, share within 0.25 s of a pause and what random moments would have."""
    assert coeffs.eyelid is not None
    shut = runs(coeffs.eyelid.mean(1) > 0.5)
    times = shut[:, 0] / coeffs.fps - late / RATE
    near = np.convolve(~prosody.is_speech, np.ones(51), "same") > 0
    hit = near[np.clip((times * STEPS_PER_SECOND).astype(int), 0, len(near) - 1)] if len(times) else np.zeros(0)
    return {
        "blinks/min": (60.0 * len(times) / coeffs.duration_s,),
        "blink ms": (float(np.median(np.diff(shut)) / coeffs.fps * 1000) if len(shut) else float("nan"),),
        "gaze sd": tuple(np.rad2deg(coeffs.gaze.std(0))) if coeffs.gaze is not None else (),
        "at pauses": (float(hit.mean()) if len(times) else float("nan"), float(near.mean())),
    }


def median_of(rows: list[dict[str, tuple[float, ...]]]) -> dict[str, tuple[float, ...]]:
    """The median of each number over rows that have it."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: tuple(np.nanmedian([row[name] for row in rows if name in row], axis=0)) for name in names}


def show(title: str, columns: dict[str, dict[str, tuple[float, ...]]]) -> None:
    """Print statistics by name, one column per key."""
    print(f"\n{title}\n{'':16s}" + "".join(f"{name[:20]:>22s}" for name in columns))
    for name in dict.fromkeys(name for column in columns.values() for name in column):
        cells = [" ".join(f"{v:.2f}" for v in column.get(name, ())) for column in columns.values()]
        print(f"{name:16s}" + "".join(f"{cell:>22s}" for cell in cells))


def open_talks(arguments: argparse.Namespace) -> Iterator[Talk]:
    """Clips tracked, or read from `--tracks`."""
    for text in arguments.clips:
        name, _, late = text.partition("@")
        path = Path(name)
        kept = Path(arguments.tracks) / f"{path.stem}.safetensors" if arguments.tracks else None
        coeffs = read_coeffs(kept) if kept is not None and kept.exists() else extract(path, kept, fps=RATE)
        yield Talk(name=path.stem, prosody=analyse(AudioStream(path)), coeffs=coeffs, late=float(late or 0))


def long_speech(paths: list[Path], minutes: float) -> Waveform:
    """The sounds one after the other, again and again, with pauses of 0.3-2.5 s."""
    rng, sounds = np.random.default_rng(0), [read_waveform(path).samples for path in paths]
    parts: list[npt.NDArray[np.float32]] = []
    while sum(map(len, parts)) < minutes * 60 * 16000:
        for sound in sounds:
            parts += [sound, np.zeros(int(16000 * rng.uniform(0.3, 2.5)), np.float32)]
    return Waveform(np.concatenate(parts)[: int(minutes * 60 * 16000)])


def compare_styles(talks: list[Talk], speech: dict[str, Path], seeds: int) -> None:
    """Generated motion of every style for the same sounds."""
    columns = {"people (docs)": dict(PEOPLE)}
    columns["these clips"] = median_of(
        [measure(t.coeffs, t.prosody, t.late) | measure_blinks(t.coeffs, t.prosody, t.late) for t in talks if t.coeffs]
    )
    for style in [*STYLES[1:], *range(3)]:
        rows = []
        for path in speech.values():
            sound = AudioStream(path)
            prosody = analyse(sound)
            for seed in range(seeds):
                rows.append(measure(pose(sound, seed=seed, style=style), prosody))
        columns[str(style)] = median_of(rows)
    rows = []
    for path in speech.values():
        sound = AudioStream(path)
        rows += [measure_blinks(audio2coeff(sound, seed=s), analyse(sound)) for s in range(seeds)]
    columns["natural"] |= {name: tuple(np.nanmean([r[name] for r in rows], axis=0)) for name in rows[0]}
    show(f"medians over {len(speech)} sounds, {seeds} seeds each", columns)


def ten_minutes(paths: list[Path], seeds: int, minutes: float = 10.0) -> None:
    """Drift, extremes, the start, other frame rates, over ten minutes of speech."""
    sound = long_speech(paths, minutes)
    prosody = analyse(sound)
    tracks = [pose(sound, seed=seed) for seed in range(seeds)]
    turned = [np.rad2deg(track.rot.astype(np.float64)) for track in tracks if track.rot is not None]
    first, last = (np.stack([t[part] for t in turned]) for part in (slice(1500), slice(-1500, None)))
    row = median_of([measure(track, prosody) for track in tracks])
    row["mean, minute 1"], row["mean, last"] = tuple(np.abs(first.mean(1)).mean(0)), tuple(np.abs(last.mean(1)).mean(0))
    row["sd, minute 1"], row["sd, last"] = tuple(first.std(1).mean(0)), tuple(last.std(1).mean(0))
    row["largest angle"] = tuple(np.max([np.abs(t).max(0) for t in turned], 0))
    row["frame 1 moves"] = tuple(np.max([np.abs(t[1] - t[0]) for t in turned], 0))
    row["first second"] = tuple(np.mean([np.abs(t[:25]).max(0) for t in turned], 0))
    for fps in (24.0, 30.0, 60.0):
        other = pose(sound, seed=0, fps=fps)
        assert other.rot is not None
        moments = np.arange(len(turned[0])) / RATE
        again = np.stack([np.interp(moments, np.arange(len(other)) / fps, c) for c in np.rad2deg(other.rot).T], -1)
        row[f"|25 - {fps:g} fps|"] = tuple(np.abs(again - turned[0])[:-2].max(0))
    blinks = [measure_blinks(audio2coeff(sound, seed=seed), prosody) for seed in range(min(seeds, 3))]
    row |= {name: tuple(np.nanmean([b[name] for b in blinks], axis=0)) for name in blinks[0]}
    show(f"{minutes:g} minutes of speech, natural, {seeds} seeds", {"": row})


def few_shot(clips: list[tuple[Talk, Path]], seeds: int) -> None:
    """Amplitude and speed of a clip's rest against motion learnt from its first seconds: geometric mean error."""
    errors: dict[str, list[tuple[float, float]]] = {}
    for talk, path in clips:
        assert talk.coeffs is not None
        for seconds in (3.0, 5.0):
            start = int(seconds * RATE)
            if talk.coeffs.duration_s < seconds + 1.5:
                continue
            rest = talk.coeffs.at(slice(start, None))
            head, sound, later = talk.coeffs.at(slice(0, start)), AudioStream(path), slice(start, None)
            for name, reference in (("people", None), ("reference", head)):
                made = [measure(pose(sound, seed=k, reference=reference).at(later), None) for k in range(seeds)]
                real, guess = measure(rest, None), median_of(made)
                sd, speed = (np.mean(np.abs(np.log(np.divide(guess[k], real[k])))) for k in ("sd", "speed"))
                errors.setdefault(f"{name} {seconds:g} s", []).append((float(sd), float(speed)))
    columns: dict[str, dict[str, tuple[float, ...]]] = {}
    for name, found in errors.items():
        off = np.exp(np.mean(found, axis=0))
        columns[name] = {"sd off by": (off[0],), "speed off by": (off[1],), "clips": (float(len(found)),)}
    show("the rest of each clip, factor (1 = exact)", columns)


def plot(paths: list[Path], output: str) -> None:
    """Pitch, yaw, roll, shift, lids and gaze of one sound over its level."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    sound = AudioStream(paths[0])
    prosody, face, head = analyse(sound), audio2coeff(sound, seed=1), pose(sound, seed=1)
    assert head.rot is not None and head.trans is not None and face.eyelid is not None and face.gaze is not None
    moments = np.arange(len(head)) / head.fps
    figure, panels = pyplot.subplots(4, 1, figsize=(16, 10), sharex=True)
    panels[0].fill_between(np.arange(len(prosody.level_db)) / STEPS_PER_SECOND, -80, prosody.level_db, color="0.7")
    nuclei, stress = syllable_nuclei(prosody)
    panels[0].plot(nuclei / STEPS_PER_SECOND, prosody.level_db[nuclei] + stress, "k.")
    for end in phrase_ends(prosody):
        panels[0].axvline(end, color="r")
    panels[1].plot(moments, np.rad2deg(head.rot), label=AXES)
    panels[2].plot(moments, head.trans[:, :2] / UNITS_PER_EYE_DISTANCE, label=("x", "y"))
    panels[3].plot(moments, np.column_stack([face.eyelid[:, 0], 5 * face.gaze]), label=("lid", "gaze x 5", "gaze y 5"))
    for panel in panels[1:]:
        panel.legend()
    figure.tight_layout()
    figure.savefig(output, dpi=70)


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("clips", nargs="+")
    parser.add_argument("--speech", action="append", default=[])
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--tracks")
    parser.add_argument("--few-shot", action="store_true")
    parser.add_argument("--plot")
    arguments = parser.parse_args()
    talks = list(open_talks(arguments))
    show("clips", {t.name: measure(t.coeffs, t.prosody, t.late) | measure_blinks(t.coeffs, t.prosody, t.late)
                   for t in talks if t.coeffs})  # fmt: skip
    paths = [Path(text.partition("@")[0]) for text in arguments.clips]
    compare_styles(talks, {path.stem: path for path in paths}, arguments.seeds)
    if arguments.minutes > 0:
        ten_minutes([*paths, *map(Path, arguments.speech)], min(arguments.seeds, 4), arguments.minutes)
    if arguments.few_shot:
        few_shot(list(zip(talks, paths, strict=True)), arguments.seeds)
    if arguments.plot:
        plot([*map(Path, arguments.speech), *paths], arguments.plot)


if __name__ == "__main__":
    main()
