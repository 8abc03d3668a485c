"""`-` as an input: standard input copied to a file, because media is read more than once and not from front to back."""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from talkhead.errors import MediaError, UsageError


@contextlib.contextmanager
def spooled_input(path: str | Path, stream: BinaryIO | None = None) -> Iterator[Path]:
    """A path that can be read: `path` itself, or for `-` a copy of standard input that is removed afterwards.

    Args:
        path: a path, or `-`. stream: read instead of standard input.
    Raises:
        UsageError: standard input is a terminal. MediaError: it is empty, or the disk is full.
    """
    if str(path) != "-":
        yield Path(path)
        return
    source = stream or sys.stdin.buffer
    if source.isatty():
        raise UsageError("standard input is a terminal", hint="pipe a file in, or give its name instead of -")
    with tempfile.TemporaryDirectory(prefix="talkhead-") as folder:
        copy = Path(folder) / "stdin"
        try:
            with copy.open("wb") as out:
                shutil.copyfileobj(source, out, 1 << 20)
        except OSError as error:
            raise MediaError(f"cannot keep standard input: {(error.strerror or str(error)).lower()}") from error
        if copy.stat().st_size == 0:
            raise MediaError("nothing came on standard input")
        yield copy
