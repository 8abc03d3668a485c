"""Files of other programs pass through the command line."""

from __future__ import annotations

import numpy as np

from talkhead.coeffs.file import read_coeffs


def test_blend_shapes_in_and_out(run_cli, tmp_path):
    take, motion, again = tmp_path / "take.csv", tmp_path / "motion.safetensors", tmp_path / "again.csv"
    take.write_text("Timecode,BlendshapeCount,jawOpen,eyeBlinkLeft\n" + "00:00:00:00.0,2,0.5,1\n" * 3)
    assert "exp 3 x 28" in run_cli("inspect", take).stdout
    assert run_cli("edit", take, "--yaw", "5", "-o", motion).code == 0
    coeffs = read_coeffs(motion)
    assert coeffs.relative == {"exp", "gaze", "rot"}
    assert np.abs(coeffs.exp).max() > 0
    assert run_cli("edit", motion, "-o", again).code == 0
    assert again.read_text().startswith("Timecode,BlendshapeCount,EyeBlinkLeft")
    assert run_cli("edit", motion, "-o", again).code == 3


def test_unsuitable_tables_and_codes(run_cli, tmp_path):
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    result = run_cli("edit", tmp_path / "other.csv", "-o", tmp_path / "c.safetensors")
    assert result.code == 3
    assert "ARKit" in result.stderr
    (tmp_path / "take.csv").write_text("jawOpen\n0.5\n")
    result = run_cli("edit", tmp_path / "take.csv", "-o", tmp_path / "c.mat")
    assert result.code == 3
    assert "bfm" in result.stderr
