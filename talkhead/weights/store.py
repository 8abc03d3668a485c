"""Where weights lie on this machine, and whether they are the right ones.

A file lies in the Hugging Face cache if it came from there, and in our own cache folder if it came from a mirror or was
imported. Its sha256 is computed before first use and remembered together with size and time of change, so that later
runs only look at those.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from talkhead.errors import InputError, WeightsError
from talkhead.files import atomic_output
from talkhead.weights.answers import expected_sha256
from talkhead.weights.manifest import WeightFile

log = logging.getLogger(__name__)

BLOCK = 1 << 20

State = Literal["missing", "present", "verified", "damaged", "unpinned"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """How one file stands on this machine.

    Attributes:
        entry: which one. path: where it lies, None if it is missing.
        state: `missing`; `present` (right size, sha256 not computed yet); `verified`; `damaged` (another size or
            sha256); `unpinned` (here, but nobody has said that this copy is the right one).
    """

    entry: WeightFile
    path: Path | None
    state: State

    @property
    def is_here(self) -> bool:
        """Whether a run can count on it."""
        return self.state in ("present", "verified")


def cache_folder() -> Path:
    """Our own cache: `TALKHEAD_CACHE`, else `talkhead` in the platform's cache folder."""
    named = os.environ.get("TALKHEAD_CACHE")
    if named:
        return Path(named)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "talkhead" / "cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "talkhead"


def own_path(entry: WeightFile) -> Path:
    """Where mirrors and imports put it."""
    return cache_folder() / "weights" / entry.name / entry.basename


def hub_path(entry: WeightFile) -> Path | None:
    """Where it lies in the Hugging Face cache, None if it does not."""
    if not entry.repo_id:
        return None
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(entry.repo_id, entry.filename, revision=entry.revision)
    return Path(found) if isinstance(found, str) else None


def candidates(entry: WeightFile) -> list[Path]:
    """Every copy on this machine, our own first: an import replaces what the Hub gave."""
    own = own_path(entry)
    hub = hub_path(entry)
    return [*([own] if own.is_file() else []), *([hub] if hub else [])]


def standing(entry: WeightFile) -> Standing:
    """How a file stands, without reading it."""
    best: Standing | None = None
    for path in candidates(entry):
        found = Standing(entry=entry, path=path, state=_state_of(entry, path))
        if found.is_here:
            return found
        best = best or found
    return best or Standing(entry=entry, path=None, state="missing")


def check(entry: WeightFile, path: Path, *, again: bool = False, advance: Callable[[int], None] | None = None) -> None:
    """Make sure that `path` holds the weights `entry` means.

    Args:
        entry: what it should be. path: the copy. again: read it even if its sha256 is remembered. advance: is called
            with the number of bytes read.
    Raises:
        WeightsError: size or sha256 differ, or nobody has said which sha256 is right.
    """
    size = path.stat().st_size
    if not entry.is_size(size):
        raise WeightsError(
            f"{path} is not {entry.name}: it has {size:,} bytes, expected {entry.size:,}", hint=_replace_hint(entry)
        )
    expected = expected_sha256(entry)
    if expected is None:
        raise WeightsError(
            f"{path} is not trusted: nobody published the sha256 of {entry.name}",
            hint=f"if you trust this copy: talkhead weights import {path} --pin",
        )
    found = sha256_of(path, again=again, advance=advance)
    if found != expected:
        raise WeightsError(
            f"{path} is not {entry.name}: its sha256 is {found}, expected {expected}", hint=_replace_hint(entry)
        )


def sha256_of(path: Path, *, again: bool = False, advance: Callable[[int], None] | None = None) -> str:
    """The sha256 of a file, remembered as long as its size and time of change stay."""
    known = None if again else remembered(path)
    if known is not None:
        return known
    digest = hashlib.sha256()
    with path.open("rb") as file:
        before = os.fstat(file.fileno())
        while block := file.read(BLOCK):
            digest.update(block)
            if advance is not None:
                advance(len(block))
    found = digest.hexdigest()
    after = path.stat()
    if (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns):
        remember(path, found)
    return found


def remember(path: Path, sha256: str) -> None:
    """Note what a file's sha256 is, where the cache can be written."""
    note = _note_path(path)
    about = path.stat()
    content = {"path": str(path), "size": about.st_size, "mtime_ns": about.st_mtime_ns, "sha256": sha256}
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        with atomic_output(note, overwrite=True) as temporary:
            temporary.write_text(json.dumps(content), encoding="utf-8")
    except (OSError, InputError) as error:
        log.debug("cannot remember the sha256 of %s: %s", path, error)


def discard(path: Path) -> None:
    """Remove a copy that turned out bad; of a link, what it leads to as well."""
    for victim in {path, path.resolve(), _note_path(path)}:
        with contextlib.suppress(OSError):
            victim.unlink(missing_ok=True)


def _state_of(entry: WeightFile, path: Path) -> State:
    if not entry.is_size(path.stat().st_size):
        return "damaged"
    expected = expected_sha256(entry)
    if expected is None:
        return "unpinned"
    found = remembered(path)
    return "present" if found is None else "verified" if found == expected else "damaged"


def _note_path(path: Path) -> Path:
    key = hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:32]
    return cache_folder() / "weights" / "checked" / f"{key}.json"


def remembered(path: Path) -> str | None:
    """The sha256 of a file that was not changed since it was computed, else None."""
    try:
        note = json.loads(_note_path(path).read_text(encoding="utf-8"))
        about = path.stat()
        fits = (note["path"], note["size"], note["mtime_ns"]) == (str(path), about.st_size, about.st_mtime_ns)
        return str(note["sha256"]) if fits else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _replace_hint(entry: WeightFile) -> str:
    return f"fetch it anew: talkhead weights pull {entry.name}"
