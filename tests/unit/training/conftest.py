"""A made-up training set: samples of noise that are known number by number, and a video of a real face."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from talkhead.coeffs.container import Coeffs
from talkhead.training.clips import Outcome
from talkhead.training.config import PrepareConfig
from talkhead.training.index import SHARDS, TrainingSet, append_outcome, write_about
from talkhead.training.shards import ShardWriter, Stored, encode_picture, sample_members, write_sample

SIZE = 16


def made_coeffs(n_frames: int, start: int = 0) -> Coeffs:
    """Tracks whose first expression code is the frame's number in the video."""
    exp = np.zeros((n_frames, 4), np.float32)
    exp[:, 0] = start + np.arange(n_frames)
    return Coeffs(space="meshwarp-test", fps=25.0, n_frames=n_frames, exp=exp, id=np.ones(3, np.float32))


def picture_of(video: int, frame: int) -> np.ndarray:
    """(SIZE, SIZE, 3): red is the video, green the frame."""
    pixels = np.zeros((SIZE, SIZE, 3), np.uint8)
    pixels[..., 0], pixels[..., 1] = video, frame
    return pixels


def sample_of(video: int, start: int, n_frames: int, *, masks: bool = True) -> list[tuple[str, bytes]]:
    """The members of one sample of a made-up video."""
    mask = encode_picture(np.full((SIZE, SIZE), 200, np.uint8), "png", 0) if masks else b""

    def stored(frame: int) -> Stored:
        return Stored(picture=encode_picture(picture_of(video, frame), "png", 0), mask=mask)

    frames = [stored(start + i) for i in range(n_frames)]
    about = {"name": f"video{video}", "person": f"p{video % 2}", "start": start, "picture": "png", "references": [0, 1]}
    sound = np.full(n_frames * 640, video, np.int16)
    features = {"toy": np.full((n_frames, 2), video, np.float32)}
    references = [stored(0), stored(1)]
    return sample_members(
        about, made_coeffs(n_frames, start), frames, references, made_coeffs(2), sound, features, "png"
    )


@pytest.fixture
def make_set(tmp_path: Path) -> Callable[..., Path]:
    """`make_set(n_videos=3, n_frames=20, stretch=8, shard_bytes=60_000)` -> folder of a set."""

    def make(n_videos: int = 3, n_frames: int = 20, stretch: int = 8, shard_bytes: int = 60_000) -> Path:
        folder = tmp_path / f"set{n_videos}x{n_frames}"
        (folder / SHARDS).mkdir(parents=True)
        config = PrepareConfig(size=32, stretch=stretch)
        found = TrainingSet(folder=folder, config=config, space="meshwarp-test", created_by="test", outcomes=())
        writer = ShardWriter(found.shards, shard_bytes, {})
        outcomes = []
        for video in range(n_videos):
            part, samples = tmp_path / "part.tar", []
            with part.open("wb") as stream:
                for start in range(0, n_frames, stretch):
                    length = min(stretch, n_frames - start)
                    offset = stream.tell()
                    size = write_sample(stream, f"video{video}_{start:05d}", sample_of(video, start, length))
                    samples.append([offset, size, start, length])
            shard, begin = writer.append(part)
            outcome = Outcome(
                key=f"video{video}", label=f"video{video}.mp4", path="", person=f"p{video % 2}", n_frames=n_frames,
                samples=samples, has_sound=True, shard=shard, begin=begin,
            )  # fmt: skip
            append_outcome(folder, outcome)
            outcomes.append(outcome)
        writer.close()
        write_about(replace(found, outcomes=tuple(outcomes)), {})
        return folder

    return make


@pytest.fixture(scope="session")
def film(ffmpeg: str, tmp_path_factory: pytest.TempPathFactory, example_face: Path) -> Callable[..., Path]:
    """`film(shots, name="film.mp4", folder=None)`: a video of shots after each other, 20 frames of the example face
    ("face"), which drifts by a pixel a frame, or of a test picture ("none"); with a tone."""

    def make(shots: str = "face", name: str = "film.mp4", folder: Path | None = None) -> Path:
        path = (folder or tmp_path_factory.mktemp("film")) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        argv, chains, words = [ffmpeg, "-v", "error", "-y"], [], shots.split()
        for number, shot in enumerate(words):
            if shot == "none":
                argv += ["-f", "lavfi", "-i", "testsrc=size=256x256:rate=25"]
                chains.append(f"[{number}:v]trim=end_frame=20,setsar=1,format=yuv420p[v{number}]")
            else:
                argv += ["-loop", "1", "-i", str(example_face)]
                scale = "scale=288:288,crop=256:256:n:n,trim=end_frame=20,setsar=1,format=yuv420p"
                chains.append(f"[{number}:v]{scale}[v{number}]")
        argv += ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=16000"]
        joined = "".join(f"[v{n}]" for n in range(len(words))) + f"concat=n={len(words)}:v=1[out]"
        argv += ["-filter_complex", ";".join([*chains, joined]), "-map", "[out]", "-map", f"{len(words)}:a"]
        n_frames = 20 * len(words)
        argv += ["-frames:v", str(n_frames), "-t", str(n_frames / 25), "-r", "25", str(path)]
        subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)
        return path

    return make
