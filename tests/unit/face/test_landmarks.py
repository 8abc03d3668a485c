"""`Landmarks`: shape check, eye distance, tilt, the 68-point view."""

import math

import numpy as np
import pytest

from talkhead.errors import ShapeError
from talkhead.face.crop import face_crop
from talkhead.face.landmarks import Landmarks
from talkhead.face.landmarks68 import landmarks68


def made(angle=0.0):
    points = np.random.default_rng(0).uniform(40, 60, (478, 3))
    points[33] = (0, 0, 0)
    points[263] = (100 * math.cos(angle), 100 * math.sin(angle), 0)
    return Landmarks(points=points)


def test_wrong_shape_is_refused():
    with pytest.raises(ShapeError, match="468"):
        Landmarks(points=np.zeros((468, 3)))


def test_eye_distance_counts_depth():
    face = made()
    face.points[263, 2] = 75.0
    assert face.eye_distance == pytest.approx(125.0)


@pytest.mark.parametrize("angle", [0.0, 0.3, -1.0, 2.5])
def test_roll(angle):
    assert made(angle).roll == pytest.approx(angle)


def test_face_crop_holds_the_box_and_levels_the_eyes(astronaut_face):
    crop = face_crop(astronaut_face, 128, width=2.0, upright=True)
    inside = crop.to_crop(astronaut_face.points)
    assert inside[:, :2].min() > 20
    assert inside[:, :2].max() < 108
    assert inside[33, 1] == pytest.approx(inside[263, 1], abs=1e-6)
    lifted = face_crop(astronaut_face, 128, width=2.0, lift=0.25)
    assert lifted.to_source([[64, 64]])[0, 1] < face_crop(astronaut_face, 128).to_source([[64, 64]])[0, 1]


def test_view68_has_the_usual_order(astronaut, astronaut_face):
    view = landmarks68(astronaut, astronaut_face)
    assert view.shape == (68, 3)
    assert view.dtype == np.float32
    x, y = view[:, 0], view[:, 1]
    assert (np.diff(x[:17]) > -1).all(), "jaw from image left to right (vertical beside the ears)"
    assert y[8] == y[:17].max(), "the chin is the lowest jaw point"
    assert y[17:27].max() < y[36:48].min(), "brows above eyes"
    assert (np.diff(y[27:31]) > 0).all(), "nose bridge downward"
    assert y[36:48].max() < y[30] < y[48:68].min()
    assert x[48] == x[48:68].min()
    assert x[54] == x[48:68].max()
