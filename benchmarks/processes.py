"""Whole commands as a user starts them: wall time, processor time and peak memory of the process.

Linux counts the memory that a process had before it became another program, so each command is started by a small
process of its own (`python -I -S processes.py COMMAND...`), not by the benchmark with all its pictures.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypedDict

    class Run(TypedDict):
        """One command: seconds of wall clock and processor, peak memory of its largest process (MiB)."""

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
    return min((once(command) for _ in range(repeats)), key=lambda run: run["wall_s"])


def once(command: Sequence[str]) -> Run:
    """Run a command and wait for it.

    Raises:
        RuntimeError: it failed; the message holds what it said.
    """
    # Compiled modules are kept, as on every user's machine.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    launcher = [sys.executable, "-I", "-S", __file__, *command]
    done = subprocess.run(
        launcher, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
    run: Run = json.loads(done.stdout)
    return run


def launch(command: Sequence[str]) -> int:
    """Run a command, print its figures as JSON; on failure pass on what it said, and its code."""
    with tempfile.TemporaryFile() as said:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            sys.stderr.write(said.read().decode(errors="replace"))
            return process.returncode
    unit = 1 if sys.platform == "darwin" else 1024
    figures = {"wall_s": wall_s, "cpu_s": usage.ru_utime + usage.ru_stime, "peak_mib": usage.ru_maxrss * unit / 2**20}
    json.dump(figures, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(launch(sys.argv[1:]))
