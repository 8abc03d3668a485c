import numpy as np
import pytest

from talkhead.systems.meshwarp.blinks import BlinkConfig, blink_times, blink_track, gaze_track


def rng(seed=0):
    return np.random.default_rng(seed)


def test_rates_are_those_of_people():
    rates = [len(blink_times(600.0, rng(k))) / 10 for k in range(30)]
    assert 13 < np.mean(rates) < 23
    assert np.std(rates) > 3
    gaps = np.diff(blink_times(600.0, rng(1), config=BlinkConfig(double_share=0.0)))
    assert gaps.min() >= 1.0


def test_blinks_prefer_phrase_ends():
    ends = np.arange(2.0, 600.0, 3.0)
    times = blink_times(600.0, rng(), ends)
    near = np.mean([np.abs(ends - t).min() < 1e-6 for t in times])
    assert near > 0.35


@pytest.mark.parametrize("fps", [10.0, 25.0, 30.0, 60.0])
def test_every_blink_shuts_both_eyes_and_opens_again(fps):
    track = blink_track(int(60 * fps), fps, rng(), config=BlinkConfig(double_share=0.0))
    assert track.dtype == np.float32
    assert track.min() == 0.0
    assert track.max() <= 1.0
    np.testing.assert_array_equal(track[:, 0], track[:, 1])
    n_shut = (np.diff((track[:, 0] > 0.9).astype(int)) == 1).sum()
    assert n_shut == len(blink_times(60.0, rng(), config=BlinkConfig(double_share=0.0)))
    assert (track == 0).mean() > 0.7


def test_lids_fall_faster_than_they_rise():
    track = blink_track(6000, 200.0, rng(), config=BlinkConfig(double_share=0.0))[:, 0]
    change = np.diff(track)
    assert (change > 0).sum() < 0.7 * (change < 0).sum()


def test_same_seed_same_eyes():
    np.testing.assert_array_equal(blink_track(500, 25, rng(3)), blink_track(500, 25, rng(3)))
    assert (blink_track(500, 25, rng(3)) != blink_track(500, 25, rng(4))).any()


def test_gaze_stays_near_the_camera_and_starts_there():
    gaze = gaze_track(2500, 25.0, rng())
    assert gaze.shape == (2500, 2)
    assert not gaze[0].any()
    assert np.abs(gaze).max() <= 0.08
    still = np.all(np.diff(gaze, axis=0) == 0, axis=1).mean()
    assert still > 0.85, "eyes rest most of the time"
    assert not gaze_track(100, 25.0, rng(), extent=0.0).any()
