"""The weights manifest (docs/manifest.md): every file of learned or measured numbers that talkhead may load.

`weights_manifest.yaml` is the top-level file of a checkout and lies inside the package once installed.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from talkhead.config import nearest, read_config
from talkhead.errors import InputError, WeightsError

FORMAT_VERSION = 1
PACKAGE = Path(__file__).resolve().parents[1]
FILE_NAME = "weights_manifest.yaml"
VARIABLE = "TALKHEAD_WEIGHTS_MANIFEST"  # names another one

UNKNOWN = "unknown"  # in place of a sha256 nobody has published

Commercial = Literal["yes", "no", "unclear"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Licence:
    """Licences, as SPDX names or the holder's words: of the code that made the weights, and of the weights."""

    code: str
    weights: str


@dataclass(frozen=True, kw_only=True, slots=True)
class WeightFile:
    """One file to download.

    Attributes:
        name: what systems and users call it. repo_id, revision, filename: where on the Hugging Face Hub; the
            revision is a full commit, or `main` where the sha256 says which file is meant. Without a repo_id,
            filename is only what the file is called. mirrors: other https addresses, tried in this order after the Hub.
        page: instead of these, where its owner hands it out to those who ask: such a file is only imported.
        size: bytes; 0, of a file with a page, where copies differ. sha256: of the file, or `unknown`: then nobody loads
            it before its user has pinned a copy.
        licence, commercial: what its licence says, and whether business use is allowed. systems: who needs it.
        format: `safetensors`, or one that is converted on arrival (`pickle`, `zip`) or handed to its own library
            (`onnx`, `task`, `mat`, `torchscript`). keep: of a pickled archive, the top-level entries that are wanted;
            empty: all.
        note: shown with the licence.
    """

    name: str
    filename: str
    size: int
    sha256: str
    licence: Licence
    commercial: Commercial
    systems: tuple[str, ...]
    format: Literal["safetensors", "pickle", "zip", "onnx", "task", "mat", "torchscript"]
    repo_id: str = ""
    revision: str = ""
    mirrors: tuple[str, ...] = ()
    page: str = ""
    keep: tuple[str, ...] = ()
    note: str = ""

    def __post_init__(self) -> None:
        _check_name(self.name)
        size = 1 if self.page and self.size == 0 else self.size
        _check_digest(self.name, size, "0" * 64 if self.sha256 == UNKNOWN else self.sha256)
        path = PurePosixPath(self.filename)
        if path.is_absolute() or ".." in path.parts or "\\" in self.filename or not path.name:
            raise InputError(f"{self.name}: filename {self.filename!r} is no path inside a repository")
        if bool(self.repo_id) != bool(self.revision):
            raise InputError(f"{self.name}: repo_id and revision belong together")
        if not self.repo_id and not self.mirrors and not self.page:
            raise InputError(f"{self.name}: neither repo_id nor mirrors nor a page say where it comes from")
        if self.page and (self.repo_id or self.mirrors):
            raise InputError(f"{self.name}: what has a page is not downloaded, so it has no repo_id and no mirrors")
        is_pinned = self.revision == "main" and self.sha256 != UNKNOWN
        if self.repo_id and not is_pinned and not re.fullmatch(r"[0-9a-f]{40}", self.revision):
            expected = "a full commit (40 hex digits), or main and a sha256"
            raise InputError(f"{self.name}: revision is {self.revision!r}, expected {expected}")
        if any(not address.startswith("https://") for address in (*self.mirrors, self.page) if address):
            raise InputError(f"{self.name}: mirrors and pages must start with https://")
        if self.keep and self.format not in ("pickle", "zip"):
            raise InputError(f"{self.name}: keep is for pickled archives")

    @property
    def basename(self) -> str:
        """What the file is called, without folders."""
        return PurePosixPath(self.filename).name

    @property
    def is_hash_known(self) -> bool:
        """Whether the manifest says which bytes are meant."""
        return self.sha256 != UNKNOWN

    def is_size(self, n_bytes: int) -> bool:
        """Whether a file of this size can be it."""
        return n_bytes == self.size or (self.size == 0 and n_bytes > 0)

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where a person can get it: pages and links, for messages."""
        hub = (
            (f"https://huggingface.co/{self.repo_id}/resolve/{self.revision}/{self.filename}",) if self.repo_id else ()
        )
        return hub + self.mirrors + ((self.page,) if self.page else ())


@dataclass(frozen=True, kw_only=True, slots=True)
class BundledFile:
    """One file that is part of the package.

    Attributes:
        name: what it is called in messages. path: inside the package, with forward slashes. size: bytes.
        sha256: of the file. licence: SPDX name. systems: who reads it. provenance: how it was made and from what.
    """

    name: str
    path: str
    size: int
    sha256: str
    licence: str
    systems: tuple[str, ...]
    provenance: str

    def __post_init__(self) -> None:
        _check_name(self.name)
        _check_digest(self.name, self.size, self.sha256)
        path = PurePosixPath(self.path)
        if path.is_absolute() or ".." in path.parts or "\\" in self.path:
            raise InputError(f"{self.name}: path {self.path!r} leaves the package")

    @property
    def location(self) -> Path:
        """Where the file lies on this machine."""
        return PACKAGE / self.path

    def verify(self) -> None:
        """Compare size and sha256 with the manifest.

        Raises:
            WeightsError: the file is missing or differs; the message names it.
        """
        if not self.location.is_file():
            raise WeightsError(f"{self.location} is missing", hint="reinstall talkhead")
        data = self.location.read_bytes()
        if len(data) != self.size or hashlib.sha256(data).hexdigest() != self.sha256:
            raise WeightsError(f"{self.location} is not the file that was released", hint="reinstall talkhead")


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """The whole manifest.

    Attributes:
        format_version: of this file's layout. bundled: files inside the package. files: files to download.
    """

    format_version: int
    bundled: tuple[BundledFile, ...] = ()
    files: tuple[WeightFile, ...] = ()

    def __post_init__(self) -> None:
        if self.format_version != FORMAT_VERSION:
            raise InputError(f"format_version is {self.format_version}, this talkhead reads {FORMAT_VERSION}")
        names = [f.name for f in self.bundled] + [f.name for f in self.files]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise InputError(f"names used twice: {', '.join(repeated)}")

    def file(self, name: str) -> WeightFile:
        """The download called `name`.

        Raises:
            WeightsError: there is none.
        """
        for entry in self.files:
            if entry.name == name:
                return entry
        close = nearest(name, [entry.name for entry in self.files])
        hint = f"did you mean {close!r}?" if close else "talkhead weights list shows what it has"
        where = f" {manifest_path()}" if os.environ.get(VARIABLE) else ""
        raise WeightsError(f"the manifest{where} has no weights {name!r}", hint=hint)

    def of_system(self, system: str) -> tuple[WeightFile, ...]:
        """The downloads that belong to a system."""
        return tuple(entry for entry in self.files if system in entry.systems)

    def select(self, names: Iterable[str]) -> tuple[WeightFile, ...]:
        """The downloads with these names, of a file or of a system; all of them if there are no names.

        Raises:
            WeightsError: a name is neither.
        """
        wanted = list(names)
        if not wanted:
            return self.files
        found: dict[str, WeightFile] = {}
        systems = sorted({system for entry in self.files for system in entry.systems})
        bundled = {entry.name for entry in self.bundled} | {system for e in self.bundled for system in e.systems}
        for name in wanted:
            entries = self.of_system(name) or tuple(entry for entry in self.files if entry.name == name)
            if not entries and name in bundled:
                continue
            if not entries:
                close = nearest(name, [entry.name for entry in self.files] + systems)
                hint = f"did you mean {close!r}?" if close else "talkhead weights list"
                raise WeightsError(f"the manifest has no weights {name!r}, and none of a system {name!r}", hint=hint)
            found |= {entry.name: entry for entry in entries}
        return tuple(found.values())


def manifest_path() -> Path:
    """Where the manifest lies: inside the installed package, or at the top of a checkout.

    TALKHEAD_WEIGHTS_MANIFEST names another one: of somebody's own mirror, or of weights made for tests.

    Raises:
        WeightsError: in none of these places.
    """
    named = os.environ.get(VARIABLE)
    if named:
        if not Path(named).is_file():
            raise WeightsError(f"{VARIABLE} is {named}, and there is no such file")
        return Path(named)
    for folder in (PACKAGE, PACKAGE.parent):
        if (folder / FILE_NAME).is_file():
            return folder / FILE_NAME
    raise WeightsError(f"{FILE_NAME} is not in {PACKAGE}", hint="reinstall talkhead")


def read_manifest(path: Path) -> Manifest:
    """Read and check a manifest file.

    Raises:
        InputError: it breaks the format; the message names the file and the key.
    """
    return read_config(path, Manifest)


@functools.cache
def load_manifest() -> Manifest:
    """The manifest that belongs to this talkhead, read once.

    Raises:
        WeightsError: it is missing or broken.
    """
    path = manifest_path()
    try:
        return read_manifest(path)
    except InputError as error:
        hint = f"{VARIABLE} names it" if os.environ.get(VARIABLE) else "reinstall talkhead"
        raise WeightsError(f"damaged manifest: {error.message}", hint=hint) from error


def megabytes(n_bytes: int) -> str:
    """A size for people."""
    return f"{n_bytes / 1e9:.2f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.1f} MB"


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", name):
        raise InputError(f"name {name!r} may hold lower-case letters, digits, '.', '_' and '-' only")


def _check_digest(name: str, size: int, sha256: str) -> None:
    if size < 1:
        raise InputError(f"{name}: size is {size}, expected a positive number of bytes")
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise InputError(f"{name}: sha256 is {sha256!r}, expected 64 lower-case hex digits")
