"""The renderer, as trained and as used, against recorded output of the published code, with stand-in weights."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from talkhead.systems.sadtalker.config import PUBLISHED
from talkhead.systems.sadtalker.convert import Checkpoint
from talkhead.systems.sadtalker.load_renderer import load_renderer, plain_renderer


@pytest.fixture(scope="module")
def tensors(stand_in):
    return stand_in("generator_256")


@pytest.fixture(scope="module")
def checkpoint(tensors, tmp_path_factory):
    """Its stand-in weights under their published names; the 512 network has the same."""
    path = tmp_path_factory.mktemp("weights") / "generator.safetensors"
    save_file({"generator." + key: value for key, value in tensors.items()}, path)
    return Checkpoint.open(path)


@pytest.fixture(scope="module")
def fast(checkpoint):
    return load_renderer(checkpoint)


def scene(recorded):
    """Picture, its keypoints and those of the frames."""
    image = torch.from_numpy(recorded["image"]).permute(2, 0, 1)[None].float() / 255
    return image, torch.from_numpy(recorded["kp_source"]), torch.from_numpy(recorded["kp_driving"])


def check(trace, recorded, step, assert_close):
    """Everything but the picture; `step`: of the recorded samples at 512 over those at 256."""
    wide, fine = slice(None, None, 8 * step), slice(None, None, 4 * step)
    depth = slice(None, None, 4)
    assert_close(trace.volume[:1, :, depth, wide, wide], recorded["feature_s"], 1e-4, 2e-5)
    assert_close(trace.mask[:, :, depth, wide, wide], recorded["mask_s"], 5e-5, 5e-6)
    # A share may fall on the other side of the smallest that counts.
    assert_close(trace.deformation[:, depth, fine, fine], recorded["deformation_s"], 2e-3, 2e-5)
    assert_close(trace.occlusion, recorded["occlusion"], 2e-5, 3e-6)
    assert_close(trace.condition[:, :, wide, wide], recorded["decoder_in_s"], 2e-4, 1e-5)


def test_plain_256(tensors, golden, assert_close):
    recorded = golden("generator_256")
    image, source, driving = scene(recorded)
    plain = plain_renderer(PUBLISHED.renderer, tensors).eval()
    # One frame of the two: the plain order is slow, and the fast renderer below draws both.
    trace = plain.trace(image, source, driving[1:])
    first = {name: value[1:] if len(value) == 2 else value for name, value in recorded.items()}
    check(trace, first, 1, assert_close)
    assert_close(trace.prediction, first["prediction"], 4e-3, 3e-5)


def test_fast_256(fast, golden, assert_close):
    recorded = golden("generator_256")
    image, source, driving = scene(recorded)
    trace = fast.trace(fast.encode(image, source), driving)
    check(trace, recorded, 1, assert_close)
    assert_close(trace.prediction, recorded["prediction"], 4e-3, 3e-5)


def test_fast_512(fast, golden, assert_close):
    recorded = golden("generator_512")
    image, source, driving = scene(recorded)
    trace = fast.trace(fast.encode(image, source), driving)
    check(trace, recorded, 2, assert_close)
    assert_close(trace.prediction, recorded["prediction"], 6e-3, 3e-4)  # recorded in float16


def test_bfloat16_256(checkpoint, golden, assert_close):
    recorded = golden("generator_256")
    image, source, driving = scene(recorded)
    half = load_renderer(checkpoint, dtype=torch.bfloat16)
    prediction = half.draw(half.encode(image, source), driving[:1])
    assert_close(prediction, recorded["prediction"][:1], 1.0, 1e-2)  # 40 dB
