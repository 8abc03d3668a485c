"""Sets: means over clips and frames, intervals, rows without value."""

from __future__ import annotations

import numpy as np
import pytest

from talkhead.evaluation.evaluation import main_rows
from talkhead.evaluation.measurement import Measurement
from talkhead.evaluation.meters import absent
from talkhead.evaluation.suite import interval, set_rows


def row(value: float | None, n_frames: int, definition: str = "l1/0-255", name: str = "l1", **more) -> Measurement:
    reason = "" if value is not None else "why not"
    return Measurement(
        name=name, definition=definition, grade="exact", value=value, reason=reason, n_frames=n_frames, **more
    )


def test_means_over_clips_and_over_frames_are_both_given_where_they_differ():
    rows = set_rows([[row(1.0, 10)], [row(4.0, 30)]])
    assert [(r.pool, r.measurement.value) for r in rows] == [("clips", 2.5), ("frames", 3.25)]
    assert [r.measurement.n_clips for r in rows] == [2, 2]


def test_equal_lengths_give_one_row():
    assert len(set_rows([[row(1.0, 10)], [row(4.0, 10)]])) == 1


def test_what_is_no_mean_over_frames_is_not_pooled():
    clips = [[row(1.0, 10, "diversity/x", "diversity")], [row(4.0, 30, "diversity/x", "diversity")]]
    assert [r.pool for r in set_rows(clips)] == ["clips"]


def test_psnr_of_a_set_is_that_of_its_pixels():
    clips = [[row(20.0, 10, "psnr/pooled", "psnr_pooled")], [row(40.0, 10, "psnr/pooled", "psnr_pooled")]]
    macro, pooled = set_rows(clips)
    mse = np.mean([255**2 / 100, 255**2 / 10_000])
    assert macro.measurement.value == 30.0
    assert pooled.measurement.value == pytest.approx(10 * np.log10(255**2 / mse))
    assert pooled.low is None


def test_a_clip_without_value_counts_to_the_number_of_the_others():
    rows = set_rows([[row(1.0, 10, unit="of 255")], [row(None, 0, "l1/other")], [row(3.0, 10, unit="of 255")]])
    (only,) = main_rows(rows, "clips")
    assert only.measurement.value == 2.0
    assert only.measurement.n_clips == 2


def test_a_number_of_the_whole_set_stands_in_its_place():
    rows = set_rows([[row(1.0, 10), absent("lse_d", "lse_d/x", "no weights")]], [row(3.0, 10, "fid/x", "fid")])
    assert [r.measurement.name for r in rows] == ["l1", "fid", "lse_d"]


def test_intervals_are_the_same_every_time_and_hold_the_mean():
    values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    found = interval(values)
    assert found is not None and interval(values) == found
    low, high = found
    assert 1.5 < low < 3.5 < high < 5.5
    # The normal approximation: 1.96 times the population deviation over the root of n.
    assert high - low == pytest.approx(2 * 1.96 * np.std(values) / np.sqrt(6), rel=0.15)
    assert interval([1.0]) is None


def test_weights_move_an_interval():
    found = interval([0.0, 10.0, 0.0, 10.0], [1, 9, 1, 9])
    assert found is not None and found[0] < 9.0 <= found[1]


def test_main_rows_follow_the_pool():
    rows = set_rows([[row(1.0, 10)], [row(4.0, 30)]])
    assert [r.measurement.value for r in main_rows(rows, "frames")] == [3.25]
    assert [r.measurement.value for r in main_rows(rows, "clips")] == [2.5]
