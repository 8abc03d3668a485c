"""Jitter, blinks and speed of work against recorded numbers."""

import numpy as np

from talkhead.evaluation.steadiness import Jitter, WorkTime, find_blinks


def test_jitter(golden, inputs, assert_close):
    t, j = np.arange(100)[:, None], np.arange(6)
    clean = np.stack([50 + 10 * np.sin(t / 15) + 7 * j, 60 + 3 * np.cos(t / 20) + 5 * j], -1)
    noisy = clean + 0.3 * inputs.rng("jit").standard_normal((100, 6, 2))
    for name, points in (("clean", clean), ("noisy", noisy)):
        track = Jitter()
        for frame in points:
            track.add_points(frame, 40.0)
        found = [m.value for m in track.measurements()]
        recorded = [golden["jitter"][f"{name}_{which}"] for which in ("savgol", "accel")]
        assert_close(found, recorded, 1e-6, f"jitter and accel, {name}, permille")


def test_blinks(golden, arrays):
    found = find_blinks(arrays["ear_series"])
    assert found == [tuple(event) for event in golden["blink"]["events_first_last"]]
    assert len(found) * 60 / 8 == golden["blink"]["rate_per_min"]


def test_speed(golden, assert_close):
    recorded = golden["rtf"]
    time = WorkTime(work_s=recorded["seconds_of_work"], media_s=recorded["seconds_of_video"], n_frames=200)
    assert_close([m.value for m in time.measurements()], [recorded["rtf"], recorded["fps"]], 1e-12, "rtf and fps")
