import numpy as np
import pytest

from talkhead.audio import recognise as module
from talkhead.audio.align import LevelledPcm
from talkhead.errors import InputError
from talkhead.media.audio import Waveform, read_waveform


def noise_with_pauses(seconds: float, every_s: float) -> Waveform:
    rng = np.random.default_rng(0)
    t = np.arange(int(seconds * 16000)) / 16000
    loud = (t % every_s) < every_s - 0.5
    return Waveform((rng.normal(0, 0.1, len(t)) * loud * (1 + 0.5 * np.sin(9 * t))).astype(np.float32), 16000)


@pytest.mark.parametrize(("seconds", "every_s"), [(3.0, 2.0), (60.0, 4.0), (100.0, 200.0), (31.0, 3.0)])
def test_stretches_are_the_sound_in_pieces_that_fit(seconds, every_s):
    pcm = LevelledPcm(noise_with_pauses(seconds, every_s), "noise")
    pieces = list(module._stretches(pcm))
    np.testing.assert_array_equal(np.concatenate(pieces), np.concatenate(list(pcm.blocks())))
    assert max(map(len, pieces)) <= 30 * 16000
    if every_s < seconds / 4:
        assert len(pieces) > 1
        ends = np.cumsum([len(piece) for piece in pieces])[:-1]
        assert not pcm.is_speech[ends // 160].any()  # cut in pauses


def test_words_of_clear_speech(example_speech):
    pytest.importorskip("pocketsphinx")
    words = module.recognise(read_waveform(example_speech)).split()
    assert len(words) > 3 and all(word.isascii() and word == word.lower() for word in words)


def test_no_words_in_noise(monkeypatch):
    pytest.importorskip("pocketsphinx")
    monkeypatch.setattr(module, "_words", lambda decoder, samples: [])
    with pytest.raises(InputError, match="no English words"):
        module.recognise(noise_with_pauses(3.0, 2.0))
