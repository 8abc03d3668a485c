"""The log-mel spectrum against recorded output of the published front end (librosa 0.9.2, float64)."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from talkhead.audio.mel import mel_blocks
from talkhead.audio.windows import mel_windows
from talkhead.media.audio import Waveform


@pytest.fixture(scope="module")
def recorded():
    from safetensors.numpy import load_file

    named = os.environ.get("TALKHEAD_TEST_PARITY")
    folder = Path(named) if named else Path(__file__).resolve().parents[3] / "shared" / "parity"
    file = folder / "sadtalker" / "mel.safetensors"
    if not file.exists():
        pytest.skip("no recorded reference numbers: set TALKHEAD_TEST_PARITY")
    return load_file(file)


def test_mel_matches(recorded):
    mel = np.concatenate(list(mel_blocks(Waveform(recorded["wav"], 16000))))
    difference = mel.T - recorded["mel"]
    assert np.abs(difference).max() < 1e-6
    assert np.sqrt((difference**2).mean()) < 1e-7


def test_windows_match(recorded):
    windows = mel_windows(recorded["mel"].T, len(recorded["windows"]), 25, first_frame=-2)
    np.testing.assert_allclose(windows, recorded["windows"], atol=1e-6)
