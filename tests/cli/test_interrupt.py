"""Ctrl-C in the middle of writing: exit code 130, no traceback, nothing left behind, ffmpeg gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

LONGEST_WAIT_S = 60


@pytest.fixture
def running(tmp_path, face, chirp, write_wav):
    """`talkhead animate` of two minutes of sound, in a process group of its own as a shell starts it."""
    sound = write_wav(tmp_path / "long.wav", np.tile(chirp, 120))
    out = tmp_path / "out"
    out.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "talkhead", "animate", str(face), str(sound), "-o", str(out / "out.mp4")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    yield process, out
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def wait_until_writing(process, out):
    """Until the encoder has put something into a partial file."""
    deadline = time.monotonic() + LONGEST_WAIT_S
    while time.monotonic() < deadline:
        assert process.poll() is None, process.stderr.read()
        if any(part.stat().st_size for part in out.iterdir()):
            return
        time.sleep(0.02)
    pytest.fail("nothing was written")


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
@pytest.mark.slow
def test_stopped_run_leaves_nothing(running, number, code):
    process, out = running
    wait_until_writing(process, out)
    os.killpg(process.pid, number)
    stdout, stderr = process.communicate(timeout=LONGEST_WAIT_S)
    assert process.returncode == code, stderr
    assert list(out.iterdir()) == []
    assert stdout == ""
    assert "Traceback" not in stderr
    if number == signal.SIGINT:
        assert stderr.endswith("talkhead: interrupted\n")


def test_a_stop_that_python_dropped_comes_at_the_next_step(monkeypatch):
    """Exceptions of signal handlers are lost where they meet a finaliser."""
    from talkhead.cli import report

    monkeypatch.setattr(report, "_stop", [])
    with pytest.raises(KeyboardInterrupt):
        report.stop(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt), report.Reporter(bars=False).stage("render", 3) as advance:
        advance(1)
