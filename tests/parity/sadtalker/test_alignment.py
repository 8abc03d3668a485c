"""The regressor's picture of a face, against recorded numbers."""

import numpy as np
import pytest

from talkhead.systems.sadtalker.align import REFERENCE, SIDE, aligned_face, five_points

GREY_LEVELS = 2  # between releases of Pillow; 0 with the recording's


def test_reference_face(golden, assert_close):
    assert_close(REFERENCE, golden("alignment")["lm3d_5"], 1e-7)


@pytest.mark.parametrize("case", range(3))
def test_alignment(golden, assert_close, case):
    recorded = {k.partition(".")[2]: value for k, value in golden("alignment").items() if k.startswith(f"{case}.")}
    image, points = recorded["image"], recorded["lm68"]
    assert_close(five_points(points, len(image)), recorded["lm5_yup"], 1e-5)
    picture, params = aligned_face(image, points)
    assert_close(params / recorded["trans_params"], np.ones(5), 1e-6)
    assert_close(picture, recorded["aligned"], GREY_LEVELS, 0.05)
    width, height, scale, x, y = params
    up = np.stack([points[:, 0], height - 1 - points[:, 1]], -1)
    size = np.array([int(width * scale), int(height * scale)])
    moved = ((up - (x, y) + np.array([width, height]) / 2) * scale) - (size / 2 - SIDE / 2)
    assert_close(moved, recorded["lm_aligned"], 1e-3)
