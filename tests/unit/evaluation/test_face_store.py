"""Faces kept beside a film: written once, read back the same, made anew when damaged or of something else."""

from __future__ import annotations

import numpy as np
import pytest

from talkhead.evaluation.face_store import FilmFaces, kept_at
from talkhead.face.landmarks import Landmarks

FRAME = np.zeros((8, 8, 3), np.uint8)


class Tracker:
    """Stands in for the tracker; sees no face in the second frame."""

    calls = 0

    def __init__(self, *_: object, **__: object) -> None:
        self._n = 0

    def track(self, frame: np.ndarray) -> Landmarks | None:
        Tracker.calls += 1
        self._n += 1
        return None if self._n == 2 else Landmarks(np.full((478, 3), self._n + 0.123456789))


@pytest.fixture
def film(tmp_path, monkeypatch):
    monkeypatch.setattr("talkhead.face.mesh.FaceTracker", Tracker)
    Tracker.calls = 0
    path = tmp_path / "film.mp4"
    path.write_bytes(b"a film")
    return path


def read(film, n=3, **more) -> list[float | None]:
    with FilmFaces(film, (8, 8), 25.0, **more) as faces:
        found = [faces.next(FRAME) for _ in range(n)]
        faces.finish()
    return [None if face is None else float(face.points[5, 1]) for face in found]


def test_nothing_is_written_unless_asked(film):
    read(film)
    assert [path.name for path in film.parent.iterdir()] == ["film.mp4"]


def test_a_second_run_reads_the_same(film):
    first = read(film, keep=True)
    assert first[1] is None
    assert Tracker.calls == 3
    assert read(film, keep=True) == first == read(film)
    assert Tracker.calls == 6


def test_other_frames_are_tracked_anew(film):
    names = {kept_at(film, (8, 8), 25.0), kept_at(film, (8, 8), 30.0), kept_at(film, (16, 8), 25.0),
             kept_at(film, (8, 8), 25.0, 8.0)}  # fmt: skip
    assert len(names) == 4


def test_a_damaged_file_is_made_anew(film):
    first = read(film, keep=True)
    kept = kept_at(film, (8, 8), 25.0)
    kept.write_bytes(kept.read_bytes()[:50])
    assert read(film, keep=True) == first
    assert read(film, keep=True) == first
    assert Tracker.calls == 6


def test_it_is_an_ordinary_file(film):
    from safetensors.numpy import load_file

    read(film, keep=True)
    points = load_file(kept_at(film, (8, 8), 25.0))["points"]
    assert points.shape == (3, 478, 3)
    assert np.isnan(points[1]).all()
