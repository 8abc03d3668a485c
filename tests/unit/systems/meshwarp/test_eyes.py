import cv2
import numpy as np

from talkhead.systems.meshwarp.eyes import EYE_B, prepare_eye

SKIN, WHITE, SHADE, IRIS = (200, 160, 140), (240, 235, 230), (90, 75, 70), (50, 40, 35)


def sidelong_eye():
    """A photo (100, 200, 3) of one almond eye whose iris leaves a corner in shadow at the right; its landmarks."""
    landmarks = np.zeros((478, 3))
    x = np.linspace(40, 160, len(EYE_B.upper))
    height = 25 * (1 - ((x - 100) / 60) ** 2)
    landmarks[list(EYE_B.crease), :2] = np.stack([np.linspace(40, 160, len(EYE_B.crease)), np.full(9, 15.0)], -1)
    landmarks[list(EYE_B.upper), :2] = np.stack([x, 50 - height], -1)
    landmarks[list(EYE_B.lower), :2] = np.stack([x, 50 + height], -1)
    landmarks[list(EYE_B.brow), :2] = np.stack([np.linspace(40, 160, len(EYE_B.brow)), np.full(10, 5.0)], -1)
    landmarks[list(EYE_B.iris), :2] = [(120, 50), (140, 50), (120, 30), (100, 50), (120, 70)]
    image = np.full((100, 200, 3), SKIN, np.uint8)
    ring = landmarks[list(EYE_B.upper + EYE_B.lower[::-1]), :2]
    cv2.fillPoly(image, [np.round(ring).astype(np.int32)], WHITE)
    inside = (image == WHITE).all(-1)
    image[inside & (np.arange(200) > 125)] = SHADE
    ys, xs = np.mgrid[:100, :200]
    image[inside & (np.hypot(xs - 120, ys - 50) < 20)] = IRIS
    return image, landmarks


def test_a_corner_in_shadow_gets_no_bright_rim():
    image, landmarks = sidelong_eye()
    eye = prepare_eye(image, landmarks, EYE_B, 250.0)
    x0, y0 = eye.origin
    luma = eye.eyeball[30 - y0 : 70 - y0].mean(-1)  # the opening and what lies behind its lids
    assert luma[:, 145 - x0 : 160 - x0].max() < 130, "the corner in shadow"
    assert luma[10:30, 50 - x0 : 90 - x0].min() > 200, "the white on the other side"
