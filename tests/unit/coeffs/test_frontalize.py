import numpy as np
import pytest

from talkhead.coeffs.frontalize import frontalize
from talkhead.errors import UsageError
from talkhead.geometry import euler_to_matrix, matrix_to_rotvec, mean_rotation


def test_the_head_faces_the_camera_and_the_rest_stays(motion):
    marked = motion.replace(landmarks=np.zeros((50, 68, 2), np.float32))
    result = frontalize(marked)
    assert np.abs(result.rot).max() < 1e-6
    assert result.landmarks is None
    for name in ("id", "exp", "trans", "scale", "eyelid", "gaze"):
        np.testing.assert_array_equal(result.tensors()[name], motion.tensors()[name])


def test_half_way_is_half_the_turn(motion):
    angle = np.linalg.norm(matrix_to_rotvec(euler_to_matrix(motion.rot)), axis=1)
    half = np.linalg.norm(matrix_to_rotvec(euler_to_matrix(frontalize(motion, strength=0.5).rot)), axis=1)
    np.testing.assert_allclose(half, angle / 2, atol=1e-6)
    np.testing.assert_allclose(frontalize(motion, strength=0).rot, motion.rot, atol=1e-6)


def test_axes_can_be_kept(motion):
    result = frontalize(motion, keep=("roll",))
    np.testing.assert_array_equal(result.rot[:, 2], motion.rot[:, 2])
    assert np.abs(result.rot[:, :2]).max() < 1e-6


def test_motion_about_the_mean_can_be_kept(motion):
    tilted = motion.replace(rot=motion.rot + np.array([0.1, 0.4, 0], np.float32))
    matrices = euler_to_matrix(frontalize(tilted, keep_motion=True).rot)
    np.testing.assert_allclose(mean_rotation(matrices), np.eye(3), atol=1e-6)
    before = euler_to_matrix(tilted.rot)
    np.testing.assert_allclose(matrices[5] @ matrices[9].T, before[5] @ before[9].T, atol=1e-6)


def test_a_single_frame(motion):
    assert np.abs(frontalize(motion.at(slice(0, 1))).rot).max() < 1e-6


def test_what_cannot_be_turned_is_refused(motion):
    for coeffs in (motion.replace(rot=None), motion.replace(relative=frozenset({"rot"}))):
        with pytest.raises(UsageError, match="do not say how the head is turned"):
            frontalize(coeffs)
    with pytest.raises(UsageError, match="strength 2"):
        frontalize(motion, strength=2)
    with pytest.raises(UsageError, match="cannot keep gaze"):
        frontalize(motion, keep=("gaze",))
