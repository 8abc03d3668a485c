"""Errors, exit codes and messages that are the same for every command."""

from __future__ import annotations

import json
import logging
import os
import shlex
import subprocess
import sys

import pytest

import talkhead
from talkhead.cli import app
from talkhead.errors import EnvironmentProblem, InputError, WeightsError

COMMANDS = (
    *("animate", "reenact", "render", "extract", "audio2coeff", "pose", "edit", "frontalize"),
    *("compress", "decompress", "prepare", "train", "eval"),
    *("inspect", "systems", "doctor", "verify", "weights"),
)


def python(code: str, *argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code, *argv], capture_output=True, text=True, check=False)


def fail_with(monkeypatch, error):
    """Make `talkhead systems` fail."""

    def has_weights(system):
        raise error

    monkeypatch.setattr("talkhead.pipelines.choose.has_weights", has_weights)


def test_version(run_cli):
    assert run_cli("--version").stdout == f"talkhead {talkhead.__version__}\n"


def test_help_lists_every_command_and_loads_nothing_heavy():
    code = (
        "import sys\n"
        "from talkhead.cli.app import main\n"
        "assert main(['--help']) == 0\n"
        "heavy = ('torch', 'cv2', 'mediapipe', 'numba', 'scipy', 'numpy', 'PIL')\n"
        "assert not [m for m in heavy if m in sys.modules], sys.modules.keys()\n"
    )
    done = python(code)
    assert done.returncode == 0, done.stderr
    for name in COMMANDS:
        assert f" {name} " in done.stdout


@pytest.mark.parametrize("argv", [["nonsense"], ["animate", "a", "b", "--nonsense"], ["animate"], ["--nonsense"]])
def test_usage_errors_are_2(run_cli, argv):
    result = run_cli(*argv)
    assert result.code == 2
    assert result.stderr or argv == ["animate"]  # a bare command shows its help


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError("bad file", hint="another"), 3),
        (WeightsError("no weights"), 4),
        (EnvironmentProblem("no device"), 5),
        (MemoryError(), 5),
        (OSError(28, "No space left on device", "out.mp4"), 5),
    ],
)
def test_failures_become_a_line_and_a_code(run_cli, monkeypatch, error, code):
    fail_with(monkeypatch, error)
    result = run_cli("systems")
    assert result.code == code
    assert result.stdout == ""
    assert result.stderr.startswith("talkhead: error: ")
    assert "Traceback" not in result.stderr
    if getattr(error, "hint", None):
        assert result.stderr.splitlines()[1] == f"  hint: {error.hint}"


def test_verbose_adds_the_traceback(run_cli, monkeypatch):
    fail_with(monkeypatch, InputError("bad file"))
    result = run_cli("systems", "-v")
    assert result.code == 3
    assert "Traceback" in result.stderr
    assert result.stderr.endswith("talkhead: error: bad file\n")


def test_a_bug_is_1_with_a_traceback(run_cli, monkeypatch):
    fail_with(monkeypatch, ZeroDivisionError("oops"))
    result = run_cli("systems")
    assert result.code == 1
    assert "ZeroDivisionError: oops" in result.stderr
    assert "bug" in result.stderr


def test_interrupt_is_130(run_cli, monkeypatch):
    fail_with(monkeypatch, KeyboardInterrupt())
    result = run_cli("systems")
    assert result.code == 130
    assert result.stderr == "talkhead: interrupted\n"


def test_json_errors_are_events_too(run_cli, monkeypatch):
    fail_with(monkeypatch, InputError("bad file", hint="another"))
    result = run_cli("systems", "--json")
    event = json.loads(result.stdout)
    assert event == {"event": "error", "message": "bad file", "hint": "another", "exit_code": 3}
    assert result.code == 3


def test_reader_that_leaves_is_no_bug():
    code = (
        "import os, sys\n"
        "r, w = os.pipe()\n"
        "os.dup2(w, 1); os.close(w); os.close(r)\n"
        "from talkhead.cli.app import entry\n"
        "sys.argv = ['talkhead', 'systems']\n"
        "entry()\n"
    )
    done = python(code)
    assert done.returncode == app.EXIT_BROKEN_PIPE
    assert done.stderr == ""


def test_quiet_and_verbose_contradict(run_cli):
    assert run_cli("systems", "-q", "-v").code == 2


def test_logging_is_left_as_it_was(run_cli):
    log = logging.getLogger("talkhead")
    before = (list(log.handlers), log.level, log.propagate)
    run_cli("systems", "-v")
    assert (list(log.handlers), log.level, log.propagate) == before


def test_systems_table_and_json(run_cli):
    result = run_cli("systems")
    assert result.code == 0
    assert "meshwarp" in result.stdout
    assert "none needed" in result.stdout
    (found,) = [s for s in json.loads(run_cli("systems", "--json").stdout)["systems"] if s["name"] == "meshwarp"]
    assert found["weights_present"] is True
    assert "render" in found["stages"]


def test_public_names_exist():
    for name in talkhead.__all__:
        assert getattr(talkhead, name) is not None
    with pytest.raises(AttributeError):
        talkhead.no_such_name  # noqa: B018


def test_a_failure_that_nobody_reads_is_no_bug(monkeypatch):
    def gone(*args: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr("talkhead.cli.report.Reporter._write", gone)
    assert app.main(["inspect", "missing.safetensors", "--json"]) == 141


@pytest.mark.skipif(os.name != "posix", reason="a shell of POSIX")
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_are_no_bug(closed):
    command = f"exec {shlex.quote(sys.executable)} -m talkhead systems {closed}"
    assert subprocess.run(["/bin/sh", "-c", command], check=False, capture_output=True).returncode == 0
