"""The provenance mark: there when it was put, not there when it was not, and never seen."""

import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from talkhead.media.mark import THRESHOLD, Label, Mark, detect_mark, note, verify_video
from talkhead.media.video import VideoWriter, open_clip


def scene(n_frames: int, size: tuple[int, int] = (192, 160)) -> list[np.ndarray]:
    """A textured blob that moves over a soft ground, with some grain."""
    rng = np.random.default_rng(5)
    ground = cv2.resize(rng.integers(40, 220, (6, 6, 3)).astype(np.uint8), size, interpolation=cv2.INTER_CUBIC)
    blob = cv2.resize(rng.integers(0, 256, (24, 24, 3)).astype(np.uint8), (64, 64), interpolation=cv2.INTER_CUBIC)
    frames = []
    for n in range(n_frames):
        frame = ground.copy()
        frame[40:104, 40 + 2 * n : 104 + 2 * n] = blob
        grain = rng.normal(0, 1.5, frame.shape)
        frames.append(np.clip(frame + grain, 0, 255).astype(np.uint8))
    return frames


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mark") / "marked.mp4"
    with VideoWriter(path, (192, 160), 25) as writer:
        for frame in scene(16):
            writer.write(frame)
    return path


def test_it_is_one_level_at_most():
    luma = np.full((96, 128), 120, np.uint8)
    Mark((128, 96)).apply_luma(luma)
    change = luma.astype(int) - 120
    assert set(np.unique(change)) == {-1, 1}
    assert abs(change.mean()) < 0.1
    assert 10 * np.log10(255**2 / np.mean(change**2)) > 48


def test_extremes_do_not_wrap():
    mark = Mark((64, 64))
    for level in (0, 255):
        luma = np.full((64, 64), level, np.uint8)
        mark.apply_luma(luma)
        assert np.abs(luma.astype(int) - level).max() == 1


def test_rgb_moves_all_channels_alike_and_leaves_its_input():
    frame = np.full((48, 64, 3), 100, np.uint8)
    change = Mark((64, 48)).apply_rgb(frame).astype(int) - 100
    assert (frame == 100).all()
    assert (change[..., 0] == change[..., 1]).all() and (np.abs(change) == 1).all()


def test_every_frame_is_marked_alike(tmp_path: Path):
    still = scene(1)[0]
    with VideoWriter(tmp_path / "a.mkv", (192, 160), 25, codec="ffv1") as writer:
        for _ in range(3):
            writer.write(still)
    frames = list(open_clip(tmp_path / "a.mkv"))
    assert (frames[0] == frames[2]).all()


def test_it_is_found_in_a_film(marked: Path):
    report = verify_video(marked)
    assert report.present and report.score > 1.5 * THRESHOLD
    assert report.note == note()
    assert detect_mark(open_clip(marked)).present


@pytest.mark.parametrize(
    "options",
    [
        ["-crf", "28"],
        ["-vf", "scale=384:320", "-crf", "23"],
        ["-vf", "scale=96:80", "-crf", "12"],
        ["-vf", "scale=320:160", "-crf", "23"],
        ["-c:v", "mpeg4", "-q:v", "5"],
    ],
    ids=["recompressed", "doubled", "halved", "stretched", "another codec"],
)
def test_it_survives(ffmpeg: str, marked: Path, tmp_path: Path, options: list[str]):
    changed = tmp_path / "changed.mp4"
    subprocess.run([ffmpeg, "-v", "error", "-i", marked, *options, "-map_metadata", "-1", changed], check=True)
    report = verify_video(changed)
    assert report.present, report.score
    assert report.note is None


def test_it_is_not_found_where_it_is_not(tmp_path: Path):
    with VideoWriter(tmp_path / "a.mp4", (192, 160), 25, mark=False) as writer:
        for frame in scene(16):
            writer.write(frame)
    report = verify_video(tmp_path / "a.mp4")
    assert not report.present and report.note is None
    assert report.n_frames > 5


def test_flat_and_missing_frames_are_not_marked():
    assert detect_mark([]).n_frames == 0
    assert not detect_mark([]).present
    assert not detect_mark([np.full((50, 50, 3), 128, np.uint8)] * 3).present


@pytest.mark.parametrize("size", [(1, 1), (2, 40), (64, 64), (333, 77)])
def test_any_size(size: tuple[int, int]):
    Mark(size).apply_luma(np.full(size[::-1], 9, np.uint8))
    frame = np.full((size[1], size[0], 3), 90, np.uint8)
    Label(size, "synthetic").draw(frame)


def test_a_label_is_seen_in_its_corner():
    for ground in (0, 128, 255):
        frame = np.full((256, 256, 3), ground, np.uint8)
        Label((256, 256), "synthetic").draw(frame)
        changed = np.abs(frame.astype(int) - ground).max(-1) > 40
        rows, columns = np.nonzero(changed)
        assert len(rows) > 60
        assert rows.min() > 200 and columns.min() > 100
        assert not changed[-1].any() and not changed[:, -1].any()


def test_real_films_are_not_marked_until_they_are(media: Path, tmp_path: Path):
    for name in ("talk_sync_b.mp4", "driving_expressions.mp4"):
        film = media / "video" / name
        assert not verify_video(film).present
        clip = open_clip(film, end_s=0.6, max_size=384)
        with VideoWriter(tmp_path / name, clip.size, clip.fps, crf=28) as writer:
            for frame in clip:
                writer.write(frame)
        assert verify_video(tmp_path / name).present
