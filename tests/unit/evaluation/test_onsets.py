import numpy as np
import pytest

from talkhead.evaluation.onsets import onset_times, pick_peaks, spectral_flux
from talkhead.media.audio import Waveform


def tones(*starts, seconds=2.0):
    """A quiet hiss in which tones begin and fade."""
    rng = np.random.default_rng(1)
    sound = 1e-4 * rng.standard_normal(int(seconds * 16000))
    for i, start in enumerate(starts):
        n = np.arange(int(0.3 * 16000))
        sound[int(start * 16000) :][: len(n)] += (
            0.3 * np.exp(-n / 800) * np.sin(2 * np.pi * (300 + 150 * i) * n / 16000)
        )
    return Waveform(sound.astype(np.float32))


def test_beginnings_of_tones_are_onsets():
    found = onset_times(tones(0.4, 0.9, 1.5))
    assert len(found) == 3
    np.testing.assert_allclose(found, [0.4, 0.9, 1.5], atol=0.02)


@pytest.mark.parametrize("block_s", [0.037, 0.4])
def test_blocks_make_no_difference(block_s, monkeypatch):
    sound = tones(0.4, 0.9)
    whole = spectral_flux(sound)
    blocks = Waveform.blocks
    monkeypatch.setattr(Waveform, "blocks", lambda self, seconds: blocks(self, block_s))
    np.testing.assert_allclose(spectral_flux(sound), whole, atol=1e-9)


def test_loudness_makes_no_difference():
    sound = tones(0.4, 0.9)
    np.testing.assert_array_equal(onset_times(Waveform(sound.samples * np.float32(0.5))), onset_times(sound))


def test_silence_and_single_samples_have_no_onsets():
    assert not len(onset_times(Waveform(np.zeros(16000, np.float32))))
    assert not len(onset_times(Waveform(np.zeros(1, np.float32))))


def test_peaks_keep_apart_and_stand_out():
    flux = np.full(100, 0.1)
    flux[[20, 22, 60]] = [2.0, 1.9, 2.0]
    flux[80] = 0.2
    assert pick_peaks(flux).tolist() == [20, 60]
    assert not len(pick_peaks(np.zeros(0)))
