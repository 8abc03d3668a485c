"""Every command does its job on small input: files written, what they hold, what is said where."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import talkhead
from talkhead.coeffs.file import read_coeffs
from talkhead.media.video import open_clip, probe

FRAME_S = 1 / 25


class Piped:
    """A standard stream that is a pipe: `buffer` holds bytes."""

    def __init__(self, data: bytes = b"") -> None:
        self.buffer = io.BytesIO(data)
        self.encoding = "utf-8"

    def isatty(self) -> bool:
        return False

    def write(self, text: str) -> int:
        return self.buffer.write(text.encode())

    def flush(self) -> None:
        pass


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


@pytest.fixture(scope="module")
def animated(tmp_path_factory, face, speech):
    """A video made once: path and what the library returned."""
    out = tmp_path_factory.mktemp("animated") / "out.mp4"
    return out, talkhead.animate(face, speech, out)


def test_animate_makes_a_video_as_long_as_its_speech(animated, face, speech):
    out, result = animated
    info = probe(out)
    assert (info.width, info.height) == (192, 192)
    assert info.fps == 25
    assert info.has_audio
    assert abs(info.duration_s - probe(speech).duration_s) < FRAME_S
    assert result.n_frames == 15
    assert result.size == (192, 192)
    frames = list(open_clip(out))
    assert len(frames) == 15
    assert np.abs(frames[0].astype(int) - frames[-1]).mean() > 0.05, "nothing moves"


def test_animate_says_one_line_on_stdout(run_cli, tmp_path, face, speech):
    out = tmp_path / "out.mp4"
    result = run_cli("animate", face, speech, "-o", out, "--size", "96", "--fps", "20", "--no-mark")
    assert result.code == 0
    assert result.stdout == f"{out}: 96x96, 12 frames at 20 fps, 0.60 s, meshwarp\n"
    assert "meshwarp" in result.stderr
    assert run_cli("animate", face, speech, "-o", out, "--size", "96", "--overwrite", "-q").stdout == ""


def test_animate_json_events(run_cli, tmp_path, face, speech):
    result = run_cli(
        "animate", face, speech, "-o", tmp_path / "o.mp4", "--size", "96", "--json", "--pose-style", "still"
    )
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.stderr == ""
    stages = [event["name"] for event in events if event["event"] == "stage"]
    assert stages == ["listen", "pose", "render"]
    last = events[-1]
    assert (last["event"], last["n_frames"], last["size"], last["written"]) == ("result", 15, [96, 96], True)


def test_animate_dry_run_writes_nothing(run_cli, tmp_path, face, speech):
    result = run_cli("animate", face, speech, "-o", tmp_path / "o.mp4", "--dry-run")
    assert result.code == 0
    assert result.stdout.startswith("would write ")
    assert not list(tmp_path.iterdir())


def test_same_seed_same_bytes(tmp_path, face, speech, animated):
    again = tmp_path / "again.mp4"
    other = tmp_path / "other.mp4"
    talkhead.animate(face, speech, again)
    talkhead.animate(face, speech, other, seed=5)
    first, second, third = (list(open_clip(path)) for path in (animated[0], again, other))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, third, strict=True))


def test_sadtalker_names(run_cli, tmp_path, face, speech):
    result = run_cli(
        "animate", "--driven_audio", speech, "--source_image", face, "--result_dir", tmp_path / "results", "--still",
        "--preprocess", "crop", "--size", "64", "--input_yaw", "-10", "10",
    )  # fmt: skip
    assert result.code == 0, result.stderr
    (made,) = (tmp_path / "results").iterdir()
    assert made.name == "face_speech.mp4"
    assert probe(made).width == 64


def test_yaw_list_is_spread_over_the_speech():
    from talkhead.pipelines.render import spread

    assert spread("-10,0,10", 4.0) == "0.000000:-10,2.000000:0,4.000000:10"
    assert spread("5", 4.0) == "5"
    assert spread("0:1,2:3", 4.0) == "0:1,2:3"


def test_borrowed_blinks_and_pose(tmp_path, face, speech):
    eyelid = np.zeros((4, 2), np.float32)
    eyelid[2] = 1
    rot = np.full((4, 3), 0.3, np.float32)
    rot[:, 1] += np.arange(4, dtype=np.float32) * 0.02
    reference = talkhead.Coeffs(space="pose", fps=25.0, n_frames=4, eyelid=eyelid, rot=rot)
    coeffs = talkhead.audio2coeff(speech, ref_eyeblink=reference)
    assert coeffs.eyelid[:9, 0].tolist() == [0, 0, 1, 0, 0, 1, 0, 0, 1]
    from talkhead.pipelines.borrow import borrowed_pose

    pose = borrowed_pose(reference, 7, 25.0)
    assert pose.relative == {"rot"}
    np.testing.assert_allclose(pose.rot[0], 0, atol=1e-6)
    np.testing.assert_array_equal(pose.rot[2], pose.rot[4])
    assert np.abs(pose.rot[3]).max() > 0.04


def test_stages_composed_through_pipes(run_cli, tmp_path, face, speech, monkeypatch):
    """audio2coeff - | edit | render FACE - pose: the same frames as files in between."""
    made = Piped()
    monkeypatch.setattr(sys, "stdout", made)
    assert run_cli("audio2coeff", speech, "-o", "-").code == 0
    edited = Piped()
    monkeypatch.setattr(sys, "stdin", Piped(made.buffer.getvalue()))
    monkeypatch.setattr(sys, "stdout", edited)
    assert run_cli("edit", "--smile", "0.5", "--exp-scale", "1.1").code == 0
    monkeypatch.undo()
    head = tmp_path / "pose.safetensors"
    assert run_cli("pose", speech, "-o", head, "--seed", "3").code == 0
    monkeypatch.setattr(sys, "stdin", Piped(edited.buffer.getvalue()))
    piped = tmp_path / "piped.mp4"
    assert run_cli("render", face, "-", head, "--audio", speech, "-o", piped).code == 0
    coeffs = talkhead.edit(talkhead.audio2coeff(speech), {"smile": 0.5, "exp-scale": 1.1})
    direct = tmp_path / "direct.mp4"
    talkhead.render(face, [coeffs, head], direct, audio=speech)
    for a, b in zip(open_clip(piped), open_clip(direct), strict=True):
        np.testing.assert_array_equal(a, b)
    assert probe(piped).has_audio


def test_speech_from_standard_input(run_cli, tmp_path, speech, monkeypatch):
    monkeypatch.setattr(sys, "stdin", Piped(speech.read_bytes()))
    out = tmp_path / "c.safetensors"
    assert run_cli("audio2coeff", "-", "-o", out).code == 0
    np.testing.assert_array_equal(talkhead.read_coeffs(out).exp, talkhead.audio2coeff(speech).exp)


def test_render_at_rest_is_the_photo(run_cli, tmp_path, face):
    own, out = tmp_path / "own.safetensors", tmp_path / "own.png"
    assert run_cli("extract", face, "-o", own).code == 0
    assert run_cli("render", face, own, "-o", out, "--no-mark").code == 0
    np.testing.assert_array_equal(pixels(out), pixels(face))


@pytest.mark.parametrize("options", [["--size", "96"], ["--framing", "crop"]])
def test_render_at_rest_holds_at_other_sizes(run_cli, tmp_path, face, options):
    """Coefficients measured in the photo fit its smaller or cut versions."""
    own = tmp_path / "own.safetensors"
    still = tmp_path / "still.safetensors"
    assert run_cli("extract", face, "-o", own).code == 0
    zero = talkhead.Coeffs(
        space="pose", fps=25.0, n_frames=1, rot=np.zeros((1, 3), np.float32), relative=frozenset({"rot"})
    )
    talkhead.write_coeffs(still, zero)
    assert run_cli("render", face, own, "-o", tmp_path / "a.png", "--no-mark", *options).code == 0
    assert run_cli("render", face, still, "-o", tmp_path / "b.png", "--no-mark", *options).code == 0
    assert np.abs(pixels(tmp_path / "a.png") - pixels(tmp_path / "b.png")).mean() < 0.5


def test_render_kinds_of_output(run_cli, tmp_path, face, motion):
    folder = tmp_path / "frames"
    assert run_cli("render", face, motion, "-o", f"{folder}/", "--no-mark").code == 0
    frames = sorted(folder.iterdir())
    assert len(frames) == 5
    one = tmp_path / "frame.png"
    result = run_cli("render", face, motion, "-o", one, "--frame", "3", "--no-mark")
    assert result.stdout == f"{one}: 192x192, meshwarp\n"
    np.testing.assert_array_equal(pixels(one), pixels(frames[3]))
    assert run_cli("render", face, motion, "-o", f"{folder}/").code == 3
    assert run_cli("render", face, motion, "-o", f"{folder}/", "--overwrite").code == 0


def test_edit_changes_a_file(run_cli, tmp_path, motion):
    out = tmp_path / "o.safetensors"
    result = run_cli("edit", motion, "--yaw+=10", "--blink", "0:0,0.16:1", "--pitch", "-5", "-o", out)
    assert result.code == 0, result.stderr
    before, after = talkhead.read_coeffs(motion), talkhead.read_coeffs(out)
    np.testing.assert_allclose(np.degrees(after.rot[:, 1] - before.rot[:, 1]), 10, atol=1e-4)
    np.testing.assert_allclose(np.degrees(after.rot[:, 0]), -5, atol=1e-4)
    assert after.eyelid[0].tolist() == [0, 0]
    assert after.eyelid[4].tolist() == [1, 1]
    assert after.created_by.endswith(" edit")


def test_edit_merges_in_order(run_cli, tmp_path, motion):
    lids = tmp_path / "lids.safetensors"
    talkhead.write_coeffs(lids, talkhead.Coeffs(space="pose", fps=25.0, n_frames=3, eyelid=np.ones((3, 2), np.float32)))
    out = tmp_path / "o.safetensors"
    assert run_cli("edit", motion, lids, "-o", out).code == 0
    merged = talkhead.read_coeffs(out)
    assert set(merged.tensors()) == {"rot", "eyelid"}
    assert len(merged) == 5


def test_edit_of_a_photo(run_cli, tmp_path, face):
    out = tmp_path / "out.png"
    assert run_cli("edit", face, "--no-mark", "-o", out).code == 0
    np.testing.assert_array_equal(pixels(out), pixels(face))
    assert run_cli("edit", face, "--blink", "1", "--jaw-open", "0.7", "-o", out, "--overwrite").code == 0
    assert np.abs(pixels(out) - pixels(face)).max() > 20


def test_edit_of_a_photo_with_keyframes_is_a_film(run_cli, tmp_path, face):
    out = tmp_path / "nod.mp4"
    result = run_cli("edit", face, "--yaw+=0:0,0.2:10", "-o", out)
    assert result.code == 0, result.stderr
    assert probe(out).n_frames_estimate == 6
    assert run_cli("edit", face, "--yaw+=0:0,0.2:10", "--fps", "10", "-o", out, "--overwrite").code == 0
    assert (probe(out).fps, probe(out).n_frames_estimate) == (10, 3)


def test_video_size_is_told_as_it_is(run_cli, tmp_path, face, motion):
    out = tmp_path / "out.mp4"
    result = run_cli("render", face, motion, "-o", out, "--size", "97")
    width, height = probe(out).width, probe(out).height
    assert (width, height) == (98, 98)
    assert f"{width}x{height}" in result.stdout


def test_edit_help_lists_the_edits(run_cli):
    shown = run_cli("edit", "--help").stdout
    for name in ("--exp-pcN", "--jaw-open", "--yaw", "--retime", "--mirror"):
        assert name in shown


def test_mistyped_edit_gets_a_hint(run_cli, tmp_path, motion):
    result = run_cli("edit", motion, "--smlie", "1", "-o", tmp_path / "o.safetensors")
    assert result.code == 2
    assert "--smile" in result.stderr


def test_frontalize_coefficients_and_photo(run_cli, tmp_path, face):
    own = tmp_path / "own.safetensors"
    front = tmp_path / "front.safetensors"
    assert run_cli("extract", face, "-o", own).code == 0
    assert run_cli("frontalize", own, "-o", front).code == 0
    assert np.abs(talkhead.read_coeffs(own).rot).max() > 0.01
    assert np.abs(talkhead.read_coeffs(front).rot).max() < 1e-5
    out = tmp_path / "front.png"
    assert run_cli("frontalize", face, "-o", out).code == 0
    assert pixels(out).shape == pixels(face).shape


def test_views_of_a_photo(run_cli, tmp_path, face):
    assert run_cli("frontalize", face, "-o", tmp_path / "v.mp4", "--yaw", "-10,10", "--size", "96").code == 0
    assert probe(tmp_path / "v.mp4").n_frames_estimate == 51
    assert run_cli("frontalize", face, "-o", tmp_path / "a.png", "--yaw", "12", "--size", "96").code == 0
    assert run_cli("frontalize", face, "-o", tmp_path / "b.png", "--size", "96").code == 0
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "b.png").read_bytes()
    refused = run_cli("frontalize", face, "-o", tmp_path / "c.png", "--yaw", "-10,10")
    assert refused.code == 2 and "several views" in refused.stderr
    motion = tmp_path / "own.safetensors"
    run_cli("extract", face, "-o", motion)
    refused = run_cli("frontalize", motion, "-o", tmp_path / "d.safetensors", "--yaw", "5")
    assert refused.code == 2 and "talkhead edit" in refused.stderr


def test_extract_video_and_reenact(run_cli, tmp_path, face, animated):
    """A video that we made ourselves drives the photo it was made from."""
    video, _ = animated
    coeffs = tmp_path / "c.safetensors"
    assert run_cli("extract", video, "-o", coeffs, "--landmarks").code == 0
    found = talkhead.read_coeffs(coeffs)
    assert len(found) == 15
    assert found.landmarks.shape == (15, 68, 3)
    assert found.source_sha256
    out = tmp_path / "r.mp4"
    result = run_cli("reenact", face, video, "-o", out, "--fps", "source", "--json")
    assert result.code == 0, result.stderr
    stages = [e["name"] for e in map(json.loads, result.stdout.splitlines()) if e["event"] == "stage"]
    assert stages == ["track", "render"]
    info = probe(out)
    assert (info.fps, info.n_frames_estimate, info.has_audio) == (25, 15, True)
    planned = run_cli("reenact", face, video, "-o", tmp_path / "no.mp4", "--dry-run")
    assert planned.stdout.startswith(f"would write {tmp_path / 'no.mp4'}: 192x192, 15 frames")
    assert not (tmp_path / "no.mp4").exists()


def test_inspect(run_cli, tmp_path, motion):
    plot = tmp_path / "plot.png"
    result = run_cli("inspect", motion, "--plot", plot)
    assert result.code == 0
    assert "rot yaw" in result.stdout
    assert "▁" in result.stdout
    assert pixels(plot).shape[1] > 300
    event = json.loads(run_cli("inspect", motion, "--json").stdout)
    assert event["facts"]["frames"] == 5
    assert run_cli("inspect", motion, "--plot", plot).code == 3


def test_verify_tells_ours_from_others(run_cli, tmp_path, animated, clip):
    ours = json.loads(run_cli("verify", animated[0], "--json").stdout)
    theirs = json.loads(run_cli("verify", clip, "--json").stdout)
    assert "synthetic" in ours["note"]
    assert theirs["mark"] is False
    assert theirs["note"] == ""


def test_doctor(run_cli):
    result = run_cli("doctor")
    assert result.code == 0, result.stdout
    for word in ("python", "ffmpeg", "opencv", "face detector", "aligner", "device"):
        assert word in result.stdout


def test_doctor_reports_what_is_missing(run_cli, monkeypatch):
    real = __import__("importlib").import_module

    def without_libgl(name, *rest):
        if name == "cv2":
            raise ImportError("libGL.so.1: cannot open shared object file: No such file or directory")
        return real(name, *rest)

    monkeypatch.setattr("importlib.import_module", without_libgl)
    result = run_cli("doctor")
    assert result.code == 5
    assert "apt-get install libgl1" in result.stdout
    assert "opencv" in result.stderr


def test_module_runs_as_a_program():
    done = subprocess.run([sys.executable, "-m", "talkhead", "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"talkhead {talkhead.__version__}\n")


def test_face_of_a_driving_video_that_does_not_exist(run_cli, tmp_path, face, animated):
    driving, _ = animated
    result = run_cli("reenact", face, driving, "-o", tmp_path / "out.mp4", "--driver-face", "5")
    assert result.code == 3
    assert f"face 5 of {driving}" in result.stderr


def test_words_are_recognised_on_request(run_cli, tmp_path, example_speech):
    pytest.importorskip("pocketsphinx")
    alone, told = tmp_path / "alone.safetensors", tmp_path / "told.safetensors"
    assert run_cli("audio2coeff", example_speech, "-o", alone, "-q").code == 0
    assert run_cli("audio2coeff", example_speech, "-o", told, "--transcript", "auto", "-q").code == 0
    assert np.abs(read_coeffs(alone).exp - read_coeffs(told).exp).max() > 0.1
    assert read_coeffs(told).params["transcript"] == "auto"
