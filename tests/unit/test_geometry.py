import numpy as np
import pytest

from talkhead.errors import ShapeError
from talkhead.geometry import (
    euler_to_matrix,
    fit_similarity,
    matrix_to_euler,
    matrix_to_rotvec,
    mean_rotation,
    project,
    rotvec_to_matrix,
)


def _random_rotvecs(n: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    axes = rng.normal(size=(n, 3))
    return axes / np.linalg.norm(axes, axis=1, keepdims=True) * rng.uniform(0, np.pi, (n, 1))


def test_euler_round_trip():
    angles = np.random.default_rng(0).uniform(-1, 1, (10_000, 3)) * [np.pi, np.radians(85), np.pi]
    matrices = euler_to_matrix(angles)
    np.testing.assert_allclose(matrix_to_euler(matrices), angles, atol=1e-6)
    np.testing.assert_allclose(
        matrices @ np.swapaxes(matrices, 1, 2), np.broadcast_to(np.eye(3), (10_000, 3, 3)), atol=1e-12
    )
    np.testing.assert_allclose(np.linalg.det(matrices), 1, atol=1e-12)


def test_yaw_turns_the_nose_to_image_right_and_pitch_looks_down():
    nose = np.array([0.0, 0.0, 1.0])
    np.testing.assert_allclose(euler_to_matrix([0, np.radians(10), 0]) @ nose, [0.17365, 0, 0.98481], atol=1e-5)
    assert (euler_to_matrix([0.2, 0, 0]) @ nose)[1] < 0


def test_rotvec_round_trip():
    vectors = _random_rotvecs(10_000)
    vectors[:3] = [[0, 0, 0], [1e-9, 0, 0], [np.pi - 1e-9, 0, 0]]
    np.testing.assert_allclose(matrix_to_rotvec(rotvec_to_matrix(vectors)), vectors, atol=1e-9)


def test_rotvec_about_one_axis_is_the_euler_angle():
    for axis in range(3):
        angles = np.zeros(3)
        angles[axis] = 0.3
        np.testing.assert_allclose(rotvec_to_matrix(angles), euler_to_matrix(angles), atol=1e-12)


def test_mean_rotation_of_opposite_turns_is_no_turn():
    np.testing.assert_allclose(mean_rotation(rotvec_to_matrix([[0.2, 0, 0], [-0.2, 0, 0]])), np.eye(3), atol=1e-12)


def test_mean_rotation_follows_the_weights():
    matrices = rotvec_to_matrix([[0.2, 0, 0], [0, 0.4, 0]])
    np.testing.assert_allclose(mean_rotation(matrices, [0, 1]), matrices[1], atol=1e-12)


def test_similarity_is_recovered_exactly():
    rng = np.random.default_rng(1)
    points, rotation = rng.normal(size=(20, 3)), euler_to_matrix([0.1, -0.4, 0.2])
    scale, found, shift = fit_similarity(points, 3 * points @ rotation.T + [1, 2, 3], rng.uniform(0.1, 1, 20))
    assert scale == pytest.approx(3)
    np.testing.assert_allclose(found, rotation, atol=1e-9)
    np.testing.assert_allclose(shift, [1, 2, 3], atol=1e-9)


def test_projection_has_its_origin_in_the_middle_and_y_down():
    projected = project(np.array([[0.5, 1.0, 2.0]]), np.eye(3), np.zeros(3), 10.0, (100, 60))
    np.testing.assert_allclose(projected, [[55, 20, -20]])


@pytest.mark.parametrize("call", [euler_to_matrix, rotvec_to_matrix, matrix_to_euler, matrix_to_rotvec, mean_rotation])
def test_wrong_shapes_are_refused(call):
    with pytest.raises(ShapeError):
        call(np.zeros((4, 2)))
