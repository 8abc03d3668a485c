from __future__ import annotations

import numpy as np
import pytest
import torch

from talkhead.errors import ShapeError
from talkhead.systems.headgan.pictures import foreground, inside, mouth_centres, to_uint8, union


def test_the_middle_of_the_mouth_is_a_median():
    points = np.zeros((2, 68, 2))
    points[:, 48:] = [100.9, 150.9]
    points[1, 48:53] = [0, 900]  # five wild ones
    assert mouth_centres(points).tolist() == [[100, 150]] * 2
    with pytest.raises(ShapeError, match="landmarks"):
        mouth_centres(np.zeros((3, 66, 2)))


def test_centres_are_moved_inside():
    assert inside(np.array([[0, 300], [40, 60]]), 64, 16).tolist() == [[8, 56], [40, 56]]


def test_any_class_but_the_background_is_the_person():
    logits = torch.zeros(1, 3, 4, 4)
    logits[:, 0] = 1
    logits[0, 2, :, 2:] = 5
    mask = foreground(logits, (4, 4))
    assert mask.shape == (1, 1, 4, 4)
    assert mask[0, 0, :, 2:].eq(1).all() and mask[0, 0, :, :2].eq(0).all()
    assert foreground(logits, (2, 2)).flatten().tolist() == [0, 1, 0, 1]
    assert union(mask, mask.flip(3)).eq(1).all() and union(mask, mask).equal(mask)


def test_numbers_are_cut_and_truncated():
    values = torch.tensor([-2.0, -1.0, 0.0, 0.999, 1.0, 7.0])
    assert to_uint8(values).tolist() == [0, 0, 127, 254, 255, 255]
    assert to_uint8(values, signed=False).tolist() == [0, 0, 0, 254, 255, 255]
    assert to_uint8(values.bfloat16()).dtype == torch.uint8
