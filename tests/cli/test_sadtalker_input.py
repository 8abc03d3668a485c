"""Bad and unusual input with SadTalker on small stand-in networks: what is said, the exit code, what stays behind."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
import subprocess

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

import talkhead
from talkhead.coeffs.file import read_coeffs
from talkhead.errors import TalkheadError, UsageError
from talkhead.media.video import open_clip
from talkhead.weights import manifest

pytestmark = pytest.mark.usefixtures("tiny_weights")
SYSTEM = ("--system", "sadtalker", "--device", "cpu")
WORDS = {"system": "sadtalker", "device": "cpu", "download": False}


def assert_refused(result, code, *words):
    assert result.code == code, result.stderr
    (line,) = [line for line in result.stderr.splitlines() if "error:" in line or "Traceback" in line]
    for word in words:
        assert str(word) in line
    assert "Traceback" not in result.stderr


def count_frames(path):
    with open_clip(path) as clip:
        return sum(1 for _ in clip)


@pytest.fixture(scope="module")
def short_speech(tmp_path_factory, example_speech):
    """Two frames of the example speech."""
    return cut(example_speech, 0.08, tmp_path_factory.mktemp("short") / "short.wav")


def cut(speech, seconds, path):
    import wave

    with wave.open(str(speech)) as sound, wave.open(str(path), "wb") as part:
        sound.readframes(sound.getframerate() // 2)
        part.setparams(sound.getparams())
        part.writeframes(sound.readframes(round(seconds * sound.getframerate())))
    return path


# Speech.


@pytest.mark.parametrize(("seconds", "n_frames"), [(0.01, 1), (0.04, 1), (0.08, 2), (0.3, 7)])
def test_hardly_any_speech(run_cli, tmp_path, face, example_speech, seconds, n_frames):
    sound, out = cut(example_speech, seconds, tmp_path / "s.wav"), tmp_path / "out.mp4"
    result = run_cli("animate", face, sound, "-o", out, *SYSTEM)
    assert result.code == 0, result.stderr
    frames = f"{n_frames} frame{'' if n_frames == 1 else 's'} at 25 fps"
    assert frames in result.stdout  # of a video, however short, the length is told
    assert count_frames(out) == n_frames


@pytest.mark.parametrize("command", ["audio2coeff", "pose"])
@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_sound_without_speech_is_mentioned(run_cli, tmp_path, write_wav, command, noise):
    sound = write_wav(tmp_path / "s.wav", noise * np.random.default_rng(0).uniform(-1, 1, 16000))
    result = run_cli(command, sound, "-o", tmp_path / "c.safetensors", *SYSTEM)
    assert result.code == 0, result.stderr
    assert "warning: no speech found in 1 s of sound: face and head idle" in result.stderr


def test_speech_is_not_called_silence(run_cli, tmp_path, speech):
    result = run_cli("audio2coeff", speech, "-o", tmp_path / "c.safetensors", *SYSTEM)
    assert result.code == 0
    assert "no speech" not in result.stderr


@pytest.mark.parametrize(
    ("suffix", "more"),
    [(".wav", ("-ac", "2", "-ar", "44100")), (".wav", ("-ar", "8000")), (".mp3", ()), (".m4a", ()), (".mkv", ())],
)
def test_sound_of_any_kind(run_cli, tmp_path, speech, ffmpeg, suffix, more):
    sound, out = tmp_path / f"sound{suffix}", tmp_path / "c.safetensors"
    picture = ("-f", "lavfi", "-i", "testsrc=size=64x48:rate=25", "-shortest") if suffix == ".mkv" else ()
    subprocess.run([ffmpeg, "-v", "error", "-i", speech, *picture, *more, sound], check=True, stdin=subprocess.DEVNULL)
    result = run_cli("audio2coeff", sound, "-o", out, *SYSTEM)
    assert result.code == 0, result.stderr
    assert abs(len(read_coeffs(out)) - 15) <= 1


def test_files_without_sound(run_cli, tmp_path, face, make_clip):
    silent = make_clip(audio=False)
    for file in (face, silent):
        assert_refused(run_cli("pose", file, "-o", tmp_path / "c.safetensors", *SYSTEM), 3, "no sound", file)


def test_files_of_another_kind(run_cli, tmp_path, face, motion, speech):
    words = ("-o", tmp_path / "o.mp4", *SYSTEM)
    for argv in (("animate", motion, speech), ("animate", face, motion), ("reenact", face, motion)):
        result = run_cli(*argv, *words)
        assert_refused(result, 3, f"cannot read {motion}", "no picture, video or sound")
        assert "render and edit take coefficient files" in result.stderr
    result = run_cli("animate", "-", speech, *words)
    assert_refused(result, 3, "cannot read -")
    assert "standard input" in result.stderr


# Pictures.


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "I;16"])
def test_pictures_of_any_kind(run_cli, tmp_path, face, mode):
    with Image.open(face) as photo:
        grey = Image.fromarray(np.asarray(photo.convert("L")).astype(np.uint16) * 257)
        picture = grey if mode == "I;16" else photo.convert(mode)
    path = tmp_path / ("face.jpg" if mode == "CMYK" else "face.png")
    picture.save(path)
    result = run_cli("extract", path, "-o", tmp_path / "c.safetensors", *SYSTEM)
    assert result.code == 0, result.stderr


def test_turned_and_moving_pictures(run_cli, tmp_path, face, short_speech):
    exif = Image.Exif()
    exif[0x112] = 6
    with Image.open(face) as photo:
        photo.convert("RGB").rotate(90, expand=True).save(tmp_path / "turned.jpg", exif=exif)
        photo.save(tmp_path / "moving.gif", save_all=True, append_images=[photo.rotate(3)], duration=40)
    for name in ("turned.jpg", "moving.gif"):
        out = tmp_path / f"{name}.mp4"
        assert run_cli("animate", tmp_path / name, short_speech, "-o", out, *SYSTEM).code == 0
        assert count_frames(out) == 2


def test_pictures_without_a_usable_face(run_cli, tmp_path, face, short_speech, make_clip):
    with Image.open(face) as photo:
        photo.resize((24, 24)).save(tmp_path / "tiny.png")
    for picture in (tmp_path / "tiny.png", make_clip()):
        result = run_cli("animate", picture, short_speech, "-o", tmp_path / "o.mp4", *SYSTEM)
        assert_refused(result, 3, "no face", picture)
    assert not (tmp_path / "o.mp4").exists()


@pytest.mark.parametrize("preprocess", ["crop", "extcrop", "full", "extfull", "resize"])
def test_a_face_at_the_edge(run_cli, tmp_path, example_face, motion, preprocess):
    with Image.open(example_face) as photo:
        width, height = photo.size
        photo.crop((round(0.35 * width), 0, width, height)).resize((192, 295)).save(tmp_path / "edge.png")
    out = tmp_path / "out.png"
    words = ("--preprocess", preprocess, *(("--blend", "poisson") if "full" in preprocess else ()))
    result = run_cli("render", tmp_path / "edge.png", motion, "-o", out, *words, *SYSTEM)
    assert result.code == 0, result.stderr
    with Image.open(out) as drawn:
        assert drawn.size == (192, 295) if "full" in preprocess else drawn.width == 256
    told = run_cli("render", tmp_path / "edge.png", motion, "-o", tmp_path / "o2.png", *words, "--dry-run", *SYSTEM)
    assert f"{drawn.width}x{drawn.height}" in told.stdout
    assert not (tmp_path / "o2.png").exists()


# Options.


@pytest.mark.parametrize(("words", "said"), [
    (("--yaw", "left"), "yaw is 'left'"),
    (("--pitch", "10,nan"), "pitch is '10,nan'"),
    (("--roll", "0:0,1"), "roll is '0:0,1'"),
    (("--yaw", "500"), "expected -89 to 89"),
    (("--yaw", "0:0,1:100"), "expected -89 to 89"),
    (("--enhance-strength", "0.5"), "--enhance-strength"),
])  # fmt: skip
@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_options_that_mean_nothing(run_cli, tmp_path, face, motion, words, said, dry):
    assert_refused(run_cli("render", face, motion, "-o", tmp_path / "o.png", *words, *dry, *SYSTEM), 2, said)
    assert not (tmp_path / "o.png").exists()


def test_pasting_that_does_not_happen_is_mentioned(run_cli, tmp_path, face, motion):
    result = run_cli("render", face, motion, "-o", tmp_path / "o.png", "--blend", "poisson", *SYSTEM)
    assert result.code == 0
    assert "warning: --blend changes nothing" in result.stderr


def test_seeds(run_cli, tmp_path, speech):
    large = run_cli("pose", speech, "-o", tmp_path / "c.safetensors", "--seed", 2**63 - 1, *SYSTEM)
    assert large.code == 0, large.stderr
    assert_refused(run_cli("pose", speech, "-o", tmp_path / "d.safetensors", "--seed", 2**63, *SYSTEM), 2, "seed")


def test_words_are_not_for_those_who_hear_sound_alone(run_cli, tmp_path, speech):
    result = run_cli("audio2coeff", speech, "-o", tmp_path / "c.safetensors", "--transcript", "hello", *SYSTEM)
    assert_refused(result, 2, "sadtalker has no --transcript")


def test_a_dry_run_fetches_nothing(run_cli, tmp_path, face, speech, monkeypatch):
    from talkhead.weights import catalogue

    monkeypatch.setenv("TALKHEAD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(catalogue, "fetch", lambda *_: pytest.fail("a dry run went to the network"))
    for words in (
        ("animate", face, speech, "-o", tmp_path / "o.mp4"),
        ("pose", speech, "-o", tmp_path / "c.safetensors"),
        ("extract", face, "-o", tmp_path / "c.safetensors"),
    ):
        assert_refused(run_cli(*words, "--dry-run", *SYSTEM), 4, "sadtalker-256 is not here")


def test_sound_tracks_are_looked_at_first(run_cli, tmp_path, face, motion, make_clip, monkeypatch):
    from talkhead.pipelines import render

    monkeypatch.setattr(render, "open_renderer", lambda *_: pytest.fail("work was done before the check"))
    for file in (make_clip(audio=False), tmp_path / "missing.wav"):
        assert_refused(run_cli("render", face, motion, "-o", tmp_path / "o.mp4", "--audio", file, *SYSTEM), 3, file)


# Coefficient files.


@pytest.fixture(scope="module")
def codes(tmp_path_factory):
    """Codes of the space bfm, 3 frames, absolute; the same relative; and a pose alone, relative."""
    folder = tmp_path_factory.mktemp("codes")
    exp = np.full((3, 64), 0.1, np.float32)
    about = {"space": "bfm", "fps": 25.0, "n_frames": 3}
    talkhead.write_coeffs(folder / "codes.safetensors", talkhead.Coeffs(**about, exp=exp))
    talkhead.write_coeffs(
        folder / "offsets.safetensors", talkhead.Coeffs(**about, exp=exp, relative=frozenset({"exp"}))
    )
    zeros = np.zeros((3, 3), np.float32)
    pose = talkhead.Coeffs(
        space="pose", fps=25.0, n_frames=3, rot=zeros, trans=zeros, relative=frozenset({"rot", "trans"})
    )
    talkhead.write_coeffs(folder / "pose.safetensors", pose)
    return folder


@pytest.mark.parametrize(("command", "option", "file", "said"), [
    ("audio2coeff", "--reference", "offsets", "exp says how a face moves"),
    ("audio2coeff", "--reference", "pose", "no exp track"),
    ("audio2coeff", "--ref-eyeblink", "offsets", "exp says how a face moves"),
    ("pose", "--reference", "pose", "rot says how a face moves"),
    ("pose", "--reference", "codes", "no rot track"),
    ("pose", "--ref-pose", "codes", "no rot track"),
])  # fmt: skip
def test_references_that_say_nothing_name_the_file(run_cli, tmp_path, speech, codes, command, option, file, said):
    path = codes / f"{file}.safetensors"
    result = run_cli(command, speech, "-o", tmp_path / "c.safetensors", option, path, *SYSTEM)
    assert_refused(result, 3, said, path)
    assert "talkhead extract" in result.stderr


def test_references_without_a_face(run_cli, tmp_path, speech, clip):
    for option in ("--reference", "--ref-eyeblink"):
        result = run_cli("audio2coeff", speech, "-o", tmp_path / "c.safetensors", option, clip, *SYSTEM)
        assert_refused(result, 3, "no face", clip)


def test_a_photo_is_a_reference_for_everything(run_cli, tmp_path, face, short_speech):
    words = ("--ref-eyeblink", face, "--ref-pose", face)
    result = run_cli("animate", face, short_speech, "-o", tmp_path / "o.mp4", *words, *SYSTEM)
    assert result.code == 0, result.stderr


def test_head_motion_of_codes_is_head_motion_alone(run_cli, tmp_path, face, speech):
    measured, out = tmp_path / "face.safetensors", tmp_path / "pose.safetensors"
    run_cli("extract", face, "-o", measured, *SYSTEM)
    assert run_cli("pose", speech, "-o", out, "--ref-pose", measured, "--system", "meshwarp").code == 0
    assert read_coeffs(out).space == "pose"


def test_codes_of_a_wrong_number(run_cli, tmp_path, face):
    path = tmp_path / "narrow.safetensors"
    talkhead.write_coeffs(path, talkhead.Coeffs(space="bfm", fps=25.0, n_frames=1, exp=np.zeros((1, 50), np.float32)))
    assert_refused(run_cli("render", face, path, "-o", tmp_path / "o.png", *SYSTEM), 3, path, "50 codes", "64")


@pytest.mark.parametrize("shape", [(5, 80), (5, 64), (0, 70), (5, 0)])
def test_matrices_of_a_wrong_shape(run_cli, tmp_path, face, shape):
    from scipy.io import savemat

    path = tmp_path / "m.mat"
    savemat(path, {"coeff_3dmm": np.zeros(shape, np.float32)})
    assert_refused(run_cli("render", face, path, "-o", tmp_path / "o.png", *SYSTEM), 3, path, "coeff_3dmm")


def test_matrices_with_holes(run_cli, tmp_path, face):
    from scipy.io import savemat

    path, rows = tmp_path / "m.mat", np.zeros((5, 73), np.float32)
    rows[2, 3] = np.nan
    savemat(path, {"coeff_3dmm": rows})
    assert_refused(run_cli("render", face, path, "-o", tmp_path / "o.png", *SYSTEM), 3, path, "not finite")
    savemat(path, {"coeff_3dmm": np.full((5, 73), 1e30, np.float32)})
    assert_refused(run_cli("render", face, path, "-o", tmp_path / "o.png", *SYSTEM), 3, "exp has values up to 1e+30")
    path.write_bytes(path.read_bytes()[:150])
    assert_refused(run_cli("render", face, path, "-o", tmp_path / "o.png", *SYSTEM), 3, path)


# Weights.


@pytest.fixture
def replaced(tmp_path, monkeypatch, tiny_weights):
    """Put other content where a file of weights is expected, with a manifest that says it is right."""

    def replace(name, file, content):
        known = yaml.safe_load((tiny_weights.parent / "weights_manifest.yaml").read_text())
        for entry in known["files"]:
            if entry["name"] == name:
                entry.update(size=len(content), sha256=hashlib.sha256(content).hexdigest())
        changed, cache = tmp_path / "manifest.yaml", tmp_path / "cache"
        changed.write_text(yaml.safe_dump(known))
        shutil.copytree(tiny_weights.parent / "cache", cache)
        shutil.rmtree(cache / "weights" / name)
        (cache / "weights" / name).mkdir()
        (cache / "weights" / name / file).write_bytes(content)
        monkeypatch.setenv("TALKHEAD_WEIGHTS_MANIFEST", str(changed))
        monkeypatch.setenv("TALKHEAD_CACHE", str(cache))
        manifest.load_manifest.cache_clear()
        return cache / "weights" / name / file

    return replace


class Evil:
    def __reduce__(self):
        return (os.mkdir, ("evil-was-here",))


def saved(content, path):
    torch.save(content, path)
    return path.read_bytes()


MAPPING = ("sadtalker-mapping-crop", "mapping_00229-model.pth.tar")


@pytest.mark.parametrize(("kind", "said"), [
    ("swapped", "does not fit the mapping net of 70 values"),
    ("code", "holds more than plain tensors"),
    ("pickle", "is no archive of tensors"),
    ("truncated", "is no archive of tensors"),
    ("page", "is no archive of tensors"),
    ("other", "has no mapping"),
])  # fmt: skip
def test_archives_that_are_none(run_cli, tmp_path, face, motion, replaced, tiny_weights, monkeypatch, kind, said):
    monkeypatch.chdir(tmp_path)
    good = (tiny_weights / MAPPING[1]).read_bytes()
    content = {
        "swapped": lambda: (tiny_weights / "mapping_00109-model.pth.tar").read_bytes(),
        "code": lambda: saved({"mapping": {"first.weight": Evil()}}, tmp_path / "a"),
        "pickle": lambda: pickle.dumps({"mapping": Evil()}),
        "truncated": lambda: good[: len(good) // 2],
        "page": lambda: b"<html>404 not found</html>",
        "other": lambda: saved({"model": {"a": torch.zeros(2)}}, tmp_path / "a"),
    }[kind]()
    file = replaced(*MAPPING, content)
    result = run_cli("render", face, motion, "-o", tmp_path / "o.png", "--no-download", *SYSTEM)
    assert_refused(result, 4, said, "" if kind == "swapped" else file)
    for word in ("torch", "weights_only", "\x1b"):
        assert word not in result.stderr
    assert not (tmp_path / "o.png").exists()
    assert not (tmp_path / "evil-was-here").exists()


@pytest.mark.parametrize("kind", ["truncated", "page", "header"])
def test_checkpoints_that_are_none(run_cli, tmp_path, speech, replaced, tiny_weights, kind):
    name, file = "sadtalker-256", "SadTalker_V0.0.2_256.safetensors"
    good = (tiny_weights / file).read_bytes()
    content = {
        "truncated": good[: len(good) // 2],
        "page": b"<html>",
        "header": (10**12).to_bytes(8, "little") + good[8:],
    }
    path = replaced(name, file, content[kind])
    result = run_cli("pose", speech, "-o", tmp_path / "c.safetensors", "--no-download", *SYSTEM)
    assert_refused(result, 4, path, "no safetensors file")


def test_a_manifest_of_ones_own_is_named_where_it_lacks_something(run_cli, tmp_path, face, motion):
    result = run_cli("render", face, motion, "-o", tmp_path / "o.png", "--enhance", "gfpgan", *SYSTEM)
    assert_refused(result, 4, "gfpgan-v1.4", os.environ["TALKHEAD_WEIGHTS_MANIFEST"])
    assert "talkhead weights list" in result.stderr


# Python.


@pytest.mark.parametrize("words", [
    {"size": 300}, {"preprocess": "square"}, {"blend": "x"}, {"yaw": "left"}, {"yaw": 200.0}, {"fps": 0},
    {"fps": float("nan")}, {"seed": 2**70}, {"seed": 1.5}, {"seed": -1}, {"exp_scale": -1.0}, {"pose_style": 46},
    {"pose_scale": 9.0}, {"articulation": 2.0}, {"device": "gpu"}, {"dtype": "int8"}, {"enhance": "x"},
    {"enhance_strength": 0.5},
])  # fmt: skip
def test_words_out_of_range(tmp_path, face, short_speech, words):
    with pytest.raises(UsageError):
        talkhead.animate(face, short_speech, tmp_path / "o.mp4", **(WORDS | words))
    assert not (tmp_path / "o.mp4").exists()


@pytest.mark.parametrize("word", ["nonsense", "is_dry"])
def test_words_that_are_none(tmp_path, face, speech, motion, word):
    with pytest.raises(TypeError, match=word):
        talkhead.animate(face, speech, tmp_path / "o.mp4", **WORDS, **{word: True})
    with pytest.raises(TypeError, match=word):
        talkhead.render(face, motion, tmp_path / "o.png", **WORDS, **{word: True})


def test_angles_may_be_numbers(tmp_path, face, motion):
    for name, angle in (("number", 20), ("text", "20")):
        talkhead.render(face, motion, tmp_path / f"{name}.png", yaw=angle, mark=False, **WORDS)
    assert (tmp_path / "number.png").read_bytes() == (tmp_path / "text.png").read_bytes()


@pytest.mark.parametrize(("samples", "rate"), [
    (np.zeros((160, 2)), 16000), (np.zeros(0), 16000), (np.full(160, np.nan), 16000), (np.zeros(160), 0),
    (np.zeros(160), -5), (np.zeros(160), 1500),
])  # fmt: skip
def test_samples_that_are_no_speech(samples, rate):
    with pytest.raises(TalkheadError):
        talkhead.audio2coeff((samples, rate), **WORDS)


def test_events_of_a_failure(run_cli, tmp_path, face):
    result = run_cli("animate", face, tmp_path / "missing.wav", "-o", tmp_path / "o.mp4", "--json", *SYSTEM)
    last = json.loads(result.stdout.splitlines()[-1])
    assert (last["event"], last["exit_code"]) == ("error", 3)
    assert "missing.wav" in last["message"]
