import pytest

from talkhead.coeffs.file import read_coeffs


@pytest.mark.parametrize("style", ["presenter", "0", "45"])
def test_a_style_is_a_name_or_a_persons_number(run_cli, example_speech, tmp_path, style):
    out = tmp_path / "head.safetensors"
    result = run_cli("pose", example_speech, "-o", out, "--pose-style", style)
    assert result.code == 0, result.stderr
    coeffs = read_coeffs(out)
    assert coeffs.rot.std() > 0
    assert coeffs.params["pose_style"] == style


@pytest.mark.parametrize("style", ["46", "-1", "nodding"])
def test_a_style_that_is_not_there(run_cli, example_speech, tmp_path, style):
    result = run_cli("pose", example_speech, "-o", tmp_path / "head.safetensors", f"--pose-style={style}")
    assert result.code == 2
    assert "unknown style" in result.stderr
    assert "presenter" in result.stderr
