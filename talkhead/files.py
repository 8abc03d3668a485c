"""Outputs that appear under their final name only when complete."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

from talkhead.errors import InputError, MediaError, OutputExistsError


@contextlib.contextmanager
def atomic_output(
    path: str | os.PathLike[str], overwrite: bool = False, *, error: type[InputError] = MediaError
) -> Iterator[Path]:
    """A temporary path beside `path`, renamed to it when the block ends well and removed when it does not.

    The temporary file keeps the suffix (encoders choose the format by it) and exists, empty, when the block starts, so
    that a folder that cannot be written is reported before any work. A link is followed. A device or a named pipe
    is handed out as it is: there is nothing to rename.

    Args:
        path: the final name. overwrite: whether a file already there may be replaced. error: class raised for what
            the file system refuses.
    Yields:
        The path to write to.
    Raises:
        OutputExistsError: the file is there and `overwrite` is false.
        MediaError: (or `error`) the folder is missing or not writable, or `path` is a folder.
    """
    target = Path(path)
    if _check_target(target, overwrite=overwrite, error=error):
        yield target
        return
    final = target.resolve()
    # 40 characters are at most 160 bytes: the name stays below the usual limit of 255 bytes.
    temporary = final.with_name(f".{final.stem[:40]}.{uuid.uuid4().hex[:12]}.partial{final.suffix}")
    try:
        # Opened here rather than by tempfile, whose files only their owner may read.
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except OSError as cause:
        raise _refused(target, cause, error) from cause
    try:
        yield temporary
        try:
            temporary.replace(final)
        except OSError as cause:
            raise _refused(target, cause, error) from cause
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def check_output(path: str | os.PathLike[str], overwrite: bool = False) -> None:
    """Refuse an output early, before minutes of work: the same rules as `atomic_output`, nothing is created.

    Raises:
        OutputExistsError: the file is there and `overwrite` is false.
        MediaError: the folder is missing or not writable, or `path` is a folder.
    """
    target = Path(path)
    if not _check_target(target, overwrite=overwrite, error=MediaError) and not os.access(target.parent, os.W_OK):
        raise MediaError(f"cannot write {target}: the folder is not writable", hint="choose another output path")


def _check_target(target: Path, *, overwrite: bool, error: type[InputError]) -> bool:
    """Whether `target` is a device or pipe, to be written directly; raises for what can never be written."""
    try:
        if target.is_dir():
            raise error(f"cannot write {target}: it is a folder", hint="give a file name")
        if target.exists():
            if not target.is_file():
                return True
            if not overwrite:
                raise OutputExistsError(f"{target} already exists", hint="use --overwrite or another name")
        if not target.parent.is_dir():
            raise error(f"cannot write {target}: there is no folder {target.parent}", hint="create the folder first")
    except OSError as cause:
        raise _refused(target, cause, error) from cause
    return False


def _refused(target: Path, cause: OSError, error: type[InputError]) -> InputError:
    reason = (cause.strerror or str(cause)).lower()
    return error(f"cannot write {target}: {reason}", hint="choose another output path")
