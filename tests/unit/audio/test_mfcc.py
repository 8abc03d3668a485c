import numpy as np
import pytest

from talkhead.audio.mfcc import N_COEFFS, as_int16, mfcc, speech_mfcc
from talkhead.media.audio import Waveform


def rows_of(samples, block=10_000):
    return np.concatenate(list(mfcc(samples[at : at + block] for at in range(0, len(samples), block))))


@pytest.mark.parametrize(
    ("n_samples", "n_rows"), [(0, 1), (399, 1), (400, 1), (401, 2), (560, 2), (561, 3), (16000, 99)]
)
def test_every_sample_is_in_a_row(n_samples, n_rows):
    samples = np.random.default_rng(1).normal(0, 1000, n_samples)
    assert rows_of(samples).shape == (n_rows, N_COEFFS)


@pytest.mark.parametrize("block", [1, 159, 400, 7000])
def test_blocks_make_no_difference(block):
    samples = np.random.default_rng(2).normal(0, 1000, 3000)
    np.testing.assert_allclose(rows_of(samples, block), rows_of(samples), atol=1e-9)


def test_silence_is_finite():
    assert np.isfinite(rows_of(np.zeros(2000))).all()


def test_louder_sound_changes_the_energy_alone():
    samples = np.random.default_rng(3).normal(0, 100, 4000)
    difference = rows_of(4 * samples) - rows_of(samples)
    np.testing.assert_allclose(difference[:, 0], np.log(16))
    np.testing.assert_allclose(difference[:, 1:], 0, atol=1e-9)


def test_speech_is_taken_as_16_bit_numbers():
    samples = np.array([0.0, 0.5, -0.5, 1.0, -1.0, 2.0, 1e-6])
    (found,) = as_int16([samples])
    assert found.tolist() == [0, 16384, -16384, 32767, -32768, 32767, 0]
    speech = Waveform(np.sin(np.arange(8000) / 9).astype(np.float32) * 0.3, 16000)
    whole = np.concatenate(list(speech_mfcc(speech)))
    np.testing.assert_allclose(whole, rows_of(np.rint(speech.samples.astype(np.float64) * 32768)))
