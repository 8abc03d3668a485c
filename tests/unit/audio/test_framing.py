import numpy as np
import pytest

from talkhead.audio.framing import SAMPLE_RATE, framed, preemphasised, speech_samples
from talkhead.errors import InputError
from talkhead.media.audio import Waveform


def test_frames_are_centred_and_zero_outside():
    samples = np.arange(1.0, 11.0)
    frames = np.concatenate(list(framed([samples], 4, 3)))
    assert frames.tolist() == [[0, 0, 1, 2], [2, 3, 4, 5], [5, 6, 7, 8], [8, 9, 10, 0]]


@pytest.mark.parametrize("block", [1, 3, 7, 50])
def test_frames_do_not_depend_on_blocks(block):
    samples = np.random.default_rng(0).normal(size=50)
    pieces = [samples[i : i + block] for i in range(0, 50, block)]
    split, whole = (np.concatenate(list(framed(x, 8, 3))) for x in (pieces, [samples]))
    assert len(whole) == 1 + 50 // 3
    np.testing.assert_array_equal(split, whole)


def test_no_samples_give_one_silent_frame():
    assert np.concatenate(list(framed([], 8, 3))).tolist() == [[0.0] * 8]


def test_preemphasis_crosses_blocks():
    whole = next(preemphasised([np.array([1.0, 2.0, 3.0, 4.0])], 0.5))
    split = np.concatenate(list(preemphasised([np.array([1.0]), np.array([]), np.array([2.0, 3.0, 4.0])], 0.5)))
    np.testing.assert_array_equal(whole, [1.0, 1.5, 2.0, 2.5])
    np.testing.assert_array_equal(split, whole)


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_resampling_keeps_a_tone_and_its_length(rate):
    seconds = 9.3
    tone = np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate)) / rate).astype(np.float32)
    out = np.concatenate(list(speech_samples(Waveform(tone, rate))))
    assert abs(len(out) - seconds * SAMPLE_RATE) <= 2
    expected = np.sin(2 * np.pi * 440 * np.arange(len(out)) / SAMPLE_RATE)
    np.testing.assert_allclose(out[200:-200], expected[200:-200], atol=5e-3)
    small = np.concatenate(list(speech_samples(Waveform(tone, rate), 0.11)))
    np.testing.assert_allclose(small, out, atol=1e-9)


def test_broken_samples_become_silence():
    class Broken:
        sample_rate = SAMPLE_RATE

        def blocks(self, seconds=20.0):
            yield np.array([0.5, np.nan, np.inf], np.float32)

    out = np.concatenate(list(speech_samples(Broken())))
    assert np.isfinite(out).all()
    assert out[:2].tolist() == [0.5, 0.0]


def test_absurd_sample_rate_is_refused():
    with pytest.raises(InputError, match="100 Hz"):
        list(speech_samples(Waveform(np.zeros(10, np.float32), 100)))
