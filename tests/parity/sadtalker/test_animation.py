"""Coefficient rows to pictures, all drawing networks together, against recorded output of the published code."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from talkhead.systems.sadtalker.convert import Checkpoint
from talkhead.systems.sadtalker.draw import to_network
from talkhead.systems.sadtalker.load_motion import load_mapping
from talkhead.systems.sadtalker.load_renderer import load_keypoints, load_renderer
from talkhead.systems.sadtalker.motion import keypoint_track


@pytest.fixture(scope="module")
def checkpoint(stand_in, tmp_path_factory):
    """One file with the detector and the renderer, as published."""
    path = tmp_path_factory.mktemp("weights") / "drawing.safetensors"
    parts = {"kp_extractor.": "kp_detector", "generator.": "generator_256"}
    tensors = ((prefix + key, value) for prefix, name in parts.items() for key, value in stand_in(name).items())
    save_file({key: value.contiguous() for key, value in tensors}, path)
    return Checkpoint.open(path)


@pytest.fixture(scope="module")
def networks(checkpoint):
    return load_keypoints(checkpoint), load_renderer(checkpoint)


@pytest.mark.parametrize(("kind", "n_in", "row"), [("crop", 70, 2), ("full", 73, 4)])
def test_rows_to_pictures(networks, stand_in, golden, assert_close, tmp_path, kind, n_in, row):
    detector, renderer = networks
    recorded = golden("animation")
    save_file(stand_in(f"mapping_{kind}"), tmp_path / "mapping.safetensors")
    mapping = load_mapping(tmp_path / "mapping.safetensors", n_in)

    image = to_network(recorded["image"])
    yaw = recorded["crop.yaw_override"][0] if kind == "crop" else None
    rows = recorded[f"{kind}.source_coeff"][0], recorded[f"{kind}.target_coeff"]
    kp_source, tracks = keypoint_track(mapping, detector(image)[0], *rows, yaw=yaw)
    kp_driving = torch.cat(list(tracks))
    assert_close(kp_source, recorded[f"{kind}.kp_source"], 5e-5, 1e-5)
    assert_close(kp_driving, recorded[f"{kind}.kp_driving"], 5e-5, 1e-5)

    drawn = renderer.draw(renderer.encode(image, kp_source), kp_driving[row : row + 1])
    assert_close(drawn, recorded[f"{kind}.frames"], 4e-3, 3e-5)
