"""The search: scales, tiles, turns, overlaps."""

import cv2
import numpy as np
import pytest

from talkhead.errors import ShapeError
from talkhead.face.detect import Detection, detect_faces, suppress_overlaps


def box(x0, y0, x1, y1, score=0.9):
    return Detection(bbox=(x0, y0, x1, y1), score=score, keypoints=np.zeros((6, 2)))


class Bright:
    """A detector that takes the white part of a square for a face, if it fills between `low` and `high` of it."""

    name = "bright"
    mesh_size = 64

    def __init__(self, low=0.0, high=1.0, near_low=0.0):
        self.range = {"far": (low, high), "near": (near_low, high)}
        self.calls = 0

    def detect_size(self, reach):
        return 64

    def detect(self, square, reach):
        self.calls += 1
        ys, xs = np.nonzero(square[..., 0] > 128)
        low, high = self.range[reach]
        if not len(xs) or not low < (xs.max() - xs.min() + 1) / 64 <= high:
            return []
        return [box(xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)]


def picture(width, height, x, y, side):
    made = np.zeros((height, width, 3), np.uint8)
    made[y : y + side, x : x + side] = 255
    return made


def test_boxes_come_back_in_picture_pixels():
    (found,) = detect_faces(picture(800, 400, 200, 100, 160), using=Bright())
    assert np.allclose(found.bbox, (200, 100, 360, 260), atol=13)


def test_huge_pictures_are_reduced_and_boxes_scaled_back():
    (found,) = detect_faces(picture(4800, 1600, 3000, 400, 900), using=Bright())
    assert np.allclose(found.bbox, (3000, 400, 3900, 1300), atol=80)


def test_small_faces_need_tiles():
    blind_far_off = Bright(low=0.1, near_low=0.1)
    (found,) = detect_faces(picture(1280, 960, 700, 500, 60), using=blind_far_off)
    assert np.allclose(found.bbox, (700, 500, 760, 560), atol=6)
    assert detect_faces(picture(1280, 960, 700, 500, 20), using=Bright(low=0.1, near_low=0.1)) == []


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_turned_pictures_give_boxes_in_the_original(turn):
    class Upright(Bright):
        """Sees faces only in views whose top left corner pixel is marked."""

        def detect(self, square, reach):
            return super().detect(square, reach) if square[0, 0, 2] > 100 and square[0, 0, 0] < 100 else []

    upright = picture(300, 300, 40, 100, 90)
    upright[:40, :40, 2] = 255
    shown = np.ascontiguousarray(np.rot90(upright, -turn))
    (found,) = detect_faces(shown, using=Upright())
    ys, xs = np.nonzero(shown[..., 0] > 128)
    assert np.allclose(found.bbox, (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1), atol=6)
    assert detect_faces(shown, turns=(0,), using=Upright()) == []


def test_overlapping_boxes_become_their_mean():
    kept = suppress_overlaps([box(0, 0, 100, 100, 0.9), box(10, 0, 110, 100, 0.9), box(300, 300, 340, 340, 0.6)])
    assert len(kept) == 2
    assert kept[0].bbox == pytest.approx((5, 0, 105, 100))


def test_only_rgb_pictures():
    with pytest.raises(ShapeError, match=r"\(10, 10\)"):
        detect_faces(np.zeros((10, 10), np.uint8), using=Bright())


@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 3000, 3), (40, 30, 3)])
def test_tiny_and_thin_pictures_hold_no_face(shape):
    assert detect_faces(np.zeros(shape, np.uint8)) == []


def test_real_face_at_several_sizes(astronaut):
    for scale in (1.0, 0.5):
        small = cv2.resize(astronaut, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        x0, y0, x1, y1 = np.array(detect_faces(small)[0].bbox) / scale
        assert 170 < x0 < x1 < 280
        assert 60 < y0 < y1 < 190


def test_keypoints_lie_on_the_face(astronaut):
    eye_a, eye_b, nose, mouth, _, _ = detect_faces(astronaut)[0].keypoints
    assert eye_a[0] < nose[0] < eye_b[0]
    assert eye_a[1] < nose[1] < mouth[1]
