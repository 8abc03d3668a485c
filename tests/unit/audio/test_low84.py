from __future__ import annotations

import numpy as np
import pytest

from talkhead.audio import low84 as module
from talkhead.audio.low84 import N_LOW, SHORT_FEATURES, low84, low84_compat, mel_bank
from talkhead.errors import ShapeError, UsageError
from talkhead.media.audio import Waveform


class Nothing:
    """A sound without samples, as a pipe may give."""

    sample_rate = 16000

    def blocks(self, seconds=20.0):
        yield np.zeros(0, np.float32)


def speech(samples, rate=16000):
    return Waveform(np.asarray(samples, np.float32), rate) if len(samples) else Nothing()


def column(name, kind="mean"):
    """Where a feature's mean, the mean of its differences (`step`), or its deviation (`std`) stands in a row."""
    return SHORT_FEATURES.index(name) + {"mean": 0, "step": 21, "std": 42}[kind]


def tone(hertz, seconds=1.0, rate=16000):
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)


def test_a_second_at_25_frames_is_25_rows():
    rows = low84(speech(np.random.default_rng(0).normal(0, 0.1, 16000)), fps=25, n_frames=25)
    assert rows.shape == (25, N_LOW) and rows.dtype == np.float32 and np.isfinite(rows).all()


@pytest.mark.parametrize("n_samples", [0, 1, 100, 320, 321, 3200])
def test_sounds_shorter_than_a_window_are_finite(n_samples):
    rows = low84(speech(np.random.default_rng(0).normal(0, 0.1, n_samples)), fps=25, n_frames=6)
    assert rows.shape == (6, N_LOW) and np.isfinite(rows).all()


def test_silence_is_finite_and_constant():
    rows = low84(speech(np.zeros(16000)), fps=25, n_frames=25)
    assert np.isfinite(rows).all()
    np.testing.assert_allclose(rows, np.broadcast_to(rows[0], rows.shape), atol=1e-9)
    np.testing.assert_allclose(low84(speech(np.full(16000, 0.25)), fps=25, n_frames=25), rows, atol=1e-9)


def test_pieces_and_blocks_make_no_difference(monkeypatch):
    samples = np.random.default_rng(1).normal(0, 0.1, 12345)
    whole = low84(speech(samples), fps=25, n_frames=20)

    class Blocks:
        sample_rate = 16000

        def blocks(self, seconds=20.0):
            for start in range(0, len(samples), 777):
                yield samples[start : start + 777].astype(np.float32)

    np.testing.assert_allclose(low84(Blocks(), fps=25, n_frames=20), whole, atol=1e-6)
    monkeypatch.setattr(module, "_CHUNK", 41)
    np.testing.assert_allclose(low84(speech(samples), fps=25, n_frames=20), whole, atol=1e-6)


def test_only_what_the_next_row_needs_is_held(monkeypatch):
    """A minute and a half of windows, of which every row sees a third of a second."""
    held = []
    real = np.concatenate

    def watched(parts, *args):
        out = real(parts, *args)
        held.append(len(out))
        return out

    pieces = (np.ones((400, 42)) for _ in range(100))
    monkeypatch.setattr(np, "concatenate", watched)
    rows = module._summaries(pieces, np.arange(0, 40000, 16))
    assert max(held) < 1000 and rows.shape == (2500, N_LOW)


@pytest.mark.parametrize("fps", [25.0, 30.0])
def test_a_frame_hears_a_sixth_of_a_second_before_and_after_it(fps):
    samples = np.zeros(32000)
    samples[16000:16016] = 0.9  # at 1 s
    energy = low84(speech(samples), fps=fps, n_frames=round(2 * fps))[:, column("energy")]
    times = np.flatnonzero(energy > 1e-4) / fps
    assert times.min() == pytest.approx(1 - 0.16, abs=1 / fps) and times.max() == pytest.approx(1 + 0.16, abs=1 / fps)
    assert times.mean() == pytest.approx(1, abs=0.02)


def test_frames_beyond_the_end_hear_its_last_moment():
    samples = np.concatenate([np.zeros(8000), tone(300, 0.5)])
    rows = low84(speech(samples), fps=25, n_frames=60)
    np.testing.assert_array_equal(rows[40:], np.broadcast_to(rows[40], rows[40:].shape))
    assert rows[40, column("energy")] > 0.1


def test_what_the_features_say():
    low, high = (low84(speech(tone(hertz)), fps=25, n_frames=25)[12] for hertz in (400, 3200))
    noise = low84(speech(np.random.default_rng(2).normal(0, 0.1, 16000)), fps=25, n_frames=25)[12]
    assert low[column("zcr")] == pytest.approx(0.05, abs=0.005)
    assert high[column("zcr")] == pytest.approx(0.4, abs=0.01)
    assert low[column("spectral_centroid")] == pytest.approx(400 / 8000, abs=0.01)
    assert high[column("spectral_rolloff")] == pytest.approx(3200 / 8000, abs=0.01)
    assert noise[column("spectral_entropy")] > low[column("spectral_entropy")] + 1
    assert noise[column("spectral_flux")] > 10 * low[column("spectral_flux")]
    assert abs(low[column("energy")] - 0.5) < 0.02, "of a sound whose peak is 1"


def test_loudness_as_a_whole_does_not_matter():
    samples = np.random.default_rng(3).normal(0, 0.05, 8000)
    a, b = (low84(speech(gain * samples), fps=25, n_frames=12) for gain in (1.0, 5.0))
    np.testing.assert_allclose(a, b, atol=1e-3)


def test_the_mel_bank_is_on_true_frequencies():
    """A tone's loudest band; the published code's bank takes it for one of twice the frequency."""
    bank, published = mel_bank(16000, 160, 8000.0), mel_bank(16000, 160, 16000.0)
    assert bank.shape == (40, 160) and (bank >= 0).all()
    spectrum = np.zeros(160)
    spectrum[20] = 1  # 1000 Hz
    edges = 133.33 + 200 / 3 * np.arange(13)
    band = int((bank @ spectrum).argmax())
    assert edges[band] < 1000 if band < 13 else band == 13
    assert (published @ spectrum).argmax() > band


def test_compat_starts_at_the_frame_and_averages_channels():
    rng = np.random.default_rng(4)
    both = rng.integers(-8000, 8000, (16000, 2)).astype(np.int16)
    rows = low84_compat(both, 16000, 25.0)
    assert rows.shape == (25, N_LOW)
    even = both - both % 2  # so that their mean is a whole number
    np.testing.assert_allclose(
        low84_compat(even, 16000, 25.0), low84_compat(even.mean(1).astype(np.int16), 16000, 25.0), atol=1e-9
    )
    late = np.zeros(16000, np.int16)
    late[8000:8100] = 9000
    energy = low84_compat(late + rng.integers(-5, 5, 16000).astype(np.int16), 16000, 25.0)[:, column("energy")]
    assert np.flatnonzero(energy > 0.1 * energy.max()).tolist() == [5, 6, 7, 8, 9, 10, 11, 12]


def test_refusals():
    for fps, n_frames in ((25, 0), (0, 5), (float("nan"), 5)):
        with pytest.raises(UsageError, match="more than none"):
            low84(speech(np.zeros(100)), fps=fps, n_frames=n_frames)
    with pytest.raises(ShapeError, match="samples"):
        low84_compat(np.zeros((2, 2, 2), np.int16), 16000, 25.0)
    with pytest.raises(UsageError, match="100 samples"):
        low84_compat(np.zeros(100, np.int16), 16000, 25.0)
