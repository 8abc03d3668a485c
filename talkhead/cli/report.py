"""What a run tells its user: notes, progress bars, results; as text, or as JSON lines with `--json`.

Results go to stdout and nothing else does; messages and bars go to stderr. With `--json` every event is one line on
stdout: `{"event": "stage" | "progress" | "stage_end" | "note" | "result" | "error", ...}`.
"""

from __future__ import annotations

import contextlib
import contextvars
import json
import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from talkhead.errors import TalkheadError

PROGRESS_EVENT_S = 0.5  # at most two JSON progress events a second: they are for people's eyes in the end

_stop: list[BaseException] = []
_active: contextvars.ContextVar[Reporter | None] = contextvars.ContextVar("reporter", default=None)


class Reporter:
    """Implements `pipelines.progress.Progress` for the terminal.

    Args:
        verbosity: -1 errors only, 0 notes and warnings, 1 debug messages and tracebacks. json_lines: events as JSON
            lines on stdout. bars: progress bars on stderr, if that is a terminal.
    """

    def __init__(self, *, verbosity: int = 0, json_lines: bool = False, bars: bool = True) -> None:
        self.verbosity = verbosity
        self.json_lines = json_lines
        self._bars = bars and not json_lines and verbosity >= 0 and sys.stderr.isatty()
        self._live: Any = None

    @contextlib.contextmanager
    def stage(self, name: str, total: int | None, unit: str = "frames") -> Iterator[Callable[[int], None]]:
        """One stage of a run, of so many frames or bytes: a bar, or a series of events."""
        if self.json_lines:
            shown: AbstractContextManager[Callable[[int], None]] = self._json_stage(name, total)
        elif self._bars:
            shown = self._bar(name, total, unit)
        else:
            shown = contextlib.nullcontext(lambda steps: None)
        with shown as show:

            def advance(steps: int) -> None:
                _stop_if_asked()
                show(steps)

            yield advance

    def result(self, text: str, **fields: Any) -> None:
        """The outcome of a command that made a file: one line of text, or a `result` event."""
        if self.json_lines:
            self._event("result", **fields)
        elif self.verbosity >= 0:
            self._write(sys.stdout, text)

    def table(self, text: str, **fields: Any) -> None:
        """The outcome of a command that shows something: printed even when quiet."""
        if self.json_lines:
            self._event("result", **fields)
        else:
            self._write(sys.stdout, text)

    def error(self, error: TalkheadError) -> None:
        """One line saying what, which file; a second saying what to do."""
        if self.json_lines:
            self._event("error", message=error.message, hint=error.hint, exit_code=error.exit_code)
        self.say(f"talkhead: error: {error.message}")
        if error.hint:
            self.say(f"  hint: {error.hint}")

    def say(self, line: str) -> None:
        """A line on stderr, above the bars."""
        if self._live is not None:
            self._live.console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            self._write(sys.stderr, line)

    def note(self, level: int, message: str) -> None:
        """A log message."""
        if self.json_lines and level >= logging.INFO:
            self._event("note", level=logging.getLevelName(level).lower(), message=message)
            return
        prefix = "warning: " if level == logging.WARNING else "error: " if level > logging.WARNING else ""
        self.say(f"talkhead: {prefix}{message}")

    @contextlib.contextmanager
    def _json_stage(self, name: str, total: int | None) -> Iterator[Callable[[int], None]]:
        started = last = time.monotonic()
        done = 0
        self._event("stage", name=name, total=total)

        def advance(steps: int) -> None:
            nonlocal done, last
            done += steps
            now = time.monotonic()
            if now - last >= PROGRESS_EVENT_S:
                last = now
                self._event("progress", name=name, done=done, total=total, per_s=round(done / (now - started), 1))

        yield advance
        self._event("stage_end", name=name, done=done, seconds=round(time.monotonic() - started, 3))

    @contextlib.contextmanager
    def _bar(self, name: str, total: int | None, unit: str) -> Iterator[Callable[[int], None]]:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description:>10}"),
            BarColumn(),
            TextColumn("{task.fields[count]}"),
            TimeRemainingColumn(),
        )
        outermost = self._live is None
        if outermost:
            self._live = Progress(*columns, console=Console(stderr=True), transient=True)
            self._live.start()
        task = self._live.add_task(name, total=total, count="")
        started, done = time.monotonic(), 0

        def advance(steps: int) -> None:
            nonlocal done
            done += steps
            elapsed = time.monotonic() - started
            scale, shown = (1e6, "MB") if unit == "bytes" else (1, unit)
            rate = f", {done / elapsed / scale:.0f} {shown}/s" if elapsed > 0 else ""
            of = "?" if total is None else f"{total / scale:.0f}"
            self._live.update(task, advance=steps, count=f"{done / scale:.0f}/{of}{rate}")

        try:
            yield advance
        finally:
            if outermost:
                self._live.stop()
                self._live = None

    def _event(self, event: str, **fields: Any) -> None:
        self._write(sys.stdout, json.dumps({"event": event} | fields, ensure_ascii=False, default=str))

    @staticmethod
    def _write(stream: Any, line: str) -> None:
        # A terminal that cannot show a character must not end the run.
        encoding = stream.encoding or "utf-8"
        stream.write(line.encode(encoding, "replace").decode(encoding) + "\n")
        stream.flush()


class LogHandler(logging.Handler):
    """Hands log messages to the reporter."""

    def __init__(self, reporter: Reporter) -> None:
        super().__init__()
        self.reporter = reporter
        self._shown: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Show one message; what several stages have to say about one input is said once."""
        message = record.getMessage()
        if record.levelno >= logging.INFO and message in self._shown:
            return
        self._shown.add(message)
        self.reporter.note(record.levelno, message)


def stop(how: BaseException) -> None:
    """End the run by raising `how`: now, or at the next step of a stage where Python drops what handlers raise."""
    _stop.append(how)
    raise how


def _stop_if_asked() -> None:
    if _stop:
        raise _stop[-1]


def activate(reporter: Reporter) -> None:
    """Make `reporter` the one that errors and log messages of this run go to."""
    deactivate()
    log = logging.getLogger("talkhead")
    log.addHandler(LogHandler(reporter))
    log.setLevel({-1: logging.ERROR, 0: logging.INFO}.get(reporter.verbosity, logging.DEBUG))
    log.propagate = False
    _active.set(reporter)


def deactivate() -> None:
    """Undo `activate`."""
    log = logging.getLogger("talkhead")
    for handler in [h for h in log.handlers if isinstance(h, LogHandler)]:
        log.removeHandler(handler)
    log.setLevel(logging.NOTSET)
    log.propagate = True
    _active.set(None)


def active() -> Reporter:
    """The reporter of this run; a plain one before the options were read."""
    return _active.get() or Reporter()
