from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import savgol_filter

from talkhead.errors import ShapeError, UsageError
from talkhead.evaluation.mesh_readings import MeshReadings
from talkhead.evaluation.steadiness import (
    FrozenFrames,
    Jitter,
    WorkTime,
    face_measurements,
    find_blinks,
    found_measurement,
)

RNG = np.random.default_rng(1)


def jitter(points, eyes=50.0, lost=()):
    track = Jitter()
    for t, frame in enumerate(points):
        if t in lost:
            track.add(None)
        else:
            track.add_points(frame, eyes)
    return {m.name: m for m in track.measurements()}


@pytest.mark.parametrize("n", [7, 8, 30])
def test_jitter_is_the_distance_from_the_smoothed_path(n):
    points = RNG.standard_normal((n, 5, 2))
    away = np.linalg.norm(points - savgol_filter(points, 7, 2, axis=0), axis=-1).mean()
    row = jitter(points)["jitter~mesh"]
    assert row.value == pytest.approx(1000 * away / 50)
    assert row.n_frames == n


def test_smooth_motion_does_not_tremble():
    t = np.arange(20.0)[:, None, None]
    rows = jitter(np.concatenate([t, 0.1 * t**2], -1))
    assert rows["jitter~mesh"].value == pytest.approx(0, abs=1e-9)
    assert rows["accel~mesh"].value == pytest.approx(1000 * 0.2 / 50)


def test_a_frame_without_a_face_parts_the_path():
    points = RNG.standard_normal((21, 5, 2))
    points[11:] += 100
    rows = jitter(points, lost=(10,))
    parts = [jitter(points[:10])["jitter~mesh"], jitter(points[11:])["jitter~mesh"]]
    assert rows["jitter~mesh"].value == pytest.approx(np.mean([m.value for m in parts]))
    assert (rows["jitter~mesh"].n_frames, rows["jitter~mesh"].frames_dropped) == (20, 1)


def test_short_clips_have_no_jitter():
    rows = jitter(np.zeros((6, 5, 2)))
    assert rows["jitter~mesh"].reason == "no 7 frames in a row show a face"
    assert rows["accel~mesh"].value == 0
    assert jitter([])["accel~mesh"].value is None
    with pytest.raises(ShapeError, match="478"):
        Jitter().add(np.zeros((68, 3)))


def test_blinks_are_short_and_deep():
    eyes = np.full(300, 0.3)
    eyes[50:54] = 0.1
    eyes[100:102] = eyes[103:105] = 0.1
    eyes[150:170] = 0.1
    eyes[200:204] = 0.25
    assert find_blinks(eyes) == [(50, 53), (100, 104)]
    assert find_blinks(np.repeat(eyes, 2), 50.0)[0] == (100, 107)
    assert find_blinks(np.zeros(0)) == []


def readings(n=100):
    names = ("eye_distance", "gap", "outer_gap", "width", "chin", "lip", "pout", "eye_aspect")
    return MeshReadings(fps=25.0, angles=np.zeros((n, 3)), **{name: np.full(n, 0.3) for name in names})


def test_a_clip_tells_blinks_and_open_mouths():
    eyes, gap = np.full(100, 0.3), np.linspace(0, 0.1, 100)
    eyes[40:43] = 0.05
    clip = replace(readings(), eye_aspect=eyes, gap=gap)
    rows = {m.name: m.value for m in face_measurements(clip)}
    assert rows["blink_rate~mesh"] == pytest.approx(15)
    assert rows["mouth_open~mesh"] == pytest.approx(0.05)
    assert rows["mouth_open_p95~mesh"] == pytest.approx(0.095)
    assert rows["mouth_open_share~mesh"] == pytest.approx(0.7)


def test_faces_that_are_rarely_seen_have_no_blink_rate():
    gap = np.full(100, np.nan)
    gap[:40] = 0.1
    rows = {m.name: m for m in face_measurements(replace(readings(), gap=gap))}
    assert "half" in rows["blink_rate~mesh"].reason
    assert rows["mouth_open~mesh"].value == pytest.approx(0.1)
    assert rows["mouth_open~mesh"].frames_dropped == 60
    assert rows["blink_rate~mesh"].params["n_blinks"] == 0
    unseen = face_measurements(replace(readings(), gap=np.full(100, np.nan)))
    assert [m.value for m in unseen] == [None] * 4
    assert {m.value for m in face_measurements(readings(0))} == {None}
    assert (found_measurement(0.4, 100).value, found_measurement(np.nan, 0).reason) == (0.4, "no frames")


def test_repeated_frames_are_counted():
    counter = FrozenFrames()
    first, second = np.zeros((2, 2, 3), np.uint8), np.ones((2, 2, 3), np.uint8)
    assert counter.measurement().value is None
    assert [counter.add(frame) for frame in (first, first, second, second.copy(), first)] == [0, 1, 0, 1, 0]
    assert (counter.measurement().value, counter.measurement().n_frames) == (0.5, 4)


def test_speed_is_work_over_length():
    rtf, fps = WorkTime(work_s=4.0, media_s=8.0, n_frames=200, device="cpu", threads=2, load_s=1.5).measurements()
    assert (rtf.value, fps.value, fps.unit) == (0.5, 50, "fps")
    assert rtf.params == {"work_s": 4.0, "load_s": 1.5, "device": "cpu", "threads": 2}
    assert WorkTime(work_s=4.0, media_s=8.0, n_frames=200).measurements()[0].params == {"work_s": 4.0}
    with pytest.raises(UsageError, match="0 s of work"):
        WorkTime(work_s=0.0, media_s=8.0, n_frames=200)
