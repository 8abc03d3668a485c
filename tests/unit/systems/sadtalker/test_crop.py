"""Boxes around heads: inside the picture whatever the face does, and points that go there and back."""

import numpy as np
import pytest

from talkhead.errors import InputError, ShapeError
from talkhead.systems.sadtalker.crop import crop_of, cut, from_square, squared, to_square, wflw98_to_68

MODES = ("crop", "extcrop", "resize", "full", "extfull")


def picture(width, height):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("size", [(640, 480), (480, 640), (90, 80), (60, 300)])
@pytest.mark.parametrize("place", [(0.5, 0.4), (0.02, 0.4), (0.98, 0.4), (0.5, 0.02), (0.5, 0.98), (0.01, 0.99)])
@pytest.mark.parametrize("roll", [0.0, 0.5, -1.4, 2.5, 3.1])
def test_what_is_drawn_lies_in_the_picture(face, size, place, roll):
    crop = crop_of(face(size[0] * place[0], size[1] * place[1], roll=roll), size)
    for mode in MODES:
        x0, y0, x1, y1 = crop.box(mode)
        assert 0 <= x0 < x1 <= size[0]
        assert 0 <= y0 < y1 <= size[1]
        pixels = cut(picture(*size), crop, mode)
        assert pixels.shape == (y1 - y0, x1 - x0, 3)
        assert squared(pixels, 64).shape == (64, 64, 3)


def test_the_box_holds_the_head_and_the_wide_one_more(face):
    crop = crop_of(face(320, 200), (640, 480))
    x0, y0, x1, y1 = crop.box("crop")
    assert x1 - x0 == pytest.approx(160, abs=2)  # four eye distances
    assert (x0 + x1) / 2 == pytest.approx(320, abs=2)
    assert (y0 + y1) / 2 == pytest.approx(200 + 0.1 * 44, abs=2)
    wide = crop.box("extcrop")
    assert wide[0] == pytest.approx(x0 - 16, abs=2)
    assert wide[3] == pytest.approx(y1 + 16, abs=2)


def test_full_modes_draw_what_crop_modes_draw(face):
    crop = crop_of(face(100, 80), (640, 480))
    assert crop.box("full") == crop.box("crop")
    assert crop.box("extfull") == crop.box("extcrop")
    assert crop.box("resize") == (0, 0, 640, 480)


def test_a_face_that_fills_a_tall_picture_keeps_its_chin(face):
    eyes = 110.0
    crop = crop_of(face(200, 400, eyes=eyes), (400, 800))
    assert crop.box("crop")[3] > 400 + 1.7 * eyes


def test_proportions_are_those_of_the_pixels(face):
    crop = crop_of(face(580, 300, eyes=90), (640, 400))
    x0, y0, x1, y1 = crop.box("crop")
    assert crop.display("crop") == (x1 - x0, y1 - y0)
    assert crop.inner[2] - crop.inner[0] > x1 - x0, "the square leaves the picture"


def test_a_square_but_for_rounding_is_square(face):
    found = {crop_of(face(320 + dx / 7, 200 + dx / 3), (640, 480)).display("crop") for dx in range(12)}
    assert all(width == height for width, height in found)


def test_large_faces_are_reduced(face):
    size = (6000, 5000)
    crop = crop_of(face(3000, 2400, eyes=1100), size)
    assert crop.shrink == 4
    assert crop.rsize == (1500, 1250)
    x0, y0, x1, y1 = crop.box("crop")
    assert x1 - x0 == pytest.approx(1100, abs=3)
    assert crop_of(face(3000, 2400, eyes=500), size).shrink == 1


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [(640, 480), (6000, 5000)])
def test_points_go_to_the_square_and_back(face, mode, size):
    points = face(size[0] / 2, size[1] / 2.2, eyes=size[0] / 6)
    crop = crop_of(points, size)
    there = to_square(points, crop, mode, 256)
    assert np.allclose(from_square(there, crop, mode, 256), points)
    assert there.min() >= 0
    assert there.max() <= 256
    x0, y0, x1, y1 = crop.box(mode)
    corners = np.array([[x0, y0], [x1, y1]]) * np.array(size) / np.array(crop.rsize)
    assert np.allclose(to_square(corners, crop, mode, 256), [[0, 0], [256, 256]])


def test_points_of_a_whole_picture_need_no_crop():
    assert np.allclose(to_square([[320, 120]], None, "resize", 256, (640, 480)), [[128, 64]])
    assert np.allclose(from_square([[128, 64]], None, "resize", 256, (640, 480)), [[320, 120]])


def test_a_marked_pixel_is_where_its_point_is_mapped(face):
    size = (640, 480)
    crop = crop_of(face(300, 210, eyes=60), size)
    image = np.zeros((480, 640, 3), np.uint8)
    image[240:244, 330:334] = 255
    square = squared(cut(image, crop, "crop"), 256)[..., 0].astype(float)
    rows, columns = np.mgrid[:256, :256] + 0.5
    middle = [(square * columns).sum() / square.sum(), (square * rows).sum() / square.sum()]
    assert np.allclose(to_square([332, 242], crop, "crop", 256), middle, atol=0.1)


@pytest.mark.parametrize("points", [np.zeros((68, 2)), np.full((68, 2), np.nan)])
def test_points_that_make_no_face(points):
    with pytest.raises(InputError, match="no face"):
        crop_of(points, (640, 480))


def test_a_face_of_a_pixel(face):
    with pytest.raises(InputError, match="no face"):
        crop_of(face(100, 100, eyes=1.0), (640, 480))


@pytest.mark.parametrize("place", [(-300, 200), (900, 200), (300, -300), (300, 900)])
def test_a_face_beyond_the_picture(face, place):
    with pytest.raises(InputError, match="outside the picture of 640x480"):
        crop_of(face(*place), (640, 480))


def test_shapes_are_checked(face):
    with pytest.raises(ShapeError):
        crop_of(np.zeros((67, 2)), (640, 480))
    with pytest.raises(ShapeError):
        wflw98_to_68(np.zeros((68, 2)))
    with pytest.raises(ShapeError, match="image"):
        cut(picture(100, 100), crop_of(face(50, 40, eyes=20), (120, 100)), "crop")
