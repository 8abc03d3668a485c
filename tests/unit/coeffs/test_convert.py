import pytest

from talkhead.coeffs import convert
from talkhead.coeffs.convert import convert_space, register_conversion
from talkhead.errors import UsageError


@pytest.fixture(autouse=True)
def _own_table(monkeypatch):
    monkeypatch.setattr(convert, "_conversions", {})


def test_an_unknown_way_is_refused_and_known_ones_named(motion):
    with pytest.raises(UsageError, match="no conversion from space toy to bfm") as failure:
        convert_space(motion, "bfm")
    assert "nothing converts" in str(failure.value.hint)
    register_conversion("toy", "flame", lambda c: c.replace(space="flame-1"))
    with pytest.raises(UsageError) as failure:
        convert_space(motion, "bfm")
    assert "flame" in str(failure.value.hint)
    assert convert_space(motion, "flame-1").space == "flame-1"


def test_nothing_to_convert(motion):
    assert convert_space(motion, "toy") is motion
    pose = motion.replace(id=None, exp=None)
    assert convert_space(pose, "bfm") is pose
