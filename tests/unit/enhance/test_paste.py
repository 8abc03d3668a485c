"""Cutting faces out and putting changes back."""

import numpy as np
import pytest

from talkhead.enhance.align import TEMPLATE, Place, place_points
from talkhead.enhance.paste import cut_face, face_change, face_mask, paste
from talkhead.face.crop import Crop, square_crop

CROPS = {
    "finer": square_crop((90, 100), 150, 512, 0.2),
    "coarser": square_crop((600, 600), 1100, 512, -0.3),
    "over the edge": square_crop((30, 20), 200, 512, 0.1),
}
MASK = np.zeros((512, 512), np.float32)
MASK[64:-64, 64:-64] = 1


def frame_of(crop):
    side = 200 if crop.scale < 1 else 1200
    y, x = (np.mgrid[:side, :side] + 0.5) / side
    return np.stack([40 + 160 * x, 40 + 160 * y, 120 + 40 * x - 40 * y], -1)


@pytest.mark.parametrize("name", ["finer", "coarser"])
def test_crop_pixels_come_from_where_the_crop_says(name):
    crop = CROPS[name]
    frame = frame_of(crop)
    cut = cut_face(np.rint(frame).astype(np.uint8), crop)
    assert cut.shape == (512, 512, 3) and cut.dtype == np.float32
    at = np.array([[200.5, 220.5], [256.5, 256.5], [300.5, 330.5]])
    x, y = crop.to_source(at).T / len(frame)
    expected = np.stack([40 + 160 * x, 40 + 160 * y, 120 + 40 * x - 40 * y], -1)
    for point, colour in zip(at.astype(int), expected, strict=True):
        around = cut[point[1] - 3 : point[1] + 4, point[0] - 3 : point[0] + 4].mean((0, 1))
        assert np.abs(around - colour).max() < 0.4, "levels; a pixel off would be 0.8 (finer), 0.13 (coarser)"


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("name", CROPS)
def test_a_change_lands_where_it_was_made(name, scale):
    crop = CROPS[name]
    side = (200 if crop.scale < 1 else 1200) * scale
    outside = Crop(matrix=crop.matrix * scale, size=512)
    y, x = np.mgrid[:512, :512] + 0.5
    spot = (310.0, 340.0)
    blob = 200 * np.exp(-((x - spot[0]) ** 2 + (y - spot[1]) ** 2) / (2 * 20**2))
    change = np.repeat(blob[..., None], 3, -1).astype(np.float32)
    out = paste(np.zeros((side, side, 3), np.uint8), None, outside, change, MASK)[..., 0].astype(float)
    y, x = np.mgrid[:side, :side] + 0.5
    middle = np.array([(out * x).sum(), (out * y).sum()]) / out.sum()
    assert np.allclose(middle, outside.to_source([spot])[0], atol=0.1), "pixels"


@pytest.mark.parametrize("name", CROPS)
def test_a_network_that_changes_nothing_leaves_the_picture(name):
    crop = CROPS[name]
    rng = np.random.default_rng(1)
    side = 200 if crop.scale < 1 else 1200
    frame = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
    cut = cut_face(frame, crop)
    assert np.array_equal(paste(frame, None, crop, face_change(cut, cut, MASK), MASK), frame)


def test_a_shift_of_colour_is_not_taken_over(portrait, portrait_landmarks):
    place = Place(place_points(portrait_landmarks))
    cut, mask = cut_face(portrait, place.crop), face_mask(place.crop, place.oval)
    detail = np.zeros_like(cut)
    detail[::2] += 10
    detail[1::2] -= 10
    change = face_change(cut, cut + (30, -20, 10) + detail, mask)
    inside = mask > 0.99
    assert np.abs(change[inside].mean(0)).max() < 0.5
    assert np.abs(change - detail)[inside].max() < 1.5, "the detail stays"


def test_the_mask_covers_the_face_and_ends_inside_the_crop(portrait_landmarks):
    place = Place(place_points(portrait_landmarks))
    mask = face_mask(place.crop, place.oval)
    assert mask.shape == (512, 512) and mask.min() == 0 and mask.max() <= 1
    eyes, mouth = TEMPLATE[:2].astype(int), TEMPLATE[3:].astype(int)
    assert all(mask[y, x] > 0.99 for x, y in (*eyes, *mouth))
    assert max(mask[0].max(), mask[-1].max(), mask[:, 0].max(), mask[:, -1].max()) < 0.01
    assert np.abs(np.diff(mask, axis=0)).max() < 0.04, "no edge to be seen"


def test_a_face_outside_the_picture_changes_nothing():
    picture = np.full((60, 80, 3), 77, np.uint8)
    far = square_crop((-900, -900), 150, 512)
    assert np.array_equal(paste(picture, None, far, np.full((512, 512, 3), 50, np.float32), MASK), picture)
    assert np.allclose(cut_face(picture, far), 77)


def test_the_face_itself_is_not_enlarged_by_two_networks():
    crop = CROPS["finer"]
    picture, plain = np.full((200, 200, 3), 200, np.uint8), np.full((200, 200, 3), 50, np.uint8)
    out = paste(picture, plain, crop, np.zeros((512, 512, 3), np.float32), MASK)
    assert tuple(out[100, 90]) == (50, 50, 50) and tuple(out[2, 2]) == (200, 200, 200)
