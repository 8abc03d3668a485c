"""Averaged looks: variants are balanced, mirroring and cropping cancel out."""

import numpy as np
import pytest

from talkhead.face.landmarks import Landmarks
from talkhead.face.looks import Roi, look_often, roi_of_detection, roi_of_points, variants
from talkhead.face.providers import Detection, Look
from talkhead.face.topology import MIRROR


class Compass:
    """A mesh network that reads where it looks from the picture: red grows to the right, green downwards.

    It reports fixed picture points, `self.points`, in the crop's own coordinates, with an error to the left.
    """

    name = "compass"
    mesh_size = 64

    def __init__(self, points, slip=0.0):
        self.points, self.slip = points, slip
        self.presence = 1.0

    def look(self, crop):
        x, y = crop[..., 0].astype(float), crop[..., 1].astype(float)
        col, row = np.meshgrid(np.arange(64) + 0.5, np.arange(64) + 0.5)
        ones = np.ones_like(col)
        axes = np.stack([col, row, ones], -1).reshape(-1, 3)
        to_picture = np.linalg.lstsq(axes, np.stack([x, y], -1).reshape(-1, 2), rcond=None)[0].T
        flipped = np.linalg.det(to_picture[:, :2]) < 0
        points = self.points[MIRROR] if flipped else self.points
        inside = (points[:, :2] - to_picture[:, 2]) @ np.linalg.inv(to_picture[:, :2]).T
        scale = np.sqrt(abs(np.linalg.det(to_picture[:, :2])))
        out = np.concatenate([inside, points[:, 2:] / scale], 1)
        out[:, 0] -= self.slip
        return Look(points=out, presence=self.presence)


def picture():
    return np.stack([*np.meshgrid(np.arange(256), np.arange(256)), np.zeros((256, 256), int)], -1).astype(np.uint8)


@pytest.fixture
def points():
    made = np.random.default_rng(1).uniform(100, 150, (478, 3))
    made[33, :2], made[263, :2] = (105, 120), (145, 124)
    return made


@pytest.mark.parametrize("n_looks", [1, 2, 6, 16])
def test_looks_agree_with_a_perfect_network(points, n_looks):
    roi = roi_of_points(points)
    looks = look_often(picture(), roi, n_looks, Compass(points - (0.5, 0.5, 0)))
    assert np.abs(looks.points - points).max() < 1.0
    assert looks.deviation < 0.02
    assert isinstance(looks.landmarks, Landmarks)


def test_mirrored_looks_cancel_a_sideways_bias(points):
    roi = roi_of_points(points)
    eyes = Compass(points - (0.5, 0.5, 0), slip=3.0)
    one = look_often(picture(), roi, 1, eyes).points - points
    many = look_often(picture(), roi, 6, eyes)
    assert one[:, 0].mean() < -2.5
    assert abs((many.points - points)[:, 0].mean()) < 0.3
    assert many.deviation > 0.03, "the looks disagree, and that is told"


@pytest.mark.parametrize("n_looks", [2, 4, 6, 8, 16])
def test_variants_are_balanced(n_looks):
    table = variants(n_looks)
    assert len(table) == n_looks
    widths, turns, mirrored = (np.array(column, float) for column in zip(*table, strict=True))
    assert widths.mean() == pytest.approx(1.0)
    assert turns.sum() == pytest.approx(0.0, abs=1e-9)
    assert mirrored.sum() == n_looks / 2


def test_roi_of_points_is_upright_for_tilted_faces(points):
    angle = 0.6
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    flat = roi_of_points(points)
    tilted_points = np.concatenate([points[:, :2] @ turn.T, points[:, 2:]], 1)
    tilted = roi_of_points(tilted_points)
    assert tilted.angle == pytest.approx(flat.angle + angle)
    assert tilted.side == pytest.approx(flat.side)
    assert np.allclose(tilted.center, turn @ flat.center)


def test_roi_of_detection_takes_its_tilt_from_the_eyes():
    keypoints = np.zeros((6, 2))
    keypoints[1] = (0, 10)
    roi = roi_of_detection(Detection(bbox=(10, 20, 50, 60), score=1.0, keypoints=keypoints))
    assert roi.angle == pytest.approx(np.pi / 2)
    assert np.allclose(roi.center, (30, 40))
    assert roi.side == pytest.approx(60)


def test_far_from():
    base = Roi(center=np.zeros(2), side=100.0, angle=3.1)
    assert not base.far_from(Roi(center=np.array([3.0, 3.0]), side=104.0, angle=-3.13))
    assert base.far_from(Roi(center=np.array([8.0, 0.0]), side=100.0, angle=3.1))
    assert base.far_from(Roi(center=np.zeros(2), side=120.0, angle=3.1))
    assert base.far_from(Roi(center=np.zeros(2), side=100.0, angle=2.9))
