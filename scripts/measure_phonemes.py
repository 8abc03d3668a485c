"""What phone times add to lips that follow speech: clips of real people speaking, judged as by measure_lips.py.

    python scripts/measure_phonemes.py CLIP... --offsets N... [--phonemes FILE...] [--cache FOLDER]

Three predictions: what the sound says (the network of meshwarp), what the phones say (blended visemes), both joined.
Phone times are read from files, one per clip, or made here: pocketsphinx writes down the words, wrong ones among them,
and aligns them. Needs talkhead[align] for that. `--offsets` as in measure_lips.py.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from scripts.measure_lips import of_tracks, print_pooled, print_table, tracked_once
from talkhead.audio.align import align
from talkhead.audio.phoneme_files import read_phonemes
from talkhead.audio.phonemes import PhoneTiming
from talkhead.audio.recognise import recognise
from talkhead.evaluation.face_curves import RATE, MouthCurves
from talkhead.evaluation.lips import LipScore, loudness, score_lips
from talkhead.media.audio import AudioStream
from talkhead.systems.meshwarp.articulation import MouthTracks, mouth_tracks
from talkhead.systems.meshwarp.mouth_net import CHANNELS
from talkhead.systems.meshwarp.visemes import Segment, blend, viseme_segments


def timing_of(clip: Path, phonemes: Path | None) -> PhoneTiming:
    """Phone times of a clip, read or made."""
    if phonemes is not None:
        return read_phonemes(phonemes)
    speech = AudioStream(clip)
    words = recognise(speech)
    print(f"{clip.stem}: {words}")
    return align(speech, words, clip.name)


def of_phones(segments: list[Segment], n_frames: int) -> MouthCurves:
    """What the phones alone say; only the opening has a unit."""
    told = dict(zip(CHANNELS, blend(segments, n_frames, RATE)[0].astype(np.float64).T, strict=True))
    return of_tracks(MouthTracks(**told))


def judge(clip: Path, offset: float, phonemes: Path | None, cache: Path | None) -> dict[str, LipScore]:
    """Scores of the three predictions for one clip."""
    speech = AudioStream(clip)
    true = tracked_once(clip, cache)
    loud = loudness(speech, len(true))
    segments = viseme_segments(timing_of(clip, phonemes))
    made = {
        "sound alone": of_tracks(mouth_tracks(speech)),
        "phones alone": of_phones(segments, len(true)),
        "both joined": of_tracks(mouth_tracks(speech, phonemes=segments)),
    }
    return {name: score_lips(curves, true.mouth, loud, offset=offset) for name, curves in made.items()}


def main() -> None:
    """Parse, judge every clip, print a table per prediction."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--offsets", nargs="+", type=float, required=True)
    parser.add_argument("--phonemes", nargs="+", type=Path)
    parser.add_argument("--cache", type=Path)
    args = parser.parse_args()
    files = args.phonemes or [None] * len(args.clips)
    if not len(args.clips) == len(args.offsets) == len(files):
        parser.error("one offset, and one file of phonemes if any, per clip")
    scores = [judge(*each, args.cache) for each in zip(args.clips, args.offsets, files, strict=True)]
    for name in scores[0]:
        rows = [row[name] for row in scores]
        print_table(name, [clip.stem for clip in args.clips], [row.measurements() for row in rows])
        print_pooled(rows)


if __name__ == "__main__":
    main()
