"""Starting ffmpeg: argument lists, pipes, its own words on why it failed. Never a shell, never the network."""

from __future__ import annotations

import collections
import contextlib
import functools
import re
import subprocess
import threading
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import IO, cast

from talkhead.errors import EnvironmentProblem, MediaError

LOCAL_ONLY = ("-protocol_whitelist", "file,pipe")
# Linux lets a pipe grow to 1 MiB without privileges; more than one 512 px frame then fits and both sides overlap.
_PIPE_BYTES = 1 << 20
_REASON_LETTERS = 200
_PREFIX = re.compile(r"^(?:\[[^\]]*\] ?)+")
# What follows the real reason, or says nothing about it.
_GENERIC = re.compile(
    r"Error opening (?:in|out)put.*|Conversion failed!|Nothing was written.*|Task finished with error code.*"
    r"|Terminating thread with.*|Error (?:while filtering|sending frames|submitting).*|.*misdetection possible!"
    r"|At least one output file.*|Error closing file.*|.*incorrect parameters such as bit_rate.*|Exiting normally.*"
    r"|Last message repeated.*"
)


@functools.cache
def ffmpeg_exe() -> str:
    """Path of the bundled ffmpeg (or of the one in `IMAGEIO_FFMPEG_EXE`).

    Raises:
        EnvironmentProblem: there is none.
    """
    import imageio_ffmpeg

    try:
        return cast(str, imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        raise EnvironmentProblem(
            "no ffmpeg found", hint="reinstall imageio-ffmpeg, or set IMAGEIO_FFMPEG_EXE to an ffmpeg program"
        ) from error


def input_args(path: str | Path) -> list[str]:
    """`-i` for a local file: the `file:` prefix keeps odd names from being read as options or addresses."""
    return [*LOCAL_ONLY, "-i", f"file:{path}"]


def rate(fps: float) -> str:
    """Frames per second as the fraction ffmpeg reads without rounding, e.g. `30000/1001`."""
    fraction = Fraction(fps).limit_denominator(100_000)
    return f"{fraction.numerator}/{fraction.denominator}"


class FFmpeg:
    """One ffmpeg process and the last lines it said; killed when the block is left before it ended.

    Args:
        args: arguments after the program's name and the house's own.
        feed: open its standard input. drain: open its standard output.
        log_level: what it may say on standard error.
    """

    def __init__(
        self, args: Sequence[str], *, feed: bool = False, drain: bool = False, log_level: str = "error"
    ) -> None:
        command = [ffmpeg_exe(), "-hide_banner", "-nostdin", "-nostats", "-loglevel", log_level, *args]
        if feed:
            command.remove("-nostdin")
        try:
            self._process = subprocess.Popen(  # noqa: S603
                command,
                stdin=subprocess.PIPE if feed else subprocess.DEVNULL,
                stdout=subprocess.PIPE if drain else subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                bufsize=0,
                # Ctrl-C in a terminal goes to the whole group: what happens to ffmpeg then is ours to decide.
                start_new_session=True,
            )
        except OSError as error:
            raise EnvironmentProblem(f"cannot start ffmpeg: {error}") from error
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                _widen(pipe)
        self._lines: collections.deque[str] = collections.deque(maxlen=200)
        self._listener = threading.Thread(target=self._listen, name="ffmpeg-stderr", daemon=True)
        self._listener.start()

    @property
    def stdin(self) -> IO[bytes]:
        """Its standard input; only with `feed`."""
        return cast(IO[bytes], self._process.stdin)

    @property
    def stdout(self) -> IO[bytes]:
        """Its standard output; only with `drain`."""
        return cast(IO[bytes], self._process.stdout)

    @property
    def said(self) -> str:
        """The last lines of its standard error so far."""
        return "\n".join(self._lines)

    def wait(self) -> int:
        """Close the feed, wait for the end, and give the exit status."""
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):  # it died first; the exit status says so
                self._process.stdin.close()
        status = self._process.wait()
        self._listener.join()
        return status

    def kill(self) -> None:
        """End it now; harmless when it has ended."""
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        self._process.wait()
        self._listener.join()

    def reason(self) -> str:
        """Why it failed, in its own words, one line."""
        lines = [_PREFIX.sub("", line).strip() for line in self._lines]
        telling = [line for line in lines if line and not _GENERIC.fullmatch(line)]
        if telling:
            return telling[-1][:_REASON_LETTERS]
        worded = [line.rpartition(": ")[2] for line in lines if line.startswith("Error opening")]
        return worded[-1] if worded else f"ffmpeg ended with status {self._process.poll()}"

    def _listen(self) -> None:
        stream = cast(IO[bytes], self._process.stderr)
        with stream:
            rest = b""
            while chunk := stream.read(65536):
                *lines, rest = (rest + chunk).replace(b"\r", b"\n").split(b"\n")
                self._lines.extend(line.decode(errors="replace") for line in lines if line.strip())
                rest = rest[-4096:]
            if rest.strip():
                self._lines.append(rest.decode(errors="replace"))

    def __enter__(self) -> FFmpeg:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


def run(args: Sequence[str], *, failure: str) -> str:
    """Run ffmpeg to its end.

    Args:
        args: as for `FFmpeg`. failure: opening words of the message when it fails, e.g. `cannot write out.mp4`.
    Returns:
        What it wrote on standard output.
    Raises:
        MediaError: it failed; ffmpeg's own reason follows `failure`.
    """
    with FFmpeg(args, drain=True) as process:
        output = process.stdout.read()
        if process.wait() != 0:
            raise MediaError(f"{failure}: {process.reason()}")
    return output.decode(errors="replace")


def _widen(pipe: IO[bytes]) -> None:
    try:
        import fcntl

        fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    except (ImportError, AttributeError, OSError):
        pass  # other systems, or a low limit: the usual 64 KiB only cost speed
