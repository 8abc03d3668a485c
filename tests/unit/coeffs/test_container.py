from typing import Any

import numpy as np
import pytest

from talkhead.coeffs.container import Coeffs
from talkhead.coeffs.layout import TENSORS, space_family
from talkhead.errors import CoeffFileError, UsageError


def _make(**fields: Any) -> Any:
    defaults: dict[str, Any] = {"space": "toy-1", "fps": 25.0, "n_frames": 2}
    return Coeffs(**defaults | fields)


def _zeros(*shape):
    return np.zeros(shape, np.float32)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "at least one tensor"),
        ({"rot": _zeros(3, 3)}, r"rot has shape \(3, 3\), expected \(2, 3\)"),
        ({"rot": _zeros(2)}, "rot has shape"),
        ({"exp": _zeros(2, 0)}, "exp has shape"),
        ({"landmarks": _zeros(2, 68, 4)}, "landmarks has shape"),
        ({"crop": _zeros(5)}, "crop has shape"),
        ({"rot": np.zeros((2, 3))}, "rot has dtype float64, expected float32"),
        ({"rot": [[0.0] * 3] * 2}, "rot has dtype list"),
        (
            {"exp": np.array([[0, np.nan], [np.inf, 0]], np.float32)},
            r"exp has 2 values that are not finite, .* \(0, 1\)",
        ),
        ({"scale": np.array([1, -2], np.float32)}, "scale has negative values, the lowest -2"),
        ({"rot": _zeros(2, 3), "fps": 0.0}, "fps is 0"),
        ({"rot": _zeros(2, 3), "fps": float("nan")}, "fps is nan"),
        ({"id": _zeros(3), "n_frames": 0}, "n_frames is 0"),
        ({"eyelid": _zeros(2, 2), "relative": frozenset({"eyelid"})}, "cannot be relative: eyelid"),
        ({"au": _zeros(2, 2), "au_names": ("AU01",)}, "au has 2 columns and au_names 1"),
        ({"rot": _zeros(2, 3), "extra": {"exp": _zeros(1)}}, "names of known ones: exp"),
    ],
)
def test_what_breaks_the_format_is_named(fields, message):
    with pytest.raises(CoeffFileError, match=message):
        _make(**fields)


def test_relative_names_only_tracks_that_are_there():
    coeffs = _make(exp=_zeros(2, 4), rot=_zeros(2, 3), relative=frozenset({"exp", "rot", "trans"}))
    assert coeffs.relative == {"exp", "rot"}
    assert coeffs.replace(exp=None).relative == {"rot"}


def test_at_cuts_every_track(motion):
    motion = motion.replace(extra={"tension": np.arange(50), "note": np.arange(3)})
    cut = motion.at(slice(10, 40, 3))
    assert len(cut) == 10
    assert {len(v) for k, v in cut.tensors().items() if TENSORS[k].shape[0] == "T"} == {10}
    assert cut.extra["tension"].tolist() == list(range(10, 40, 3))
    assert len(cut.extra["note"]) == 3
    np.testing.assert_array_equal(motion.at(np.array([7, 3])).exp, motion.exp[[7, 3]])


def test_later_tracks_replace_earlier_ones():
    first = _make(exp=np.ones((2, 4), np.float32), rot=_zeros(2, 3), relative=frozenset({"exp"}))
    second = _make(n_frames=3, rot=np.full((3, 3), 0.1, np.float32), relative=frozenset({"rot"}))
    merged = first.merged(second)
    assert len(merged) == 3
    assert merged.relative == {"exp", "rot"}
    np.testing.assert_array_equal(merged.rot, second.rot)
    np.testing.assert_array_equal(merged.exp, np.ones((3, 4), np.float32))


def test_an_absolute_track_replaces_a_relative_one():
    first = _make(rot=_zeros(2, 3), relative=frozenset({"rot"}))
    assert first.merged(_make(rot=_zeros(2, 3))).relative == frozenset()


def test_a_tongue_goes_with_its_expression():
    spoken = _make(exp=_zeros(2, 4), tongue=np.ones(2, np.float32))
    assert spoken.merged(_make(rot=_zeros(2, 3))).tongue is spoken.tongue
    assert spoken.merged(_make(exp=_zeros(2, 4))).tongue is None
    other = _make(exp=_zeros(2, 4), tongue=_zeros(2))
    assert spoken.merged(other).tongue is other.tongue


def test_the_shorter_track_holds_its_last_frame():
    first = _make(rot=np.array([[0, 0, 0], [1, 1, 1]], np.float32))
    merged = first.merged(_make(n_frames=4, eyelid=_zeros(4, 2)))
    assert merged.rot[:, 0].tolist() == [0, 1, 1, 1]


def test_a_single_frame_takes_the_other_rate():
    photo = _make(n_frames=1, rot=_zeros(1, 3), fps=25.0)
    clip = _make(n_frames=4, eyelid=_zeros(4, 2), fps=30.0)
    assert photo.merged(clip).fps == clip.merged(photo).fps == 30.0
    assert len(clip.merged(photo)) == 4


def test_merging_needs_one_rate_and_one_space():
    clip = _make(rot=_zeros(2, 3))
    with pytest.raises(UsageError, match="frame rates differ: 25 and 30"):
        clip.merged(clip.replace(fps=30.0))
    coded = _make(exp=_zeros(2, 4))
    with pytest.raises(CoeffFileError, match="toy-1 and other-2"):
        coded.merged(coded.replace(space="other-2"))
    assert (
        clip.replace(space="other-2").merged(coded).space
        == coded.merged(clip.replace(space="other-2")).space
        == "toy-1"
    )


def test_held_cuts_and_extends(motion):
    assert len(motion.held(10)) == 10
    np.testing.assert_array_equal(motion.held(60).exp[-1], motion.exp[-1])
    assert motion.held(50) is motion


def test_space_family():
    assert space_family("meshwarp-1a2b3c4d") == "meshwarp"
    assert space_family("bfm") == "bfm"
