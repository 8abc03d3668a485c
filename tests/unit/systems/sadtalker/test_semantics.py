from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from talkhead.systems.sadtalker.model_mapping import MappedMotion
from talkhead.systems.sadtalker.semantics import (
    blink_track,
    camera_track,
    degrees_of,
    keypoints,
    rotation,
    smoothed_pose,
    surrounded,
)


@pytest.mark.parametrize("n_frames", [1, 5, 40])
def test_windows_hold_the_ends(n_frames):
    rows = (np.arange(n_frames)[:, None] * [1, 10]).astype("f4")
    for f in range(n_frames):
        window = surrounded(rows, f, f + 1, 27)
        np.testing.assert_array_equal(window[:, 0], np.clip(np.arange(f - 13, f + 14), 0, n_frames - 1))
        np.testing.assert_array_equal(window[:, 1], 10 * window[:, 0])
    around = surrounded(rows, 0, n_frames, 27)
    assert around.shape == (n_frames + 26, 2)
    np.testing.assert_array_equal(around[13:-13], rows)


def test_camera_goes_through_its_angles_at_constant_speed():
    track = camera_track([0, 20, -20], 61)
    assert track[0] == 0 and track.max() == pytest.approx(20) and track[-1] == pytest.approx(-19, abs=1e-4)
    np.testing.assert_allclose(np.abs(np.diff(track))[:-1], 1, atol=1e-5)


@pytest.mark.parametrize("values", [[5], [5, 5], [5, 5, 5]])
@pytest.mark.parametrize("n_frames", [1, 2, 30])
def test_camera_that_stands(values, n_frames):
    np.testing.assert_array_equal(camera_track(values, n_frames), np.full(n_frames, 5, "f4"))


def test_equal_neighbours_take_no_time():
    np.testing.assert_array_equal(camera_track([0, 10, 10, 0], 21), camera_track([0, 10, 0], 21))
    np.testing.assert_array_equal(camera_track([3, 9], 1), [3])


def test_smoothing_keeps_parabolas_and_leaves_one_and_two_frames():
    t = np.arange(40, dtype="f4")[:, None]
    parabola = np.repeat(0.01 * t**2 - 0.2 * t, 6, 1)
    np.testing.assert_allclose(smoothed_pose(parabola), parabola, atol=1e-5)
    noisy = parabola + np.random.default_rng(0).normal(size=parabola.shape).astype("f4")
    assert (smoothed_pose(noisy) - parabola).std() < 0.6
    for n_frames in (1, 2):
        np.testing.assert_array_equal(smoothed_pose(noisy[:n_frames]), noisy[:n_frames])


def test_blinks_are_whole_and_apart():
    track = blink_track(5000, random.Random(3))
    starts = np.flatnonzero(track == 1.0) - 2
    assert len(starts) > 80
    for start in starts:
        np.testing.assert_allclose(track[start : start + 5], [0.5, 0.9, 1.0, 0.9, 0.5])
    gaps = np.diff(starts) - 5
    assert gaps.min() >= 10 and gaps.max() <= 69 and starts[0] >= 10
    np.testing.assert_array_equal(track, blink_track(5000, random.Random(3)))
    assert (track != blink_track(5000, random.Random(4))).any()


@pytest.mark.parametrize("n_frames", [1, 20, 21])
def test_short_tracks_have_no_blink(n_frames):
    assert not blink_track(n_frames, random.Random(0)).any()


def test_degrees_of_a_sure_network():
    logits = torch.full((66, 66), -1e4)
    logits.fill_diagonal_(0.0)
    torch.testing.assert_close(degrees_of(logits), 3.0 * torch.arange(66) - 99.0)
    torch.testing.assert_close(degrees_of(torch.zeros(1, 66)), torch.tensor([-1.5]))


def test_rotation_is_one():
    angles = torch.linspace(-60, 60, 5)
    turn = rotation(angles, angles.flip(0), 0.5 * angles)
    torch.testing.assert_close(turn @ turn.transpose(1, 2), torch.eye(3).expand(5, 3, 3), atol=1e-6, rtol=0)
    torch.testing.assert_close(torch.det(turn), torch.ones(5))
    yaw = rotation(torch.zeros(1), torch.tensor([90.0]), torch.zeros(1))[0]
    torch.testing.assert_close(yaw @ torch.tensor([0.0, 0.0, 1.0]), torch.tensor([1.0, 0.0, 0.0]), atol=1e-3, rtol=0)


def test_only_the_vertical_translation_moves_keypoints():
    flat = torch.full((1, 66), 0.0)
    motion = MappedMotion(flat, flat, flat, torch.tensor([[1.0, 2.0, 4.0]]), torch.zeros(1, 45))
    canonical = torch.rand(15, 3, generator=torch.Generator().manual_seed(0))
    zero = torch.zeros(1)
    moved = keypoints(canonical, motion, yaw=zero, pitch=zero, roll=zero)
    torch.testing.assert_close(moved[0], canonical + torch.tensor([0.0, 2.0, 0.0]))
    offset = MappedMotion(flat, flat, flat, torch.zeros(1, 3), torch.arange(45.0)[None])
    moved = keypoints(canonical, offset, yaw=zero, pitch=zero, roll=zero)
    torch.testing.assert_close(moved[0] - canonical, torch.arange(45.0).view(15, 3))
