"""Every command with HeadGAN: small networks of one's own, stand-ins for the released ones, and without any weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

import talkhead
from talkhead.coeffs.file import read_coeffs, write_coeffs
from talkhead.errors import UsageError
from talkhead.media.video import open_clip, probe
from talkhead.systems.headgan.config import NetworkConfig
from talkhead.systems.headgan.convert import checkpoint_metadata
from talkhead.systems.headgan.model import Generator

SIDE = 48
HEADGAN = ("--system", "headgan", "--device", "cpu")
WARP = (*HEADGAN, "--checkpoint", "warp")
N_FRAMES = 15


def network_file(path, audio):
    config = NetworkConfig(width_mult=1 / 32, spade_hidden=4, audio=audio)
    torch.manual_seed(0)
    save_file(Generator(config).state_dict(), path, metadata=checkpoint_metadata(config, SIDE))
    return path


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """Networks of ours that hear, of pictures of 48 pixels."""
    return network_file(tmp_path_factory.mktemp("headgan") / "headgan.safetensors", audio=True)


@pytest.fixture
def own(checkpoint):
    """How to ask for them."""
    return (*HEADGAN, "--checkpoint", checkpoint)


@pytest.fixture(scope="session")
def spoken(tmp_path_factory, speech):
    """The coefficients of the speech, 15 frames."""
    path = tmp_path_factory.mktemp("spoken") / "spoken.safetensors"
    talkhead.audio2coeff(speech, path, system="meshwarp")
    return path


def made(result, *words):
    assert result.code == 0, result.stderr
    assert result.stdout.rstrip().endswith("headgan")
    for word in words:
        assert word in result.stdout
    return result


def pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def folder(path):
    return np.stack([pixels(file) for file in sorted(path.iterdir())])


def test_reenact(run_cli, tmp_path, face, talking, own):
    out = tmp_path / "out.mp4"
    result = made(run_cli("reenact", face, talking, "-o", out, *own), "48x48, 15 frames at 25 fps")
    assert "motion is absolute (the same person in photo and driving video)" in result.stderr
    info = probe(out)
    assert (info.width, info.fps, info.has_audio) == (SIDE, 25, True)
    for mode in ("adapted", "relative"):
        made(run_cli("reenact", face, talking, "-o", tmp_path / f"{mode}/", "--motion", mode, *WARP, "--size", "64"))
        frames = folder(tmp_path / mode)
        assert frames.shape == (N_FRAMES, 64, 64, 3)
        assert np.abs(frames - frames[0]).mean(axis=(1, 2, 3)).max() > 0.5


def test_animate(run_cli, tmp_path, face, speech, own):
    out = tmp_path / "out.mp4"
    made(run_cli("animate", face, speech, "-o", out, *own), "48x48, 15 frames at 25 fps")
    assert probe(out).has_audio
    made(run_cli("animate", face, speech, "-o", out, "--overwrite", "--fps", "30", *own), "18 frames at 30 fps")
    made(run_cli("animate", face, speech, "-o", out, "--overwrite", "--framing", "full", *own), "192x192")


def test_networks_hear(run_cli, tmp_path, face, speech, spoken, own):
    """The same motion with and without sound: only what is heard differs."""
    heard, silent = tmp_path / "heard.mkv", tmp_path / "silent.mkv"
    lossless = ("--codec", "ffv1", "--no-mark")
    made(run_cli("render", face, spoken, "--audio", speech, "-o", heard, *lossless, *own))
    made(run_cli("render", face, spoken, "-o", silent, *lossless, *own))
    one, other = (np.stack(list(open_clip(path))).astype(int) for path in (heard, silent))
    assert one.shape == other.shape == (N_FRAMES, SIDE, SIDE, 3)
    assert np.abs(one - other).max() > 0


def test_pictures_are_drawn_with_what_is_heard_there(run_cli, tmp_path, face, speech, spoken, own):
    """Sound that nobody hears has no place in a picture."""
    for kind, words in (("film", ()), ("one", ("--frame", "9"))):
        made(run_cli("render", face, spoken, "--audio", speech, "-o", tmp_path / f"{kind}/", *words, "--no-mark", *own))
    film, one = folder(tmp_path / "film"), folder(tmp_path / "one")
    assert (len(film), len(one)) == (N_FRAMES, 1) and np.abs(one[0] - film[9]).max() <= 1
    for system in (WARP, ("--system", "meshwarp")):
        result = run_cli("render", face, spoken, "--audio", speech, "-o", tmp_path / "x.png", *system)
        assert result.code == 2 and "--audio needs a video" in result.stderr


@pytest.mark.parametrize("length", [5, 40])
def test_sound_may_be_longer_or_shorter_than_the_motion(run_cli, tmp_path, face, speech, spoken, own, length):
    coeffs = read_coeffs(spoken)
    path, out = tmp_path / "motion.safetensors", tmp_path / "out.mp4"
    write_coeffs(path, coeffs.at(np.minimum(np.arange(length), N_FRAMES - 1)))
    made(run_cli("render", face, path, "--audio", speech, "-o", out, *own), f"{length} frames")
    assert len(list(open_clip(out))) == length


def test_a_frame_is_that_of_the_film(run_cli, tmp_path, face, spoken, own):
    made(run_cli("render", face, spoken, "-o", tmp_path / "film/", "--yaw", "-10,10", "--no-mark", *own))
    one = tmp_path / "one.png"
    made(run_cli("render", face, spoken, "-o", one, "--yaw", "-10,10", "--frame", "11", "--no-mark", *own))
    film = folder(tmp_path / "film")
    assert np.abs(pixels(one) - film[11]).max() <= 1
    assert np.abs(pixels(one) - film[0]).max() > 1


def test_edit(run_cli, tmp_path, face, own):
    out, film = tmp_path / "out.png", tmp_path / "film.mp4"
    made(run_cli("edit", face, "-o", out, "--smile", "0.5", "--yaw+=10", "--size", "33", *own), "33x33")
    made(run_cli("edit", face, "-o", film, "--yaw", "+=0:0,0.2:15", *WARP), "256x256, 6 frames")
    still = tmp_path / "still.png"
    made(run_cli("edit", face, "-o", still, "--scale", "1", "--framing", "full", "--no-mark", *WARP))
    assert np.abs(pixels(still) - pixels(face)).mean() < 2, "what nobody edits is the photo"


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_precision_is_the_networks_affair(run_cli, tmp_path, face, speech, own, dtype):
    """What measures and what listens beside them computes as ever."""
    made(run_cli("animate", face, speech, "-o", tmp_path / "a.mp4", "--dtype", dtype, *own))
    made(run_cli("edit", face, "-o", tmp_path / "e.png", "--yaw", "5", "--dtype", dtype, *own))
    for system in ("meshwarp", "auto"):
        refused = run_cli(
            "frontalize", face, "-o", tmp_path / "f.png", "--dtype", "bfloat16", "--system", system, "--device", "cpu"
        )
        assert refused.code == 2 and "computes in float32" in refused.stderr


def test_frontalize(run_cli, tmp_path, face, own):
    made(run_cli("frontalize", face, "-o", tmp_path / "front.png", *own), "48x48")
    made(
        run_cli("frontalize", face, "-o", tmp_path / "views/", "--yaw", "0:-20,0.2:20", "--neutral", *WARP), "6 frames"
    )
    views = folder(tmp_path / "views")
    assert views.shape == (6, 256, 256, 3) and np.abs(views[0] - views[-1]).mean() > 3


def test_a_frontal_view_is_drawn_frontal(run_cli, tmp_path, face):
    turned, front = tmp_path / "turned.png", tmp_path / "front.png"
    made(run_cli("edit", face, "-o", turned, "--yaw", "=15", "--no-mark", *WARP))
    made(run_cli("frontalize", turned, "-o", front, "--no-mark", *WARP))
    before, after = (np.degrees(talkhead.extract(path).rot[0]) for path in (turned, front))
    assert abs(before[1]) > 8 and np.abs(after).max() < 4


def test_compress_and_decompress(run_cli, tmp_path, talking, own):
    stream, out, still = tmp_path / "talk.thc", tmp_path / "out.mp4", tmp_path / "still.png"
    assert run_cli("compress", talking, "-o", stream, "--system", "headgan").code == 0
    made(run_cli("decompress", stream, "-o", out, *own), "48x48, 15 frames")
    assert probe(out).has_audio
    made(run_cli("decompress", stream, "-o", still, "--frame", "14", "--framing", "full", *WARP), "192x192")


def test_the_mask_that_networks_are_shown(run_cli, tmp_path, face):
    out = tmp_path / "mask.png"
    made(run_cli("frontalize", face, "-o", out, "--no-mark", *HEADGAN, "--checkpoint", "pncc"))
    mask = pixels(out)
    assert mask[0, 0].tolist() == [0, 0, 0] and len(np.unique(mask.reshape(-1, 3), axis=0)) > 200


@pytest.mark.usefixtures("tiny_weights")
def test_released_networks_if_they_are_here(run_cli, tmp_path, face, speech, spoken):
    out = tmp_path / "out.mp4"
    made(run_cli("render", face, spoken, "--audio", speech, "-o", out, "--size", "64", *HEADGAN), "64x64, 15 frames")
    assert "headgan" in run_cli("systems").stdout


def test_plans(run_cli, tmp_path, face, speech, talking, spoken, own):
    out = tmp_path / "out.mp4"
    for words in (
        ("animate", face, speech), ("reenact", face, talking), ("render", face, spoken), ("frontalize", face),
        ("edit", face, "--smile", "1"),
    ):  # fmt: skip
        result = run_cli(*words, "-o", out, "--dry-run", *own)
        assert result.code == 0 and result.stdout.startswith("would write"), result.stderr
        assert "48x48" in result.stdout and not out.exists()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 4, ("headgan has no weights here", "--checkpoint warp")),
        (("--checkpoint", "NONE"), 4, ("no weights at",)),
        (("--checkpoint", "FOLDER"), 4, ("no weights at",)),
        (("--checkpoint", "EMPTY"), 4, ("is no safetensors file",)),
        (("--checkpoint", "FACE"), 4, ("is no safetensors file",)),
        (("--checkpoint", "MOTION"), 4, ("it is no checkpoint of HeadGAN",)),
        (("--checkpoint", "CUT"), 4, ("does not fit",)),
        (("--checkpoint", "warp", "--preprocess", "crop"), 2, ("headgan has no --preprocess",)),
        (("--system", "meshwarp", "--checkpoint", "warp"), 2, ("meshwarp takes no --checkpoint",)),
        (("--system", "auto", "--checkpoint", "warp"), 2, ("--checkpoint belongs to one system", "headgan")),
    ],
)
def test_what_goes_wrong(run_cli, tmp_path, face, spoken, checkpoint, monkeypatch, words, code, said):
    monkeypatch.setenv("TALKHEAD_CACHE", str(tmp_path / "cache"))
    empty, cut = tmp_path / "empty.safetensors", tmp_path / "cut.safetensors"
    empty.touch()
    config = NetworkConfig(width_mult=1 / 32, spade_hidden=4)
    tensors = Generator(config).state_dict()
    save_file(dict(list(tensors.items())[3:]), cut, metadata=checkpoint_metadata(config, SIDE))
    paths = {
        "NONE": tmp_path / "none.safetensors", "FOLDER": tmp_path, "EMPTY": empty, "FACE": face, "MOTION": spoken,
        "CUT": cut,
    }  # fmt: skip
    system = () if "--system" in words else HEADGAN
    out = tmp_path / "out.mp4"
    result = run_cli("render", face, spoken, "-o", out, *system, *(paths.get(word, word) for word in words))
    assert result.code == code, result.stderr
    assert "Traceback" not in result.stderr and not out.exists()
    for word in said:
        assert word in result.stderr


@pytest.mark.usefixtures("tiny_weights")
def test_another_system_s_weights_are_refused(run_cli, tmp_path, face, spoken, tiny_weights):
    file = tiny_weights / "SadTalker_V0.0.2_256.safetensors"
    result = run_cli("render", face, spoken, "-o", tmp_path / "out.mp4", *HEADGAN, "--checkpoint", file)
    assert result.code == 4 and "it is no checkpoint of HeadGAN" in result.stderr


@pytest.mark.parametrize("command", ["extract", "audio2coeff", "pose"])
def test_stages_that_it_leaves_to_others(run_cli, tmp_path, face, speech, command):
    given = face if command == "extract" else speech
    result = run_cli(command, given, "-o", tmp_path / "c.safetensors", "--system", "headgan")
    assert result.code == 2
    assert f"headgan does not offer {command}" in result.stderr and "meshwarp" in result.stderr


def test_the_same_in_python(tmp_path, face, spoken, checkpoint):
    words = {"system": "headgan", "device": "cpu", "mark": False}
    result = talkhead.render(face, spoken, tmp_path / "a", checkpoint=checkpoint, frame=3, **words)
    assert (result.system, result.n_frames, result.size) == ("headgan", 1, (SIDE, SIDE))
    result = talkhead.frontalize(face, tmp_path / "f.png", checkpoint="warp", framing="full", **words)
    assert result.size == (192, 192)
    with pytest.raises(UsageError, match="takes no --checkpoint"):
        talkhead.render(face, spoken, tmp_path / "x.mp4", system="meshwarp", checkpoint="warp")
