"""The lag of made-up speech, known to a tenth of a frame."""

import pytest

from talkhead.evaluation.lag import loudness_lag
from talkhead.media.audio import Waveform


@pytest.mark.parametrize("lag", ["-4", "-1.5", "0", "2", "5"])
def test_lag_behind_loudness(golden, inputs, assert_close, lag):
    mouth, wave = inputs.tone_speech(t_video=200, lag_frames=float(lag))
    found = loudness_lag(mouth, Waveform(wave))
    assert_close(found.frames, float(lag), 0.4, "lag~loudness, frames")
    assert_close(found.frames, golden["lag"]["results"][lag]["measured"], 0.1, "lag~loudness, recorded, frames")
    assert found.peak > 0.8
    assert found.is_reliable
