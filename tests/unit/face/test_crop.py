"""Crops: the affine is exact, sampling keeps positions, coarse crops average."""

import numpy as np
import pytest

from talkhead.errors import ShapeError, UsageError
from talkhead.face.crop import Crop, square_crop


def test_points_go_there_and_back():
    crop = square_crop((40.0, 70.0), 31.0, 64, angle=0.4)
    points = np.array([[3.0, 5.0, 1.0], [60.0, 10.0, -2.0]])
    assert np.allclose(crop.to_crop(crop.to_source(points)), points)
    assert np.allclose(crop.to_source([[32.0, 32.0]]), [[40.0, 70.0]])
    assert crop.scale == pytest.approx(31 / 64)
    assert crop.flat.shape == (6,)


def test_depth_scales_with_the_crop():
    crop = square_crop((0.0, 0.0), 10.0, 100)
    assert crop.to_source([[0.0, 0.0, 50.0]])[0, 2] == pytest.approx(5.0)


def test_cutting_the_whole_picture_gives_it_back():
    picture = np.random.default_rng(0).integers(0, 255, (48, 48, 3), np.uint8)
    assert (square_crop((24, 24), 48, 48).cut(picture) == picture).all()


@pytest.mark.parametrize("side", [12.0, 24.0, 80.0, 200.0])
def test_a_ramp_keeps_its_values_at_every_scale(side):
    ramp = np.tile(np.arange(256, dtype=np.uint8), (256, 1))
    crop = square_crop((128.0, 128.0), side, 40)
    cut = crop.cut(ramp).astype(float)
    centers = crop.to_source(np.stack([np.arange(40) + 0.5, np.full(40, 20.0)], -1))[:, 0]
    assert np.abs(cut[20] - (centers - 0.5)).max() <= 1.0


def test_coarse_crops_average_instead_of_skipping():
    stripes = np.zeros((200, 200), np.uint8)
    stripes[:, ::2] = 255
    cut = square_crop((100, 100), 160, 40).cut(stripes)
    assert abs(float(cut.mean()) - 127.5) < 2
    assert cut.std() < 3


def test_turn_makes_a_tilted_line_level():
    angle = 0.5
    crop = square_crop((50, 50), 40, 40, angle)
    along = np.array([[50.0, 50.0], [50 + 10 * np.cos(angle), 50 + 10 * np.sin(angle)]])
    level = crop.to_crop(along)
    assert level[1, 1] == pytest.approx(level[0, 1])
    assert level[1, 0] > level[0, 0]


def test_constant_border():
    white = np.full((20, 20, 3), 255, np.uint8)
    cut = square_crop((10, 10), 40, 40).cut(white, border=7)
    assert cut[0, 0, 0] == 7
    assert cut[20, 20, 0] == 255
    assert square_crop((10, 10), 40, 40).cut(white)[0, 0, 0] == 255


def test_bad_crops_are_refused():
    with pytest.raises(UsageError, match="empty"):
        square_crop((0, 0), 0.0, 10)
    with pytest.raises(UsageError):
        square_crop((0, 0), float("nan"), 10)
    with pytest.raises(ShapeError, match=r"\(3, 3\)"):
        Crop(matrix=np.eye(3), size=10)
    with pytest.raises(ShapeError):
        square_crop((0, 0), 5.0, 10).to_source(np.zeros((4, 5)))
