import numpy as np
import pytest

from talkhead.coeffs.container import Coeffs
from talkhead.errors import CoeffFileError
from talkhead.geometry import euler_to_matrix
from talkhead.pipelines.borrow import borrowed, borrowed_pose, slowed_turns, to_and_fro


def clip(n_frames=4, **tracks):
    return Coeffs(space="pose", fps=25.0, n_frames=n_frames, **tracks)


def test_to_and_fro_never_jumps():
    assert to_and_fro(4, 10).tolist() == [0, 1, 2, 3, 2, 1, 0, 1, 2, 3]
    assert to_and_fro(4, 2).tolist() == [0, 1]
    assert to_and_fro(1, 3).tolist() == [0, 0, 0]
    assert np.abs(np.diff(to_and_fro(7, 100))).max() == 1


def test_turning_back_is_gradual_and_the_rest_untouched():
    where = slowed_turns(to_and_fro(50, 120), 15)
    np.testing.assert_allclose(where[:40], np.arange(40), atol=1e-9)
    assert where.min() > -1e-9
    assert where.max() < 49 + 1e-9
    assert np.abs(np.diff(where, 2)).max() < 0.35, "a bounce would be 2 frames per frame"
    np.testing.assert_allclose(slowed_turns(to_and_fro(50, 30), 15), np.arange(30), atol=1e-9)


def test_borrowed_pose_does_not_bounce_when_it_is_repeated():
    rot = np.zeros((50, 3), np.float32)
    rot[:, 1] = 0.01 * np.arange(50)  # still turning as the clip ends
    found = borrowed_pose(clip(50, rot=rot), 150, 25.0)
    assert not found.rot[0].any()
    assert np.abs(np.diff(found.rot[:, 1], 2)).max() < 0.004


def test_only_the_tracks_asked_for():
    eyelid = np.linspace(0, 1, 8, dtype=np.float32).reshape(4, 2)
    reference = clip(eyelid=eyelid, rot=np.zeros((4, 3), np.float32))
    found = borrowed(reference, ("eyelid",), 6, 25.0)
    assert set(found.tensors()) == {"eyelid"}
    np.testing.assert_array_equal(found.eyelid, eyelid[[0, 1, 2, 3, 2, 1]])
    with pytest.raises(CoeffFileError, match="gaze"):
        borrowed(reference, ("gaze",), 6, 25.0)


def test_reference_at_another_rate_is_brought_to_ours():
    eyelid = np.zeros((50, 2), np.float32)
    found = borrowed(clip(50, eyelid=eyelid).replace(fps=50.0), ("eyelid",), 10, 25.0)
    assert (found.fps, len(found)) == (25.0, 10)


def test_pose_starts_at_rest_and_keeps_its_turns():
    rng = np.random.default_rng(0)
    rot = rng.normal(0, 0.2, (4, 3)).astype(np.float32)
    trans = rng.normal(0, 0.2, (4, 3)).astype(np.float32)
    found = borrowed_pose(clip(rot=rot, trans=trans), 4, 25.0)
    assert found.relative == {"rot", "trans"}
    np.testing.assert_allclose(found.rot[0], 0, atol=1e-6)
    np.testing.assert_allclose(found.trans, trans - trans[0], atol=1e-6)
    # offset @ first = the reference's own rotation
    np.testing.assert_allclose(euler_to_matrix(found.rot) @ euler_to_matrix(rot[0]), euler_to_matrix(rot), atol=1e-5)


def test_relative_pose_passes_as_it_is():
    rot = np.full((4, 3), 0.1, np.float32)
    found = borrowed_pose(clip(rot=rot, relative=frozenset({"rot"})), 4, 25.0)
    np.testing.assert_array_equal(found.rot, rot)
