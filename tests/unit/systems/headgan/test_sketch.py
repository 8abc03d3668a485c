from __future__ import annotations

import numpy as np
import pytest

from talkhead.errors import ShapeError, UsageError
from talkhead.face3d.morphable import load_builtin
from talkhead.geometry import project
from talkhead.systems.headgan.sketch import draw_sketch


@pytest.fixture(scope="module")
def landmarks():
    model = load_builtin()
    return project(model.mean, np.eye(3), np.zeros(3), 80, (256, 256))[model.landmarks68, :2]


def test_lines_pass_through_the_points_and_are_two_pixels_wide(landmarks):
    picture = draw_sketch(landmarks, 256)
    assert picture.dtype == np.uint8 and set(np.unique(picture)) == {0, 1}
    for x, y in landmarks.astype(int):
        assert picture[y - 2 : y + 3, x - 2 : x + 3].any()
    flat = np.tile([200.0, 40.0], (68, 1))
    flat[17:22] = np.stack([np.linspace(20, 100, 5), np.full(5, 60)], 1)
    ys, xs = np.nonzero(draw_sketch(flat, 256))
    assert set(ys) == {59, 60} and (xs.min(), xs.max()) == (19, 100), "points on one spot are no line"


def test_what_the_mouth_does_shows(landmarks):
    opened = landmarks.copy()
    opened[[56, 57, 58, 65, 66, 67], 1] += 12
    assert (draw_sketch(opened, 256) != draw_sketch(landmarks, 256)).sum() > 50


def test_points_outside_are_drawn_at_the_border(landmarks):
    picture = draw_sketch(landmarks + [140, 0], 256)
    assert picture[:, -2:].any() and picture.shape == (256, 256)


def test_both_ways_to_find_a_line_agree_but_for_rounding(landmarks):
    found, published = draw_sketch(landmarks, 256), draw_sketch(landmarks, 256, compat=True)
    assert (found != published).sum() < 0.1 * found.sum()


def test_refusals(landmarks):
    with pytest.raises(ShapeError, match="landmarks"):
        draw_sketch(landmarks[:60], 256)
    with pytest.raises(UsageError, match="empty"):
        draw_sketch(landmarks, 0)
