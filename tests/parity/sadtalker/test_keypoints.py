"""The keypoint detector against recorded output of the published code, with stand-in weights."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from talkhead.systems.sadtalker.config import PUBLISHED
from talkhead.systems.sadtalker.convert import Checkpoint
from talkhead.systems.sadtalker.load_renderer import load_keypoints, plain_keypoints

SAMPLE = (..., slice(None, None, 4), slice(None, None, 8), slice(None, None, 8))


@pytest.fixture(scope="module")
def detectors(stand_in, tmp_path_factory):
    """As it is trained, and as it is used."""
    tensors = stand_in("kp_detector")
    path = tmp_path_factory.mktemp("weights") / "kp_detector.safetensors"
    save_file({"kp_extractor." + key: value.contiguous() for key, value in tensors.items()}, path)
    return {
        "plain": plain_keypoints(PUBLISHED.keypoints, tensors).eval(),
        "fast": load_keypoints(Checkpoint.open(path), dtype=torch.bfloat16),
    }


@pytest.mark.parametrize(
    ("kind", "side", "limits"), [("plain", 256, (2e-5, 5e-6)), ("fast", 256, (2e-5, 5e-6)), ("fast", 512, (1e-4, 3e-5))]
)
def test_keypoints(detectors, golden, assert_close, kind, side, limits):
    detector, recorded = detectors[kind], golden("kp_detector")
    image = torch.from_numpy(recorded[f"image{side}"]).permute(2, 0, 1)[None].float() / 255
    small = detector.shrink(image)
    assert_close(small[..., ::4, ::4], recorded[f"down{side}_s"], 2e-5, 3e-6)
    logits = detector.heat(small)
    assert_close(logits[SAMPLE], recorded[f"logits{side}_s"], 2e-5, 3e-6)
    assert_close(detector.expect(logits), recorded[f"kp{side}"], *limits)
