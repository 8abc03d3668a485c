"""ExpNet, PoseVAE and mapping net against recorded output of the published code, with stand-in weights."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from talkhead.systems.sadtalker.convert import Checkpoint
from talkhead.systems.sadtalker.load_motion import (
    TRAINING_ONLY,
    load_expnet,
    load_mapping,
    load_pose_decoder,
    load_posevae,
    load_regressor,
)
from talkhead.systems.sadtalker.motion import keypoint_track, pose_track
from talkhead.systems.sadtalker.semantics import smoothed_pose, surrounded


@pytest.fixture(scope="module")
def written(stand_in, tmp_path_factory):
    """`written(network, prefix)` -> checkpoint with one network's stand-in weights under their published names."""

    def write(network, prefix):
        path = tmp_path_factory.mktemp("weights") / f"{network}.safetensors"
        save_file({prefix + key: value for key, value in stand_in(network).items()}, path)
        return Checkpoint.open(path)

    return write


@pytest.fixture(scope="module")
def poses(written):
    return written("audio2pose", "audio2pose.")


def test_expnet(written, golden, assert_close):
    net = load_expnet(written("audio2exp", "audio2exp."))
    recorded = golden("audio2exp")
    windows, ref, ratio = (torch.from_numpy(recorded[name][0]) for name in ("indiv_mels", "ref", "ratio_gt"))
    assert_close(net.audio_encoder(windows), recorded["audio_embedding"], 2e-5, 3e-6)
    assert_close(net(windows, ref[:, :64], ratio), recorded["exp"][0], 2e-5, 3e-6)


@pytest.fixture(scope="module")
def decoder(poses):
    return load_pose_decoder(poses)


@pytest.mark.parametrize(("case", "style"), [("t75", 7), ("t33", 0), ("t20", 45)])
def test_pose(decoder, golden, assert_close, case, style):
    encoder, net = decoder
    recorded = {name: golden("audio2pose")[f"{case}.{name}"] for name in ("mel_windows", "ref_pose", "z", "pose")}
    audio = net.audio_map(encoder(torch.from_numpy(recorded["mel_windows"])[:, None]))
    z = iter(torch.from_numpy(recorded["z"]))
    pose = pose_track(net, audio[1:], torch.from_numpy(recorded["ref_pose"]), style, lambda: next(z)[None])
    assert next(z, None) is None, "a draw is left over"
    assert_close(pose, recorded["pose"], 2e-5, 3e-6)
    assert_close(smoothed_pose(pose), golden("audio2pose")[f"{case}.pose_smoothed"], 1e-5, 2e-6)


@pytest.mark.parametrize("n_frames", [3, 4, 5, 8, 12, 13])
def test_smoothing(golden, assert_close, n_frames):
    recorded = golden("audio2pose")
    assert_close(smoothed_pose(recorded[f"smooth{n_frames}.in"]), recorded[f"smooth{n_frames}.out"], 1e-5, 2e-6)


def test_training_loads_every_key_of_posevae(poses, golden, assert_close, decoder):
    whole = load_posevae(poses).eval()
    assert sum(value.numel() for value in whole.state_dict().values()) == 11_269_039
    windows = torch.from_numpy(golden("audio2pose")["t20.mel_windows"])[:, None]
    assert_close(whole.audio_encoder(windows), decoder[0](windows), 2e-5, 3e-6)
    mean, log_variance = whole.encoder(
        torch.zeros(1, 32, 6), torch.zeros(1, 6), torch.tensor([3]), torch.ones(1, 32, 512)
    )
    assert mean.shape == log_variance.shape == (1, 64)
    assert whole.discriminator(torch.zeros(2, 32, 6)).shape == (2, 8)


def test_speaking_needs_every_other_key_of_posevae(stand_in):
    keys = [f"audio2pose.{key}" for key in stand_in("audio2pose")]
    left = [key for key in keys if not re.fullmatch(TRAINING_ONLY, key)]
    assert all(key.startswith(("audio2pose.audio_encoder.", "audio2pose.netG.decoder.")) for key in left)
    assert len(keys) == 419 and 0 < len(left) < len(keys)


@pytest.mark.parametrize(("kind", "n_in"), [("crop", 70), ("full", 73)])
def test_mapping(written, golden, assert_close, kind, n_in):
    net = load_mapping(written(f"mapping_{kind}", ""), n_in)
    recorded = {
        name: golden("mapping")[f"mapping_{kind}.{name}"] for name in ("in", "yaw", "pitch", "roll", "t", "exp")
    }
    motion = net(torch.from_numpy(recorded["in"]))
    for name in ("yaw", "pitch", "roll"):
        assert_close(getattr(motion, name), recorded[name], 5e-5, 5e-6)
    for name in ("t", "exp"):
        assert_close(getattr(motion, name), recorded[name], 2e-6, 4e-7)
    for window, i in zip(recorded["in"], range(3), strict=True):
        one = net.sequence(torch.from_numpy(np.ascontiguousarray(window.T)))
        assert_close(one.yaw[0], recorded["yaw"][i], 5e-5, 5e-6)
        assert_close(one.exp[0], recorded["exp"][i], 2e-6, 4e-7)
    rows = recorded["in"][0].T
    whole = net.sequence(torch.from_numpy(surrounded(rows, 0, len(rows), 27)))
    around = np.stack([surrounded(rows, f, f + 1, 27).T for f in range(len(rows))])
    windows = net(torch.from_numpy(around))
    for name in ("yaw", "pitch", "roll"):
        assert_close(getattr(whole, name), getattr(windows, name), 5e-5, 5e-6)
    for name in ("t", "exp"):
        assert_close(getattr(whole, name), getattr(windows, name), 2e-6, 4e-7)


@pytest.mark.parametrize(("kind", "n_in"), [("crop", 70), ("full", 73)])
def test_keypoints_of_rows(written, golden, assert_close, kind, n_in):
    """The path from coefficient rows to keypoints, given the recorded canonical ones (recovered from the source's)."""
    recorded = {name[len(kind) + 1 :]: value for name, value in golden("animation").items() if name.startswith(kind)}
    net = load_mapping(written(f"mapping_{kind}", ""), n_in)
    yaw = recorded["yaw_override"][0] if "yaw_override" in recorded else None
    zero = torch.zeros(15, 3)
    moved, _ = keypoint_track(net, zero, recorded["source_coeff"][0], recorded["target_coeff"])
    turn = keypoint_track(net, torch.eye(3).repeat(5, 1), recorded["source_coeff"][0], recorded["target_coeff"])[0]
    rotation = (turn - moved)[0, :3].T  # columns: where the axes go
    canonical = (torch.from_numpy(recorded["kp_source"][0]) - moved[0]) @ rotation
    source, targets = keypoint_track(
        net, canonical, recorded["source_coeff"][0], recorded["target_coeff"], yaw=yaw, chunk=2
    )
    assert_close(source, recorded["kp_source"], 5e-5, 1e-5)
    assert_close(torch.cat(list(targets)), recorded["kp_driving"], 5e-5, 1e-5)


def test_regressor(written, golden, assert_close):
    net = load_regressor(written("face_recon", "face_3drecon."))
    image = torch.from_numpy(golden("face_recon")["image"]).permute(2, 0, 1)[None].float() / 255
    assert_close(net(image), golden("face_recon")["coeff"], 2e-4, 3e-5)
