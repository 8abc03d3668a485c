import numpy as np
import pytest

from talkhead.coeffs.container import Coeffs
from talkhead.coeffs.file import write_coeffs
from talkhead.errors import CoeffFileError
from talkhead.geometry import euler_to_matrix
from talkhead.pipelines.borrow import borrowed_eyelids, borrowed_pose, calm_join, slowed_turns, to_and_fro


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


def blinking(*starts, n_frames=100):
    """Blinks that close in two frames and open in four."""
    closure = np.zeros(n_frames + 7, np.float32)
    for start in starts:
        closure[start : start + 7] = [0.5, 1.0, 1.0, 0.75, 0.5, 0.25, 0.1]
    return np.repeat(closure[:n_frames, None], 2, 1)


def blink_starts(closure):
    return np.flatnonzero((closure[1:] == 1.0) & (closure[:-1] == 0.5)).tolist()


def test_borrowed_blinks_always_close_fast_and_open_slowly():
    lids = borrowed_eyelids(clip(100, eyelid=blinking(20, 60)), 300, 25.0)
    assert lids.shape == (300, 2)
    assert blink_starts(lids[:, 0]) == [20, 60, 119, 159, 218, 258]  # a pass lasts 99 frames


def test_a_clip_that_ends_in_a_blink_is_joined_where_the_eyes_are_open():
    lids = borrowed_eyelids(clip(100, eyelid=blinking(0, 50, 97)), 400, 25.0)
    assert np.abs(np.diff(lids[:, 0])[90:]).max() <= 0.5 + 1e-6, "no lid falls faster than in the clip"
    assert len(blink_starts(lids[:, 0])) >= 4
    np.testing.assert_array_equal(lids[:90], blinking(0, 50, n_frames=90))


def test_eyes_that_are_narrower_at_the_end_return_gradually():
    eyelid = np.repeat(np.linspace(0.0, 0.3, 100, dtype=np.float32)[:, None], 2, 1)
    lids = borrowed_eyelids(clip(100, eyelid=eyelid), 300, 25.0)
    assert np.abs(np.diff(lids[:, 0])).max() < 0.06
    assert calm_join(eyelid, 8, 25)[0] < calm_join(eyelid, 8, 25)[1]


@pytest.mark.parametrize("n_frames", [1, 2, 3])
def test_the_shortest_references_are_carried_on_too(n_frames):
    lids = borrowed_eyelids(clip(n_frames, eyelid=np.full((n_frames, 2), 0.2, np.float32)), 40, 25.0)
    np.testing.assert_allclose(lids, 0.2, atol=1e-6)


def test_a_reference_that_is_long_enough_is_taken_as_it_is():
    eyelid = blinking(20, 60)
    np.testing.assert_array_equal(borrowed_eyelids(clip(100, eyelid=eyelid), 70, 25.0), eyelid[:70])


def test_reference_without_the_track_is_named(tmp_path):
    reference = clip(rot=np.zeros((4, 3), np.float32))
    with pytest.raises(CoeffFileError, match="the reference has no eyelid"):
        borrowed_eyelids(reference, 6, 25.0)
    write_coeffs(tmp_path / "head.safetensors", reference)
    with pytest.raises(CoeffFileError, match="head.safetensors has no eyelid"):
        borrowed_eyelids(tmp_path / "head.safetensors", 6, 25.0)
    with pytest.raises(CoeffFileError, match="no rot or trans"):
        borrowed_pose(clip(eyelid=np.zeros((4, 2), np.float32)), 6, 25.0)


def test_reference_at_another_rate_is_brought_to_ours():
    eyelid = np.zeros((50, 2), np.float32)
    assert borrowed_eyelids(clip(50, eyelid=eyelid).replace(fps=50.0), 10, 25.0).shape == (10, 2)


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
