import time

import pytest

from talkhead.errors import MediaError
from talkhead.media.ffmpeg import FFmpeg, rate, run


def test_rates_are_fractions():
    assert rate(25) == "25/1"
    assert rate(30000 / 1001) == "30000/1001"


def test_a_failure_gives_its_reason():
    with pytest.raises(MediaError, match=r"cannot try: .*\b[Ff]ilter"):
        run(["-f", "lavfi", "-i", "nosuchfilter", "-f", "null", "-"], failure="cannot try")


def test_the_network_is_closed():
    with pytest.raises(MediaError, match="not on whitelist"):
        run(["-protocol_whitelist", "file,pipe", "-i", "http://127.0.0.1:9/a.mp4", "-f", "null", "-"], failure="closed")


def test_leaving_the_block_ends_the_process():
    with FFmpeg(["-re", "-f", "lavfi", "-i", "testsrc", "-f", "rawvideo", "pipe:1"], drain=True) as process:
        assert process.stdout.read(10)
        before = time.monotonic()
    assert process._process.returncode is not None
    assert time.monotonic() - before < 30
