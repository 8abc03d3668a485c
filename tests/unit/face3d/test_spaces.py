import pytest

from talkhead.errors import UsageError
from talkhead.face3d.spaces import known_spaces, require_known, space_of


def test_spaces_are_found_with_and_without_hash(model):
    assert [space.family for space in known_spaces()] == ["meshwarp", "bfm"]
    assert space_of("meshwarp") is space_of(model.space.name) is space_of("meshwarp-00000000") is model.space
    bfm = space_of("bfm")
    assert (len(bfm.id_std), len(bfm.exp_std), dict(bfm.controls)) == (80, 64, {})
    assert space_of("flame-1") is None


def test_an_unknown_space_is_refused_with_those_there_are():
    with pytest.raises(UsageError, match="unknown space 'flame'") as failure:
        require_known("flame")
    assert failure.value.hint == "known: meshwarp, bfm"
