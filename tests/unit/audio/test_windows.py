import numpy as np
import pytest

from talkhead.audio.windows import count_frames, frame_times, mel_windows, sample_track
from talkhead.errors import UsageError


@pytest.mark.parametrize(
    ("seconds", "fps", "expected"), [(0.0, 25, 1), (0.001, 25, 1), (1.0, 25, 25), (10.01, 29.97, 300)]
)
def test_a_video_is_as_long_as_its_sound(seconds, fps, expected):
    assert count_frames(seconds, fps) == expected


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf"), 1e6])
def test_impossible_rates_are_refused(fps):
    with pytest.raises(UsageError, match="fps"):
        count_frames(1.0, fps)


def test_a_frame_is_read_at_its_timestamp():
    track = np.arange(101) / 100.0  # value = time
    assert frame_times(3, 25).tolist() == [0.0, 0.04, 0.08]
    for lead_s in (0.0, 0.04):
        read = sample_track(track, 100, 20, 25, lead_s=lead_s)
        np.testing.assert_allclose(read[1:], frame_times(20, 25)[1:] + lead_s, atol=1e-12)


def test_an_event_between_two_slow_frames_is_not_lost():
    track = np.zeros((101, 2))
    track[53, 1] = 1.0
    out = sample_track(track, 100, 5, 5)
    assert out.shape == (5, 2)
    assert out[3, 1] > 0.02
    assert not out[:, 0].any()


def test_windows_truncate_toward_zero_and_hold_the_ends():
    mel = np.repeat(np.arange(20.0)[:, None], 80, 1)
    late, early = mel_windows(mel, 6, 25), mel_windows(mel, 6, 25, first_frame=-2)
    assert late.shape == (6, 80, 16)
    assert late[:, 0, 0].tolist() == [0, 3, 6, 9, 12, 16]
    assert early[0, 0].tolist() == [0] * 7 + list(range(1, 10))
    assert early[1, 0, :5].tolist() == [0, 0, 0, 0, 1]
    assert late[5, 0].tolist() == [16, 17, 18] + [19] * 13
