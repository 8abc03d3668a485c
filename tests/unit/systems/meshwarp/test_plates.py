"""Background and foreground layers of one photo."""

from __future__ import annotations

import numpy as np

from talkhead.systems.meshwarp.plates import background_plate, foreground_layer, settle_matte


def _scene(height=120, width=160):
    """Horizontal stripes with a grey disc in front, and the disc's soft matte."""
    rows = (np.arange(height) // 8 % 2) * 120 + 60
    image = np.repeat(np.repeat(rows[:, None], width, 1)[..., None], 3, 2).astype(np.uint8)
    y, x = np.mgrid[0:height, 0:width]
    alpha = np.clip(30.5 - np.hypot(x - width / 2, y - height / 2), 0, 1).astype(np.float32)
    image = np.round(image * (1 - alpha[..., None]) + 20 * alpha[..., None]).astype(np.uint8)
    return image, alpha


def test_plate_is_the_photo_outside_the_person_and_continues_lines_behind_it():
    image, alpha = _scene()
    plate = background_plate(image, alpha, eye_px=60)
    away = np.hypot(*(np.mgrid[0:120, 0:160] - np.array([60, 80])[:, None, None])) > 36
    assert np.array_equal(plate[away], image[away])
    # just inside the disc, left and right of its middle, the stripes go on
    for column in (54, 106):
        stripes = plate[48:72, column, 0].astype(int)
        assert np.abs(stripes - image[48:72, 5, 0]).mean() < 25
    assert plate.min() > 35  # nothing of the dark disc is left


def test_plate_survives_pictures_with_and_without_a_person():
    image, alpha = _scene()
    assert np.array_equal(background_plate(image, np.zeros_like(alpha), 60), image)
    assert background_plate(image, np.ones_like(alpha), 60).shape == image.shape


def test_layers_compose_to_the_photo_again():
    image, alpha = _scene()
    plate = background_plate(image, alpha, eye_px=60)
    layer = foreground_layer(image, alpha, plate, eye_px=60).astype(float)
    matte = layer[..., 3:] / 255
    composed = matte * layer[..., :3] + (1 - matte) * plate
    assert np.abs(composed - image).mean() < 1.0
    assert (layer[alpha > 0.99][:, :3] == image[alpha > 0.99]).all()


def test_no_old_background_travels_with_the_edge():
    image, alpha = _scene()
    layer = foreground_layer(image, alpha, background_plate(image, alpha, eye_px=60), eye_px=60).astype(int)
    edge = (alpha > 0.05) & (alpha < 0.95)
    assert np.abs(layer[edge][:, :3] - 20).mean() < 12 < np.abs(image[edge].astype(int) - 20).mean()


def test_broad_doubtful_areas_are_decided_and_thin_edges_stay_soft():
    alpha = np.zeros((100, 100), np.float32)
    alpha[20:60, 20:60] = 0.4
    alpha[:, 80] = 0.4
    settled = settle_matte(alpha, eye_px=100)
    assert settled[40, 40] > 0.97
    assert np.array_equal(settled[:, 78:83], alpha[:, 78:83])
