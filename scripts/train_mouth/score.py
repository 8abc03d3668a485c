"""Write into the shipped weights file what it scores on real talking clips (talkhead.evaluation.lips).

    python scripts/train_mouth/score.py CLIP... --offsets N... [--cache FOLDER]

`--offsets` are frames of 40 ms by which each picture is later than its sound (see scripts/measure_lips.py). Tensors
stay as they are; run scripts/stamp_manifest.py afterwards.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from scripts.measure_lips import of_tracks, tracked_once
from talkhead.evaluation.lips import loudness, score_lips
from talkhead.media.audio import AudioStream
from talkhead.systems.meshwarp.articulation import mouth_tracks
from talkhead.systems.meshwarp.mouth_net import WEIGHTS_FILE

_KEPT = ("lip_rs0_opening", "lip_rs0_width", "lip_rs0_chin", "lip_closure_recall", "lip_closure_precision")


def scores_of(clip: Path, offset: float, cache: Path | None) -> dict[str, float | None]:
    """Correlations in speech and closures of the mouth tracks made from a clip's sound."""
    speech, true = AudioStream(clip), tracked_once(clip, cache)
    score = score_lips(of_tracks(mouth_tracks(speech)), true.mouth, loudness(speech, len(true)), offset=offset)
    named = {m.name.split("~")[0]: m.value for m in score.measurements()}
    return {name: None if (value := named[name]) is None else round(value, 3) for name in _KEPT}


def main() -> None:
    """Score and stamp."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--offsets", nargs="+", type=float, required=True)
    parser.add_argument("--cache", type=Path)
    options = parser.parse_args()
    scores = {
        clip.stem: scores_of(clip, offset, options.cache)
        for clip, offset in zip(options.clips, options.offsets, strict=True)
    }
    with safe_open(WEIGHTS_FILE, "numpy") as file:
        metadata = dict(file.metadata() or {})
    save_file(load_file(WEIGHTS_FILE), WEIGHTS_FILE, metadata=metadata | {"scores": json.dumps(scores)})
    for name, row in scores.items():
        print(name, " ".join(f"{key.removeprefix('lip_')} {value}" for key, value in row.items()))


if __name__ == "__main__":
    main()
