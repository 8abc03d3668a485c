import numpy as np
import pytest

from talkhead.systems.meshwarp.blinks import BlinkConfig, blink_times, blink_track

ALWAYS_SHUT = BlinkConfig(double_share=0.0, partial_share=0.0)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_rates_are_those_of_people():
    rates = [len(blink_times(600.0, rng(k))) / 10 for k in range(30)]
    assert 16 < np.mean(rates) < 23
    assert 4 < np.std(rates) < 9
    assert 8 < min(rates) < max(rates) < 36
    gaps = np.diff(blink_times(600.0, rng(1), config=BlinkConfig(double_share=0.0)))
    assert gaps.min() >= 1.0


def test_blinks_prefer_phrase_ends():
    ends = np.arange(2.0, 600.0, 3.0)
    times = blink_times(600.0, rng(), ends)
    near = np.mean([np.abs(ends - t).min() < 0.25 for t in times])
    assert near > 0.35, "one in six by chance"
    assert len(np.unique(np.round((times - 2.0) % 3.0, 3))) > 0.8 * len(times), "not like clockwork"


def test_some_blinks_do_not_shut_the_eye():
    track = blink_track(30000, 50.0, rng(), config=BlinkConfig(partial_share=0.5, double_share=0.0))[:, 0]
    peaks = track[1:-1][(track[1:-1] > track[:-2]) & (track[1:-1] >= track[2:])]
    assert 0.3 < (peaks < 0.88).mean() < 0.7
    assert peaks.min() > 0.4


@pytest.mark.parametrize("fps", [10.0, 25.0, 30.0, 60.0])
def test_every_blink_shuts_both_eyes_and_opens_again(fps):
    track = blink_track(int(60 * fps), fps, rng(), config=ALWAYS_SHUT)
    assert track.dtype == np.float32
    assert track.min() == 0.0
    assert track.max() <= 1.0
    np.testing.assert_array_equal(track[:, 0], track[:, 1])
    n_shut = (np.diff((track[:, 0] > 0.9).astype(int)) == 1).sum()
    assert n_shut == len(blink_times(60.0, rng(), config=ALWAYS_SHUT))
    assert (track == 0).mean() > 0.7


def test_lids_fall_faster_than_they_rise():
    track = blink_track(6000, 200.0, rng(), config=BlinkConfig(double_share=0.0))[:, 0]
    change = np.diff(track)
    assert (change > 0).sum() < 0.7 * (change < 0).sum()


def test_same_seed_same_eyes():
    np.testing.assert_array_equal(blink_track(500, 25, rng(3)), blink_track(500, 25, rng(3)))
    assert (blink_track(500, 25, rng(3)) != blink_track(500, 25, rng(4))).any()
