"""The networks of the metrics, filled with stand-in weights, against recorded outputs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from talkhead.evaluation.networks.arcface import IdentityEmbedder
from talkhead.evaluation.networks.hopenet import HeadPoseEmbedder
from talkhead.evaluation.networks.inception import InceptionEmbedder
from talkhead.evaluation.networks.lpips import Lpips
from talkhead.evaluation.networks.syncnet import SyncEmbedder

TOLERANCE = 1e-4
"""Of the largest absolute value."""


@pytest.fixture
def stand_in(recipe, records, tmp_path):
    """`stand_in(name, prefix="")` -> path of a file with a network's stand-in weights; gone after the test."""
    paths = []

    def make(name, prefix=""):
        arrays = recipe.build_network(records[name])
        assert recipe.checksum(arrays, records[name]["entries"]) == records[name]["checksum"]
        path = tmp_path / f"{name}.safetensors"
        save_file({prefix + key: torch.from_numpy(np.asarray(value)) for key, value in arrays.items()}, path)
        paths.append(path)
        return path

    yield make
    for path in paths:
        path.unlink()


def relative(found, recorded):
    return np.abs(np.asarray(found, np.float64) - recorded).max() / np.abs(recorded).max()


def test_syncnet(stand_in, golden, arrays, inputs, assert_close):
    block = golden["networks"]["syncnet"]
    small = inputs.noise_u8("syncnet:lip14", (2, 3, 5, 14, 14))
    lips = small.repeat(16, 3).repeat(16, 4)
    sound = inputs.rng("syncnet:mfcc").normal(0, 8, (2, 1, 13, 20)).astype(np.float32)
    assert inputs.crc(sound) == block["mfcc_crc"]
    embedder = SyncEmbedder(stand_in("syncnet"))
    assert embedder.origin.grade == "unverified"
    crops = lips.transpose(0, 2, 3, 4, 1)[..., ::-1]  # BGR -> RGB
    pictures = np.concatenate([embedder.pictures(clip) for clip in crops])
    sounds = np.concatenate([embedder.sounds(one[0].T) for one in sound])
    assert_close(relative(pictures, arrays["syncnet_lip_out"]), 0, TOLERANCE, "syncnet pictures")
    assert_close(relative(sounds, arrays["syncnet_aud_out"]), 0, TOLERANCE, "syncnet sound")
    with torch.inference_mode():
        hidden = embedder._network.pictures.hidden(torch.from_numpy(lips).float())
    assert_close(relative(hidden, arrays["syncnet_lipfeat_out"]), 0, TOLERANCE, "syncnet hidden")
    distances = np.linalg.norm(pictures.astype(np.float64) - sounds + 1e-6, axis=1)
    assert_close(relative(distances, np.array(block["pair_distance_eps1e-6"])), 0, TOLERANCE, "syncnet distance")


def test_hopenet(stand_in, golden, arrays, inputs, assert_close):
    block = golden["networks"]["hopenet_resnet50"]
    picture = np.ascontiguousarray(inputs.scene("hopenet", 240, 224)[8:232])
    assert inputs.crc(picture) == block["crc"]
    poses = HeadPoseEmbedder(stand_in("hopenet_resnet50")).run(picture[None])
    assert_close(relative(poses.features, arrays["hopenet_pool2048"]), 0, TOLERANCE, "hopenet pool")
    assert_close(relative(poses.logits[0], arrays["hopenet_logits_yaw_pitch_roll"]), 0, TOLERANCE, "hopenet logits")
    angles = np.array(block["decoded_yaw_pitch_roll_deg"])
    assert_close(relative(poses.yaw_pitch_roll_deg[0], angles), 0, TOLERANCE, "hopenet angles")


# r100 is the same blocks more often, and takes long to make up.
@pytest.mark.parametrize("depth", [50, pytest.param(100, marks=pytest.mark.slow)])
def test_arcface(stand_in, golden, arrays, inputs, assert_close, depth):
    name = f"arcface_iresnet{depth}"
    faces = np.stack([
        inputs.scene("arc0", 112, 112, sigma=0.5),
        inputs.scene("arc0", 112, 112, sigma=1.5, dx=3),
        inputs.scene("arc1", 112, 112, sigma=0.5),
    ])  # fmt: skip
    assert inputs.crc(faces) == golden["networks"][name]["crc"]
    found = IdentityEmbedder(stand_in(name)).run(faces)
    assert_close(relative(found, arrays[f"{name}_out"]), 0, TOLERANCE, f"arcface r{depth}")


def test_inception(stand_in, golden, arrays, inputs, assert_close):
    frames = np.stack([inputs.scene(f"fid{k}", 256, 256, sigma=0.8) for k in range(2)])
    assert inputs.crc(frames) == golden["networks"]["fid_inception_v3"]["crc"]
    found = InceptionEmbedder(stand_in("fid_inception_v3")).run(frames)
    assert_close(relative(found, arrays["fid_inception_pool3"]), 0, TOLERANCE, "inception pool3")


@pytest.mark.parametrize("backbone", ["alex", "vgg"])
def test_lpips(stand_in, golden, inputs, assert_close, backbone):
    block = golden["networks"][f"lpips_{backbone}"]
    a = inputs.scene("lpips", 64, 96, sigma=0.6)
    b = inputs.scene("lpips", 64, 96, sigma=1.4, dx=2, noise=4.0)
    assert [inputs.crc(a), inputs.crc(b)] == block["crc"]
    classifier = stand_in(f"lpips_{backbone}_backbone_features", "features.")
    lpips = Lpips(backbone, classifier, stand_in(f"lpips_{backbone}_lins"))
    layers = lpips.layers(a[None], b[None])[0]
    assert_close(relative(layers, np.array(block["per_layer_deterministic_lins"])), 0, TOLERANCE, f"lpips {backbone}")
    total = block["deterministic_backbone_and_lins"]
    assert_close(lpips.run(a[None], b[None])[0] / total, 1, TOLERANCE, f"lpips {backbone} sum")
    assert lpips.run(a[None], a[None])[0] == block["identical"]
