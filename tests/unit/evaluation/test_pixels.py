import math
from dataclasses import replace

import numpy as np
import pytest

from talkhead.errors import InputError, ShapeError
from talkhead.evaluation.measurement import Measurement
from talkhead.evaluation.pixels import PixelScores, pooled_psnr, psnr_of, ssim, to_gray


def noise(seed, size=(24, 20)):
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)


def rows(scores):
    return {m.definition: m for m in scores.measurements()}


def test_dark_and_bright_pixels_do_not_wrap_around():
    scores = PixelScores(())
    score = scores.add(np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 255, np.uint8))
    assert (score.l1, score.mse, score.psnr) == (255, 255**2, 0)


def test_identical_frames_have_no_psnr_and_leave_the_mean_of_the_others():
    scores = PixelScores()
    scores.add(noise(1), noise(1))
    same = rows(scores)
    assert same["psnr/frame"].value is None and "identical" in same["psnr/frame"].reason
    assert same["psnr/pooled"].value is None
    assert same["psnr/frame"].params["identical"] is True
    assert (same["l1/0-255"].value, same["ssim/wang2004-rgb"].value) == (0, pytest.approx(1))
    other = scores.add(noise(2), noise(1))
    mixed = rows(scores)
    assert mixed["psnr/frame"].value == pytest.approx(other.psnr)
    assert (mixed["psnr/frame"].n_frames, mixed["psnr/frame"].params["identical_frames"]) == (1, 1)
    assert mixed["psnr/pooled"].value == pytest.approx(psnr_of(other.mse / 2))
    assert mixed["l1/0-255"].value == pytest.approx(other.l1 / 2)


def test_nothing_compared_has_no_values():
    assert {(m.value, m.reason) for m in PixelScores().measurements()} == {(None, "no frames to compare")}


def test_the_two_readings_of_ssim_differ_and_are_named():
    scores = PixelScores(("wang2004-rgb", "skimage-default"))
    scores.add(noise(1), noise(2))
    found = rows(scores)
    assert found["ssim/wang2004-rgb"].name == "ssim"
    assert found["ssim/skimage-default"].name == "ssim_uniform"
    assert found["ssim/wang2004-rgb"].value != found["ssim/skimage-default"].value


def test_pooling_counts_pixels_and_not_clips():
    long, short, both = PixelScores(()), PixelScores(()), PixelScores(())
    for i in range(3):
        for scores in (long, both):
            scores.add(noise(i), noise(i + 10))
    for scores in (short, both):
        scores.add(noise(5), noise(5) // 2)
    clips = [rows(scores)["psnr/pooled"] for scores in (long, short)]
    assert pooled_psnr(clips) == pytest.approx(rows(both)["psnr/pooled"].value)
    identical = replace(clips[0], value=None, reason="identical")
    assert math.isinf(pooled_psnr([identical]))
    assert pooled_psnr([clips[0], identical]) == pytest.approx(clips[0].value + 10 * math.log10(2))
    with pytest.raises(ValueError, match="pooled"):
        pooled_psnr([Measurement(name="psnr", definition="psnr/frame", grade="exact", value=1.0, n_frames=1)])


def test_gray_is_integer_luma():
    frame = np.array([[[255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    assert to_gray(frame).tolist() == [[255, 76, 150, 29]]


@pytest.mark.parametrize(
    ("frame", "error", "text"),
    [
        (np.zeros((4, 4, 3), np.float32), InputError, "float32"),
        (np.zeros((4, 4), np.uint8), ShapeError, "H, W, 3"),
        (np.zeros((5, 4, 3), np.uint8), ShapeError, "size of the real"),
    ],
)
def test_frames_of_another_kind_are_refused(frame, error, text):
    with pytest.raises(error, match=text):
        PixelScores().add(frame, np.zeros((4, 4, 3), np.uint8))


def test_frames_smaller_than_the_window_have_no_ssim():
    with pytest.raises(ShapeError, match="at least 11"):
        ssim(noise(1, (10, 30)), noise(2, (10, 30)))
