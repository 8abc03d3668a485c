"""Changed pictures and changed points of an example stay together."""

from __future__ import annotations

import numpy as np
import pytest

from talkhead.errors import InputError
from talkhead.nn.augment import AugmentConfig

SIDE = 64


def blob(x, y):
    """A soft bright spot."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    value = 20 + 200 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 18)
    return np.repeat(value[..., None], 3, 2).astype(np.uint8)


def centre(image):
    weight = image[..., 0].astype(float) - 20
    rows, columns = np.mgrid[:SIDE, :SIDE]
    return np.array([(columns * weight).sum(), (rows * weight).sum()]) / weight.sum()


def test_nothing_changes_by_default_and_nothing_is_drawn():
    rng = np.random.default_rng(0)
    change = AugmentConfig().draw(SIDE, rng)
    image, points = blob(20, 40), np.array([[20.0, 40.0, 3.0]])
    assert change.picture(image) is image and change.mask(image) is image and change.placed(points) is points
    assert rng.random() == np.random.default_rng(0).random()


@pytest.mark.parametrize("mirror", [0.0, 1.0])
def test_a_point_goes_where_its_picture_goes(mirror):
    config = AugmentConfig(mirror=mirror, zoom=0.2, turn=20, shift=0.1)
    rng = np.random.default_rng(3)
    for _ in range(20):
        change = config.draw(SIDE, rng)
        x, y = rng.uniform(24, 40, 2)
        point = change.placed(np.array([x, y, 5.0]))
        if change.mirrored:
            point[0] = SIDE - 1 - point[0]
        seen = change.picture(blob(x, y))
        assert seen.shape == (SIDE, SIDE, 3) and seen.dtype == np.uint8 and seen.flags.c_contiguous
        assert np.abs(centre(seen) - point[:2]).max() < 0.15
        # Depth grows with the picture.
        assert point[2] == pytest.approx(5 * np.sqrt(np.linalg.det(change.matrix[:, :2])))


def test_changes_stay_within_what_was_asked():
    config = AugmentConfig(mirror=0.25, zoom=0.1, turn=5, shift=0.05, light=0.2)
    changes = [config.draw(SIDE, np.random.default_rng(seed)) for seed in range(400)]
    sizes = np.array([np.sqrt(np.linalg.det(change.matrix[:, :2])) for change in changes])
    turns = np.rad2deg([np.arctan2(change.matrix[1, 0], change.matrix[0, 0]) for change in changes])
    middle = np.full(2, (SIDE - 1) / 2)
    shifts = np.array([change.placed(middle) - middle for change in changes]) / SIDE
    gains = np.array([change.gains for change in changes])
    assert 1 / 1.1 <= sizes.min() < 0.93 and 1.07 < sizes.max() <= 1.1
    assert -5 <= turns.min() < -4 and 4 < turns.max() <= 5
    assert -0.05 <= shifts.min() < -0.04 and 0.04 < shifts.max() <= 0.05
    assert 0.8 <= gains.min() < 0.85 and 1.15 < gains.max() <= 1.2
    assert 0.18 < np.mean([change.mirrored for change in changes]) < 0.32


def test_light_is_of_photos_only():
    change = AugmentConfig(light=0.5).draw(SIDE, np.random.default_rng(1))
    image = np.full((SIDE, SIDE, 3), 100, np.uint8)
    np.testing.assert_allclose(change.picture(image)[0, 0], 100 * change.gains, atol=0.51)
    assert change.mask(image) is image


@pytest.mark.parametrize(
    ("name", "value"), [("mirror", 1.5), ("zoom", -0.1), ("turn", 181), ("shift", 0.6), ("light", 1)]
)
def test_out_of_range_is_refused(name, value):
    with pytest.raises(InputError, match=rf"augment\.{name} is {value:g}"):
        AugmentConfig(**{name: value})
