"""Downloads: from the Hugging Face Hub into its cache, from mirrors into ours.

huggingface_hub keeps its own rules (cache, environment variables, resuming, offline mode). A mirror is read by plain
HTTP; what has arrived stays in a `.partial` file, from which the next attempt, also of another run, goes on.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import http.client
import logging
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from talkhead import __version__
from talkhead.errors import TalkheadError, WeightsError
from talkhead.progress import NoProgress, Progress
from talkhead.weights.manifest import WeightFile, megabytes
from talkhead.weights.store import BLOCK, discard, hub_path, own_path, remember, sha256_of

log = logging.getLogger(__name__)

TIMEOUT_S = 20.0  # of silence
ATTEMPTS = 4  # without a new byte
PAUSE_S = 1.0  # before the second attempt; doubled before each further one
TRANSIENT = (408, 429, 500, 502, 503, 504)

Check = Callable[[Path], None]


class _BrokenError(WeightsError):
    """A connection that failed, and may not the next time."""


def is_offline() -> bool:
    """Whether the user told huggingface_hub to stay off the network (`HF_HUB_OFFLINE=1`); mirrors obey it too."""
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


def fetch(entry: WeightFile, check: Check, progress: Progress | None = None) -> Path:
    """Download one file, from the Hub or else from its mirrors.

    Args:
        entry: which one. check: raises `WeightsError` for a file that is not the right one; such a file is removed
            and the next address is tried. progress: is told the bytes.
    Returns:
        Where the file lies, checked.
    Raises:
        WeightsError: no address gave the right file; the message says what each one gave.
    """
    if is_offline():
        raise WeightsError(f"{entry.name} is not here, and HF_HUB_OFFLINE forbids downloads", hint=by_hand(entry))
    log.info("downloading %s, %s", entry.name, megabytes(entry.size))
    failures = []
    for address, download in _sources(entry):
        with (progress or NoProgress()).stage(f"fetching {entry.name}", entry.size, "bytes") as advance:
            try:
                return download(check, advance)
            except WeightsError as error:
                log.debug("%s: %s", address, error.message)
                failures.append(error.message)
    raise WeightsError(f"cannot download {entry.name}: " + "; ".join(failures), hint=by_hand(entry))


def is_reachable(entry: WeightFile, timeout_s: float = 5.0) -> bool:
    """Whether one of a file's addresses answers now."""
    if is_offline():
        return False
    if entry.repo_id:
        with contextlib.suppress(WeightsError):
            _look_up(entry, timeout_s)
            return True
    for mirror in entry.mirrors:
        with contextlib.suppress(OSError, http.client.HTTPException), _opened(mirror, timeout_s, method="HEAD"):
            return True
    return False


def by_hand(entry: WeightFile) -> str:
    """How to bring a file to a machine that cannot fetch it."""
    pin = "" if entry.is_hash_known else " --pin"
    if entry.page:
        return f"ask for {entry.basename} at {entry.page}, then: talkhead weights import {entry.basename}{pin}"
    return f"get {entry.addresses[-1]} elsewhere, then: talkhead weights import {entry.basename}{pin}"


def _sources(entry: WeightFile) -> Iterator[tuple[str, Callable[[Check, Callable[[int], None]], Path]]]:
    if entry.repo_id:
        yield f"the Hub ({entry.repo_id})", functools.partial(_from_hub, entry)
    for mirror in entry.mirrors:
        yield mirror, functools.partial(_from_mirror, entry, mirror)


def _from_hub(entry: WeightFile, check: Check, advance: Callable[[int], None]) -> Path:
    _look_up(entry, TIMEOUT_S)
    bar = _bar_class(advance)
    had_copy = hub_path(entry) is not None
    path = _hub_download(entry, bar, force=False)
    try:
        check(path)
    except WeightsError:
        if not had_copy:
            discard(path)
            raise
    else:
        return path
    path = _hub_download(entry, bar, force=True)
    try:
        check(path)
    except WeightsError:
        discard(path)
        raise
    return path


def _hub_download(entry: WeightFile, bar: type, *, force: bool) -> Path:
    from huggingface_hub import hf_hub_download

    for attempt in range(ATTEMPTS):  # not every huggingface_hub goes on by itself after every kind of failure
        try:
            with _hub_errors(entry):
                found = hf_hub_download(
                    entry.repo_id, entry.filename, revision=entry.revision, force_download=force, tqdm_class=bar
                )
                return Path(found)
        except _BrokenError as error:
            if attempt == ATTEMPTS - 1:
                raise
            log.debug("%s; once more", error.message)
            time.sleep(PAUSE_S * 2**attempt)
    raise AssertionError


def _look_up(entry: WeightFile, timeout_s: float) -> None:
    """Ask the Hub for size and hash of its file: says at once what a download would find out late."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    with _hub_errors(entry):
        url = hf_hub_url(entry.repo_id, entry.filename, revision=entry.revision)
        about = get_hf_file_metadata(url, timeout=timeout_s)
    if about.size is not None and about.size != entry.size:
        raise WeightsError(f"the Hub's {entry.filename} has {about.size:,} bytes, expected {entry.size:,}")
    if entry.is_hash_known and about.etag is not None and len(about.etag) == 64 and about.etag != entry.sha256:
        raise WeightsError(f"the Hub's {entry.filename} has the sha256 {about.etag}, expected {entry.sha256}")


@contextlib.contextmanager
def _hub_errors(entry: WeightFile) -> Iterator[None]:
    """Turn what huggingface_hub raises into one line."""
    from huggingface_hub import errors

    where = f"{entry.repo_id} on the Hub"
    try:
        yield
    except TalkheadError:
        raise
    except errors.GatedRepoError as error:
        raise WeightsError(f"{where} is gated: ask for access on its page, then log in with `hf auth login`") from error
    except errors.RepositoryNotFoundError as error:
        raise WeightsError(
            f"{where} does not exist, or is private: log in with `hf auth login`, or HF_TOKEN"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise WeightsError(f"{where} has no revision {entry.revision}") from error
    except errors.EntryNotFoundError as error:
        raise WeightsError(f"{where} has no file {entry.filename}") from error
    except Exception as error:  # noqa: BLE001 - the library below huggingface_hub, and its exceptions, change
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status in (401, 403):
            raise WeightsError(f"{where} refuses (HTTP {status}): log in with `hf auth login`, or HF_TOKEN") from error
        said = f"HTTP {status}" if status else _in_words(error)
        kind = WeightsError if status else _BrokenError
        raise kind(f"{where} cannot be read ({said})") from error


def _in_words(error: BaseException) -> str:
    """What an exception says, on one line, without the number of a system error."""
    text = " ".join(str(getattr(error, "reason", None) or error).split()) or type(error).__name__
    return re.sub(r"^\[Errno -?\d+\] ", "", text)[:200]


def _bar_class(advance: Callable[[int], None]) -> type:
    """A class that huggingface_hub takes for a progress bar, and that hands the bytes on."""
    from huggingface_hub.utils.tqdm import tqdm

    done = 0

    class Bar(tqdm):  # type: ignore[misc,unused-ignore]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            nonlocal done
            super().__init__(*args, **kwargs | {"disable": True})  # type: ignore[no-untyped-call,unused-ignore]
            start = int(kwargs.get("initial") or 0)
            advance(start - done)  # a new attempt has a new bar
            done = start

        def update(self, n: float | None = 1) -> bool | None:
            nonlocal done
            done += int(n or 0)
            advance(int(n or 0))
            return None

    return Bar


def _from_mirror(entry: WeightFile, url: str, check: Check, advance: Callable[[int], None]) -> Path:
    from huggingface_hub.utils import WeakFileLock  # type: ignore[attr-defined,unused-ignore]

    final = own_path(entry)
    partial = final.with_name(final.name + ".partial")
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        with WeakFileLock(final.with_name(final.name + ".lock")):
            if final.is_file():  # another process was quicker
                with contextlib.suppress(WeightsError):
                    check(final)
                    return final
            resumed = partial.exists()
            _download(url, partial, entry.size, advance)
            if not _fits(partial, check, url, last=not resumed):
                _download(url, partial, entry.size, advance)  # what was there before may be the bad part
                _fits(partial, check, url, last=True)
            sha256 = sha256_of(partial)
            partial.replace(final)
            discard(partial)
            remember(final, sha256)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise WeightsError(f"cannot write {final}: {error.strerror or error}") from error
    return final


def _fits(path: Path, check: Check, url: str, *, last: bool) -> bool:
    """Whether a download is what it should be; if not, it is removed, and after the last one that is an error."""
    try:
        check(path)
    except WeightsError as error:
        discard(path)
        if last:
            raise WeightsError(f"{url} sent another file ({error.message})") from error
        return False
    return True


def _download(url: str, partial: Path, size: int, advance: Callable[[int], None]) -> None:
    """Fetch the rest of a file, going on where the connection breaks.

    Raises:
        WeightsError: the server refuses, sends something of another size, or stays silent.
    """
    silent = 0
    counted = False
    while True:
        have = partial.stat().st_size if partial.exists() else 0
        if have > size:
            partial.unlink()
            have = 0
        if not counted:
            advance(have)
            counted = True
        if have == size:
            return
        try:
            _read_rest(url, partial, have, size, advance)
        except urllib.error.HTTPError as error:
            if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and have:  # its file is shorter than our part
                partial.unlink()
                advance(-have)
                continue
            if error.code not in TRANSIENT:
                raise WeightsError(f"{url}: HTTP {error.code} {error.reason}") from error
            problem: Exception = error
        except (http.client.HTTPException, urllib.error.URLError, TimeoutError, ConnectionError) as error:
            problem = error
        else:
            problem = TimeoutError("the connection was closed early")
        now = partial.stat().st_size if partial.exists() else 0
        if now == size:
            return
        silent = silent + 1 if now <= have else 0
        if silent >= ATTEMPTS:
            arrived = f" (after {now:,} of {size:,} bytes)" if now else ""
            raise WeightsError(f"{url}: {_in_words(problem)}{arrived}") from problem
        log.debug("%s: %s; going on at byte %d", url, problem, now)
        time.sleep(PAUSE_S * 2 ** max(0, silent - 1))


def _read_rest(url: str, partial: Path, have: int, size: int, advance: Callable[[int], None]) -> None:
    with _opened(url, TIMEOUT_S, start=have) as response:
        if have and response.status != http.client.PARTIAL_CONTENT:  # the server cannot resume: all of it again
            partial.unlink()
            advance(-have)
            have = 0
        length = response.headers.get("Content-Length")
        if length is not None and int(length) != size - have:
            raise WeightsError(f"{url} has {int(length) + have:,} bytes, expected {size:,}")
        with partial.open("ab") as file:
            while block := _next_block(response):
                if have + len(block) > size:
                    raise WeightsError(f"{url} has more than {size:,} bytes")
                file.write(block)
                have += len(block)
                advance(len(block))


def _next_block(response: Any) -> bytes:
    try:
        block: bytes = response.read1(BLOCK)
    except OSError as error:  # keeps the network's failures apart from those of the disk
        raise ConnectionError(_in_words(error)) from error
    return block


def _opened(url: str, timeout_s: float, *, start: int = 0, method: str = "GET") -> Any:
    headers = {"User-Agent": f"talkhead/{__version__}", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    request = urllib.request.Request(url, headers=headers, method=method)
    response = urllib.request.urlopen(request, timeout=timeout_s)
    if url.startswith("https:") and not response.url.startswith("https:"):
        response.close()
        raise WeightsError(f"{url} leads to {response.url}, which is not https")
    return response
