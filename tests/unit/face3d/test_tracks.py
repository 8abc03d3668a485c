from __future__ import annotations

import numpy as np

from talkhead.face3d.pose import Poses
from talkhead.face3d.tracks import EXP_NOISE, FaceTracks, gaussian, steadied
from talkhead.geometry import euler_to_matrix, matrix_to_euler


def tracks(exp, openness=None, gaze=None, rot=None):
    n = len(exp)
    rotation = euler_to_matrix(np.zeros((n, 3)) if rot is None else rot)
    poses = Poses(np.full(n, 80.0), rotation, np.zeros((n, 3)))
    return FaceTracks(exp, poses, np.full((n, 2), 0.09) if openness is None else openness,
                      np.zeros((n, 2)) if gaze is None else gaze)  # fmt: skip


def test_noise_goes():
    noise = EXP_NOISE * np.random.default_rng(0).standard_normal((400, 5))
    assert steadied(noise, EXP_NOISE, 1.0).std() < 0.75 * noise.std()


def test_a_plosive_of_three_frames_stays():
    mouth = np.full((60, 1), 0.5)
    mouth[29:32, 0] = [0.2, 0.0, 0.2]
    noisy = mouth + EXP_NOISE * np.random.default_rng(0).standard_normal(mouth.shape)
    assert steadied(noisy, EXP_NOISE, 1.0)[30, 0] < 0.02
    assert gaussian(noisy, 1.0)[30, 0] > 0.1, "a plain Gaussian would open it"


def test_constant_tracks_and_single_frames_stay():
    np.testing.assert_allclose(steadied(np.full((9, 2), 0.3), 0.01, 2.0), 0.3)
    one = tracks(np.ones((1, 4)))
    assert one.steadied() is one
    moving = tracks(np.random.default_rng(0).standard_normal((9, 4)))
    assert moving.steadied(0.0) is moving


def test_turning_head_is_not_delayed():
    yaw = 0.4 * np.sin(np.arange(50) / 6)
    rot = np.stack([0 * yaw, yaw, 0 * yaw], -1)
    found = matrix_to_euler(tracks(np.zeros((50, 1)), rot=rot).steadied().poses.rotation)
    assert np.abs(found[2:-2] - rot[2:-2]).max() < np.radians(0.4)


def test_gaps_are_bridged_with_rotations_on_the_short_way():
    rot = np.array([[0.0, 0.0, 3.1], [0.0, 0.0, -3.1]])  # 0.08 radians apart, through pi
    found = np.array([True, False, True])
    spread = tracks(np.array([[0.0], [1.0]]), rot=rot).spread(found)
    np.testing.assert_allclose(spread.exp[:, 0], [0, 0.5, 1])
    middle = matrix_to_euler(spread.poses.rotation)[1, 2]
    assert abs(abs(middle) - np.pi) < 1e-6


def test_gaze_behind_shut_lids_is_bridged():
    openness = np.full((11, 2), 0.09)
    openness[4:7] = 0.0
    gaze = np.full((11, 2), 0.1)
    gaze[4:7] = 0.9
    steady = tracks(np.zeros((11, 1)), openness, gaze).steadied()
    np.testing.assert_allclose(steady.gaze, 0.1, atol=1e-9)
    assert steady.openness[5].max() < 0.005


def test_joined_keeps_the_order():
    a, b = tracks(np.zeros((2, 1))), tracks(np.ones((3, 1)))
    assert FaceTracks.joined([a, b]).exp[:, 0].tolist() == [0, 0, 1, 1, 1]
