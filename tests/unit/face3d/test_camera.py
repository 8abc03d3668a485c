from __future__ import annotations

import numpy as np

from talkhead.face3d.camera import PerspectiveCamera, rotation_from_image_axes
from talkhead.geometry import euler_to_matrix, matrix_to_euler


def test_mean_at_identity_follows_the_formula(model):
    seen = PerspectiveCamera().project(model.mean, np.eye(3), np.zeros(3))
    x, y, z = model.mean.astype(float).T
    np.testing.assert_allclose(seen[:, 0], 112 + 101.5 * x / (1 - z / 10), atol=1e-9)
    np.testing.assert_allclose(seen[:, 1], 112 - 101.5 * y / (1 - z / 10), atol=1e-9)
    np.testing.assert_allclose(seen[:, 2], 10 - z, atol=1e-9)


def test_resizing_scales_the_picture(model):
    small = PerspectiveCamera().project(model.mean, np.eye(3), np.zeros(3))
    large = PerspectiveCamera().resized(512 / 224).project(model.mean, np.eye(3), np.zeros(3))
    np.testing.assert_allclose(large[:, :2], small[:, :2] * 512 / 224)


def test_yaw_moves_what_is_near_to_image_right():
    point = np.array([[0.0, 0.0, 1.0]])
    moved = (point @ euler_to_matrix((0, np.radians(10), 0)).T)[0]
    np.testing.assert_allclose(moved[0], 0.17365, atol=1e-5)


def test_image_axes_are_stripped():
    rotation = euler_to_matrix((0.1, 0.2, -0.1))
    found = rotation_from_image_axes(np.diag([1.0, -1.0, -1.0]) @ rotation)
    np.testing.assert_allclose(matrix_to_euler(found), [0.1, 0.2, -0.1])
