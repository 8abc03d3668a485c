"""The square of a clip: which boxes, how they become one, what fits into the picture."""

from __future__ import annotations

import numpy as np
import pytest

from talkhead.errors import FaceNotFoundError
from talkhead.evaluation.crop import CropRule, Square, box_of, find_square, square_of
from talkhead.face.landmarks import Landmarks

BOXES = np.array([[100, 50, 140, 110], [102, 50, 142, 110], [160, 80, 200, 140]], np.float32)


def test_the_median_leaves_out_a_wild_box():
    square = square_of(BOXES, CropRule(side=1.5), (400, 200))
    # 40 x 60 at 102..142, 50..110: 1.5 times 60 around its middle.
    assert square.box((400, 200)) == (77, 35, 167, 125)


def test_the_union_holds_every_box():
    x0, y0, x1, y1 = square_of(BOXES, CropRule(over="union", side=1.2), (400, 200)).box((400, 200))
    assert x1 - x0 == y1 - y0 == 120
    assert (x0, x1) == (90, 210)
    assert y0 <= 50 and y1 >= 140


def test_the_mean_of_boxes():
    assert square_of(BOXES, CropRule(over="mean", side=1.0), (400, 200)).box((400, 200)) == (111, 60, 171, 120)


def test_a_square_is_moved_and_shrunk_into_the_picture():
    corner = np.array([[0, 0, 60, 60]], np.float32)
    assert square_of(corner, CropRule(side=2.0), (400, 200)).box((400, 200)) == (0, 0, 120, 120)
    assert square_of(corner, CropRule(side=9.0), (400, 200)).box((400, 200)) == (0, 0, 200, 200)
    assert square_of(corner + 140, CropRule(side=2.0), (220, 300)).box((220, 300)) == (100, 110, 220, 230)


def test_films_of_other_sizes_are_cut_in_proportion():
    square = square_of(BOXES, CropRule(side=1.5), (400, 200))
    assert square.box((800, 400)) == (154, 70, 334, 250)
    frame = np.arange(200 * 400 * 3, dtype=np.uint32).reshape(200, 400, 3).astype(np.uint8)
    np.testing.assert_array_equal(square.cut(frame), frame[35:125, 77:167])


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (2, 3)])
def test_tiny_pictures_keep_a_pixel(size):
    x0, y0, x1, y1 = Square(x=0.9, y=0.9, side=0.01).box(size)
    assert 0 <= x0 < x1 <= size[0]
    assert 0 <= y0 < y1 <= size[1]


def test_the_eyes_are_above_the_middle_of_their_square(example_face):
    from PIL import Image

    from talkhead.face.mesh import choose_face

    with Image.open(example_face) as photo:
        face = choose_face(np.asarray(photo.convert("RGB")))
    rule = CropRule(around="eyes", side=205 / 90, down=22.5 / 90)
    x0, y0, x1, y1 = box_of(face, rule)
    points = face.view68()[:, :2]
    eyes = points[36:48].mean(0)
    extent = np.ptp(points, axis=0).max()
    assert (y0 + y1) / 2 - eyes[1] == pytest.approx(extent / 4, rel=1e-3)
    assert (x0 + x1) / 2 == pytest.approx(eyes[0], abs=0.02 * extent)
    assert x1 - x0 == y1 - y0 == pytest.approx(extent)
    assert box_of(face, CropRule()) == face.bbox


def test_a_film_is_looked_through_five_times_a_second(make_clip, monkeypatch):
    seen: list[tuple[int, ...]] = []

    class Tracker:
        def __init__(self, fps: float, **_: object) -> None:
            assert fps == 5

        def track_clip(self, clip):
            for number, frame in enumerate(clip):
                seen.append(frame.shape)
                points = np.random.default_rng(0).uniform(20, 40, (478, 3)) + number
                yield None if number == 1 else Landmarks(points)

    monkeypatch.setattr("talkhead.face.mesh.FaceTracker", Tracker)
    film = make_clip(n_frames=50, size=(96, 64))
    square = find_square(film, CropRule(side=1.0))
    assert seen == [(64, 96, 3)] * 10
    x0, y0, x1, _ = square.box((96, 64))
    # The median number of the nine frames that show the face is 5.
    assert (x0, y0, x1) == (25, 25, 45)
    seen.clear()
    find_square(film, CropRule(), end_s=1.0)
    assert len(seen) == 5


def test_nobody_to_crop_around(clip):
    with pytest.raises(FaceNotFoundError, match="shows no face to crop around"):
        find_square(clip, CropRule())
