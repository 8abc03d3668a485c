"""Drawn squares back in the photo: nothing beyond the box changes, the seam is not seen, borders are no trouble."""

import cv2
import numpy as np
import pytest

from talkhead.errors import ShapeError
from talkhead.face.seam import FEATHER, feather_mask
from talkhead.systems.sadtalker.crop import SadCrop, crop_of, cut, squared
from talkhead.systems.sadtalker.paste import Paster, display_frame, photo_box


def boxes(size, outer, quad, shrink=1):
    rsize = (round(size[0] / shrink), round(size[1] / shrink))
    return SadCrop(size=size, rsize=rsize, shrink=shrink, outer=outer, quad=quad)


def smooth_photo(width, height, seed=0):
    coarse = np.random.default_rng(seed).integers(60, 190, (6, 8, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


MIDDLE = boxes((320, 240), (80, 40, 260, 220), (20.0, 20.0, 148.0, 148.0))


def drawn(photo, crop, mode="full", side=128):
    return squared(cut(photo, crop, mode), side)


@pytest.mark.parametrize("blend", ["feather", "poisson"])
@pytest.mark.parametrize("mode", ["full", "extfull"])
def test_only_the_box_changes(blend, mode):
    photo = smooth_photo(320, 240)
    paster = Paster(photo, MIDDLE, mode, blend)
    assert paster.size == (320, 240)
    before = photo.copy()
    out = paster.paste(255 - drawn(photo, MIDDLE, mode))
    x0, y0, x1, y1 = paster.box
    outside = np.ones((240, 320), bool)
    outside[y0:y1, x0:x1] = False
    assert np.array_equal(out[outside], photo[outside])
    assert not np.array_equal(out, photo)
    assert np.array_equal(photo, before)
    assert not np.shares_memory(out, photo)
    assert out.shape == photo.shape
    assert out.dtype == np.uint8


@pytest.mark.parametrize("blend", ["feather", "poisson"])
def test_the_photo_itself_comes_back(blend):
    photo = smooth_photo(320, 240)
    out = Paster(photo, MIDDLE, "full", blend).paste(drawn(photo, MIDDLE))
    assert np.abs(out.astype(int) - photo).max() <= 4


def test_the_middle_is_what_was_drawn():
    photo = smooth_photo(320, 240)
    other = np.random.default_rng(3).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    out = Paster(photo, MIDDLE, "full").paste(other)
    x0, y0, _, _ = photo_box(MIDDLE, "full")
    edge = 40  # beyond the soft border and the reach of the colour step
    assert np.abs(out[y0 + edge : y0 + 128 - edge, x0 + edge : x0 + 128 - edge].astype(int)
                  - other[edge : 128 - edge, edge : 128 - edge]).max() <= 1  # fmt: skip


def test_a_shifted_colour_makes_no_step():
    photo = smooth_photo(320, 240)
    shifted = np.clip(drawn(photo, MIDDLE).astype(int) + (10, 6, -8), 0, 255).astype(np.uint8)
    paster = Paster(photo, MIDDLE, "full")
    x0, y0, x1, y1 = paster.box
    error = np.abs(paster.paste(shifted)[y0:y1, x0:x1].astype(int) - photo[y0:y1, x0:x1]).max(-1)
    seam = round(FEATHER * (x1 - x0))
    inner = error[seam:-seam, seam:-seam]
    ring = np.concatenate([error[:seam].ravel(), error[-seam:].ravel(), error[:, :seam].ravel()])
    assert ring.mean() < 0.8
    assert ring.max() <= 4
    assert inner[len(inner) // 2, len(inner) // 2] >= 7, "the face keeps the colours that were drawn"


def test_something_that_moved_over_the_seam_does_not_tint_its_surroundings():
    photo = np.full((240, 320, 3), 180, np.uint8)
    frame = drawn(photo, MIDDLE)
    frame[:, :20] = 20  # dark hair has come to the left border
    out = Paster(photo, MIDDLE, "full").paste(frame)
    x0, y0, _, y1 = photo_box(MIDDLE, "full")
    assert np.abs(out[y0:y1, x0 + 25 :].astype(int) - 180).max() <= 2


def test_the_seam_is_calm_while_something_moves_over_it():
    photo = smooth_photo(320, 240)
    frame = np.clip(drawn(photo, MIDDLE).astype(int) + 8, 0, 255).astype(np.uint8)
    paster = Paster(photo, MIDDLE, "full")
    x0, y0, x1, y1 = paster.box
    seen = []
    for y in range(20, 90, 10):  # a bright hand goes down the left border
        moving = frame.copy()
        moving[y : y + 25, :25] = 250
        seen.append(paster.paste(moving)[y0:y1, x0 + 32 : x1].astype(int))
    assert np.ptp(seen, axis=0).max() <= 3
    top = np.s_[:12, 10:]
    assert np.abs(seen[0][top] - photo[y0:y1, x0 + 32 : x1][top]).max() <= 4, "the lighter colour is taken back"


def test_the_mask_falls_to_nothing_except_at_the_pictures_own_border():
    mask = feather_mask((0, 30, 100, 130), (300, 130))
    assert mask[:, -1].max() == 0
    assert mask[0].max() == 0
    assert mask[-1, 40] == 1
    assert mask[50, 0] == 1
    assert mask[50, 50] == 1
    width = round(FEATHER * 100)
    assert mask[50, 99 - width // 2] == pytest.approx(0.5, abs=0.05)
    assert (np.diff(mask[50]) <= 0).all()
    assert mask.dtype == np.float32


def test_cloning_the_box_is_cloning_the_picture():
    photo = smooth_photo(320, 240)
    frame = squared(cut(smooth_photo(320, 240, seed=5), MIDDLE, "full"), 128)
    x0, y0, x1, y1 = photo_box(MIDDLE, "full")
    patch = cv2.resize(frame, (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR)
    mask = np.full(patch.shape[:2], 255, np.uint8)
    center = ((x0 + x1) // 2, (y0 + y1) // 2)
    whole = cv2.seamlessClone(patch, photo, mask, center, cv2.NORMAL_CLONE)
    assert np.array_equal(Paster(photo, MIDDLE, "full", "poisson").paste(frame), whole)


@pytest.mark.parametrize("blend", ["feather", "poisson"])
@pytest.mark.parametrize("place", [(5, 100), (315, 100), (160, 3), (160, 236), (2, 238), (318, 2)])
@pytest.mark.parametrize("eyes", [12, 45, 120])
def test_faces_at_the_border(face, blend, place, eyes):
    photo = smooth_photo(320, 240)
    crop = crop_of(face(*place, eyes=eyes), (320, 240))
    for mode in ("full", "extfull"):
        paster = Paster(photo, crop, mode, blend)
        out = paster.paste(drawn(photo, crop, mode, side=64))
        assert out.shape == photo.shape
        assert np.abs(out.astype(int) - photo).mean() < 3


@pytest.mark.parametrize("blend", ["feather", "poisson"])
def test_a_box_of_a_few_pixels(blend):
    photo = smooth_photo(60, 50)
    crop = boxes((60, 50), (56, 0, 60, 3), (0.0, 0.0, 4.0, 3.0))
    out = Paster(photo, crop, "full", blend).paste(np.zeros((64, 64, 3), np.uint8))
    assert out.shape == photo.shape


def test_boxes_of_reduced_photos_are_enlarged_again(face):
    crop = crop_of(face(1500, 1200, eyes=1100), (3001, 2501))
    assert crop.shrink > 1
    photo = smooth_photo(3001, 2501)
    x0, y0, x1, y1 = photo_box(crop, "full")
    assert x1 - x0 == pytest.approx(crop.shrink * (crop.box("full")[2] - crop.box("full")[0]), abs=4)
    out = Paster(photo, crop, "full").paste(drawn(photo, crop, side=256))
    assert out.shape == photo.shape
    assert np.abs(out.astype(int) - photo).max() <= 6
    assert 0 <= x0 < x1 <= 3001
    assert 0 <= y0 < y1 <= 2501


def test_another_photo_is_refused():
    with pytest.raises(ShapeError, match="photo"):
        Paster(smooth_photo(300, 240), MIDDLE, "full")


@pytest.mark.parametrize(("display", "height"), [((277, 277), 64), ((409, 342), 53), ((100, 150), 96), ((5000, 10), 1)])
def test_frames_are_shown_in_their_proportions(display, height):
    frame = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    shown = display_frame(frame, display)
    assert shown.shape == (height, 64, 3)
    assert height != 64 or shown is frame
