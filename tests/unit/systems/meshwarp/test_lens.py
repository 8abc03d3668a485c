"""Frames and curves of eyes and mouth."""

from __future__ import annotations

import numpy as np

from talkhead.systems.meshwarp.lens import TABLE, box_around, curve_table, fit_affine, lens_frame


def test_frame_puts_the_corners_at_zero_and_one_at_any_roll():
    for angle in np.radians([-60, 0, 35]):
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        left, right, below = (np.array([p]) @ turn.T + 50 for p in ([0.0, 0], [20.0, 0], [10.0, 5]))
        frame = lens_frame(left[0], right[0])
        assert np.allclose(frame.to_frame(np.concatenate([left, right, below])), [[0, 0], [1, 0], [0.5, 0.25]])


def test_curve_passes_through_its_points():
    x = np.linspace(0, 30, 9)
    points = np.column_stack([x, 4 * np.sin(np.pi * x / 30)])
    table = curve_table(lens_frame(points[0], points[-1]), points)
    assert len(table) == TABLE
    expected = 4 * np.sin(np.pi * np.linspace(0, 1, TABLE)) / 30
    assert np.abs(table - expected).max() < 0.002


def test_affine_and_box():
    points = np.random.default_rng(0).uniform(0, 50, (12, 2))
    matrix = np.array([[1.1, 0.2, 3.0], [-0.1, 0.9, -2.0]])
    assert np.allclose(fit_affine(points, points @ matrix[:, :2].T + matrix[:, 2]), matrix)
    assert box_around(np.array([[3.0, 4.0], [9.0, 90.0]]), 5, (50, 60)) == (0, 0, 14, 60)
