"""What users get wrong, through the command line: the exit code, one line that names the file, and nothing written."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from talkhead.cli.app import main

WRONG_FILES = ["missing", "empty", "truncated", "wrong type", "folder"]


def lines(stderr: str) -> list[str]:
    """Messages without the notes."""
    return [line for line in stderr.splitlines() if "error:" in line or "Traceback" in line]


def assert_refused(result, code=3, *words):
    assert result.code == code, result.stderr
    (line,) = lines(result.stderr)
    for word in words:
        assert str(word) in line
    assert result.stdout == ""


def broken(kind, good, folder, suffix):
    """A file broken in the way that `kind` says."""
    path = folder / f"broken{suffix}"
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "truncated":
        path.write_bytes(good.read_bytes()[: good.stat().st_size // 3])
    elif kind == "wrong type":
        path.write_text("this is a letter to my aunt\n" * 20)
    elif kind == "folder":
        path.mkdir()
    return path


@pytest.mark.parametrize("kind", WRONG_FILES)
def test_photo(run_cli, tmp_path, face, speech, kind):
    photo = broken(kind, face, tmp_path, ".png")
    out = tmp_path / "out.mp4"
    assert_refused(run_cli("animate", photo, speech, "-o", out), 3, photo)
    assert not out.exists()


@pytest.mark.parametrize("kind", WRONG_FILES)
def test_speech(run_cli, tmp_path, face, speech, kind):
    sound = broken(kind, speech, tmp_path, ".wav")
    out = tmp_path / "out.mp4"
    assert_refused(run_cli("animate", face, sound, "-o", out), 3, sound)
    assert not out.exists()


@pytest.mark.parametrize("kind", WRONG_FILES)
def test_driving_video(run_cli, tmp_path, face, clip, kind):
    video = broken(kind, clip, tmp_path, ".mp4")
    out = tmp_path / "out.mp4"
    assert_refused(run_cli("reenact", face, video, "-o", out), 3, video)
    assert not out.exists()


@pytest.mark.parametrize("kind", WRONG_FILES)
@pytest.mark.parametrize("command", ["render", "edit", "frontalize", "inspect"])
def test_coefficients(run_cli, tmp_path, face, motion, kind, command):
    coeffs = broken(kind, motion, tmp_path, ".safetensors")
    argv = {
        "render": ["render", face, coeffs, "-o", tmp_path / "out.mp4"],
        "edit": ["edit", coeffs, "--yaw", "3", "-o", tmp_path / "out.safetensors"],
        "frontalize": ["frontalize", coeffs, "-o", tmp_path / "out.safetensors"],
        "inspect": ["inspect", coeffs],
    }[command]
    assert_refused(run_cli(*argv), 3, coeffs)
    assert not list(tmp_path.glob("out*"))


def test_video_without_a_face(run_cli, tmp_path, face, clip):
    assert_refused(run_cli("extract", clip, "-o", tmp_path / "c.safetensors"), 3, "no face", clip)
    assert_refused(run_cli("reenact", face, clip, "-o", tmp_path / "o.mp4"), 3, "no face", clip)
    assert not list(tmp_path.iterdir())


def test_photo_without_a_face(run_cli, tmp_path, speech):
    photo = tmp_path / "grey.png"
    Image.new("RGB", (160, 120), "grey").save(photo)
    assert_refused(run_cli("animate", photo, speech, "-o", tmp_path / "out.mp4"), 3, "no face", photo, "160x120")


def test_animal(run_cli, tmp_path, speech, media):
    photo = media / "faces" / "no_human_face.jpg"
    assert_refused(run_cli("animate", photo, speech, "-o", tmp_path / "out.mp4"), 3, "no face", photo)


def test_two_faces(run_cli, tmp_path, media):
    photo = media / "faces" / "two_people.jpg"
    result = run_cli("extract", photo, "-o", tmp_path / "a.safetensors")
    assert result.code == 0
    assert "2 faces" in result.stderr
    assert_refused(
        run_cli("extract", photo, "-o", tmp_path / "b.safetensors", "--face", "2"), 3, photo, "2 faces: 0 at"
    )
    left = run_cli("extract", photo, "-o", tmp_path / "left.safetensors", "--face", "0", "--json")
    assert left.code == 0
    assert json.loads(left.stdout.splitlines()[-1])["written"] is True


@pytest.mark.parametrize("choice", ["biggest", "0.5"])
def test_face_choice_that_means_nothing(run_cli, tmp_path, face, choice):
    assert_refused(run_cli("extract", face, "-o", tmp_path / "c.safetensors", "--face", choice), 2, choice)


@pytest.mark.parametrize(("size", "code"), [((1, 1), 3), ((12, 9), 3)])
def test_tiny_pictures(run_cli, tmp_path, speech, size, code):
    photo = tmp_path / "tiny.png"
    Image.new("RGB", size).save(photo)
    assert_refused(run_cli("animate", photo, speech, "-o", tmp_path / "out.mp4"), code, photo)


def test_huge_picture_is_refused_before_it_is_decoded(run_cli, tmp_path, speech):
    photo = tmp_path / "huge.png"
    Image.new("1", (20000, 20000)).save(photo)
    assert_refused(run_cli("animate", photo, speech, "-o", tmp_path / "out.mp4"), 3, photo, "100 megapixels")


def test_silence_gives_a_still_mouth_and_a_warning(run_cli, tmp_path, write_wav):
    import talkhead

    quiet = write_wav(tmp_path / "quiet.wav", np.zeros(16000, np.float32))
    result = run_cli("audio2coeff", quiet, "-o", tmp_path / "c.safetensors", "--no-blinks")
    assert result.code == 0
    assert "warning:" in result.stderr
    coeffs = talkhead.read_coeffs(tmp_path / "c.safetensors")
    assert len(coeffs) == 25
    assert np.abs(coeffs.exp).max() < 1e-3


def test_a_tenth_of_a_second(run_cli, tmp_path, face, chirp, write_wav):
    short = write_wav(tmp_path / "short.wav", chirp[:1600])
    out = tmp_path / "out.mp4"
    result = run_cli("animate", face, short, "-o", out, "--json")
    assert result.code == 0, result.stderr
    assert json.loads(result.stdout.splitlines()[-1])["n_frames"] in (2, 3)
    assert out.stat().st_size > 500


def test_sound_without_samples(run_cli, tmp_path, face, write_wav):
    nothing = write_wav(tmp_path / "nothing.wav", np.zeros(0, np.float32))
    assert_refused(run_cli("animate", face, nothing, "-o", tmp_path / "out.mp4"), 3, nothing)


def test_video_without_sound_as_speech(run_cli, tmp_path, face, make_clip):
    mute = make_clip(audio=False)
    assert_refused(run_cli("animate", face, mute, "-o", tmp_path / "out.mp4"), 3, mute, "no sound")


def with_values(path, source, value):
    """A copy of a coefficient file whose first float is overwritten; the format has no checksum."""
    data = bytearray(source.read_bytes())
    start = 8 + int.from_bytes(data[:8], "little")
    data[start : start + 4] = np.float32(value).tobytes()
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("command", ["render", "edit", "inspect"])
def test_coefficients_that_are_not_finite(run_cli, tmp_path, face, motion, value, command):
    bad = with_values(tmp_path / "bad.safetensors", motion, value)
    argv = {"render": ["render", face, bad], "edit": ["edit", bad], "inspect": ["inspect", bad]}[command]
    out = [] if command == "inspect" else ["-o", tmp_path / ("o.mp4" if command == "render" else "o.safetensors")]
    assert_refused(run_cli(*argv, *out), 3, bad, "rot", "not finite")


def test_codes_of_another_space(run_cli, tmp_path, face, motion):
    import talkhead

    foreign = tmp_path / "foreign.safetensors"
    exp = np.zeros((5, 64), np.float32)
    talkhead.write_coeffs(foreign, talkhead.Coeffs(space="clay-12345678", fps=25.0, n_frames=5, exp=exp))
    assert_refused(run_cli("render", face, foreign, "-o", tmp_path / "o.mp4"), 2, "clay", "meshwarp")
    assert_refused(run_cli("edit", foreign, "--smile", "1", "-o", tmp_path / "o.safetensors"), 3, "clay-12345678")


@pytest.mark.parametrize("command", ["animate", "render", "extract", "audio2coeff", "pose", "edit", "frontalize"])
def test_output_that_exists(run_cli, tmp_path, face, speech, motion, command):
    out = tmp_path / ("out.mp4" if command in ("animate", "render") else "out.safetensors")
    out.write_bytes(b"precious")
    inputs = {
        "animate": [face, speech], "render": [face, motion], "extract": [face], "audio2coeff": [speech],
        "pose": [speech], "edit": [motion], "frontalize": [motion],
    }[command]  # fmt: skip
    assert_refused(run_cli(command, *inputs, "-o", out), 3, out, "exists")
    assert out.read_bytes() == b"precious"


@pytest.mark.parametrize("folder", ["missing", "a file"])
@pytest.mark.parametrize("command", ["animate", "extract"])
def test_folder_that_cannot_be_written(run_cli, tmp_path, face, speech, folder, command):
    if folder == "a file":
        (tmp_path / "sub").write_text("")
    out = tmp_path / "sub" / ("out.mp4" if command == "animate" else "out.safetensors")
    inputs = [face, speech] if command == "animate" else [face]
    assert_refused(run_cli(command, *inputs, "-o", out), 3, out)


def test_result_folder_that_cannot_be_made(run_cli, tmp_path, face, speech):
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / "results"
    assert_refused(run_cli("animate", face, speech, "--result_dir", folder), 3, folder)
    assert run_cli("animate", face, speech, "--result_dir", tmp_path / "new", "--dry-run").code == 2
    assert not (tmp_path / "new").exists()


def test_read_only_folder(run_cli, face):
    assert_refused(run_cli("extract", face, "-o", "/proc/talkhead.safetensors"), 3, "/proc/talkhead.safetensors")


@pytest.mark.parametrize(
    "argv",
    [
        ["animate", "FACE", "SPEECH"],
        ["animate", "FACE", "SPEECH", "-o", "OUT.png"],
        ["animate", "FACE", "SPEECH", "-o", "OUT.doc"],
        ["animate", "FACE", "SPEECH", "-o", "-"],
        ["animate", "FACE", "SPEECH", "-o", "OUT.mp4", "--fps", "0"],
        ["animate", "FACE", "SPEECH", "-o", "OUT.mp4", "--size", "3"],
        ["animate", "FACE", "SPEECH", "-o", "OUT.mp4", "--device", "abacus"],
        ["animate", "FACE", "SPEECH", "-o", "OUT.mp4", "--system", "abacus"],
        ["animate", "FACE", "SPEECH", "-o", "OUT.mp4", "--dtype", "bfloat16"],
        ["animate", "FACE", "SPEECH", "-o", "OUT.mp4", "--pose-style", "drunk"],
        ["animate", "FACE", "SPEECH", "-o", "OUT.mp4", "--yaw", "left"],
        ["reenact", "FACE", "FACE", "-o", "OUT.mp4", "--fps", "many"],
        ["render", "FACE", "MOTION", "-o", "OUT.mp4", "--frame", "2"],
        ["render", "FACE", "MOTION", "-o", "OUT.png", "--frame", "99"],
        ["render", "FACE", "-", "-", "-o", "OUT.mp4"],
        ["render", "FACE", "MOTION", "-o", "OUT.png", "--audio", "SPEECH"],
        ["edit", "MOTION", "--yaw", "500", "-o", "OUT.safetensors"],
        ["edit", "MOTION", "--yaw", "", "-o", "OUT.safetensors"],
        ["edit", "MOTION", "--smlie", "1", "-o", "OUT.safetensors"],
        ["edit", "MOTION", "--space", "bfm", "--exp-pc1", "3", "--space", "mars", "-o", "OUT.safetensors"],
        ["edit", "FACE", "--smile", "0:0,1:1", "-o", "OUT.png"],
        ["edit", "FACE", "--smile", "1"],
        ["audio2coeff", "SPEECH", "-o", "-", "--json"],
    ],
    ids=" ".join,
)
def test_usage(run_cli, tmp_path, face, speech, motion, argv):
    named = {"FACE": face, "SPEECH": speech, "MOTION": motion}
    argv = [str(named.get(arg, arg.replace("OUT", str(tmp_path / "out")))) for arg in argv]
    result = run_cli(*argv)
    assert result.code == 2, result.stderr
    assert "Traceback" not in result.stderr
    assert not list(tmp_path.iterdir())


def test_device_that_is_not_here(run_cli, tmp_path, face, speech):
    assert_refused(run_cli("animate", face, speech, "-o", tmp_path / "o.mp4", "--device", "cuda:99"), 5, "cuda:99")


def test_binary_is_not_written_to_a_terminal(monkeypatch, speech, capsys):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert main(["audio2coeff", str(speech), "-q"]) == 2
    assert "terminal" in capsys.readouterr().err


@pytest.mark.skipif(shutil.which("true") is None, reason="needs a POSIX shell's tools")
def test_inputs_are_left_alone(run_cli, tmp_path, face, motion):
    before = motion.read_bytes()
    assert run_cli("edit", motion, "--yaw", "3", "-o", tmp_path / "o.safetensors").code == 0
    assert_refused(run_cli("edit", motion, "--yaw", "3", "-o", motion), 2, motion)
    assert motion.read_bytes() == before


def test_inputs_are_left_alone_even_with_overwrite(run_cli, tmp_path, motion):
    own = tmp_path / "own.safetensors"
    shutil.copyfile(motion, own)
    assert_refused(run_cli("edit", own, "--yaw", "3", "-o", own, "--overwrite"), 2, own)
    assert own.read_bytes() == motion.read_bytes()


def test_rates_that_differ_name_the_file(run_cli, tmp_path, face, motion):
    other = tmp_path / "other.safetensors"
    assert run_cli("edit", motion, "--retime", "30fps", "-o", other).code == 0
    assert_refused(run_cli("render", face, motion, other, "-o", tmp_path / "out.mp4"), 2, other, "25", "30")


def test_silence_is_mentioned_once(run_cli, tmp_path, face, write_wav):
    sound = write_wav(tmp_path / "silence.wav", np.zeros(8000, np.float32))
    result = run_cli("animate", face, sound, "-o", tmp_path / "out.mp4", "--size", "96", "--dry-run")
    assert result.stderr.count("no speech found") == 1
