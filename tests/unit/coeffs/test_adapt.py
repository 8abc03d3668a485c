from __future__ import annotations

import numpy as np
import pytest

from talkhead.coeffs.adapt import AdaptConfig, adapt_scale_and_shift
from talkhead.errors import ShapeError, UsageError


def camera(n, seed, scale, place):
    """Scales and shifts of a head that moves about a place, in model units."""
    rng = np.random.default_rng(seed)
    s = scale * np.exp(0.05 * rng.standard_normal(n))
    at = np.array(place) + 0.1 * rng.standard_normal((n, 3)).cumsum(0) / np.sqrt(n)
    return s, at * s[:, None]


def test_a_driver_gets_the_source_s_size_and_place():
    driving, source = camera(60, 0, 50.0, (0.6, -0.4, 0)), camera(1, 1, 90.0, (-0.2, 0.1, 0))
    scale, shift = adapt_scale_and_shift(driving, source)
    assert scale.mean() == pytest.approx(source[0][0], rel=0.01)
    np.testing.assert_allclose((shift / scale[:, None]).mean(0), source[1][0] / source[0][0], atol=0.02)
    assert np.diff(scale).std() < 0.2 * np.diff(driving[0]).std() * 90 / 50, "and trembles less"


def test_a_head_that_only_comes_nearer_stays_where_it_is():
    driving = np.linspace(60, 100, 50), np.zeros((50, 3))
    _, shift = adapt_scale_and_shift(driving, (np.array([40.0]), np.zeros((1, 3))))
    np.testing.assert_allclose(shift, 0, atol=1e-9)


def test_a_still_driver_is_not_divided_by_nothing():
    still = (np.full(4, 50.0), np.tile([60.0, 70.0, 0.0], (4, 1)))
    source = (np.full(3, 80.0), np.random.default_rng(0).uniform(0, 200, (3, 3)))
    scale, shift = adapt_scale_and_shift(still, source, AdaptConfig(standardize=True))
    np.testing.assert_allclose(scale, 80)
    np.testing.assert_allclose(shift, np.broadcast_to(source[1].mean(0), (4, 3)))


def test_refusals():
    driving, source = camera(4, 8, 50.0, (0, 0, 0)), camera(1, 9, 50.0, (0, 0, 0))
    with pytest.raises(UsageError, match="0 frames"):
        adapt_scale_and_shift(driving, source, AdaptConfig(window=0))
    with pytest.raises(ShapeError, match="driving"):
        adapt_scale_and_shift((np.ones(3), np.ones((4, 3))), (np.ones(1), np.ones((1, 3))))
    with pytest.raises(ShapeError, match="source"):
        adapt_scale_and_shift((np.ones(3), np.ones((3, 3))), (np.ones(0), np.ones((0, 3))))
