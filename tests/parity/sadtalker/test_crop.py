"""The boxes around a head, the pixels in them and the 98 landmarks of WFLW, against recorded numbers."""

import numpy as np
import pytest

from talkhead.systems.sadtalker.crop import crop_of, cut, squared, wflw98_to_68

GREY_LEVELS = 2  # between releases of OpenCV; 0 with the recording's


@pytest.mark.parametrize("case", range(5))
def test_boxes(golden, assert_close, case):
    recorded = {key.partition(".")[2]: value for key, value in golden("crop").items() if key.startswith(f"{case}.")}
    crop = crop_of(recorded["lm68"], tuple(int(v) for v in recorded["image_wh"]))
    assert crop.rsize == tuple(recorded["rsize"])
    assert crop.outer == tuple(recorded["crop"])
    assert crop.inner == tuple(recorded["inner_x1y1x2y2"])
    assert_close(crop.quad, recorded["quad"], 1e-3)  # the recording averaged landmarks in float32


@pytest.mark.parametrize(("preprocess", "name"), [("crop", "tight"), ("extcrop", "ext")])
def test_pixels(golden, assert_close, preprocess, name):
    recorded = golden("crop")
    image = recorded["pix.image"]
    crop = crop_of(recorded["pix.lm68"], (image.shape[1], image.shape[0]))
    picture = cut(image, crop, preprocess)
    assert picture.shape == tuple(recorded[f"pix.{name}_shape"])
    assert_close(squared(picture, 256), recorded[f"pix.{name}_256"], GREY_LEVELS, 0.05)


def test_points_of_wflw(golden, assert_close):
    found = wflw98_to_68(golden("crop")["wflw98"])
    assert found.dtype == np.float32
    assert_close(found, golden("crop")["wflw98_to_68"], 1e-5)
