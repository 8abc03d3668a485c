import io
from pathlib import Path

import pytest

from talkhead.errors import MediaError, UsageError
from talkhead.media.stdin import spooled_input


def test_a_name_is_passed_through(tmp_path: Path):
    with spooled_input(tmp_path / "a.wav") as path:
        assert path == tmp_path / "a.wav"


def test_standard_input_is_kept_and_removed():
    with spooled_input("-", io.BytesIO(b"sound" * 1000)) as path:
        assert path.read_bytes() == b"sound" * 1000
    assert not path.exists()


def test_nothing_and_a_terminal_are_refused():
    with pytest.raises(MediaError, match="nothing came"), spooled_input("-", io.BytesIO()):
        pass

    class Terminal(io.BytesIO):
        def isatty(self) -> bool:
            return True

    with pytest.raises(UsageError, match="terminal"), spooled_input("-", Terminal(b"x")):
        pass
