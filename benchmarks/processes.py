"""Whole commands as a user starts them: wall time, processor time and peak memory of the process."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass

# The pictures in the report are of a warm file cache and compiled code, as on every run but the first.
_ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One finished command: seconds of wall clock and processor, peak resident memory of its largest process (MiB)."""

    wall_s: float
    cpu_s: float
    peak_mib: float


def talkhead(*arguments: object) -> list[str]:
    """The command line of the installed program."""
    return [sys.executable, "-m", "talkhead", *(str(a) for a in arguments)]


def measure(command: Sequence[str], repeats: int = 1) -> Run:
    """Run a command once to warm up and then `repeats` times; the fastest counts, as other work only slows it down.

    Raises:
        RuntimeError: it failed; the message holds what it said.
    """
    once(command)
    return min((once(command) for _ in range(repeats)), key=lambda run: run.wall_s)


def once(command: Sequence[str]) -> Run:
    """Run a command and wait for it."""
    with tempfile.TemporaryFile() as said:
        start = time.perf_counter()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT, env=_ENVIRONMENT
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise RuntimeError(f"{' '.join(command)} failed:\n{said.read().decode(errors='replace')}")
    kib = 1024 if sys.platform != "darwin" else 1
    return Run(wall_s=wall_s, cpu_s=usage.ru_utime + usage.ru_stime, peak_mib=usage.ru_maxrss * kib / 2**20)
