"""Lips that follow speech, in numbers: clips of real people speaking against the mouth made from their sound.

    python scripts/measure_lips.py CLIP... --offsets N... [--face PHOTO]... [--cache FOLDER] [--keep FOLDER]
    python scripts/measure_lips.py --contacts [--face PHOTO]...

Three predictions are judged by the tracked mouth of each clip (talkhead.evaluation.lips has the definitions): the
mouth tracks themselves, what the expression codes do to the mean face, and, for each photo given, the video that
`animate` makes of it with the clip's sound, tracked again. Loudness alone is shown beside them.

`--offsets` says for each clip how many frames of 40 ms its picture is later than its sound, by the timestamps of the
file. Such an offset belongs to the clip, is found once, and is never fitted to what is being judged. (Beware of tools
that convert a 30 fps film with `ffmpeg -r 25`: that alone makes the picture 1.5 frames late.)

`--contacts` speaks a sentence with 14 p, b, m by espeak-ng and flite, whose sound times are known, and counts the
sounds on which the lips touch.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import sys
import tempfile
import wave
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

import talkhead
from talkhead.audio.framing import Speech
from talkhead.errors import TalkheadError, UsageError
from talkhead.evaluation.face_curves import FaceCurves, MouthCurves, curves_of_codes, track_curves
from talkhead.evaluation.lips import (
    CONTACT,
    ContactScore,
    LipActivity,
    LipScore,
    lip_activity,
    loudness,
    score_contacts,
    score_lips,
)
from talkhead.evaluation.measurement import Measurement, mean_over_clips
from talkhead.face3d.morphable import FaceModel, load_builtin
from talkhead.media.audio import AudioStream, Waveform
from talkhead.systems.meshwarp.articulation import MouthTracks, mouth_tracks
from talkhead.systems.meshwarp.audio2coeff import OPENING, audio2coeff

F64 = npt.NDArray[np.float64]

# 14 p, b, m, among enough other sounds that lips which close often do not close on them by chance.
SENTENCE = (
    "The old man sat by the river every morning, hoping for a simple lunch,"
    " until a boy in a blue cap asked him to repair the broken lamp."
)
VOICES = (("espeak-ng", 0), ("espeak-ng", 1), ("espeak-ng", 2), ("flite", 0))  # engine, seed of the voice

COLUMNS = (
    ("opening", "lip_rs0_opening", 2),
    ("width", "lip_rs0_width", 2),
    ("chin", "lip_rs0_chin", 2),
    ("lag", "lip_lag", 1),
    ("closures found", "lip_closure_recall", 2),
    ("by chance", "lip_closure_chance", 2),
    ("precision", "lip_closure_precision", 2),
    ("open in silence", "lip_silence_opening", 2),
    ("amplitude", "lip_sd_ratio", 2),
)


def tracked_once(path: Path, cache: Path | None) -> FaceCurves:
    """`track_curves`, remembered by the file's content in a folder."""
    if cache is None:
        return track_curves(path)
    stored = cache / f"{hashlib.sha256(path.read_bytes()).hexdigest()[:20]}.npz"
    if not stored.exists():
        face = track_curves(path)
        cache.mkdir(parents=True, exist_ok=True)
        np.savez(
            stored, mouth=dataclasses.astuple(face.mouth), eye_aspect=face.eye_aspect, rot=face.rot, found=face.found
        )
    with np.load(stored) as kept:
        opening, width, chin = kept["mouth"]
        return FaceCurves(
            mouth=MouthCurves(opening=opening, width=width, chin=chin),
            eye_aspect=kept["eye_aspect"],
            rot=kept["rot"],
            found=kept["found"],
        )


def of_tracks(mouth: MouthTracks) -> MouthCurves:
    """What mouth tracks say about lips and chin; the width has no unit."""
    return MouthCurves(
        opening=OPENING * mouth.open, width=mouth.wide - mouth.pucker - 0.5 * mouth.funnel, chin=mouth.jaw
    )


def of_mean_face(speech: Speech, model: FaceModel) -> MouthCurves:
    """What the expression codes of this speech do to the mean face, eye distances."""
    coeffs = audio2coeff(speech, model=model, blinks=False, gaze=False, brows=False)
    assert coeffs.exp is not None
    return curves_of_codes(coeffs.exp, model)


def of_video(photo: Path, sound: Path, video: Path, size: int) -> FaceCurves:
    """What a tracker sees in the video of a photo that speaks."""
    talkhead.animate(photo, sound, video, size=size, overwrite=True)
    return track_curves(video)


def judge(
    clip: Path, offset: float, photos: Sequence[Path], args: argparse.Namespace, keep: Path
) -> dict[str, LipScore]:
    """Scores of every prediction for one clip, by the name of its table."""
    speech = AudioStream(clip)
    true = tracked_once(clip, args.cache)
    loud = loudness(speech, len(true))
    level = np.sqrt(loud)
    made = {
        "loudness alone": MouthCurves(opening=level, width=level, chin=level),
        "mouth tracks": of_tracks(mouth_tracks(speech)),
        "codes on the mean face": of_mean_face(speech, load_builtin()),
    }
    seen = [lip_activity(true, loud)]
    for photo in photos:
        face = of_video(photo, clip, keep / f"{clip.stem}-{photo.stem}.mp4", args.size)
        made[f"video of {photo.stem}"] = face.mouth
        seen.append(lip_activity(face, loudness(speech, len(face))))
    print_activity(clip.stem, ["the clip itself", *(f"video of {p.stem}" for p in photos)], seen)
    return {name: score_lips(mouth, true.mouth, loud, offset=offset) for name, mouth in made.items()}


def print_activity(clip: str, names: Sequence[str], rows: Iterable[LipActivity]) -> None:
    """How lively each face is, on stderr: no truth is needed for it."""
    for name, row in zip(names, rows, strict=True):
        print(
            f"{clip}, {name}: face in {row.found:.0%} of frames, opening p95 {row.opening_p95:.3f}"
            f" (in silence {row.opening_silence:.3f}), {row.closures_per_s:.2f} closures/s,"
            f" width sd {row.width_sd:.3f}, jitter {row.jitter:.2f}, blinks {row.blinks_per_min:.0f}/min, head sd"
            f" {' '.join(f'{v:.1f}' for v in row.rot_sd_deg)} deg",
            file=sys.stderr,
        )


def print_table(title: str, clips: Sequence[str], scores: Sequence[list[Measurement]]) -> list[Measurement]:
    """One Markdown table, a row per clip and their mean; returns the means."""
    print(f"\n{title}\n\n| clip | " + " | ".join(head for head, _, _ in COLUMNS) + " |")
    print("| --- |" + " --- |" * len(COLUMNS))
    means = [mean_over_clips(column) for column in zip(*scores, strict=True)]
    for name, row in [*zip(clips, scores, strict=True), ("**mean**", means)]:
        values = {m.name.split("~")[0]: m.value for m in row}
        cells = ["-" if values[key] is None else f"{values[key]:.{digits}f}" for _, key, digits in COLUMNS]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
    return means


def print_pooled(scores: Sequence[LipScore]) -> None:
    """Closures over all clips together: some clips have few."""
    counts = [score.closures for score in scores]
    n_true, n_made = sum(c.n_true for c in counts), sum(c.n_predicted for c in counts)
    recall, chance = (sum(getattr(c, name) * c.n_true for c in counts if c.n_true) for name in ("recall", "chance"))
    precise = sum(c.precision * c.n_predicted for c in counts if c.n_predicted)
    print(
        f"\nAll clips together: {recall:.0f} of {n_true} closures found ({recall / max(n_true, 1):.2f}; by chance"
        f" {chance / max(n_true, 1):.2f}), {precise:.0f} of {n_made} made are real ({precise / max(n_made, 1):.2f})"
    )


def spoken_sentence(engine: str, seed: int) -> tuple[Waveform, list[tuple[float, float]]] | None:
    """The sentence as sound and the times of its p, b, m; None without the engine."""
    from scripts.train_mouth import flite
    from scripts.train_mouth.espeak import Espeak

    rng = np.random.default_rng(seed)
    try:
        said = Espeak().say(SENTENCE, "en-us", rng) if engine == "espeak-ng" else flite.say(SENTENCE, rng)
    except OSError:
        return None
    if said is None:
        return None
    samples, rate, segments = said
    return Waveform(samples, rate), [(s.start, s.end) for s in segments if s.name == "P"]


def write_wav(path: Path, sound: Waveform) -> None:
    """16-bit mono."""
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(sound.sample_rate)
        out.writeframes((np.clip(sound.samples, -1, 1) * 32767).astype("<i2").tobytes())


def count_contacts(photos: Sequence[Path], size: int, keep: Path) -> None:
    """The table of lips that touch on p, b, m."""
    names = ["mouth tracks", "codes on the mean face", *(f"video of {photo.stem}" for photo in photos)]
    print(f"\nLips that touch (under {CONTACT} eye distances) on p, b, m of {SENTENCE!r}\n")
    print("| voice | " + " | ".join(names) + " |\n| --- |" + " --- |" * len(names))
    for engine, seed in VOICES:
        said = spoken_sentence(engine, seed)
        if said is None:
            print(f"{engine} is not installed; its voices are left out", file=sys.stderr)
            continue
        sound, times = said
        path = keep / f"sentence-{engine}-{seed}.wav"
        write_wav(path, sound)
        curves = [of_tracks(mouth_tracks(sound)).opening, of_mean_face(sound, load_builtin()).opening]
        curves += [
            of_video(photo, path, keep / f"{path.stem}-{photo.stem}.mp4", size).mouth.opening for photo in photos
        ]
        cells = [contact_cell(score_contacts(curve, times)) for curve in curves]
        print(f"| {engine} {seed} | " + " | ".join(cells) + " |", flush=True)


def contact_cell(score: ContactScore) -> str:
    """`13 of 14 (chance 4.2; widest 0.025)`."""
    n = len(score.smallest)
    return f"{score.n_closed} of {n} (by chance {n * score.chance:.1f}; widest {max(0.0, *score.smallest):.3f})"


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="*", type=Path)
    parser.add_argument("--offsets", nargs="+", type=float, default=[])
    parser.add_argument("--face", dest="faces", action="append", type=Path, default=[])
    parser.add_argument("--cache", type=Path, help="folder that remembers the tracked clips")
    parser.add_argument("--keep", type=Path, help="folder for the rendered videos")
    parser.add_argument("--size", type=int, default=512, help="longer side of the rendered videos")
    parser.add_argument("--contacts", action="store_true")
    parser.add_argument("--json", type=Path, help="file for all measurements")
    return parser.parse_args()


def run(args: argparse.Namespace, keep: Path) -> None:
    """Everything asked for, videos in `keep`."""
    if len(args.offsets) != len(args.clips):
        raise UsageError(f"{len(args.clips)} clips but {len(args.offsets)} offsets", hint="give one number per clip")
    scores = [
        judge(clip, offset, args.faces, args, keep) for clip, offset in zip(args.clips, args.offsets, strict=True)
    ]
    names = [clip.stem for clip in args.clips]
    kept: dict[str, object] = {}
    for predictor in scores[0] if scores else ():
        rows = [of_clip[predictor].measurements() for of_clip in scores]
        means = print_table(predictor, names, rows)
        print_pooled([of_clip[predictor] for of_clip in scores])
        kept[predictor] = [[dataclasses.asdict(m) for m in row] for row in [*rows, means]]
    if args.json is not None:
        args.json.write_text(json.dumps(kept, indent=1), encoding="utf-8")
    if args.contacts:
        count_contacts(args.faces, args.size, keep)


def main() -> int:
    """Measure what the command line names."""
    args = parsed()
    with tempfile.TemporaryDirectory() as folder:
        keep = args.keep or Path(folder)
        keep.mkdir(parents=True, exist_ok=True)
        try:
            run(args, keep)
        except TalkheadError as error:
            print(f"{error.message}" + (f" ({error.hint})" if error.hint else ""), file=sys.stderr)
            return error.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
