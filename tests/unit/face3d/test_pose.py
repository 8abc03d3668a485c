from __future__ import annotations

import numpy as np
import pytest

from talkhead.errors import ShapeError
from talkhead.face3d.pose import solve_poses
from talkhead.geometry import euler_to_matrix, matrix_to_euler


@pytest.fixture
def posed(model):
    rng = np.random.default_rng(0)
    rot = rng.uniform(-0.44, 0.44, (20, 3))  # 25 degrees
    scale, shift = rng.uniform(40, 160, 20), rng.uniform(-50, 50, (20, 3))
    points = scale[:, None, None] * (model.mean @ np.swapaxes(euler_to_matrix(rot), 1, 2)) + shift[:, None]
    return rot, scale, shift, points


def test_finds_the_poses_of_many_frames(model, posed):
    rot, scale, shift, points = posed
    found = solve_poses(model.mean, points, model.pose_weights)
    np.testing.assert_allclose(matrix_to_euler(found.rotation), rot, atol=1e-9)
    np.testing.assert_allclose(found.scale, scale, rtol=1e-9)
    np.testing.assert_allclose(found.shift, shift, atol=1e-7)
    np.testing.assert_allclose(found.apply(model.mean.astype(float)), points, atol=1e-6)
    np.testing.assert_allclose(found.undo(points), np.broadcast_to(model.mean, points.shape), atol=1e-8)


def test_a_shape_for_every_frame(model, posed):
    _, _, _, points = posed
    shapes = model.shape(exp=np.random.default_rng(1).standard_normal((20, 28)) * model.space.exp_std)
    one = solve_poses(shapes[3], points[3:4], model.pose_weights)
    every = solve_poses(shapes, points, model.pose_weights)
    np.testing.assert_allclose(every.rotation[3], one.rotation[0], atol=1e-9)


def test_depth_that_is_wrong_counts_less(model, posed):
    rot, _, _, points = posed
    wrong = points.copy()
    wrong[..., 2] *= 1.15  # a detector that overrates depth
    errors = [
        np.abs(matrix_to_euler(solve_poses(model.mean, wrong, model.pose_weights, z_weight=w).rotation) - rot).mean()
        for w in (1.0, 0.25, 0.01)
    ]
    assert errors[2] < errors[1] < errors[0]


def test_points_without_weight_do_not_matter(model, posed):
    _, _, _, points = posed
    changed = points.copy()
    changed[:, model.pose_weights == 0] += 30.0
    before, after = (solve_poses(model.mean, p, model.pose_weights) for p in (points, changed))
    np.testing.assert_array_equal(before.rotation, after.rotation)


def test_refuses_points_of_another_mesh(model):
    with pytest.raises(ShapeError, match=r"expected \(T, 478, 3\)"):
        solve_poses(model.mean, np.zeros((2, 68, 3)), model.pose_weights)
