"""What the mapping net is shown of motion from anywhere."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from talkhead.coeffs.container import Coeffs
from talkhead.errors import CoeffFileError, UsageError
from talkhead.systems.sadtalker.render import _at_times, angle_track, driven_rows

SOURCE = np.linspace(-1, 1, 73).astype(np.float32)


def motion(space="bfm", relative=(), **tracks):
    return Coeffs(space=space, fps=25.0, n_frames=3, relative=frozenset(relative), **tracks)


def track(columns, seed=0):
    return np.random.default_rng(seed).normal(0, 0.2, (3, columns)).astype(np.float32)


def test_missing_tracks_stay_as_in_the_photo():
    rows = driven_rows(motion(rot=track(3)), SOURCE, 73)
    np.testing.assert_array_equal(rows[:, :64], np.repeat(SOURCE[None, :64], 3, 0))
    np.testing.assert_array_equal(rows[:, 64:67], track(3))
    np.testing.assert_array_equal(rows[:, 67:], np.repeat(SOURCE[None, 67:], 3, 0))


def test_relative_tracks_add_to_the_photo():
    exp = track(64)
    np.testing.assert_allclose(driven_rows(motion(exp=exp, relative=["exp"]), SOURCE, 70)[:, :64], exp + SOURCE[:64])
    np.testing.assert_array_equal(driven_rows(motion(exp=exp), SOURCE, 70)[:, :64], exp)


def test_places_in_another_picture_count_as_changes():
    trans = 5 + track(3)
    rows = driven_rows(motion("openface", trans=trans), SOURCE, 70)
    np.testing.assert_allclose(rows[:, 67:70], trans - trans[0] + SOURCE[67:70], atol=1e-6)
    np.testing.assert_array_equal(driven_rows(motion("bfm", trans=trans), SOURCE, 70)[:, 67:70], trans)


def test_codes_of_others_are_refused():
    for space, columns in (("meshwarp-01234567", 28), ("bfm", 50)):
        with pytest.raises(CoeffFileError, match=f"{columns} codes"):
            driven_rows(motion(space, exp=track(columns)), SOURCE, 70)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("5", [5, 5, 5, 5, 5]), ("0,4", [0, 1, 2, 3, 3]), ("0:0,0.08:4", [0, None, 4, 4, 4])],
)
def test_angles(text, expected):
    found = angle_track(text, 5)
    for value, wanted in zip(found, expected, strict=True):
        assert wanted is None or value == pytest.approx(wanted)


def test_angles_that_are_none():
    assert angle_track(None, 5) is None
    for text in ("left", "1,,2", "0:1,x", "nan"):
        with pytest.raises(UsageError):
            angle_track(text, 5)


def test_other_frame_rates_read_keypoints_between_frames():
    points = torch.arange(5.0)[:, None, None].expand(5, 2, 3)
    np.testing.assert_allclose(_at_times(points, 10, 50.0)[:, 0, 0], [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4])
    np.testing.assert_allclose(_at_times(points, 3, 12.5)[:, 0, 0], [0, 2, 4])
    np.testing.assert_array_equal(_at_times(points, 5, 25.0), points)
