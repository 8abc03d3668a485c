import numpy as np
import pytest

from talkhead.errors import ShapeError
from talkhead.evaluation.landmark_distance import MOUTH, LandmarkDistances, landmark_distance

REAL = np.random.default_rng(1).uniform(0, 200, (68, 2))


def test_a_moved_face_has_the_same_mouth():
    found = landmark_distance(REAL + [3, 4], REAL)
    assert [found.mouth, found.face_centred, found.mouth_raw, found.face] == pytest.approx([0, 0, 5, 5])


def test_an_open_mouth_counts_in_pixels_and_in_eye_distances():
    opened = REAL.copy()
    opened[MOUTH] *= 1.2
    one, double = landmark_distance(opened, REAL), landmark_distance(2 * opened, 2 * REAL)
    assert double.mouth == pytest.approx(2 * one.mouth)
    assert double.mouth_eye == pytest.approx(one.mouth_eye)
    assert one.mouth_eye == pytest.approx(100 * one.mouth / np.linalg.norm(REAL[36] - REAL[45]))


def test_frames_without_a_face_in_either_clip_are_dropped_and_counted():
    scores = LandmarkDistances((256, 200))
    for pair in [(REAL + 1, REAL), (None, REAL), (REAL, None)]:
        scores.add(*pair)
    rows = {m.name: m for m in scores.measurements()}
    assert list(rows) == ["lmd~mesh", "lmd_eye~mesh", "lmd_raw~mesh", "lmd_face~mesh"]
    row = rows["lmd_raw~mesh"]
    assert row.value == pytest.approx(np.sqrt(2))
    assert (row.n_frames, row.frames_dropped) == (1, 2)
    assert (row.params["width"], row.params["height"]) == (256, 200)


def test_without_any_face_there_is_a_reason_and_without_a_proxy_no_sign():
    scores = LandmarkDistances((10, 10), source="fan68", grade="paper-like")
    assert scores.measurements()[0].reason == "no frames to compare"
    scores.add(None, REAL)
    row = scores.measurements()[0]
    assert (row.name, row.reason) == ("lmd", "no frame shows a face in both clips")


def test_other_landmarks_are_refused():
    with pytest.raises(ShapeError, match="generated"):
        landmark_distance(REAL[:20], REAL)
