"""Where clips begin and end, and the square they are seen through."""

from __future__ import annotations

import numpy as np
import pytest

from talkhead.errors import ShapeError
from talkhead.face.crop import fixed_crop
from talkhead.face.landmarks import Landmarks
from talkhead.training.crop import MAX_GAP, cut_spans, wandering

GREY = np.full((40, 40, 3), 120, np.uint8)


def face(x: float = 20.0, height: float = 10.0) -> Landmarks:
    points = np.zeros((478, 3))
    points[:, 0], points[:, 1] = x, np.linspace(5, 5 + height, 478)
    return Landmarks(points)


def spans(faces, pictures=None, max_length=1000):
    frames = zip(pictures or [GREY] * len(faces), faces, strict=True)
    return [(span.start, len(span)) for span in cut_spans(frames, max_length)]


def test_a_steady_face_is_one_span_and_long_ones_are_cut():
    assert spans([face()] * 30) == [(0, 30)]
    assert spans([face()] * 30, max_length=12) == [(0, 12), (12, 12), (24, 6)]
    assert spans([None] * 9) == []


def test_short_gaps_are_bridged_and_long_ones_end_it():
    assert spans([None, face(), *[None] * MAX_GAP, face(), None]) == [(1, MAX_GAP + 2)]
    assert spans([face(), *[None] * (MAX_GAP + 2), face()]) == [(0, 1), (MAX_GAP + 3, 1)]


def test_jumps_zooms_and_changes_of_scene_are_cuts():
    assert spans([face(20)] * 4 + [face(26)] * 4) == [(0, 4), (4, 4)]
    assert spans([face(20)] * 4 + [face(24)] * 4) == [(0, 8)]
    assert spans([face(height=10)] * 4 + [face(height=15)] * 4) == [(0, 4), (4, 4)]
    assert spans([face()] * 6, [GREY] * 3 + [GREY + 60] * 3) == [(0, 3), (3, 3)]
    assert spans([face()] * 6, [GREY] * 3 + [GREY + 20] * 3) == [(0, 6)]


def test_a_span_knows_what_it_lacks():
    (span,) = cut_spans(zip([GREY] * 4, [face(), None, face(), face()], strict=True), 10)
    assert span.missing == 0.25
    assert span.boxes.shape == (3, 4)


def test_the_crop_is_the_median_box_squared_by_its_height():
    boxes = np.array([[90, 80, 110, 120], [100, 80, 120, 120], [300, 300, 301, 301.0]])
    crop = fixed_crop(boxes, (400, 400), 256, margin=0.5)
    assert crop.scale * crop.size == pytest.approx(60)
    np.testing.assert_allclose(crop.to_source([128.0, 128.0]), [110, 100])


def test_it_stays_inside_the_picture_and_square():
    crop = fixed_crop([[0, 0, 30, 50.0]], (200, 100), 64, margin=1.0)
    np.testing.assert_allclose(crop.to_source([[0, 0], [64, 64]]), [[0, 0], [100, 100]])
    crop = fixed_crop([[180, 20, 210, 80.0]], (200, 120), 64, margin=0.0)
    np.testing.assert_allclose(crop.to_source([[0, 0], [64, 64]]), [[140, 20], [200, 80]])
    with pytest.raises(ShapeError):
        fixed_crop(np.zeros((0, 4)), (10, 10), 8, 0.5)


def test_wandering_is_a_share_of_the_crop():
    boxes = np.array([[40, 40, 60, 80], [52, 40, 72, 80], [46, 46, 66, 86.0]])
    assert wandering(boxes, fixed_crop(boxes, (200, 200), 32, margin=0.5)) == pytest.approx(12 / 60)
