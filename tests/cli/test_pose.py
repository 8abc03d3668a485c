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


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [([], 0, ""), (["--pose-style", "nodding"], 2, "unknown style"), (["--reference", "no.mp4"], 3, "no.mp4")],
)
def test_a_dry_run_does_everything_but_write(run_cli, example_speech, tmp_path, options, code, words):
    out = tmp_path / "head.safetensors"
    result = run_cli("pose", example_speech, "-o", out, "--dry-run", *options)
    assert result.code == code, result.stderr
    assert words in result.stderr
    assert (f"would write {out}" in result.stdout) == (code == 0)
    assert not out.exists()


def test_the_reference_is_noted(run_cli, example_speech, tmp_path):
    reference, out = tmp_path / "somebody.safetensors", tmp_path / "head.safetensors"
    assert run_cli("pose", example_speech, "-o", reference, "--seed", "3").code == 0
    result = run_cli("pose", example_speech, "-o", out, "--reference", reference)
    assert result.code == 0, result.stderr
    assert read_coeffs(out).params["reference"] == str(reference)


def test_two_ways_to_move_the_head_exclude_each_other(run_cli, example_face, example_speech, tmp_path):
    result = run_cli(
        "animate", example_face, example_speech, "-o", tmp_path / "o.mp4", "--reference", "a.mp4", "--ref-pose", "b.mp4"
    )
    assert result.code == 2
    assert "give one" in result.stderr
