from __future__ import annotations

import numpy as np
import pytest

from talkhead.coeffs.container import Coeffs
from talkhead.errors import CoeffFileError, ShapeError, UsageError
from talkhead.face3d.references import choose_references, diverse_poses, middle
from talkhead.geometry import euler_to_matrix


def turning(yaw, **changes) -> Coeffs:
    rot = np.zeros((len(yaw), 3), np.float32)
    rot[:, 1] = yaw
    tracks = {"rot": rot, "trans": np.zeros_like(rot), "scale": np.full(len(yaw), 80, np.float32)} | changes
    return Coeffs(space="meshwarp", fps=25.0, n_frames=len(yaw), **tracks)


def test_they_span_the_turns_evenly():
    yaw = np.random.default_rng(0).permutation(np.linspace(-0.6, 0.6, 71)).astype(np.float32)
    chosen = choose_references(turning(yaw), 8)
    spread = np.sort(yaw[chosen])
    np.testing.assert_allclose(np.diff(spread), 1.2 / 7, atol=0.02)
    assert len(set(chosen)) == 8 and (np.diff(yaw[chosen]) < 0).all() | (np.diff(yaw[chosen]) > 0).all()
    assert abs(yaw[middle(chosen)]) < 0.15


def test_the_same_every_time_and_for_any_size_of_picture():
    coeffs = turning(np.random.default_rng(1).uniform(-0.5, 0.5, 40))
    first = choose_references(coeffs)
    np.testing.assert_array_equal(first, choose_references(coeffs.replace(size=np.array([640, 480], np.float32))))
    assert len(first) == 8


def test_a_place_counts_where_no_head_turns():
    trans = np.zeros((9, 3), np.float32)
    trans[:, 0] = [3, 1, 4, 0, 5, 2, 6, 8, 7]
    chosen = choose_references(turning(np.zeros(9), trans=trans), 3)
    assert sorted(trans[chosen, 0]) == [0, 4, 8]


def test_short_and_still_clips():
    assert sorted(choose_references(turning([0.1, 0.3, 0.2]), 8)) == [0, 1, 2]
    assert choose_references(turning([0.2]), 8).tolist() == [0]
    assert len(set(choose_references(turning(np.zeros(20)), 8))) == 8


def test_refusals():
    with pytest.raises(UsageError, match="0 references"):
        choose_references(turning([0.1]), 0)
    with pytest.raises(CoeffFileError, match="rot is relative"):
        choose_references(turning([0.1], relative=frozenset({"rot"})))
    with pytest.raises(ShapeError, match="rotation"):
        diverse_poses(np.zeros((4, 9)), np.zeros(4), 2)
    with pytest.raises(ShapeError, match="tx"):
        diverse_poses(euler_to_matrix(np.zeros((4, 3))), np.zeros(3), 2)
