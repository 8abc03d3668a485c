"""What `talkhead weights` does, as functions: look, pull, verify, import, and what a system calls before use."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from talkhead.errors import InputError, WeightsError
from talkhead.files import atomic_output
from talkhead.progress import NoProgress, Progress
from talkhead.weights import store
from talkhead.weights.answers import consent, expected_sha256, is_accepted, pin
from talkhead.weights.fetch import by_hand, fetch, is_offline, is_reachable
from talkhead.weights.load import as_safetensors
from talkhead.weights.manifest import WeightFile, load_manifest, megabytes
from talkhead.weights.store import Standing, standing

log = logging.getLogger(__name__)

__all__ = [
    "Door", "Imported", "Presence", "ensure", "import_files", "path", "presence", "pull", "status", "tensors", "verify",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Presence:
    """Whether a set of weights is here, and if not, whether it can be had.

    Attributes:
        missing: what is not here, or not usable. n_bytes: size of that. is_downloadable: whether a download would be
            allowed, and (where it was asked) its addresses answer. why_not: one line, empty if it is downloadable.
    """

    missing: tuple[WeightFile, ...]
    is_downloadable: bool
    why_not: str = ""

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing."""
        return not self.missing

    @property
    def n_bytes(self) -> int:
        """How much is missing."""
        return sum(entry.size for entry in self.missing)


@dataclass(frozen=True, kw_only=True, slots=True)
class Imported:
    """A local file that was taken in as some weights."""

    entry: WeightFile
    source: Path
    path: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Door:
    """What a system is handed to get its weights from (`talkhead.protocols.Weights`): the user's decisions are in it.

    Attributes:
        download: whether the network may be used. accept: licences accepted now. progress: is told the bytes.
    """

    download: bool = True
    accept: tuple[str, ...] = ()
    progress: Progress | None = None

    def __call__(self, name: str) -> Path:
        """Path of a safetensors file with some weights.

        Raises:
            WeightsError: as `tensors`.
        """
        return tensors(name, download=self.download, accept=self.accept, progress=self.progress)

    def has(self, name: str) -> bool:
        """Whether they are here already."""
        return presence([name]).is_complete


def status(names: Iterable[str] = ()) -> tuple[Standing, ...]:
    """How files stand on this machine, without reading them.

    Args:
        names: of files or systems; none: all.
    Raises:
        WeightsError: a name is neither.
    """
    return tuple(standing(entry) for entry in load_manifest().select(names))


def presence(names: Sequence[str], *, probe: bool = False) -> Presence:
    """Whether files (or all files of systems) are here, and otherwise can be downloaded.

    Args:
        names: of files or systems; none are complete. probe: also try the network, some seconds at most per file.
    Raises:
        WeightsError: a name is neither.
    """
    found = status(names) if names else ()
    missing = tuple(one.entry for one in found if not one.is_here)
    why_not = _why_not(missing, probe) if missing else ""
    return Presence(missing=missing, is_downloadable=not why_not, why_not=why_not)


def _why_not(missing: tuple[WeightFile, ...], probe: bool) -> str:
    if is_offline():
        return "HF_HUB_OFFLINE forbids downloads"
    for entry in missing:
        if entry.page:
            return f"{entry.name} is only handed out by its owner"
        if expected_sha256(entry) is None:
            return f"nobody published the sha256 of {entry.name}; see `talkhead weights pull --pin`"
        if not is_accepted(entry):
            return f"the licence of {entry.name} ({entry.licence.weights}) is not accepted"
    if probe:
        silent = next((entry.name for entry in missing if not is_reachable(entry)), None)
        return f"no address of {silent} answers" if silent else ""
    return ""


def ensure(
    name: str,
    *,
    download: bool = True,
    accept: Iterable[str] = (),
    pin_copy: bool = False,
    progress: Progress | None = None,
) -> Path:
    """The path of some weights, downloaded if they are not here, licence and sha256 checked: what a system calls.

    Args:
        name: of a file of the manifest. download: whether the network may be used. accept: licences accepted now.
            pin_copy: for weights nobody published a sha256 of: whether the copy found or downloaded now is to be the
            one that counts from now on. progress: is told the bytes.
    Raises:
        WeightsError: not accepted, not here and not to be had, or not the right file; the message names it.
    """
    entry = load_manifest().file(name)
    if entry.page and not store.candidates(entry):
        raise WeightsError(f"{name} is not here, and only its owner hands it out", hint=by_hand(entry))
    consent(entry, accept)
    if not pin_copy and expected_sha256(entry) is None:
        raise WeightsError(
            f"nobody published the sha256 of {name}, so a download could be anything of its size",
            hint=f"to trust what comes now, and nothing else later: talkhead weights pull {name} --pin"
            if not entry.page
            else by_hand(entry),
        )
    progress = progress or NoProgress()
    refused: WeightsError | None = None
    for copy in store.candidates(entry):
        try:
            _checked(entry, copy, pin_copy, progress)
        except WeightsError as error:
            refused = refused or error
            continue
        return copy
    if not download or entry.page:
        raise refused or WeightsError(f"{name} is not here", hint=f"talkhead weights pull {name}; or {by_hand(entry)}")
    if refused is not None:
        log.warning("%s; fetching it anew", refused.message)
        store.discard(store.own_path(entry))
    return fetch(entry, lambda copy: _checked(entry, copy, pin_copy, progress), progress)


def path(name: str, *, download: bool = False) -> Path:
    """Where some weights lie, ready for use; downloads only if told to. Bundled ones lie in the package.

    Raises:
        WeightsError: as `ensure`.
    """
    for part in load_manifest().bundled:
        if part.name == name:
            return Path(__file__).parents[1] / part.path
    return ensure(name, download=download)


def tensors(name: str, *, download: bool = True, accept: Iterable[str] = (), progress: Progress | None = None) -> Path:
    """Path of a safetensors file with some weights; a pickled archive is converted at first use.

    Raises:
        WeightsError: as `ensure`, or the file holds something else.
    """
    entry = load_manifest().file(name)
    return as_safetensors(entry, ensure(name, download=download, accept=accept, progress=progress))


def pull(
    names: Iterable[str],
    *,
    download: bool = True,
    accept: Iterable[str] = (),
    pin_copy: bool = False,
    progress: Progress | None = None,
) -> tuple[Standing, ...]:
    """Bring files, or all files of systems, to this machine; the other arguments are those of `ensure`.

    Raises:
        WeightsError: as `ensure`, after everything else was brought; the licences of all are checked before the first
            download. Files that must be pinned first are left out, with a warning, unless they are named themselves,
            and so are those that only their owner hands out, unless there are no others; where nothing is named, so
            are those whose licence waits for an answer.
    """
    names, accept = list(names), list(accept)
    asked = load_manifest().select(names)
    entries = _without_unpinned(asked, names, pin_copy)
    handed_out = next((entry for entry in asked if entry.page and entry not in entries), None)
    if names and not entries and handed_out is not None:
        raise WeightsError(f"{handed_out.name} is not here, and only its owner hands it out", hint=by_hand(handed_out))
    if not names:
        entries = _without_refused(entries, accept)
    for entry in entries:
        if not entry.page:  # not before it is here
            consent(entry, accept)
    missing = [entry for entry in entries if not standing(entry).is_here]
    if len(missing) > 1 and download:
        log.info("%d files to download, %s", len(missing), megabytes(sum(entry.size for entry in missing)))
    failed: dict[str, WeightsError] = {}
    for entry in entries:
        try:
            ensure(entry.name, download=download, accept=accept, pin_copy=pin_copy, progress=progress)
        except WeightsError as error:
            if len(entries) == 1:
                raise
            log.warning("%s", error.message)
            failed[entry.name] = error
    if failed:
        first = next(iter(failed.values()))
        raise WeightsError(f"{len(failed)} of {len(entries)} files are not here: {', '.join(failed)}", hint=first.hint)
    return tuple(standing(entry) for entry in entries)


def _without_unpinned(entries: tuple[WeightFile, ...], named: Iterable[str], pin_copy: bool) -> list[WeightFile]:
    """Leave out what needs a decision of its own and was only asked for together with the rest of its system."""
    chosen = []
    for entry in entries:
        if (pin_copy and not entry.page) or entry.name in named or expected_sha256(entry) is not None:
            chosen.append(entry)
        elif entry.page:
            log.debug("%s is left out: only its owner hands it out", entry.name)
        else:
            log.warning("%s is left out: nobody published its sha256; see `weights pull --pin`", entry.name)
    return chosen


def _without_refused(entries: list[WeightFile], accept: list[str]) -> list[WeightFile]:
    """Leave out what nobody asked for by name and nobody has accepted the licence of."""
    chosen = []
    for entry in entries:
        try:
            if not entry.page:
                consent(entry, accept)
        except WeightsError as error:
            log.warning("left out: %s", error.message)
        else:
            chosen.append(entry)
    return chosen


def verify(names: Iterable[str] = (), *, progress: Progress | None = None) -> tuple[Standing, ...]:
    """Read every file that is here and compare size and sha256; see the `state` of what is returned.

    Args:
        names: of files or systems; none: all. progress: is told the bytes.
    Raises:
        WeightsError: a name is neither.
    """
    results = []
    for one in status(names):
        if one.path is not None and one.entry.is_size(one.path.stat().st_size) and one.state != "unpinned":
            with (progress or NoProgress()).stage(one.entry.name, one.path.stat().st_size, "bytes") as advance:
                found = store.sha256_of(one.path, again=True, advance=advance)
            good = found == expected_sha256(one.entry)
            one = Standing(entry=one.entry, path=one.path, state="verified" if good else "damaged")
        results.append(one)
    return tuple(results)


def import_files(
    sources: Iterable[str | Path],
    *,
    name: str | None = None,
    pin_copy: bool = False,
    progress: Progress | None = None,
) -> tuple[Imported, ...]:
    """Copy local files, or the known ones of a folder, into the cache.

    A file is recognised by its sha256, whatever it is called. One that only has the name of some weights is refused.

    Args:
        sources: files and folders. name: which weights a single file is meant to be. pin_copy: take weights nobody
            published a sha256 of, recognised by name and size, and accept only this copy from now on.
        progress: is told the bytes.
    Raises:
        InputError: a file or folder is not there.
        WeightsError: a file is none of the known ones, damaged, or another one than `name`; the rest of a folder is
            imported before.
    """
    wanted = load_manifest().file(name) if name else None
    done: list[Imported] = []
    refused: list[WeightsError] = []
    for source in map(Path, sources):
        if not source.exists():
            raise InputError(f"there is no file {source}")
        files = [source] if source.is_file() else [file for file in sorted(source.rglob("*")) if _is_known(file)]
        if not files:
            known = ", ".join(entry.basename for entry in load_manifest().files)
            refused.append(WeightsError(f"{source} holds no known weights", hint=f"known files: {known}"))
        for file in files:
            try:
                done.append(_import_one(file, wanted, pin_copy, progress or NoProgress()))
            except WeightsError as error:
                refused.append(error)
    if refused:
        for one_more in refused[:-1]:
            log.warning("%s", one_more.message)
        for one in done:
            log.info("imported %s", one.entry.name)
        raise refused[-1]
    return tuple(done)


def _checked(entry: WeightFile, copy: Path, pin_copy: bool, progress: Progress) -> None:
    """Check a copy; one nobody published the sha256 of is pinned if that was asked."""
    shown = progress if store.remembered(copy) is None else NoProgress()
    size = copy.stat().st_size
    with shown.stage(f"checking {entry.name}", size, "bytes") as advance:
        if pin_copy and expected_sha256(entry) is None and entry.is_size(size):
            pin(entry, store.sha256_of(copy, again=True, advance=advance))
        store.check(entry, copy, advance=advance)


def _is_known(file: Path) -> bool:
    if not file.is_file():
        return False
    size = file.stat().st_size
    return any(file.name == entry.basename or size == entry.size for entry in load_manifest().files)


def _import_one(source: Path, wanted: WeightFile | None, pin_copy: bool, progress: Progress) -> Imported:
    size = source.stat().st_size
    with progress.stage(f"reading {source.name}", size, "bytes") as advance:
        entry = _recognise(source, size, wanted, pin_copy, advance)
    final = store.own_path(entry)
    if not (final.exists() and final.samefile(source)):
        try:
            final.parent.mkdir(parents=True, exist_ok=True)
            with atomic_output(final, overwrite=True) as temporary:
                shutil.copyfile(source, temporary)
        except PermissionError as error:
            raise WeightsError(f"cannot write {final}", hint="set TALKHEAD_CACHE to a writable folder") from error
        except InputError as error:
            raise WeightsError(error.message, hint="set TALKHEAD_CACHE to a writable folder") from error
    if pin_copy and not entry.is_hash_known:
        pin(entry, store.sha256_of(source))
    with progress.stage(f"checking {entry.name}", size, "bytes") as advance:
        store.check(entry, final, advance=advance)
    return Imported(entry=entry, source=source, path=final)


def _recognise(
    source: Path, size: int, wanted: WeightFile | None, pin_copy: bool, advance: Callable[[int], None]
) -> WeightFile:
    files = load_manifest().files
    same_size = [e for e in files if e.size == size or (e.is_size(size) and expected_sha256(e) is not None)]
    sha256 = store.sha256_of(source, again=True, advance=advance) if same_size else ""
    exact = next((entry for entry in same_size if expected_sha256(entry) == sha256), None)
    named = wanted or next((entry for entry in files if entry.basename == source.name), None)
    if exact is not None and (wanted is None or exact is wanted):
        return exact
    if exact is not None and wanted is not None:
        raise WeightsError(f"{source} is {exact.name} ({', '.join(exact.systems)}), not {wanted.name}")
    if named is None:
        known = ", ".join(entry.basename for entry in files)
        raise WeightsError(f"{source} is none of the known weights", hint=f"known files: {known}")
    if not named.is_size(size):
        raise WeightsError(f"{source} is not {named.name}: it has {size:,} bytes, expected {named.size:,}")
    if named.is_hash_known or (expected_sha256(named) is not None and not pin_copy):
        raise WeightsError(f"{source} is not {named.name}: its sha256 is {sha256}, expected {expected_sha256(named)}")
    if not pin_copy:
        raise WeightsError(
            f"{source} could be {named.name}, but nobody published its sha256",
            hint=f"if you trust this copy: talkhead weights import {source} --pin",
        )
    return named
