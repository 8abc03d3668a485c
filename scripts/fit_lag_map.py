"""Fit the linear map from sound to mouth that `lag~mouth` uses, and tell how well it finds the lag of clips left out.

    python scripts/fit_lag_map.py CLIP... --offsets N... --origin TEXT [-o MAP.safetensors]

`--offsets` says for each clip how many frames of 40 ms its picture is later than its sound; the clips must show one
speaking person each. The map holds 400 numbers, from which neither pictures nor sound can be had back; whether they may
be passed on is for the clips' licence to say, and `--origin` is kept inside.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from talkhead.errors import TalkheadError, UsageError
from talkhead.evaluation.face_curves import MAX_SIZE, RATE
from talkhead.evaluation.lag import (
    RIDGE,
    band_levels,
    find_lag,
    fit_lip_map,
    in_sync,
    lag_curve,
    mouth_curves,
)
from talkhead.evaluation.mesh_readings import MeshReader, MeshReadings
from talkhead.face.mesh import FaceTracker
from talkhead.media.audio import AudioStream
from talkhead.media.video import open_clip

F64 = npt.NDArray[np.float64]


def readings_of(path: Path) -> MeshReadings:
    """Follow the largest face of a film at 25 frames per second."""
    reader = MeshReader(RATE)
    with open_clip(path, fps=RATE, max_size=MAX_SIZE) as clip:
        for face in FaceTracker(RATE, name=str(path)).track_clip(clip):
            reader.add(None if face is None else face.points)
    return reader.finish()


def sides_of(path: Path) -> tuple[F64, F64]:
    """What is heard and seen in a clip."""
    curves = mouth_curves(readings_of(path))
    return band_levels(AudioStream(path), len(curves)), curves


def report(names: Sequence[str], clips: Sequence[tuple[F64, F64]], offsets: Sequence[float], ridge: float) -> None:
    """Lag of each clip by a map fitted on the others; and, as chance, with the sound of the next clip."""
    print("| clip | true lag | found | peak | rise | rise with another clip's sound |")
    print("|---|---|---|---|---|---|")
    for i, (bands, curves) in enumerate(clips):
        others = [in_sync(*clip, offsets[j]) for j, clip in enumerate(clips) if j != i]
        lip_map = fit_lip_map(others, ridge=ridge)
        lag = find_lag(lag_curve(lip_map.foretell(bands), curves))
        strange = clips[(i + 1) % len(clips)][0]
        n = min(len(strange), len(curves))
        wrong = find_lag(lag_curve(lip_map.foretell(strange[:n]), curves[:n]))
        rises = f"{lag.rise:.2f} | {wrong.rise:.2f}"
        print(f"| {names[i]} | {offsets[i]:+.1f} | {lag.frames:+.1f} | {lag.peak:.2f} | {rises} |")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script; its exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("clips", type=Path, nargs="+")
    parser.add_argument("--offsets", type=float, nargs="+", required=True, help="frames of 40 ms, one per clip")
    parser.add_argument("--origin", required=True, help="what the clips are, and their licence")
    parser.add_argument("--ridge", type=float, default=RIDGE)
    parser.add_argument("-o", "--output", type=Path)
    args = parser.parse_args(argv)
    try:
        if len(args.offsets) != len(args.clips):
            raise UsageError(f"{len(args.offsets)} offsets for {len(args.clips)} clips")
        clips = [sides_of(path) for path in args.clips]
        if len(clips) > 1:
            report([path.stem for path in args.clips], clips, args.offsets, args.ridge)
        synced = [in_sync(*clip, offset) for clip, offset in zip(clips, args.offsets, strict=True)]
        lip_map = fit_lip_map(synced, ridge=args.ridge, origin=args.origin)
        if args.output:
            lip_map.save(args.output)
    except TalkheadError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
