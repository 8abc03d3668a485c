"""The `talkhead` program: registers the commands, and turns every failure into a message and an exit code."""

from __future__ import annotations

import errno
import os
import signal
import sys
import traceback
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from talkhead import __version__
from talkhead.cli import (
    animate,
    audio2coeff,
    compress,
    decompress,
    doctor,
    edit,
    eval,
    extract,
    frontalize,
    inspect,
    pose,
    prepare,
    reenact,
    render,
    report,
    systems,
    train,
    verify,
    weights,
)
from talkhead.cli.aliases import normalized
from talkhead.errors import EXIT_BUG, EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE, EnvironmentProblem, TalkheadError

EXIT_BROKEN_PIPE = 128 + 13  # as if ended by SIGPIPE, which shells do not report as an error


class _Group(TyperGroup):
    """Keeps a reader that left (`talkhead inspect c | head -1`) apart from a bug."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise typer.Exit(EXIT_BROKEN_PIPE) from error


app = typer.Typer(
    name="talkhead",
    cls=_Group,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"talkhead {__version__}")
        raise typer.Exit


@app.callback()
def talkhead(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """A photo and a voice become a video of that person speaking."""


MAKE, MOTION, LEARN, LOOK = "Make a video", "Work on the motion", "Learn", "Look and check"
for _panel, _modules in (
    (MAKE, (animate, reenact, render, compress, decompress)),
    (MOTION, (extract, audio2coeff, pose, edit, frontalize)),
    (LEARN, (prepare, train)),
    (LOOK, (eval, inspect, systems, doctor, verify)),
):
    for _module in _modules:
        _name = _module.__name__.rpartition(".")[2]
        _class = edit.EditCommand if _module is edit else TyperCommand
        _asks = _module in (animate, reenact, render, compress, decompress, prepare, train, eval)
        app.command(_name, cls=_class, rich_help_panel=_panel, no_args_is_help=_asks)(_module.command)
app.add_typer(weights.app, name="weights", rich_help_panel=LOOK)


def main(argv: list[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: arguments without the program's name; None takes those of the process.
    Returns:
        The exit code (docs/exit-codes.md).
    """
    try:
        app(args=normalized(sys.argv[1:] if argv is None else argv), prog_name="talkhead")
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else EXIT_OK if stop.code is None else EXIT_USAGE
        if code == EXIT_INTERRUPTED:
            report.active().say("talkhead: interrupted")
        return code
    except KeyboardInterrupt:
        report.active().say("talkhead: interrupted")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        return EXIT_BROKEN_PIPE
    except Exception as error:  # noqa: BLE001 - the one place where an exception becomes an exit code
        try:
            return _failed(error)
        except BrokenPipeError:  # nobody reads the message
            return EXIT_BROKEN_PIPE
    finally:
        report.deactivate()
    return EXIT_OK


def entry() -> None:
    """The console script."""
    _open_closed_streams()
    signal.signal(signal.SIGTERM, _terminated)
    hangup = getattr(signal, "SIGHUP", None)  # the terminal was closed; Windows has no such signal
    if hangup is not None and signal.getsignal(hangup) is signal.SIG_DFL:  # nohup ignores it on purpose
        signal.signal(hangup, _terminated)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where a shell script ignores Ctrl-C
        signal.signal(signal.SIGINT, _interrupted)
    code = main()
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes once more at exit and would complain there.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = code or EXIT_BROKEN_PIPE
    sys.exit(code)


def _open_closed_streams() -> None:
    """Stand-ins for standard streams that the caller closed (`talkhead ... >&-`, some schedulers)."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - for as long as we run


def _terminated(number: int, frame: FrameType | None) -> None:
    """Leave by an exception, so that partial files are removed."""
    report.stop(SystemExit(128 + number))


def _interrupted(number: int, frame: FrameType | None) -> None:
    report.stop(KeyboardInterrupt())


def _failed(error: Exception) -> int:
    known = _as_ours(error)
    if known is None:
        traceback.print_exception(error)
        report.active().say("talkhead: this is a bug in talkhead; please report it with the lines above")
        return EXIT_BUG
    reporter = report.active()
    if reporter.verbosity > 0:
        traceback.print_exception(error)
    reporter.error(known)
    return known.exit_code


def _as_ours(error: Exception) -> TalkheadError | None:
    """Our own errors, and what the machine refuses whatever the code does."""
    if isinstance(error, TalkheadError):
        return error
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return EnvironmentProblem("not enough memory", hint="use a smaller --size, or another --device")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return EnvironmentProblem(f"no space left on the device ({error.filename or 'output'})", hint="free some space")
    return None
