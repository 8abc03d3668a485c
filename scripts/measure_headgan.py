"""How well HeadGAN learned a person: the held-out end of a clip drawn from its first frame, beside two baselines.

    python scripts/measure_headgan.py RUN [RUN ...] -o OUT

Each RUN was made by `talkhead train headgan --data SET --hold-out 0.2`. Of every video that it learned, the last share,
which it never saw, is drawn by HeadGAN, by the built-in renderer, and by holding the first frame still; `talkhead eval`
measures all three against the real frames. Prints a table; films, and a contact sheet of each clip (real, still,
built-in, HeadGAN), are in OUT.

The mesh that measures landmarks also moves the built-in renderer. `--referee` adds 68 landmarks by a detector that
moves nobody (`pip install dlib-bin face_recognition_models`; its model is for research only).
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

import talkhead
from talkhead.coeffs.container import Coeffs
from talkhead.media.video import open_clip
from talkhead.pipelines.config import RenderSettings
from talkhead.pipelines.outputs import open_frames, video_options
from talkhead.training.config import FPS
from talkhead.training.data import split
from talkhead.training.index import read_set
from talkhead.training.recipe import data_of, learning_system, read_recipe
from talkhead.training.shards import ShardReader

U8 = npt.NDArray[np.uint8]
F64 = npt.NDArray[np.float64]

ROWS = ("l1", "psnr", "ssim", "lmd~mesh", "lmd_eye~mesh", "ard~mesh")
METRICS = ("l1", "psnr", "ssim", "lmd", "ard")
SHOWN = 8  # moments of a contact sheet
ENLARGED = 512  # side at which the referee looks, pixels


def main() -> None:
    """Measure every run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--referee", action="store_true", help="landmarks by dlib too")
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    referee = Referee() if args.referee else None
    columns = (*ROWS, *(["lmd_eye~dlib"] if referee else []))
    print(f"| clip | drawn by | {' | '.join(columns)} |\n| --- | --- | {' | '.join('---' for _ in columns)} |")
    for run in args.runs:
        for name, first, frames, coeffs in held_out(run):
            measure(name, first, frames, coeffs, run, args.output, referee)


def held_out(run: Path) -> Iterator[tuple[str, U8, list[U8], Coeffs]]:
    """Of each video of a run: its name, first frame, held-out frames and their coefficients."""
    recipe = read_recipe(learning_system("headgan"), run / "recipe.yaml", {})
    found = read_set(data_of(run / "recipe.yaml") or ".")
    reader = ShardReader(found.shards)
    learned, held = split(found, recipe.loop.hold_out)
    for video in sorted({stretch.place.video for stretch in held}):
        start = min((s for s in learned if s.place.video == video), key=lambda s: s.place.start)
        parts = sorted((s for s in held if s.place.video == video), key=lambda s: s.place.start)
        clips = [(reader.clip(part.place), part) for part in parts]
        frames = [clip.images[i] for clip, part in clips for i in range(part.first, part.last)]
        tracks = [clip.coeffs.at(slice(part.first, part.last)) for clip, part in clips]
        first = reader.clip(start.place)
        yield first.name, first.images[0], frames, joined(tracks)


def joined(parts: Sequence[Coeffs]) -> Coeffs:
    """Consecutive coefficients of one person as one."""
    names = ("exp", "rot", "trans", "scale", "eyelid", "gaze")
    tracks: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return parts[0].replace(n_frames=sum(len(part) for part in parts), **tracks)


class Referee:
    """68 landmarks by dlib.

    Raises:
        ImportError: the packages are not here.
    """

    def __init__(self) -> None:
        import dlib

        models = importlib.util.find_spec("face_recognition_models")
        if models is None or models.origin is None:
            raise ImportError("face_recognition_models is not installed")
        folder = Path(models.origin).parent / "models"
        self._find = dlib.get_frontal_face_detector()
        self._points = dlib.shape_predictor(str(folder / "shape_predictor_68_face_landmarks.dat"))

    def boxes(self, film: Path) -> list[Any]:
        """The first face of each frame, or None."""
        return [next(iter(self._find(frame, 0)), None) for frame in enlarged(film)]

    def points(self, film: Path, boxes: Sequence[Any]) -> list[F64]:
        """Landmarks (68, 2) of the frames that have a box."""
        return [
            np.array([(p.x, p.y) for p in self._points(frame, box).parts()], np.float64)
            for frame, box in zip(enlarged(film), boxes, strict=True)
            if box is not None
        ]


def enlarged(film: Path) -> Iterator[U8]:
    """Frames of a film as the referee sees them."""
    for frame in open_clip(film):
        yield np.asarray(cv2.resize(frame, (ENLARGED, ENLARGED), interpolation=cv2.INTER_CUBIC), np.uint8)


def apart(points: Sequence[F64], truth: Sequence[F64]) -> float:
    """Mean distance of landmarks, % of that between the true eyes' middles."""
    found = []
    for ours, true in zip(points, truth, strict=True):
        eyes = np.linalg.norm(true[36:42].mean(0) - true[42:48].mean(0))
        found.append(100 * np.linalg.norm(ours - true, axis=1).mean() / eyes)
    return float(np.mean(found))


def measure(
    name: str, first: U8, frames: list[U8], coeffs: Coeffs, run: Path, out: Path, referee: Referee | None
) -> None:
    """Draw a clip three times, print its rows, write its films and sheet."""
    films = {how: out / f"{name}.{how}.mkv" for how in ("real", "still", "meshwarp", "headgan")}
    write(films["real"], frames)
    write(films["still"], [first] * len(frames))
    options: dict[str, Any] = {"codec": "ffv1", "mark": False, "overwrite": True}
    talkhead.render(first, coeffs, films["meshwarp"], system="meshwarp", **options)
    talkhead.render(
        first, coeffs, films["headgan"], system="headgan", checkpoint=run / "headgan.safetensors", **options
    )
    boxes = referee.boxes(films["real"]) if referee else []
    truth = referee.points(films["real"], boxes) if referee else []
    for how in ("still", "meshwarp", "headgan"):
        found = talkhead.evaluate(films[how], films["real"], metrics=METRICS)
        values = [found.value(row) for row in ROWS]
        if referee:
            values.append(apart(referee.points(films[how], boxes), truth))
        cells = ["-" if value is None else f"{value:.2f}" if abs(value) >= 2 else f"{value:.3f}" for value in values]
        print(f"| {name} | {how} | {' | '.join(cells)} |", flush=True)
    sheet(films, out / f"{name}.png")


def write(path: Path, frames: Sequence[U8]) -> None:
    """A film without loss, without marks."""
    size = frames[0].shape[1], frames[0].shape[0]
    settings = RenderSettings(codec="ffv1", mark=False, overwrite=True)
    with open_frames(path, "video", size, FPS, audio=None, options=video_options(settings)) as writer:
        for frame in frames:
            writer.write(frame)


def sheet(films: dict[str, Path], path: Path) -> None:
    """Moments of the films below each other."""
    rows = []
    for film in films.values():
        frames = list(open_clip(film))
        rows.append(np.concatenate([frames[int(i)] for i in np.linspace(0, len(frames) - 1, SHOWN)], 1))
    Image.fromarray(np.concatenate(rows)).save(path)


if __name__ == "__main__":
    main()
