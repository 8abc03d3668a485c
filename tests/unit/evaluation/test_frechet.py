import numpy as np
import pytest

from talkhead.errors import InputError, ShapeError
from talkhead.evaluation.frechet import (
    LEAST_FRAMES,
    FeatureStatistics,
    frechet_distance,
    frechet_measurement,
    rank_warning,
)


def statistics(*batches):
    gathered = FeatureStatistics()
    for batch in batches:
        gathered.add(batch)
    return gathered


def test_batches_add_up_to_the_whole_also_far_from_zero():
    values = 1e6 + np.random.default_rng(1).standard_normal((50, 3)).astype(np.float64)
    gathered = statistics(values[0], values[1:20], values[:0], values[20:])
    other = statistics(values[:30])
    other.merge(statistics(values[30:]))
    for found in (gathered, other):
        assert found.n == 50
        np.testing.assert_allclose(found.mean, values.mean(0), rtol=1e-12)
        np.testing.assert_allclose(found.covariance, np.cov(values.T), atol=1e-8)


def test_merging_changes_neither_the_other_nor_shares_its_memory():
    first, second = FeatureStatistics(), statistics(np.eye(3))
    before = second.covariance
    first.merge(second)
    first.add(np.ones((5, 3)))
    np.testing.assert_array_equal(second.covariance, before)
    first.merge(FeatureStatistics())
    assert first.n == 8


def test_distance_of_moved_features_is_the_square_of_the_move():
    values = np.random.default_rng(2).standard_normal((20, 4))
    assert frechet_distance(statistics(values + 3), statistics(values)) == pytest.approx(36)


def test_bad_features_are_refused():
    gathered = statistics(np.eye(3))
    with pytest.raises(ShapeError, match=r"\(n, 3\)"):
        gathered.add(np.ones((2, 4)))
    with pytest.raises(ShapeError, match=r"\(3,\)"):
        gathered.merge(statistics(np.eye(4)))
    with pytest.raises(InputError, match="finite"):
        gathered.add(np.full((1, 3), np.nan))
    with pytest.raises(InputError, match="not 1"):
        _ = statistics(np.ones((1, 3))).covariance
    with pytest.raises(ShapeError, match="width"):
        frechet_distance(gathered, statistics(np.eye(4)))


def test_few_samples_are_warned_of():
    assert rank_warning(LEAST_FRAMES, LEAST_FRAMES, LEAST_FRAMES, "frames") == ""
    assert "200 frames" in rank_warning(200, 5000, LEAST_FRAMES, "frames")


def test_a_set_of_one_frame_has_no_distance():
    about = {"name": "fid", "definition": "fid/pool3", "grade": "unverified", "n_clips": 1, "n_frames": 1}
    row = frechet_measurement(statistics(np.ones((1, 3))), statistics(np.eye(3)), **about)
    assert row.value is None and "fewer than 2" in row.reason
    row = frechet_measurement(statistics(np.eye(3)), statistics(np.eye(3)), **about)
    assert row.value == pytest.approx(0, abs=1e-12)
    assert row.params == {"n_generated": 3, "n_real": 3}
