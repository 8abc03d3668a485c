"""`--enhance` in commands that make pictures: sizes, what is refused, and when."""

from __future__ import annotations

import pytest
from PIL import Image


@pytest.fixture(autouse=True)
def nothing_is_here(tmp_path, monkeypatch):
    """No weights in the cache, no licence accepted, no network."""
    from talkhead.weights import store

    monkeypatch.setenv("TALKHEAD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TALKHEAD_CONFIG", str(tmp_path / "config"))
    monkeypatch.delenv("TALKHEAD_ACCEPT_LICENCES", raising=False)
    monkeypatch.setattr(store, "candidates", lambda entry: [])


SYSTEM = ("--system", "meshwarp")


def test_small_pictures_come_out_at_twice_their_size(run_cli, tmp_path, face, motion):
    for words, side in (((), 192), (("--enhance", "gfpgan", "--enhance-strength", "0"), 384)):
        out = tmp_path / f"out{side}.png"
        result = run_cli("render", face, motion, "-o", out, *words, *SYSTEM)
        assert result.code == 0, result.stderr
        with Image.open(out) as image:
            assert image.size == (side, side)
        assert f"{side} x {side}" in result.stdout or f"{side}x{side}" in result.stdout


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_weights_that_cannot_be_had_are_missed_before_any_work(run_cli, tmp_path, face, motion, more):
    out = tmp_path / "out.png"
    result = run_cli("render", face, motion, "-o", out, "--enhance", "codeformer", *more, *SYSTEM)
    assert result.code == 4, result.stderr
    assert "S-Lab-1.0" in result.stderr
    result = run_cli("render", face, motion, "-o", out, "--enhance", "gfpgan", "--no-download", *more, *SYSTEM)
    assert result.code == 4, result.stderr
    assert "gfpgan" in result.stderr
    assert not out.exists()


def test_names_that_are_none(run_cli, tmp_path, face, motion):
    for words in (("--enhance", "gfpgam"), ("--enhance-background", "esrgan"), ("--enhance-strength", "2")):
        result = run_cli("render", face, motion, "-o", tmp_path / "out.png", *words, *SYSTEM)
        assert result.code == 2, result.stderr
