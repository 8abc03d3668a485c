"""Every command with SadTalker on small stand-in networks: what goes where, whole and in stages; what is refused."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

import talkhead
from talkhead.coeffs.file import read_coeffs
from talkhead.media.video import open_clip, probe

pytestmark = pytest.mark.usefixtures("tiny_weights")
SYSTEM = ("--system", "sadtalker", "--device", "cpu")


def assert_refused(result, code, *words):
    assert result.code == code, result.stderr
    assert "Traceback" not in result.stderr
    for word in words:
        assert word in result.stderr


def frames_of(path):
    return np.stack(list(open_clip(path))).astype(int)


def test_animate(run_cli, tmp_path, face, speech):
    out = tmp_path / "out.mp4"
    result = run_cli("animate", face, speech, "-o", out, *SYSTEM)
    assert result.code == 0, result.stderr
    assert result.stdout.endswith("15 frames at 25 fps, 0.60 s, sadtalker\n")
    info = probe(out)
    assert (info.width, info.fps, info.has_audio) == (256, 25, True)
    assert abs(info.duration_s - probe(speech).duration_s) < 1 / 25


def test_stages_give_what_animate_gives(run_cli, tmp_path, face, speech):
    whole, parts = tmp_path / "whole.mkv", tmp_path / "parts.mkv"
    exp, head = tmp_path / "exp.safetensors", tmp_path / "head.safetensors"
    lossless = ("--codec", "ffv1", "--no-mark")
    assert run_cli("animate", face, speech, "-o", whole, "--pose-style", "7", *lossless, *SYSTEM).code == 0
    assert run_cli("audio2coeff", speech, "-o", exp, "--reference", face, *SYSTEM).code == 0
    assert run_cli("pose", speech, "-o", head, "--reference", face, "--pose-style", "7", *SYSTEM).code == 0
    made = read_coeffs(exp)
    assert (made.space, made.exp.shape) == ("bfm", (15, 64))
    assert made.relative == {"exp"}
    result = run_cli("render", face, exp, head, "-o", parts, "--audio", speech, *lossless, *SYSTEM)
    assert result.code == 0, result.stderr
    difference = np.abs(frames_of(whole) - frames_of(parts))
    assert difference.max() <= 1  # the face's own codes were taken off and added again


def test_sadtalkers_own_files_say_the_same(run_cli, tmp_path, face, speech):
    """Through `.mat` files, which hold absolute rows."""
    exp, mat = tmp_path / "exp.safetensors", tmp_path / "motion.mat"
    head = tmp_path / "head.safetensors"
    run_cli("audio2coeff", speech, "-o", exp, "--reference", face, *SYSTEM)
    run_cli("pose", speech, "-o", head, "--reference", face, *SYSTEM)
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    assert run_cli("edit", exp, head, "-o", mat).code == 0
    assert run_cli("render", face, exp, head, "-o", f"{ours}/", "--no-mark", *SYSTEM).code == 0
    assert run_cli("render", face, mat, "-o", f"{theirs}/", "--no-mark", *SYSTEM).code == 0
    names = sorted(path.name for path in ours.iterdir())
    assert len(names) == 15
    for name in names:
        with Image.open(ours / name) as one, Image.open(theirs / name) as other:
            assert np.abs(np.asarray(one).astype(int) - np.asarray(other)).max() <= 1


@pytest.mark.parametrize(
    ("words", "size"),
    [
        ((), (256, 256)),
        (("--preprocess", "resize"), (256, 256)),
        (("--preprocess", "extcrop", "--size", "512"), None),
        (("--framing", "full"), (192, 192)),
        (("--preprocess", "extfull", "--blend", "poisson"), (192, 192)),
    ],
)
def test_what_of_the_photo_is_shown(run_cli, tmp_path, face, motion, words, size):
    out = tmp_path / "out.png"
    result = run_cli("render", face, motion, "-o", out, "--frame", "3", *words, *SYSTEM)
    assert result.code == 0, result.stderr
    with Image.open(out) as image:
        assert image.size == size or (size is None and image.width == 512)


def test_still_and_angles(run_cli, tmp_path, face, speech):
    pictures = {}
    coeffs = tmp_path / "c.safetensors"
    talkhead.pose(speech, coeffs, system="sadtalker", device="cpu", reference=face, pose_scale=3.0)
    for name, words in {
        "moved": (),
        "still": ("--still",),
        "turned": ("--still", "--yaw", "25"),
        "led": ("--yaw", "0,25", "--roll", "0:0,0.1:5"),
    }.items():
        result = run_cli("render", face, coeffs, "-o", tmp_path / f"{name}/", *words, "--no-mark", *SYSTEM)
        assert result.code == 0, result.stderr
        pictures[name] = [np.asarray(Image.open(path)).astype(int) for path in sorted((tmp_path / name).iterdir())]
    assert not np.any(pictures["still"][0] - pictures["still"][-1])
    assert np.any(pictures["moved"][0] - pictures["moved"][-1])
    assert np.any(pictures["turned"][0] - pictures["still"][0])
    assert np.any(pictures["led"][0] - pictures["led"][-1])


def test_extract_gives_codes_of_the_regressor(run_cli, tmp_path, face):
    out, mat = tmp_path / "c.safetensors", tmp_path / "c.mat"
    assert run_cli("extract", face, "-o", out, "--space", "bfm").code == 0
    coeffs = read_coeffs(out)
    assert (coeffs.space, coeffs.exp.shape, coeffs.id.shape) == ("bfm", (1, 64), (80,))
    assert coeffs.params["system"] == "sadtalker"
    assert run_cli("extract", face, "-o", mat, *SYSTEM).code == 0
    from scipy.io import loadmat

    rows = loadmat(mat)["coeff_3dmm"]
    assert rows.shape == (1, 73)
    np.testing.assert_allclose(rows[0, :64], coeffs.exp[0], atol=1e-6)


def test_references(run_cli, tmp_path, face, speech, animated_clip):
    """Clips for blinks and head motion are measured by the regressor, once each."""
    out = tmp_path / "out.mp4"
    words = ("--ref-eyeblink", animated_clip, "--ref-pose", animated_clip)
    result = run_cli("animate", face, speech, "-o", out, *words, *SYSTEM)
    assert result.code == 0, result.stderr
    plain = talkhead.audio2coeff(speech, system="sadtalker", device="cpu", reference=face)
    looked = talkhead.audio2coeff(speech, system="sadtalker", device="cpu", reference=face, ref_eyeblink=animated_clip)
    assert np.abs(plain.exp - looked.exp).max() > 1e-3
    taken = talkhead.pose(
        speech, ref_pose=animated_clip, system="sadtalker", device="cpu", reference=face, pose_style="still"
    )
    clip = talkhead.extract(animated_clip, system="sadtalker", device="cpu")
    np.testing.assert_allclose(taken.rot[: len(clip)], (clip.rot - clip.rot[0])[: len(taken)], atol=1e-5)


@pytest.fixture(scope="module")
def animated_clip(tmp_path_factory, face, speech):
    """A short clip of a moving head."""
    out = tmp_path_factory.mktemp("clip") / "clip.mp4"
    talkhead.animate(face, speech, out, system="meshwarp", pose_style="lively")
    return out


def test_reenact(run_cli, tmp_path, face, animated_clip):
    for mode in ("auto", "absolute"):
        out = tmp_path / f"{mode}.mp4"
        result = run_cli("reenact", face, animated_clip, "-o", out, "--motion", mode, *SYSTEM)
        assert result.code == 0, result.stderr
        assert probe(out).width == 256
        assert len(frames_of(out)) == 15


def test_edits_of_a_photo(run_cli, tmp_path, face):
    out = tmp_path / "out.png"
    as_it_is = tmp_path / "as_it_is.png"
    for words, path in ((("--exp-pc1", "2", "--yaw+=10"), out), (("--exp-pc1", "+=0"), as_it_is)):
        result = run_cli("edit", face, *words, "-o", path, "--no-mark", *SYSTEM)
        assert result.code == 0, result.stderr
    with Image.open(out) as edited, Image.open(as_it_is) as plain:
        assert np.abs(np.asarray(edited).astype(int) - np.asarray(plain)).mean() > 0.2
    assert_refused(run_cli("edit", face, "--smile", "1", "-o", tmp_path / "no.png", *SYSTEM), 2, "bfm")


def test_the_built_in_system_stays_the_choice_without_a_card(run_cli, tmp_path, face, speech):
    result = run_cli("animate", face, speech, "-o", tmp_path / "out.mp4", "--size", "64", "--device", "cpu")
    assert result.code == 0
    assert "meshwarp (no CUDA device; --system sadtalker" in result.stderr


def test_codes_decide_who_draws(run_cli, tmp_path, face, speech):
    exp = tmp_path / "exp.safetensors"
    run_cli("audio2coeff", speech, "-o", exp, *SYSTEM)
    assert "exp" not in read_coeffs(exp).relative  # nobody was named, so it is nobody's offset
    result = run_cli("render", face, exp, "-o", tmp_path / "out.mp4", "--device", "cpu")
    assert result.code == 0, result.stderr
    assert "sadtalker" in result.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--size", "300"), "256 or 512"),
        (("--articulation", "1.5"), "articulation"),
        (("--pose-style", "46"), "0 to 45"),
        (("--pose-style", "presenter"), "0 to 45"),
        (("--framing", "full", "--preprocess", "crop"), "framing and preprocess"),
        (("--yaw", "left"), "left"),
        (("--dtype", "float16"), "float16"),
    ],
)
def test_what_it_cannot_do(run_cli, tmp_path, face, speech, words, said):
    result = run_cli("animate", face, speech, "-o", tmp_path / "out.mp4", *words, *SYSTEM)
    assert result.code in (2, 5)
    assert said in result.stderr
    assert not (tmp_path / "out.mp4").exists()


def test_a_manner_of_moving_is_not_learnt(run_cli, tmp_path, face, speech, animated_clip):
    result = run_cli("animate", face, speech, "-o", tmp_path / "o.mp4", "--reference", animated_clip, *SYSTEM)
    assert_refused(result, 2, "manner", "--ref-pose")


def test_options_of_sadtalker_mean_nothing_to_others(run_cli, tmp_path, face, speech):
    result = run_cli("animate", face, speech, "-o", tmp_path / "o.mp4", "--blend", "poisson", "--system", "meshwarp")
    assert_refused(result, 2, "meshwarp has no --blend", "sadtalker")


def test_sadtalkers_command_line(run_cli, tmp_path, face, speech):
    result = run_cli(
        "animate", "--driven_audio", speech, "--source_image", face, "--result_dir", tmp_path / "results", "--still",
        "--preprocess", "full", "--expression_scale", "1.2", "--size", "256", "--cpu", "--system", "sadtalker",
    )  # fmt: skip
    assert result.code == 0, result.stderr
    assert probe(next((tmp_path / "results").iterdir())).width == 192


def test_without_weights(run_cli, tmp_path, face, speech, monkeypatch):
    monkeypatch.setenv("TALKHEAD_CACHE", str(tmp_path / "empty"))
    for words in ((), ("--device", "auto")):
        result = run_cli(
            "animate", face, speech, "-o", tmp_path / "o.mp4", "--system", "sadtalker", "--no-download", *words
        )
        assert_refused(result, 4, "sadtalker-256", "weights")
    result = run_cli("extract", face, "-o", tmp_path / "c.safetensors", "--space", "bfm", "--no-download")
    assert result.code == 4, result.stderr


def test_a_damaged_checkpoint_is_named(run_cli, tmp_path, face, speech, monkeypatch, tiny_weights):
    cache = tmp_path / "cache"
    shutil.copytree(tiny_weights.parent / "cache", cache)
    monkeypatch.setenv("TALKHEAD_CACHE", str(cache))
    file = next(cache.rglob("SadTalker_V0.0.2_256.safetensors"))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)
    result = run_cli("audio2coeff", speech, "-o", tmp_path / "c.safetensors", "--no-download", *SYSTEM)
    assert_refused(result, 4, "sadtalker-256")


def test_a_file_of_another_system_is_refused(run_cli, tmp_path, speech, monkeypatch, tiny_weights):
    """Even where its sha256 is what a manifest says."""
    import hashlib

    import yaml
    from safetensors.numpy import save_file

    from talkhead.weights import manifest

    wrong = tmp_path / "SadTalker_V0.0.2_256.safetensors"
    save_file({"generator.first.conv.weight": np.zeros((3, 3), np.float32)}, wrong)
    known = yaml.safe_load((tiny_weights.parent / "weights_manifest.yaml").read_text())
    for entry in known["files"]:
        if entry["name"] == "sadtalker-256":
            entry.update(size=wrong.stat().st_size, sha256=hashlib.sha256(wrong.read_bytes()).hexdigest())
    changed = tmp_path / "manifest.yaml"
    changed.write_text(yaml.safe_dump(known))
    monkeypatch.setenv("TALKHEAD_WEIGHTS_MANIFEST", str(changed))
    monkeypatch.setenv("TALKHEAD_CACHE", str(tmp_path / "cache"))
    manifest.load_manifest.cache_clear()
    assert run_cli("weights", "import", wrong).code == 0
    result = run_cli("audio2coeff", speech, "-o", tmp_path / "c.safetensors", "--no-download", *SYSTEM)
    assert_refused(result, 4, "audio2exp", "not a checkpoint of sadtalker")
