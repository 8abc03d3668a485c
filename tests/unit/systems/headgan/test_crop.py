from __future__ import annotations

import numpy as np
import pytest

from talkhead.errors import FaceNotFoundError, ShapeError
from talkhead.systems.headgan.crop import filled, moves_too_far, published_crop

BOX = np.array([100.0, 80.0, 160.0, 180.0])


def test_a_missing_box_is_the_next_or_else_the_last():
    second = BOX + 1.0
    rows = filled([None, BOX, None, second, None])
    np.testing.assert_array_equal(rows, [BOX, BOX, second, second, second])
    with pytest.raises(FaceNotFoundError, match="2 frames"):
        filled([None, None])
    with pytest.raises(ShapeError, match="box 1"):
        filled([BOX, BOX[:3]])


def test_the_crop_is_the_median_box_squared_with_a_margin():
    boxes = np.stack([BOX, BOX + 3, BOX - 200])
    crop = published_crop(boxes, (640, 480))
    np.testing.assert_allclose(crop.box, [80, 80, 180, 180])
    grown = 100 * 100 / 156 / 2
    assert crop.cut == (int(80 - grown), int(80 - grown), int(180 + grown), int(180 + grown))
    lower = published_crop(boxes, (640, 480), lower=0.1)
    np.testing.assert_allclose(lower.box - crop.box, [0, 10, 0, 10])


def test_at_the_border_it_is_not_square_but_its_picture_is():
    crop = published_crop(BOX[None] - [90, 0, 90, 0], (200, 400))
    x0, y0, x1, y1 = crop.cut
    assert x0 == 0 and x1 - x0 < y1 - y0
    frame = np.zeros((400, 200, 3), np.uint8)
    frame[y0:y1, x0:x1] = 200
    face = crop.face(frame, 64)
    assert face.shape == (64, 64, 3) and (face == 200).all(), "nothing but the cut is seen"


def test_videos_in_which_the_face_wanders_are_told():
    boxes = np.stack([BOX, BOX + [100, 0, 100, 0]])
    assert moves_too_far(boxes, (240, 160), 0.45) and not moves_too_far(boxes, (260, 220), 0.45)
    with pytest.raises(ShapeError, match="boxes"):
        published_crop(np.zeros((0, 4)), (10, 10))
