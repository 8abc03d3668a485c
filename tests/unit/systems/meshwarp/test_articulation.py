import numpy as np
import pytest

from talkhead.systems.meshwarp import articulation
from talkhead.systems.meshwarp.mouth_net import CHANNELS


def decoded_open(pause_s: float, close: float) -> np.ndarray:
    """Opening in a pause between vowels, whose middle is a closure heard as strongly as `close`."""
    n, steps = 200, round(pause_s * 40)
    pause = slice(100, 100 + steps)
    channels = np.full((n, len(CHANNELS)), 0.05)
    channels[:, CHANNELS.index("open")] = 0.7 + 0.1 * np.sin(np.arange(n) / 3)
    channels[pause, CHANNELS.index("open")] = 0.05
    channels[pause, CHANNELS.index("close")] = close
    is_speech = np.ones(n, bool)
    is_speech[pause] = False
    quiet = np.zeros(n)
    cues = articulation._Cues(is_speech=is_speech, open=quiet, jaw=quiet)
    return articulation._decoded(channels, cues)[pause, 0]


def test_the_mouth_waits_open_in_a_short_pause():
    assert decoded_open(0.25, close=0.0).min() > 0.4


def test_the_mouth_rests_in_a_long_pause():
    assert decoded_open(0.6, close=0.0)[4:-4].max() < 0.1


@pytest.mark.parametrize("pause_s", [0.16, 0.25])
def test_the_silence_of_a_long_p_is_no_pause_to_wait_in(pause_s):
    assert decoded_open(pause_s, close=0.9).max() < 0.15
