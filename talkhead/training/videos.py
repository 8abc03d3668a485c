"""What to prepare: files, folders and tables of videos -> one list."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from talkhead.errors import InputError

SUFFIXES = frozenset(
    (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".3gp", ".flv", ".mpg", ".mpeg", ".mts", ".ogv", ".ts", ".wmv")
)
COLUMNS = ("path", "start", "end", "person")


@dataclass(frozen=True, kw_only=True, slots=True)
class Video:
    """A video to be prepared, or a part of one.

    Attributes:
        path: the file. start_s, end_s: the part, seconds; None is the file's end. person: who it shows.
    """

    path: Path
    person: str
    start_s: float = 0.0
    end_s: float | None = None

    @property
    def key(self) -> str:
        """A name of its own, without dots and slashes: the file's, and a hash of where it is and which part it is."""
        about = f"{self.path.resolve()}|{self.start_s!r}|{self.end_s!r}|{self.person}"
        stem = "".join(c if c.isalnum() and c.isascii() else "-" for c in self.path.stem)[:40]
        return f"{stem}-{hashlib.sha256(about.encode()).hexdigest()[:10]}"

    @property
    def label(self) -> str:
        """The file and the part, for people."""
        if not self.start_s and self.end_s is None:
            return str(self.path)
        return f"{self.path} from {self.start_s:g} s" + ("" if self.end_s is None else f" to {self.end_s:g} s")


def find_videos(inputs: Sequence[str | Path]) -> list[Video]:
    """All videos that are meant, each once, in order.

    Args:
        inputs: video files; folders, searched through and through; tables (`.csv`) with the columns `path` (relative
            to the table) and optionally `start`, `end` (seconds) and `person`. A person is the first folder below a
            folder that was given, as in VoxCeleb, else the name of the file.
    Raises:
        InputError: an input is missing, a folder holds no video, a table is malformed, or there is nothing at all.
    """
    found: dict[str, Video] = {}
    for given in map(Path, inputs):
        for video in _of_input(given):
            found.setdefault(video.key, video)
    if not found:
        raise InputError("no video given")
    return list(found.values())


def _of_input(given: Path) -> Iterable[Video]:
    if given.is_dir():
        files = sorted(p for p in given.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
        if not files:
            raise InputError(f"no video in {given}", hint=f"names that end in {' '.join(sorted(SUFFIXES))} count")
        return [Video(path=file, person=_person(file, given)) for file in files]
    if not given.exists():
        raise InputError(f"cannot read {given}: no such file")
    if given.suffix.lower() == ".csv":
        return _of_table(given)
    return [Video(path=given, person=given.stem)]


def _person(file: Path, below: Path) -> str:
    first = file.relative_to(below).parts[0]
    return file.stem if first == file.name else first


def _of_table(table: Path) -> Iterator[Video]:
    try:
        text = table.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {table}: {error}") from error
    reader = csv.DictReader(text.splitlines(), skipinitialspace=True)
    unknown = [name for name in reader.fieldnames or () if name not in COLUMNS]
    if unknown or "path" not in (reader.fieldnames or ()):
        what = f"unknown column {unknown[0]!r}" if unknown else "no column 'path'"
        raise InputError(f"{table}: {what}", hint=f"columns: {', '.join(COLUMNS)}")
    for line, row in enumerate(reader, 2):
        if None in row:
            raise InputError(f"{table}, line {line}: more values than columns", hint="put names with commas in quotes")
        where = f"{table}, line {line}"
        if not (row["path"] or "").strip():
            raise InputError(f"{where}: no path")
        path = table.parent / row["path"].strip()
        start, end = (_seconds(row.get(name), name, where) for name in ("start", "end"))
        if end is not None and end <= (start or 0.0):
            raise InputError(f"{where}: end {end:g} is not after start {start or 0:g}")
        person = (row.get("person") or "").strip() or path.stem
        yield Video(path=path, start_s=start or 0.0, end_s=end, person=person)


def _seconds(text: str | None, name: str, where: str) -> float | None:
    if text is None or not text.strip():
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise InputError(f"{where}: {name} is {text!r}, expected seconds")
    return value
