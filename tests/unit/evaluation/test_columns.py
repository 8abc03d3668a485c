"""Numbers of frames that take little memory, and curves that fit a page."""

import numpy as np
import pytest

from talkhead.evaluation.columns import Columns, Mean, thinned


def test_a_mean_that_runs():
    mean = Mean()
    assert np.isnan(mean.value)
    for value in (1.0, 2.0, 6.0):
        mean.add(value)
    assert (mean.n, mean.value) == (3, 3.0)


def test_rows_come_back():
    held = Columns(3)
    held.add(1, 2, 3)
    held.add_rows(np.array([[4.0, 5, np.nan], [7, 8, 9]]))
    assert len(held) == 3
    np.testing.assert_array_equal(held.table(), np.array([[1, 2, 3], [4, 5, np.nan], [7, 8, 9]], np.float32))
    np.testing.assert_array_equal(held.column(1), np.array([2, 5, 8], np.float32))
    held.add(0, 0, 0)  # a table that was handed out does not stand in the way
    assert len(held) == 4


def test_nothing_held_is_an_empty_table():
    assert Columns(4).table().shape == (0, 4)
    assert Columns().column().shape == (0,)


def test_short_curves_stay_and_infinity_is_a_gap():
    np.testing.assert_array_equal(thinned(np.array([1, np.inf, 3.0]), 4), [1, np.nan, 3])


@pytest.mark.parametrize("n", [101, 5000])
def test_peaks_survive_thinning_in_their_places(n):
    curve = np.zeros(n)
    curve[n // 2] = 9.0
    curve[n // 4] = -5.0
    found = thinned(curve, 40)
    assert len(found) == 40
    assert (found.max(), found.min()) == (9, -5)
    assert abs(int(np.argmax(found)) - 20) <= 2
    assert abs(int(np.argmin(found)) - 10) <= 2


def test_gaps_survive_thinning():
    curve = np.ones(1000)
    curve[500:700] = np.nan
    found = thinned(curve, 100)
    assert np.isnan(found[52:68]).all()
    assert np.isfinite(found[:50]).all()
