"""Mattes: sure inside and outside, strands kept, colours carried outward."""

import cv2
import numpy as np
import pytest

from talkhead.errors import ShapeError, WeightsError
from talkhead.face.landmarks import Landmarks
from talkhead.face.mask import person_mask
from talkhead.face.matting import extend_colors, refine_matte


@pytest.fixture(scope="module")
def matte(astronaut, astronaut_face):
    return person_mask(astronaut, astronaut_face)


def test_face_is_in_and_corners_are_out(matte, astronaut_face):
    assert matte.shape == (512, 512)
    assert matte.dtype == np.float32
    assert 0 <= matte.min() <= matte.max() <= 1
    inner = astronaut_face.points[[1, 6, 50, 280, 152, 151], :2].astype(int)
    assert (matte[inner[:, 1], inner[:, 0]] == 1).all()
    assert matte[:120, :120].max() < 0.05
    assert matte[:100, 340:].max() < 0.05
    assert matte[40, 225] > 0.9, "hair above the forehead"
    assert matte[330, 220] > 0.9, "the suit"


def test_a_large_picture_gives_the_same_matte(astronaut, astronaut_face, matte):
    large = cv2.resize(astronaut, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    again = person_mask(large, Landmarks(points=astronaut_face.points * 4))
    assert again.shape == (2048, 2048)
    small = cv2.resize(again, (512, 512), interpolation=cv2.INTER_AREA)
    head = np.s_[20:220, 130:330]
    assert np.abs(small - matte)[head].mean() < 0.02


def test_other_people_are_left_out(astronaut_face):
    class Red:
        """Takes what is red for people."""

        name, mesh_size = "red", 192

        def person(self, square):
            return cv2.GaussianBlur((square[..., 0] > 128).astype(np.float32), (0, 0), 1.0)

    crowd = np.full((300, 600, 3), 60, np.uint8)
    crowd[50:300, 150:320, 0] = 200
    crowd[50:300, 400:560, 0] = 200
    alpha = person_mask(crowd, Landmarks(points=astronaut_face.points + (10, 20, 0)), using=Red())
    assert alpha[150, 235] == 1
    assert alpha[280, 200] > 0.9
    assert alpha[:, 390:].max() == 0


def test_without_a_segmenter_colour_decides(astronaut, astronaut_face, caplog):
    class Blind:
        name, mesh_size = "blind", 192

        def person(self, square):
            raise WeightsError("selfie_segmenter.tflite is not at home")

    alpha = person_mask(astronaut, astronaut_face, using=Blind())
    assert "not at home" in caplog.text
    assert alpha[130, 225] == 1
    assert alpha[:60, 330:].max() < 0.1


def test_only_rgb(astronaut_face):
    with pytest.raises(ShapeError):
        person_mask(np.zeros((10, 10), np.uint8), astronaut_face)


def striped(unit=60.0):
    """A dark head with strands to the right on a light wall: image, true alpha, a rough alpha without strands."""
    rng = np.random.default_rng(0)
    drawn = np.zeros((240, 240), np.uint8)
    cv2.circle(drawn, (100, 120), 60, 255, -1, cv2.LINE_AA)
    rough = cv2.GaussianBlur(drawn.astype(np.float32) / 255, (0, 0), 3)
    for y in (100, 120, 140):
        cv2.line(drawn, (150, y), (170, y), 255, 2, cv2.LINE_AA)
    alpha = drawn.astype(np.float32) / 255
    fore, back = np.array([0.25, 0.15, 0.1]), np.array([0.8, 0.8, 0.85])
    image = alpha[..., None] * fore + (1 - alpha[..., None]) * back + rng.normal(0, 0.01, (240, 240, 3))
    return np.clip(image, 0, 1).astype(np.float32), alpha, rough, unit


def test_strands_are_found_beyond_the_rough_edge():
    image, truth, rough, unit = striped()
    alpha = refine_matte(image, rough, unit)
    strands = np.s_[95:145, 163:168]
    assert np.abs(alpha - truth)[strands].mean() < 0.5 * np.abs(rough - truth)[strands].mean()
    assert np.abs(alpha - truth).mean() < 0.4 * np.abs(rough - truth).mean()


def test_grain_of_the_wall_is_no_hair():
    image, _, rough, unit = striped()
    noisy = np.clip(image + np.random.default_rng(1).normal(0, 0.12, image.shape), 0, 1).astype(np.float32)
    alpha = refine_matte(noisy, rough, unit)
    assert alpha[20:60, 180:].mean() < 0.01
    assert alpha[95:145, 80:120].min() > 0.9


def test_everything_or_nothing_stays_so():
    image = np.random.default_rng(0).uniform(size=(40, 50, 3)).astype(np.float32)
    assert (refine_matte(image, np.ones((40, 50), np.float32), 20.0) > 0.99).all()
    assert (refine_matte(image, np.zeros((40, 50), np.float32), 20.0) < 0.01).all()


def test_extended_colours_are_exact_where_known_and_near_elsewhere():
    pixels = np.zeros((33, 47, 3), np.float32)
    known = np.zeros((33, 47), np.float32)
    pixels[5:20, 5:20] = (200, 100, 50)
    known[5:20, 5:20] = 1
    filled = extend_colors(pixels, known)
    assert np.allclose(filled[5:20, 5:20], (200, 100, 50), atol=1e-3)
    assert np.allclose(filled, (200, 100, 50), atol=1)
