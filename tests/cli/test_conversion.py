"""Motion made for one system shown by the other, by what small stand-in networks say about drawn faces."""

from __future__ import annotations

import numpy as np
import pytest

from talkhead.coeffs.deep3d_mat import read_mat
from talkhead.coeffs.file import read_coeffs
from talkhead.media.video import open_clip
from talkhead.pipelines import probe

pytestmark = pytest.mark.usefixtures("tiny_weights")


@pytest.fixture(autouse=True)
def half_the_faces(monkeypatch):
    """Enough for networks of random weights."""
    every = probe.probe_codes
    monkeypatch.setattr(probe, "probe_codes", lambda *given: tuple(part[::2] for part in every(*given)))


def test_mixing(run_cli, tmp_path, face, speech):
    """Speech of each system, the other's space, the other's renderer; the table is measured once."""
    ours, theirs = tmp_path / "ours.safetensors", tmp_path / "theirs.safetensors"
    assert run_cli("audio2coeff", speech, "-o", ours, "--system", "meshwarp").code == 0
    made = run_cli("audio2coeff", speech, "-o", theirs, "--reference", face, "--system", "sadtalker")
    assert made.code == 0, made.stderr
    for motion, system in ((theirs, "meshwarp"), (ours, "sadtalker")):
        out = tmp_path / f"{system}.mp4"
        result = run_cli("render", face, motion, "-o", out, "--system", system, "--device", "cpu")
        assert result.code == 0, result.stderr
        assert "by measured pictures" in result.stderr and "mm are left" in result.stderr
        assert ("measuring" in result.stderr) == (system == "meshwarp")
        assert sum(1 for _ in open_clip(out)) == len(read_coeffs(motion))


def test_edit_converts(run_cli, tmp_path, speech):
    ours, there, mat = tmp_path / "ours.safetensors", tmp_path / "there.safetensors", tmp_path / "there.mat"
    run_cli("audio2coeff", speech, "-o", ours, "--system", "meshwarp")
    result = run_cli("edit", ours, "--space", "bfm", "-o", there)
    assert result.code == 0, result.stderr
    found = read_coeffs(there)
    assert (found.space, found.exp.shape[1], found.relative >= {"exp"}) == ("bfm", 64, True)
    assert found.params["conversion"]["residual_mm"] > 0
    assert run_cli("edit", there, "--exp-pc3", "2.0", "-o", tmp_path / "moved.safetensors").code == 0
    moved = read_coeffs(tmp_path / "moved.safetensors").exp - found.exp
    np.testing.assert_allclose(moved, np.eye(64)[2] * np.full((len(moved), 1), 2.0), atol=1e-6)
    assert run_cli("edit", there, "-o", mat).code == 0
    np.testing.assert_array_equal(read_mat(mat).exp, found.exp)
    refused = run_cli("edit", there, "--smile", "0.5", "-o", tmp_path / "no.safetensors")
    assert refused.code == 2 and "space bfm has no control 'smile'" in refused.stderr
    assert "edit --space converts" in refused.stderr


def test_without_the_network_the_way_is_told(run_cli, tmp_path, speech, monkeypatch):
    ours = tmp_path / "ours.safetensors"
    run_cli("audio2coeff", speech, "-o", ours, "--system", "meshwarp")
    monkeypatch.setenv("TALKHEAD_CACHE", str(tmp_path / "empty"))
    result = run_cli("edit", ours, "--space", "bfm", "-o", tmp_path / "x.safetensors", "--no-download")
    assert result.code == 4
    assert "needs the network that measures them, or the Basel face model" in result.stderr
    assert "talkhead weights pull" in result.stderr
    assert not (tmp_path / "x.safetensors").exists()
