"""How a face speaks: `--articulation`, `--exp-scale`, `--phonemes`, `--transcript` of `audio2coeff` and `animate`."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import talkhead

LABELS = "0.0 0.1 sil\n0.1 0.3 AA1\n0.3 0.4 M\n0.4 0.6 UW1\n"


@pytest.fixture
def phonemes(tmp_path):
    path = tmp_path / "said.lab"
    path.write_text(LABELS)
    return path


def made(run_cli, tmp_path, speech, *options):
    out = tmp_path / "out.safetensors"
    result = run_cli("audio2coeff", speech, "-o", out, "--overwrite", *options)
    assert result.code == 0, result.stderr
    return talkhead.read_coeffs(out)


def test_articulation_and_strength(run_cli, tmp_path, speech):
    plain = made(run_cli, tmp_path, speech)
    mumbled = made(run_cli, tmp_path, speech, "--articulation", 0.2)
    weak = made(run_cli, tmp_path, speech, "--exp-scale", 0)
    assert 0 < np.abs(mumbled.exp).mean() < 0.7 * np.abs(plain.exp).mean()
    assert not weak.exp.any()
    assert mumbled.params["articulation"] == 0.2
    np.testing.assert_array_equal(talkhead.audio2coeff(speech, articulation=0.2).exp, mumbled.exp)


def test_phonemes(run_cli, tmp_path, speech, phonemes):
    plain, known = made(run_cli, tmp_path, speech), made(run_cli, tmp_path, speech, "--phonemes", phonemes)
    assert np.abs(known.exp - plain.exp).max() > 0.1
    assert known.params["phonemes"] == str(phonemes)
    same = made(run_cli, tmp_path, speech, "--phonemes", phonemes, "--phoneme-set", "arpabet")
    np.testing.assert_array_equal(same.exp, known.exp)


def test_animate_takes_them_too(run_cli, tmp_path, face, speech, phonemes):
    out = tmp_path / "out.mp4"
    result = run_cli("animate", face, speech, "-o", out, "--phonemes", phonemes, "--articulation", 1.5)
    assert result.code == 0, result.stderr
    assert out.exists()


@pytest.mark.parametrize("command", ["audio2coeff", "animate"])
@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--phonemes", "missing.lab"], 3, ["missing.lab", "no such file"]),
        (["--phonemes", "said.lab", "--phoneme-set", "ipa"], 3, ["said.lab", "not IPA phones", "'UW1'"]),
        (["--phonemes", "said.lab", "--transcript", "a mew"], 2, ["give one"]),
        (["--transcript", "missing.txt"], 3, ["missing.txt", "no such file"]),
        (["--articulation", "2.5"], 2, ["less than or equal to 2"]),
    ],
    ids=["missing", "alphabet", "both", "no transcript", "range"],
)
def test_what_users_get_wrong(run_cli, tmp_path, monkeypatch, face, speech, phonemes, command, options, code, words):
    monkeypatch.chdir(tmp_path)
    first = [speech] if command == "audio2coeff" else [face, speech]
    out = tmp_path / ("out.safetensors" if command == "audio2coeff" else "out.mp4")
    result = run_cli(command, *first, "-o", out, *options)
    assert result.code == code, result.stderr
    for word in words:
        assert word in result.stderr
    assert not out.exists()


def test_dry_run_looks_at_the_phonemes(run_cli, tmp_path, speech, phonemes):
    out = tmp_path / "out.safetensors"
    assert run_cli("audio2coeff", speech, "-o", out, "--dry-run", "--phonemes", phonemes).code == 0
    assert run_cli("audio2coeff", speech, "-o", out, "--dry-run", "--phonemes", tmp_path / "no.lab").code == 3
    assert not out.exists()


def test_phonemes_are_never_overwritten(run_cli, tmp_path, speech, phonemes):
    assert run_cli("audio2coeff", speech, "-o", phonemes, "--overwrite", "--phonemes", phonemes).code == 2
    assert phonemes.read_text() == LABELS


def test_transcript(run_cli, tmp_path, repo):
    pytest.importorskip("pocketsphinx", reason="needs talkhead[align]")
    speech, text = repo / "examples" / "speech.wav", repo / "examples" / "speech.txt"
    plain = made(run_cli, tmp_path, speech)
    known = made(run_cli, tmp_path, speech, "--transcript", text)
    assert np.abs(known.exp - plain.exp).max() > 0.1
    assert known.params["transcript"] == str(text)


def test_transcript_without_the_extra(run_cli, tmp_path, monkeypatch, speech):
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    result = run_cli("audio2coeff", speech, "-o", tmp_path / "out.safetensors", "--transcript", "hello")
    assert result.code == 5
    assert "pip install 'talkhead[align]'" in result.stderr
