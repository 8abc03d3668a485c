"""A face is brought to its place by five points; nonsense takes the mean face's place."""

import numpy as np
import pytest

from talkhead.errors import ShapeError
from talkhead.systems.sadtalker.align import SIDE, _window, aligned_face, fit_alignment, five_points, mean_five_points


def sixty_eight(five_yup, height):
    """68 points whose five are given, y down."""
    points = np.zeros((68, 2))
    five = np.array(five_yup, float)
    five[:, 1] = height - 1 - five[:, 1]
    points[[36, 39]], points[[42, 45]], points[30], points[48], points[54] = five
    return points


def square(side=256):
    rows, columns = np.mgrid[:side, :side]
    return np.stack([rows * 255 / side, columns * 255 / side, rows * 0 + 128], -1).astype(np.uint8)


def test_five_points_of_sixty_eight():
    mean = mean_five_points(256, 256)
    assert np.allclose(five_points(sixty_eight(mean, 256), 256), mean, atol=1e-4)


def test_without_landmarks_the_mean_face_is_taken():
    picture, params = aligned_face(square(), None)
    assert params[2:] == pytest.approx(fit_alignment(mean_five_points(256, 256)))
    assert picture[SIDE // 2, SIDE // 2].min() > 0


@pytest.mark.parametrize("points", [np.full((68, 2), np.nan), np.zeros((68, 2)), np.full((68, 2), 1e12)])
def test_points_that_make_no_face_do_too(points):
    picture, params = aligned_face(square(), points)
    expected, wanted = aligned_face(square(), None)
    assert np.array_equal(params, wanted)
    assert np.array_equal(picture, expected)


def test_faces_of_any_size_and_place_come_out_alike():
    mean = mean_five_points(256, 256)
    for factor, shift in ((1.0, (0, 0)), (0.5, (30, -20)), (0.1, (-60, 10)), (1.6, (5, 5))):
        moved = (mean - 128) * factor + 128 + shift
        fitted, reference = fit_alignment(moved), fit_alignment(mean)
        found = (moved - fitted[1:]) * fitted[0]
        assert np.allclose(found, (mean - reference[1:]) * reference[0], atol=1e-2)


def test_a_face_at_the_border_has_black_beside_it():
    moved = (mean_five_points(256, 256) - 128) * 0.5 + (10, 128)
    picture, _ = aligned_face(square() // 2 + 60, sixty_eight(moved, 256))
    assert picture[:, :60].max() == 0
    assert picture[100, 150].min() > 0


def test_a_face_outside_is_black_altogether():
    moved = (mean_five_points(256, 256) - 128) * 0.2 + (-2000, 128)
    picture, _ = aligned_face(square(), sixty_eight(moved, 256))
    assert picture.shape == (SIDE, SIDE, 3)
    assert picture.max() == 0


def test_a_small_face_is_enlarged_without_enlarging_the_rest(monkeypatch):
    image = np.random.default_rng(1).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    size, left, top = (1300, 1300), 401, 305
    part = _window(image, size, left, top)
    monkeypatch.setattr("talkhead.systems.sadtalker.align._WHOLE", 5000)
    whole = _window(image, size, left, top)
    assert np.abs(part.astype(int) - whole).max() <= 1


def test_shape_is_checked():
    with pytest.raises(ShapeError):
        aligned_face(square(), np.zeros((5, 2)))
