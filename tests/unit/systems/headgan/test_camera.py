from __future__ import annotations

import numpy as np
import pytest

from talkhead.coeffs.container import Coeffs
from talkhead.errors import CoeffFileError, ShapeError, UsageError
from talkhead.face3d.weak_camera import camera_of
from talkhead.geometry import euler_to_matrix
from talkhead.systems.headgan.camera import AdaptConfig, adapt, adapt_scale_and_shift

SIZE = (256, 256)


def track(n, seed, scale=80.0, place=(0.0, 0.0)) -> Coeffs:
    rng = np.random.default_rng(seed)
    trans = np.zeros((n, 3), np.float32)
    trans[:, :2] = np.array(place) + 0.1 * rng.standard_normal((n, 2)).cumsum(0) / np.sqrt(n)
    return Coeffs(
        space="meshwarp",
        fps=25.0,
        n_frames=n,
        id=rng.standard_normal(14).astype(np.float32),
        exp=rng.standard_normal((n, 28)).astype(np.float32),
        rot=rng.uniform(-0.3, 0.3, (n, 3)).astype(np.float32),
        trans=trans,
        scale=(scale * np.exp(0.05 * rng.standard_normal(n))).astype(np.float32),
        eyelid=rng.uniform(0, 1, (n, 2)).astype(np.float32),
    )


def test_a_driver_gets_the_source_s_size_and_place():
    driving, source = track(60, 0, 50.0, (0.6, -0.4)), track(1, 1, 90.0, (-0.2, 0.1))
    moved = adapt(driving, source, SIZE, AdaptConfig(lead=1))
    assert moved.scale.mean() == pytest.approx(source.scale[0], rel=0.01)
    np.testing.assert_allclose(moved.trans.mean(0), source.trans[0], atol=0.02)
    np.testing.assert_array_equal(moved.id, source.id)
    for name in ("exp", "eyelid"):
        np.testing.assert_array_equal(getattr(moved, name), getattr(driving, name))
    np.testing.assert_allclose(moved.rot, driving.rot, atol=1e-6)
    assert np.diff(moved.scale).std() < 0.2 * np.diff(driving.scale).std() * 90 / 50, "and trembles less"


def test_a_head_that_only_comes_nearer_stays_where_it_is():
    """About the corner, as in the release, it would wander when its size is not the source's."""
    n = 50
    driving = track(n, 2).replace(trans=np.zeros((n, 3), np.float32), scale=np.linspace(60, 100, n).astype(np.float32))
    source = track(1, 3, 40.0).replace(trans=np.zeros((1, 3), np.float32))
    np.testing.assert_allclose(camera_of(adapt(driving, source, SIZE), SIZE)[:, 4:6], 128, atol=1e-4)


def test_turns_may_start_from_the_source_s_own():
    driving, source = track(5, 4), track(1, 5)
    moved = adapt(driving, source, SIZE, AdaptConfig(relative=True))
    np.testing.assert_allclose(moved.rot[0], source.rot[0], atol=1e-6)
    turns = euler_to_matrix(driving.rot)
    expected = turns[3] @ turns[0].T @ euler_to_matrix(source.rot[0])
    np.testing.assert_allclose(euler_to_matrix(moved.rot[3]), expected, atol=1e-6)


def test_frame_0_counts_as_often_as_it_is_shown():
    driving, source = track(10, 6), track(1, 7)
    rows = np.concatenate([np.zeros(2, int), np.arange(10)])
    once, thrice = (adapt(driving, source, SIZE, AdaptConfig(lead=lead)) for lead in (1, 3))
    padded = adapt(driving.at(rows), source, SIZE, AdaptConfig(lead=1)).at(slice(2, None))
    np.testing.assert_allclose(thrice.scale, padded.scale, atol=1e-5)
    np.testing.assert_allclose(thrice.trans, padded.trans, atol=1e-5)
    assert np.abs(once.scale - thrice.scale).max() > 1e-3


def test_a_still_driver_is_not_divided_by_nothing():
    still = (np.full(4, 50.0), np.tile([60.0, 70.0, 0.0], (4, 1)))
    source = (np.full(3, 80.0), np.random.default_rng(0).uniform(0, 200, (3, 3)))
    scale, shift = adapt_scale_and_shift(still, source, AdaptConfig(standardize=True))
    np.testing.assert_allclose(scale, 80)
    np.testing.assert_allclose(shift, np.broadcast_to(source[1].mean(0), (4, 3)))


def test_refusals():
    driving, source = track(4, 8), track(1, 9)
    with pytest.raises(UsageError, match="0 times"):
        adapt(driving, source, SIZE, AdaptConfig(lead=0))
    with pytest.raises(UsageError, match="0 frames"):
        adapt(driving, source, SIZE, AdaptConfig(window=0))
    with pytest.raises(CoeffFileError, match="trans is relative"):
        adapt(driving.replace(relative=frozenset({"trans"})), source, SIZE)
    with pytest.raises(ShapeError, match="driving"):
        adapt_scale_and_shift((np.ones(3), np.ones((4, 3))), (np.ones(1), np.ones((1, 3))))
    with pytest.raises(ShapeError, match="source"):
        adapt_scale_and_shift((np.ones(3), np.ones((3, 3))), (np.ones(0), np.ones((0, 3))))
