import numpy as np
import pytest

from talkhead.coeffs.container import Coeffs
from talkhead.errors import CoeffFileError, UsageError
from talkhead.pipelines.render import check_space, one_frame, placed
from talkhead.systems import info


def coeffs(n_frames=3, space="pose", **tracks):
    return Coeffs(space=space, fps=25.0, n_frames=n_frames, **tracks)


def test_absolute_place_becomes_an_offset_from_the_photo():
    own = coeffs(1, trans=np.array([[1, 2, 0]], np.float32), scale=np.array([50], np.float32))
    trans = np.array([[1, 2, 0], [1.5, 2, 0], [1, 1, 0]], np.float32)
    moved = placed(coeffs(trans=trans, scale=np.array([50, 100, 25], np.float32)), own)
    assert moved.relative == {"trans", "scale"}
    np.testing.assert_array_equal(moved.trans, trans - own.trans)
    np.testing.assert_array_equal(moved.scale, [1, 2, 0.5])
    assert placed(moved, own) is moved


def test_picture_shows_one_frame():
    rot = np.arange(9, dtype=np.float32).reshape(3, 3)
    motion = coeffs(rot=rot)
    assert one_frame(motion, "video", None) is motion
    assert one_frame(motion, "folder", None) is motion
    np.testing.assert_array_equal(one_frame(motion, "picture", None).rot, rot[:1])
    np.testing.assert_array_equal(one_frame(motion, "picture", 2).rot, rot[2:])
    for kind, frame in (("picture", 3), ("picture", -1), ("video", 0)):
        with pytest.raises(UsageError):
            one_frame(motion, kind, frame)


def test_codes_need_a_space_that_is_read():
    system = info("meshwarp")
    exp = np.zeros((3, 2), np.float32)
    check_space(coeffs(space="meshwarp-0123abcd", exp=exp), system)
    check_space(coeffs(space="bfm", rot=np.zeros((3, 3), np.float32)), system)
    for space in ("bfm-1", "meshwarped-1"):
        with pytest.raises(CoeffFileError, match=space):
            check_space(coeffs(space=space, exp=exp), system)
