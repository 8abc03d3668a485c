import pytest

from talkhead.coeffs.convert import convert_space, needs_conversion
from talkhead.coeffs.edit import apply_edits, parse_edit
from talkhead.errors import UsageError


def test_without_a_way_it_is_refused(motion):
    assert needs_conversion(motion, "bfm")
    with pytest.raises(UsageError, match="no conversion from space toy to bfm"):
        convert_space(motion, "bfm")


def test_the_way_is_taken_once_and_last(motion):
    asked = []

    def conversion(coeffs, target):
        asked.append((coeffs.n_frames, target))
        return coeffs.replace(space="flame-1")

    found = apply_edits(motion, [parse_edit("space", "flame"), parse_edit("end", "1")], conversion=conversion)
    assert found.space == "flame-1"
    assert asked == [(25, "flame")]


def test_nothing_to_convert(motion):
    assert convert_space(motion, "toy") is motion
    pose = motion.replace(id=None, exp=None)
    assert convert_space(pose, "bfm") is pose
