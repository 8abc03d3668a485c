from __future__ import annotations

import tracemalloc
import wave

import numpy as np
import pytest

from talkhead.audio.mel import mel_spectrogram
from talkhead.audio.windows import mel_windows
from talkhead.errors import InputError, UsageError
from talkhead.media.audio import AudioStream, Waveform
from talkhead.systems.sadtalker.sound import Heard


def noise(n_samples, rate=16000, seed=0):
    return Waveform(np.random.default_rng(seed).normal(scale=0.1, size=n_samples).astype(np.float32), rate)


class Pieces:
    """Speech that comes in blocks of an odd length, whatever is asked."""

    def __init__(self, samples, sample_rate=16000, block=777):
        self.samples, self.sample_rate, self.block = samples, sample_rate, block

    def blocks(self, seconds=20.0):
        for start in range(0, len(self.samples), self.block):
            yield self.samples[start : start + self.block]


class Long:
    """Minutes of noise that are never held."""

    sample_rate = 16000

    def __init__(self, minutes):
        self.minutes = minutes

    def blocks(self, seconds=20.0):
        rng = np.random.default_rng(0)
        for _ in range(self.minutes * 60):
            yield rng.normal(scale=0.1, size=16000).astype(np.float32)


@pytest.mark.parametrize("n_frames", [1, 2, 3, 5, 6, 33, 170])
@pytest.mark.parametrize("chunk", [5, 20, 800])
def test_pieces_are_the_whole(n_frames, chunk):
    speech = noise(640 * n_frames)
    heard = Heard.of(speech)
    pieces = list(heard.windows(chunk))
    assert all(len(piece) == chunk for piece in pieces[:-1])
    whole = mel_windows(mel_spectrogram(speech), n_frames, 25.0, first_frame=-2)
    np.testing.assert_array_equal(np.concatenate(pieces), whole)


def test_sound_is_cut_to_whole_frames_before_it_is_analysed():
    samples = noise(640 * 40 + 639).samples
    cut = np.concatenate(list(Heard.of(Waveform(samples)).windows()))
    np.testing.assert_array_equal(cut, np.concatenate(list(Heard.of(Waveform(samples[: 640 * 40])).windows())))
    uncut = mel_windows(mel_spectrogram(Waveform(samples)), 40, 25.0, first_frame=-2)
    assert np.abs(cut - uncut).max() > 0.1, "the end of the sound makes no difference"


def test_less_than_a_frame_is_filled_up():
    heard = Heard.of(noise(100))
    assert heard.n_frames == 1
    assert np.concatenate(list(heard.windows())).shape == (1, 80, 16)


def test_blocks_do_not_matter():
    samples = noise(50_000).samples
    for speech in (Pieces(samples), Pieces(samples, block=31)):
        np.testing.assert_array_equal(
            np.concatenate(list(Heard.of(speech).windows())),
            np.concatenate(list(Heard.of(Waveform(samples)).windows())),
        )


@pytest.mark.parametrize("n_samples", [1, 44_100, 176_399, 176_400, 300_001])
def test_other_rates_have_as_many_frames_as_their_resampled_sound(n_samples):
    heard = Heard.of(noise(n_samples, 44_100))
    assert heard.n_frames == max(1, -(-n_samples * 16000 // 44_100) // 640)
    assert heard.duration_s == n_samples / 44_100
    assert len(np.concatenate(list(heard.windows()))) == heard.n_frames


def test_stereo_at_44_1_khz(tmp_path):
    t = np.arange(44_100) / 44_100
    tone = 0.3 * np.sin(2 * np.pi * 440 * t)
    with wave.open(str(tmp_path / "stereo.wav"), "wb") as out:
        out.setnchannels(2)
        out.setsampwidth(2)
        out.setframerate(44_100)
        out.writeframes((np.stack([1.5 * tone, 0.5 * tone], 1) * 32767).astype("<i2").tobytes())
    heard = Heard.of(AudioStream(tmp_path / "stereo.wav"))
    assert heard.n_frames == 25
    mono = Waveform((0.3 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)).astype(np.float32))
    found, expected = (np.concatenate(list(h.windows())) for h in (heard, Heard.of(mono)))
    # The 440 Hz band; the others hold the noise of 16 bits and of two resamplers.
    np.testing.assert_allclose(found[5:20].max(1), expected[5:20].max(1), atol=0.02)


def test_silence_is_the_lowest_level():
    windows = np.concatenate(list(Heard.of(Waveform(np.zeros(16_000, np.float32))).windows()))
    assert (windows == -4.0).all()


def test_idleness_hears_nothing():
    heard = Heard.of(None, 6.99)
    windows = list(heard.windows(100))
    assert [piece.shape for piece in windows] == [(100, 80, 16), (74, 80, 16)]
    assert not np.concatenate(windows).any()
    with pytest.raises(UsageError, match="duration"):
        Heard.of(None)
    with pytest.raises(InputError, match="no samples"):
        Heard.of(Pieces(np.zeros(0, np.float32)))


def test_memory_does_not_grow_with_length():
    peaks = []
    for minutes in (1, 4):
        tracemalloc.start()
        n_frames = sum(len(piece) for piece in Heard.of(Long(minutes)).windows())
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert n_frames == 1500 * minutes
    assert peaks[1] < peaks[0] + 200_000
