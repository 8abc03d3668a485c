"""Mel windows of a made-up voice against the recipe written out with other libraries' transforms and filters."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from talkhead.media.audio import Waveform
from talkhead.systems.sadtalker.sound import Heard


@pytest.fixture(scope="module")
def samples():
    """3.3 s of harmonics and hiss that come and go, to a full clip and to digital silence."""
    t = np.arange(52_900) / 16_000
    voice = sum(np.sin(2 * np.pi * k * (120 * t + 15 * np.sin(3 * t))) / k for k in range(1, 12))
    hiss = np.random.default_rng(5).normal(size=len(t))
    loud = np.clip(np.sin(2 * np.pi * 1.1 * t), 0, None)
    return np.clip(0.4 * loud * (voice + 0.1 * hiss), -1, 1).astype(np.float32)


def as_written(samples):
    """The front end of the published code, step by step: (80, 1 + n_samples // 200)."""
    from torchaudio.functional import melscale_fbanks  # type: ignore[import-untyped]

    x = torch.from_numpy(samples).double()
    x = torch.cat([x[:1], x[1:] - 0.97 * x[:-1]])
    spectrum = torch.stft(
        x, 800, 200, window=torch.hann_window(800, dtype=torch.float64), pad_mode="constant", return_complex=True
    )
    bank = melscale_fbanks(401, 55.0, 7600.0, 80, 16_000, norm="slaney", mel_scale="slaney").double()
    decibels = 20 * torch.log10((bank.T @ spectrum.abs()).clamp(min=1e-5)) - 20
    return (8 * (decibels + 100) / 100 - 4).clamp(-4, 4).numpy()


def test_windows(samples, assert_close):
    n_frames = len(samples) // 640
    mel = as_written(samples[: 640 * n_frames])
    windows = []
    for frame in range(n_frames):
        start = int(80.0 * (frame - 2) / 25.0)
        columns = [min(max(k, 0), mel.shape[1] - 1) for k in range(start, start + 16)]
        windows.append(mel[:, columns])
    found = np.concatenate(list(Heard.of(Waveform(samples)).windows()))
    assert found.shape == (82, 80, 16)
    assert (found == -4).any() and found.max() > 1
    # The filters of the comparison are float32.
    assert_close(found, windows, 2e-5, 2e-6)
