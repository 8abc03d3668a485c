import numpy as np
import pytest

from talkhead.audio.mel import (
    F_MAX_HZ,
    F_MIN_HZ,
    N_MELS,
    hz_to_mel,
    mel_blocks,
    mel_filterbank,
    mel_spectrogram,
    mel_to_hz,
)
from talkhead.media.audio import Waveform


def tone(hz, seconds=1.0, amplitude=0.5):
    return Waveform(
        (amplitude * np.sin(2 * np.pi * hz * np.arange(int(16000 * seconds)) / 16000)).astype(np.float32), 16000
    )


def test_scale_has_slaneys_anchors_and_inverts():
    np.testing.assert_allclose(hz_to_mel([0, 1000, 6400]), [0.0, 15.0, 42.0])
    hz = np.array([20.0, 440.0, 999.0, 1001.0, 7600.0])
    np.testing.assert_allclose(mel_to_hz(hz_to_mel(hz)), hz)


def test_bands_cover_55_to_7600_hz_with_equal_area():
    bank = mel_filterbank()
    assert bank.shape == (80, 401)
    hz = np.arange(401) * 20.0
    assert not bank[:, (hz < F_MIN_HZ) | (hz > F_MAX_HZ)].any()
    np.testing.assert_allclose(bank[60:].sum(1) * 20.0, 1.0, atol=0.02)


@pytest.mark.parametrize("hz", [440.0, 3000.0])
def test_a_tone_peaks_in_the_band_that_holds_it(hz):
    mel = mel_spectrogram(tone(hz))
    assert mel.shape == (81, N_MELS)
    assert mel.dtype == np.float32
    edges = mel_to_hz(np.linspace(hz_to_mel(F_MIN_HZ), hz_to_mel(F_MAX_HZ), N_MELS + 2))
    peak = int(mel[20:60].mean(0).argmax())
    assert edges[peak] < hz < edges[peak + 2]


def test_ten_times_the_amplitude_is_20_decibels():
    loud, soft = mel_spectrogram(tone(440, amplitude=0.5)), mel_spectrogram(tone(440, amplitude=0.05))
    peak = int(loud[40].argmax())
    assert loud[40, peak] - soft[40, peak] == pytest.approx(8 * 20 / 100, abs=1e-3)


def test_silence_is_the_floor():
    np.testing.assert_array_equal(mel_spectrogram(Waveform(np.zeros(3200, np.float32), 16000)), -4.0)


def test_result_does_not_depend_on_the_block_size():
    sound = Waveform(np.random.default_rng(0).normal(0, 0.1, 20011).astype(np.float32), 16000)
    whole = np.concatenate(list(mel_blocks(sound)))
    for seconds in (0.003, 0.09, 0.5):
        np.testing.assert_allclose(np.concatenate(list(mel_blocks(sound, seconds))), whole, atol=1e-9)
