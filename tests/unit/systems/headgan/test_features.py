from __future__ import annotations

import json

import numpy as np
import pytest

from talkhead.audio.characters import N_CHARACTERS, others
from talkhead.audio.low84 import low84
from talkhead.errors import ShapeError
from talkhead.media.audio import Waveform
from talkhead.systems.headgan.features import N_FEATURES, AudioScale, HeadGanListener, features300

NOISE = Waveform(np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32))


def every_frame_its_letter(speech, *, fps, n_frames):
    rows = np.zeros((n_frames, N_CHARACTERS), np.float32)
    rows[np.arange(n_frames), np.arange(n_frames) % 26] = 1
    return rows


def test_a_second_is_25_rows_of_84_and_216():
    rows = features300(NOISE, fps=25.0, n_frames=25, characters=every_frame_its_letter)
    assert rows.shape == (25, N_FEATURES) == (25, 84 + 216) and rows.dtype == np.float32
    np.testing.assert_array_equal(rows[:, :84], low84(NOISE, fps=25.0, n_frames=25))
    np.testing.assert_array_equal(rows[:, 84:].sum(1), 8)
    assert rows[10, 84:].reshape(8, N_CHARACTERS).argmax(1).tolist() == [6, 7, 8, 9, 10, 11, 12, 13]


@pytest.mark.parametrize("n_samples", [1, 640, 4000])
def test_less_than_eight_frames(n_samples):
    heard = HeadGanListener()(Waveform(NOISE.samples[:n_samples]), fps=25.0, n_frames=3)
    assert list(heard) == ["headgan"] and heard["headgan"].shape == (3, N_FEATURES)
    assert np.isfinite(heard["headgan"]).all()


def test_silence_is_finite_and_sounds_like_silence():
    heard = HeadGanListener()(Waveform(np.zeros(16000, np.float32)), fps=25.0, n_frames=25)["headgan"]
    np.testing.assert_allclose(heard, AudioScale.silence(25), atol=1e-9)
    assert np.isfinite(heard).all() and (heard[:, 84:].sum(1) == 8).all()


def test_other_rates_hear_the_same():
    samples = 0.3 * np.sin(2 * np.pi * 500 * np.arange(48000) / 48000).astype(np.float32)
    fine = HeadGanListener()(Waveform(samples, 48000), fps=25.0, n_frames=25)["headgan"]
    plain = HeadGanListener()(Waveform(samples[::3].copy(), 16000), fps=25.0, n_frames=25)["headgan"]
    inner = slice(6, 19)
    np.testing.assert_allclose(fine[inner, :8], plain[inner, :8], atol=5e-3)


def test_low_level_numbers_are_standardised_and_letters_are_not():
    rows = features300(NOISE, fps=25.0, n_frames=25, characters=every_frame_its_letter)
    scale = AudioScale.measured([rows[:10], rows[10:]])
    scaled = scale(rows)
    np.testing.assert_allclose(scaled[:, :84].mean(0), 0, atol=1e-4)
    moving = scale.std > 1e-6
    np.testing.assert_allclose(scaled[:, :84].std(0)[moving], 1, atol=0.05)
    np.testing.assert_array_equal(scaled[:, 84:], rows[:, 84:])
    assert np.abs(scale(AudioScale.silence(2))).max() <= 5, "silence stays within reach"
    assert scaled is not rows and not np.array_equal(scaled, rows)


def test_columns_that_never_change_say_nothing():
    rows = np.concatenate([np.full((4, 84), 3.0), np.tile(others(4), 8)], 1)
    assert not AudioScale.measured([rows])(rows + np.float32(0.5))[:, :84].any()


def test_scales_travel_in_metadata():
    scale = AudioScale.measured([features300(NOISE, fps=25.0, n_frames=25)])
    again = AudioScale.from_dict(json.loads(json.dumps(scale.as_dict())))
    np.testing.assert_array_equal(again.mean, scale.mean)
    np.testing.assert_array_equal(again.std, scale.std)
    for nothing in (AudioScale(), AudioScale.from_dict(None), AudioScale.from_dict({}), AudioScale.measured([])):
        assert nothing.as_dict() == {}
        np.testing.assert_array_equal(nothing(AudioScale.silence(1)), AudioScale.silence(1))


def test_refusals():
    with pytest.raises(ShapeError, match="std"):
        AudioScale(np.zeros(84, np.float32), np.zeros(83, np.float32))
    with pytest.raises(ShapeError, match="std"):
        AudioScale(np.zeros(84, np.float32))
    with pytest.raises(ShapeError, match="mean"):
        AudioScale.from_dict({"mean": [1.0], "std": [1.0] * 84})
    with pytest.raises(ShapeError, match="features"):
        AudioScale()(np.zeros((4, 84)))
    with pytest.raises(ShapeError, match="characters"):
        features300(NOISE, fps=25.0, n_frames=5, characters=lambda speech, fps, n_frames: others(4))
