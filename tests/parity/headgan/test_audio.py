"""What the published code hears, against recorded numbers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from talkhead.audio import low84 as low84_module
from talkhead.audio.characters import Token
from talkhead.audio.low84 import SHORT_FEATURES, low84_compat, mel_bank
from talkhead.systems.headgan.features import N_FEATURES, HeadGanListener, features300_compat

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "headgan" / "audio.safetensors"


@pytest.fixture(scope="session")
def facts():
    """What the recording says in words, by name."""
    with safe_open(GOLDEN, "numpy") as file:
        return {name: json.loads(text) for name, text in file.metadata().items()}


def samples_of(golden, case):
    """(S,) or (S, channels) int16."""
    pcm = golden("audio")[f"{case}.pcm"]
    return pcm[:, 0] if pcm.shape[1] == 1 else pcm


def test_names_and_mel_bank(golden, facts, assert_close):
    assert list(SHORT_FEATURES) == facts["feature_order"]
    assert_close(mel_bank(16000, 160, highest=16000.0), golden("audio")["a.mfcc_bank"], 1e-12)


@pytest.mark.parametrize("case", ["a", "b", "c"])
def test_low_level(golden, facts, assert_close, case):
    found = low84_compat(samples_of(golden, case), facts[case]["rate"], facts[case]["fps"])
    assert len(found) == facts[case]["all_rows"]
    assert_close(found, golden("audio")[f"{case}.low84_all"], 1e-6)


def test_low_level_in_pieces(golden, facts, assert_close, monkeypatch):
    monkeypatch.setattr(low84_module, "_CHUNK", 37)
    found = low84_compat(samples_of(golden, "a"), 16000, 25.0)
    assert_close(found, golden("audio")["a.low84_all"], 1e-6)


@pytest.mark.parametrize("case", ["a", "b", "c"])
def test_everything_heard(golden, facts, assert_close, case):
    about, recorded = facts[case], golden("audio")[f"{case}.features"]
    tokens = [Token(text, start) for text, start in about["tokens"]]
    found = features300_compat(samples_of(golden, case), about["rate"], about["fps"], about["frames"], tokens)
    assert found.shape == recorded.shape == (about["frames"], N_FEATURES)
    assert_close(found[:, :84], recorded[:, :84], 1e-6)
    assert_close(found[:, 84:], recorded[:, 84:], 0)


def test_digital_silence_is_not_a_number_in_the_recorded_columns(facts):
    found = low84_compat(np.zeros(16000, np.int16), 16000, 25.0)[: facts["silence"]["rows"]]
    assert len(found) == facts["silence"]["rows"]
    assert np.flatnonzero(~np.isfinite(found).all(0)).tolist() == facts["silence"]["not_finite_columns"]


def test_a_listener_hears_as_published(golden, facts, make_speech):
    """Without letters, and finite where the recording is not."""
    case = facts["a"]
    speech = make_speech(samples_of(golden, "a") / np.float32(32768), case["rate"])
    heard = HeadGanListener(compat=True)(speech, fps=case["fps"], n_frames=case["frames"])["headgan"]
    np.testing.assert_allclose(heard[:, :84], golden("audio")["a.features"][:, :84], atol=1e-4, rtol=1e-6)
    assert np.isfinite(HeadGanListener(compat=True)(make_speech(np.zeros(100)), fps=25.0, n_frames=3)["headgan"]).all()


@pytest.fixture
def make_speech():
    """`make_speech(samples, rate)` -> a `Speech`."""

    class Samples:
        def __init__(self, samples, sample_rate=16000):
            self.samples, self.sample_rate = np.asarray(samples, np.float32), sample_rate

        def blocks(self, seconds=20.0):
            size = max(1, round(seconds * self.sample_rate))
            for start in range(0, len(self.samples), size):
                yield self.samples[start : start + size]

    return Samples
