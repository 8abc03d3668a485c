"""What pictures go through before the networks see them, against recorded numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from talkhead.face3d.references import diverse_poses, middle
from talkhead.systems.headgan.crop import MAX_MOTION_DATA, filled, moves_too_far, published_crop
from talkhead.systems.headgan.model_discriminators import mouths_of
from talkhead.systems.headgan.pictures import foreground, inside, mouth_centres, to_uint8, union
from talkhead.systems.headgan.sketch import draw_sketch

GREY_LEVELS = 2  # between releases of Pillow; 0 with the recording's
NOT_DETECTED = 3


@pytest.mark.parametrize(("clip", "n"), [("a", 8), ("b", 5)])
def test_references(golden, clip, n):
    """The component's sign is a convention: the recording has the choice of either."""
    recorded = golden("preprocess")
    poses, choices = recorded[f"refs.{clip}.srt"], recorded[f"refs.{clip}.chosen"].tolist()
    found = diverse_poses(poses[:, 1:10].reshape(-1, 3, 3), poses[:, 10], n)
    assert found.tolist() in choices
    assert middle(found) == found[n // 2]


@pytest.mark.parametrize("clip", ["a", "b", "low", "far"])
def test_crops(golden, assert_close, clip):
    recorded = golden("preprocess")
    height, width = recorded["crop.frame_u8"].shape[:2]
    boxes = filled([None if i == NOT_DETECTED else box for i, box in enumerate(recorded[f"crop.{clip}.boxes"])])
    ok = not moves_too_far(boxes, (width, height), MAX_MOTION_DATA)
    assert ok == recorded[f"crop.{clip}.ok"][0]
    if not ok:
        return
    crop = published_crop(boxes, (width, height), lower=0.1 if clip == "low" else 0.0)
    assert_close(crop.box, recorded[f"crop.{clip}.box"], 1e-4)
    assert crop.cut == tuple(recorded[f"crop.{clip}.cut"])
    if f"crop.{clip}.face_s" in recorded:
        seen = crop.face(recorded["crop.frame_u8"])[::4, ::4].transpose(2, 0, 1)
        assert_close(seen, recorded[f"crop.{clip}.face_s"], GREY_LEVELS)


def test_mouths(golden):
    recorded = golden("preprocess")
    np.testing.assert_array_equal(mouth_centres(recorded["mouth.landmarks"]), recorded["mouth.centres"])
    np.testing.assert_array_equal(inside(recorded["mouth.clamp_in"], 256, 64), recorded["mouth.clamp_out"])


def test_mouth_pictures_are_cut_there(golden):
    recorded = golden("preprocess")
    places = torch.stack(torch.meshgrid(torch.arange(256), torch.arange(256), indexing="xy")).float()  # x, y
    centres = torch.from_numpy(recorded["mouth.clamp_in"])
    cut = mouths_of(places.expand(len(centres), -1, -1, -1), centres, 64)
    np.testing.assert_array_equal(cut[:, :, 32, 32], recorded["mouth.clamp_out"])


def test_sketch(golden):
    recorded = golden("preprocess")
    lines = np.unpackbits(recorded["sketch.bits"], axis=1)
    np.testing.assert_array_equal(draw_sketch(recorded["sketch.landmarks"], 256, compat=True), lines)
    quick = draw_sketch(recorded["sketch.landmarks"], 256)
    assert (quick != lines).sum() < 100 < lines.sum()
    near = torch.nn.functional.max_pool2d(torch.from_numpy(np.stack([quick, lines])).float(), 3, 1, 1).numpy()
    assert ((near[0] >= lines) & (near[1] >= quick)).all(), "no pixel is off by more than one"


def test_masks(golden, assert_close):
    recorded = golden("preprocess")
    small = foreground(torch.from_numpy(recorded["mask.logits"]), (8, 8))
    assert_close(small, recorded["mask.small"], 0)
    assert_close(union(small[:1], small[1:]), recorded["mask.union"], 0)


def test_whole_numbers(golden):
    recorded = golden("preprocess")
    values = torch.from_numpy(recorded["to_uint8.in"])
    np.testing.assert_array_equal(to_uint8(values), recorded["to_uint8.signed"])
    np.testing.assert_array_equal(to_uint8(values, signed=False), recorded["to_uint8.unit"])
