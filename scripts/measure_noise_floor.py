"""What metrics say of a clip and itself, slightly changed: a difference below the first row is noise.

    python scripts/measure_noise_floor.py CLIP [--frames N] [--json OUT]

Each change is compared with the untouched clip: encoded again by x264 (crf 32), halved to 256 pixels and enlarged,
moved by 3 pixels, two frames late, and its first frame held. Landmarks come from the face mesh, hence the `~`; `lmd` is
in pixels of the clip.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice, repeat
from pathlib import Path

import numpy as np
import numpy.typing as npt

from talkhead.errors import TalkheadError
from talkhead.evaluation.action_units import PresenceCounts, mesh_presences
from talkhead.evaluation.head_pose import pose_measurements
from talkhead.evaluation.landmark_distance import LandmarkDistances
from talkhead.evaluation.measurement import Measurement
from talkhead.evaluation.mesh_readings import MeshReader, MeshReadings
from talkhead.evaluation.pixels import PixelScores
from talkhead.face.landmarks import Landmarks
from talkhead.face.mesh import FaceTracker
from talkhead.media.video import Clip, VideoWriter, open_clip

U8 = npt.NDArray[np.uint8]
Change = Callable[[Clip, Path], Iterable[U8]]

CRF, SMALL, SHIFT, LATE = 32, 256, 3, 2
COLUMNS = ("l1", "psnr", "ssim", "lmd~mesh", "lmd_eye~mesh", "ard~mesh", "au_h~mesh", "au_f1~mesh", "au_f1_usual~mesh")


def encoded_again(clip: Clip, folder: Path) -> Iterator[U8]:
    """The clip through x264 at a low quality."""
    path = folder / "encoded.mp4"
    with VideoWriter(path, clip.size, clip.fps, crf=CRF, preset="medium", mark=False) as writer:
        for frame in clip:
            writer.write(frame)
    width, height = clip.size
    for frame in open_clip(path):  # whose odd sides have grown to even ones
        yield frame[:height, :width]


def halved(clip: Clip, folder: Path) -> Iterator[U8]:
    """The clip at 256 pixels and back."""
    import cv2

    scale = SMALL / max(clip.size)
    small = (round(clip.size[0] * scale), round(clip.size[1] * scale))
    for frame in clip:
        reduced = cv2.resize(frame, small, interpolation=cv2.INTER_AREA)
        yield np.asarray(cv2.resize(reduced, clip.size, interpolation=cv2.INTER_CUBIC), np.uint8)


def moved(clip: Clip, folder: Path) -> Iterator[U8]:
    """The clip 3 pixels to the right, its left edge repeated."""
    for frame in clip:
        yield np.concatenate([frame[:, :1].repeat(SHIFT, 1), frame[:, :-SHIFT]], 1)


def late(clip: Clip, folder: Path) -> Iterator[U8]:
    """The clip two frames late, its first frame repeated."""
    yield from repeat(clip.first_frame(), LATE)
    yield from clip


def held(clip: Clip, folder: Path) -> Iterator[U8]:
    """The first frame only."""
    return repeat(clip.first_frame())


CHANGES: dict[str, Change] = {
    "x264 crf 32": encoded_again,
    "256 and back": halved,
    "3 px shift": moved,
    "2 frames late": late,
    "frame 0 frozen": held,
}


class Side:
    """A changed clip, frame by frame beside the real one."""

    def __init__(self, frames: Iterable[U8], size: tuple[int, int], fps: float) -> None:
        self._frames = iter(frames)
        self._track = repeated(FaceTracker(fps).track)
        self._pixels, self._distances, self._reader = PixelScores(), LandmarkDistances(size), MeshReader(fps)

    def step(self, real: U8, true_face: Landmarks | None) -> None:
        """Compare the next frame, unless the changed clip has ended."""
        changed = next(self._frames, None)
        if changed is None:
            return
        face = self._track(changed)
        self._pixels.add(changed, real)
        self._distances.add(*(None if f is None else f.view68()[:, :2] for f in (face, true_face)))
        self._reader.add(None if face is None else face.points)

    def measurements(self, real: MeshReadings) -> dict[str, Measurement]:
        """All rows by name."""
        changed, counts = self._reader.finish(), PresenceCounts()
        counts.add(mesh_presences(changed, real), mesh_presences(real, real))
        rows = [
            *self._pixels.measurements(),
            *self._distances.measurements(),
            *pose_measurements(changed.angles, real.angles),
            *counts.measurements(source="mesh", grade="proxy"),
        ]
        return {row.name: row for row in rows}


def repeated(track: Callable[[U8], Landmarks | None]) -> Callable[[U8], Landmarks | None]:
    """A tracker that does not look again at a frame which repeats the one before."""
    last: list[tuple[U8, Landmarks | None]] = []

    def look(frame: U8) -> Landmarks | None:
        if not last or not np.array_equal(frame, last[0][0]):
            last[:] = [(frame, track(frame))]
        return last[0][1]

    return look


def compare(
    clip: Clip, changes: Mapping[str, Change] = CHANGES, n_frames: int | None = None
) -> dict[str, dict[str, Measurement]]:
    """Measurements of each changed clip against the untouched one, by change and name."""
    tracker, reader = FaceTracker(clip.fps), MeshReader(clip.fps)
    with tempfile.TemporaryDirectory() as folder:
        sides = {name: Side(change(clip, Path(folder)), clip.size, clip.fps) for name, change in changes.items()}
        for frame in islice(clip, n_frames):
            face = tracker.track(frame)
            reader.add(None if face is None else face.points)
            for side in sides.values():
                side.step(frame, face)
    real = reader.finish()
    return {name: side.measurements(real) for name, side in sides.items()}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script; its exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("clip", type=Path)
    parser.add_argument("--frames", type=int, help="the first of the clip; default all")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(argv)
    try:
        with open_clip(args.clip) as clip:
            found = compare(clip, n_frames=args.frames)
            print(f"{clip.path.name}: {clip.size[0]}x{clip.size[1]}, {clip.fps:g} fps")
    except TalkheadError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return error.exit_code
    print("| change | " + " | ".join(COLUMNS) + " |")
    print("|---" * (len(COLUMNS) + 1) + "|")
    table = {name: {column: rows[column].value for column in COLUMNS} for name, rows in found.items()}
    for name, values in table.items():
        print(f"| {name} | " + " | ".join("-" if v is None else f"{v:.3g}" for v in values.values()) + " |")
    if args.json:
        args.json.write_text(json.dumps(table, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
