"""Motion carried over from one reading of a photo to another."""

from __future__ import annotations

import numpy as np

from talkhead.coeffs.anchor import anchored
from talkhead.geometry import euler_to_matrix


def own_frame(motion, at=7):
    return motion.at(slice(at, at + 1))


def other_reading(frame):
    """The same photo as somebody else measures it."""
    return frame.replace(
        exp=frame.exp + np.float32(0.3),
        rot=frame.rot + np.array([[0.05, -0.02, 0.01]], np.float32),
        trans=frame.trans + np.float32(0.2),
        scale=frame.scale * np.float32(1.5),
        eyelid=np.array([[0.1, 0.2]], np.float32),
        gaze=frame.gaze - np.float32(0.1),
    )


def test_the_photos_own_moment_is_its_rest(motion):
    reference = own_frame(motion)
    rest = other_reading(reference)
    moved = anchored(motion, reference, rest).at(slice(7, 8))
    np.testing.assert_allclose(moved.exp, rest.exp, atol=1e-6)
    np.testing.assert_allclose(moved.rot, rest.rot, atol=1e-5)
    np.testing.assert_allclose(moved.gaze, rest.gaze, atol=1e-6)
    np.testing.assert_allclose(moved.trans, 0, atol=1e-6)
    np.testing.assert_allclose(moved.scale, 1, atol=1e-6)
    assert moved.relative == {"trans", "scale"}
    usual = reference.eyelid.copy()
    calm = motion.replace(eyelid=np.full_like(motion.eyelid, 0.3))
    moved = anchored(calm, own_frame(calm), rest.replace(eyelid=usual * 0 + 0.1))
    np.testing.assert_allclose(moved.eyelid, 0.1, atol=1e-6)


def test_the_same_reading_changes_nothing(motion):
    reference = own_frame(motion)
    moved = anchored(motion, reference, reference)
    for name in ("exp", "gaze", "tongue", "eyelid"):
        np.testing.assert_allclose(getattr(moved, name), getattr(motion, name), atol=1e-6)
    np.testing.assert_allclose(euler_to_matrix(moved.rot), euler_to_matrix(motion.rot), atol=1e-6)
    np.testing.assert_array_equal(moved.trans, motion.trans - reference.trans)
    np.testing.assert_array_equal(moved.scale, motion.scale / reference.scale)


def test_turns_are_composed(motion):
    """What the head turns since the reference, it turns from the rest: R = R(t) R(reference)^-1 R(rest)."""
    reference = own_frame(motion)
    rest = other_reading(reference)
    moved = anchored(motion, reference, rest)
    since = euler_to_matrix(motion.rot) @ np.swapaxes(euler_to_matrix(reference.rot), 1, 2)
    np.testing.assert_allclose(euler_to_matrix(moved.rot), since @ euler_to_matrix(rest.rot), atol=1e-6)


def test_shut_lids_stay_shut(motion):
    lids = np.array([[0.2, 0.2], [1.0, 1.0], [0.6, 0.6], [-0.1, 0.0]], np.float32)
    motion = motion.at(slice(0, 4)).replace(eyelid=lids)
    reference, rest = motion.at(slice(0, 1)), motion.at(slice(0, 1)).replace(eyelid=np.array([[0, 0.4]], np.float32))
    moved = anchored(motion, reference, rest).eyelid
    np.testing.assert_allclose(moved, [[0, 0.4], [1, 1], [0.5, 0.7], [-0.3, 0.2]], atol=1e-6)
    asleep = motion.replace(eyelid=np.ones((4, 2), np.float32))
    np.testing.assert_array_equal(anchored(asleep, asleep.at(slice(0, 1)), rest).eyelid, asleep.eyelid)


def test_relative_and_missing_tracks_stay(motion):
    reference = own_frame(motion)
    rest = other_reading(reference)
    offsets = motion.replace(relative=frozenset({"exp", "rot", "trans", "scale", "gaze"}), eyelid=None)
    moved = anchored(offsets, reference.replace(eyelid=None), rest)
    assert moved.relative == offsets.relative and moved.eyelid is None
    for name in ("exp", "rot", "trans", "scale", "gaze"):
        assert getattr(moved, name) is getattr(offsets, name)
    blind = anchored(motion, reference, rest.replace(gaze=None, eyelid=None, exp=None, rot=None))
    np.testing.assert_array_equal(blind.exp, motion.exp)
    np.testing.assert_array_equal(blind.gaze, motion.gaze)


def test_moved_codes_are_of_the_identity_that_the_renderer_reads(motion):
    """A renderer that looks for the same person's clip would else take the readings' difference off twice."""
    reference = own_frame(motion)
    rest = other_reading(reference).replace(id=np.array([0.5, -1.0], np.float32))
    np.testing.assert_array_equal(anchored(motion, reference, rest).id, rest.id)
    assert anchored(motion.replace(exp=None), reference, rest).id is motion.id
