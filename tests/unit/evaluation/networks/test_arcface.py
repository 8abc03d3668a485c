import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from talkhead.errors import EnvironmentProblem, ShapeError, WeightsError
from talkhead.evaluation.networks.arcface import (
    EYE_CORNERS,
    NOSE_TIP,
    SIDE,
    TEMPLATE,
    IdentityEmbedder,
    IResNet,
    aligned_face,
    five_points,
    iresnet_of,
)
from talkhead.face.landmarks import Landmarks
from talkhead.face.topology import MOUTH_CORNERS


def landmarks_at(five):
    """A mesh whose five points (pixel 0 centred at 0) are these."""
    points = np.zeros((478, 3))
    for corners, place in zip(EYE_CORNERS, five[:2], strict=True):
        points[list(corners), :2] = place + [[-5, 0], [5, 0]]
    points[[NOSE_TIP, *MOUTH_CORNERS], :2] = five[2:]
    points[:, :2] += 0.5
    return Landmarks(points)


def moved(five, scale, degrees, shift):
    angle = np.radians(degrees)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return five @ turn.T + shift


def test_a_face_on_the_template_stays():
    frame = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    landmarks = landmarks_at(TEMPLATE)
    np.testing.assert_allclose(five_points(landmarks), TEMPLATE)
    np.testing.assert_array_equal(aligned_face(frame, landmarks), frame)


def test_a_turned_and_enlarged_face_comes_back():
    import cv2

    yy, xx = np.mgrid[0:SIDE, 0:SIDE]
    face = np.stack([xx * 2, yy * 2, 128 + 60 * np.sin(xx / 17)], -1).astype(np.uint8)
    where = moved(TEMPLATE, 2.0, 20.0, (120.0, 40.0))
    angle = np.radians(20.0)
    matrix = 2.0 * np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0]])
    matrix[:, 2] = 120.0, 40.0
    frame = cv2.warpAffine(face, matrix, (400, 400))
    found = aligned_face(frame, landmarks_at(where)).astype(int)
    inner = np.s_[8:-8, 8:-8]
    assert np.abs(found - face)[inner].mean() < 1.5


@pytest.mark.parametrize("n_blocks", [(1, 1, 1, 1), (1, 2, 3, 1)])
def test_depth_is_read_from_the_keys(n_blocks):
    with torch.device("meta"):
        found = iresnet_of(IResNet(n_blocks).state_dict())
    assert tuple(len(getattr(found, f"layer{k}")) for k in range(1, 5)) == n_blocks


def test_another_network_is_refused(tmp_path):
    save_file({"conv1.weight": torch.zeros(3)}, tmp_path / "net.safetensors")
    with pytest.raises(WeightsError, match="no iresnet"):
        IdentityEmbedder(tmp_path / "net.safetensors")


@pytest.fixture
def small(tmp_path):
    torch.manual_seed(1)
    path = tmp_path / "small.safetensors"
    save_file(IResNet((1, 1, 1, 1)).state_dict(), path)
    return IdentityEmbedder(path)


def test_embeddings_of_frames(small):
    frame = np.random.default_rng(0).integers(0, 256, (150, 150, 3), np.uint8)
    face = small.prepare(frame, landmarks_at(TEMPLATE + 10))
    face.setflags(write=False)
    found = small.run(face[None])
    assert found.shape == (1, 512)
    assert np.isfinite(found).all()
    with pytest.raises(ShapeError):
        small.run(frame[None])


def test_onnx_files_go_to_onnxruntime(tmp_path, monkeypatch):
    path = tmp_path / "w600k_r50.onnx"
    path.write_bytes(b"network")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(EnvironmentProblem, match="needs the package onnxruntime"):
        IdentityEmbedder(path)

    class Session:
        def __init__(self, given, providers):
            if given != str(path):
                raise RuntimeError("protobuf parsing failed")

        def get_inputs(self):
            return [SimpleNamespace(name="input.1")]

        def run(self, names, given):
            return [given["input.1"].mean((1, 2, 3))[:, None].repeat(512, 1)]

    monkeypatch.setitem(sys.modules, "onnxruntime", SimpleNamespace(InferenceSession=Session))
    found = IdentityEmbedder(path)
    assert found.origin.grade == "unverified"
    white = np.full((2, SIDE, SIDE, 3), 255, np.uint8)
    np.testing.assert_array_equal(found.run(white), np.ones((2, 512), np.float32))
    (tmp_path / "other.onnx").write_bytes(b"?")
    with pytest.raises(WeightsError, match="no face recognition network"):
        IdentityEmbedder(tmp_path / "other.onnx")
