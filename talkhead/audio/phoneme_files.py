"""Reads the phone times that aligners write: Praat TextGrid, HTK, Audacity, xwaves, TIMIT and CTM labels, JSON, CSV."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from talkhead.audio.phonemes import PhonemeSet, PhoneTiming, Row, phone_timing
from talkhead.errors import InputError

_HTK_PER_S, _TIMIT_PER_S = 1e7, 16_000.0
_LEAST_HTK = 100_000  # whole numbers whose last is at least this (0.01 s) are HTK's 100 ns
_MAX_BYTES = 200_000_000
_PHONE_TIERS = re.compile(r"(^|[^a-z])(phones?|phonemes?|phons?|segments?|mau)$")
_STARTS = ("start", "begin", "start_s", "xmin", "tmin", "start_time")
_ENDS = ("end", "stop", "end_s", "xmax", "tmax", "end_time")
_NAMES = ("phone", "phoneme", "label", "name", "text", "symbol", "mark")


def read_phonemes(path: str | os.PathLike[str], phoneme_set: PhonemeSet = "auto") -> PhoneTiming:
    """Read the phone times that an aligner wrote.

    Praat TextGrid (long and short; the interval tier named phones, phonemes or phone, or the only one), label files
    (`start end name`: Audacity and Kaldi in seconds, HTK in 100 ns; xwaves and flite `end colour name` after a line
    `#`; TIMIT `.phn` in samples; `.ctm`), JSON (list of `{start, end, phone}`, or Montreal's), CSV (with or without
    names of columns). UTF-8 or UTF-16.

    Args:
        path: of the file. phoneme_set: "ipa", "arpabet", or "auto" to tell them apart by the names.
    Returns:
        Phones in order; labels of unknown or non-speech sounds (spn) are left out.
    Raises:
        InputError: unreadable, of no known format, without phones, or with times that make no sense (line and value).
        UsageError: no such phoneme set.
    """
    path = Path(path)
    text = read_text(path)
    rows = list(_reader(path, text)(path, text))
    return phone_timing(rows, str(path), phoneme_set)


def read_text(path: Path) -> str:
    """The text of a file, UTF-8 or UTF-16, lines ended by a newline.

    Raises:
        InputError: missing, unreadable, too large, or not text.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise InputError(f"{path} has {path.stat().st_size / 1e6:.0f} MB; so much text is refused")
        data = path.read_bytes()
    except OSError as cause:
        raise InputError(f"cannot read {path}: {(cause.strerror or str(cause)).lower()}") from cause
    try:
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as cause:
        raise InputError(f"{path} is not text in UTF-8 or UTF-16 (byte {cause.start})") from cause
    if "\0" in text:
        raise InputError(f"{path} is not text")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _reader(path: Path, text: str) -> Callable[[Path, str], Iterator[Row]]:
    suffix, start = path.suffix.lower(), text.lstrip()[:80]
    if suffix == ".textgrid" or "ooTextFile" in start:
        return _from_textgrid
    if suffix == ".json" or start.startswith(("[", "{")):
        return _from_json
    if suffix in (".csv", ".tsv"):
        return _from_csv
    return _from_labels


_TOKEN = re.compile(
    r'"(?P<text>(?:[^"]|"")*)"|(?<![^\s=])(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)(?=\s|$)|!.*'
)


class _Tokens:
    """Texts and numbers of a TextGrid, whose long form only adds names to the short one."""

    def __init__(self, path: Path, text: str) -> None:
        self.path, self.text, self.place = path, text, 0
        self._found = (m for m in _TOKEN.finditer(text) if m["text"] is not None or m["number"] is not None)

    def line(self) -> int:
        return self.text.count("\n", 0, self.place) + 1

    def next_text(self) -> str:
        found = self._next("a text in quotes")
        if found["text"] is None:
            raise InputError(f"{self.path}, line {self.line()}: expected a text in quotes, found {found['number']}")
        return found["text"].replace('""', '"')

    def next_number(self) -> float:
        found = self._next("a number")
        if found["number"] is None:
            raise InputError(f"{self.path}, line {self.line()}: expected a number, found {found[0]}")
        return float(found["number"])

    def _next(self, expected: str) -> re.Match[str]:
        found = next(self._found, None)
        if found is None:
            raise InputError(f"{self.path} ends where {expected} is expected: is it cut off?")
        self.place = found.start()
        return found


def _from_textgrid(path: Path, text: str) -> Iterator[Row]:
    tokens = _Tokens(path, text)
    kinds = (tokens.next_text(), tokens.next_text())
    if kinds[0] != "ooTextFile" or kinds[1] != "TextGrid":
        raise InputError(f"{path} is a {' '.join(kinds)}, not a TextGrid in Praat's text format")
    tokens.next_number()
    tokens.next_number()
    tiers: dict[str, list[Row]] = {}
    for _ in range(int(tokens.next_number())):
        kind, name = tokens.next_text(), tokens.next_text()
        tokens.next_number()
        tokens.next_number()
        count = int(tokens.next_number())
        rows = [_interval(tokens) if kind == "IntervalTier" else _point(tokens) for _ in range(count)]
        if kind == "IntervalTier":
            tiers[name] = rows
    yield from _phone_tier(path, tiers)


def _interval(tokens: _Tokens) -> Row:
    start, end = tokens.next_number(), tokens.next_number()
    return Row(start, end, tokens.next_text(), tokens.line())


def _point(tokens: _Tokens) -> Row:
    moment = tokens.next_number()
    return Row(moment, moment, tokens.next_text(), tokens.line())


def _phone_tier(path: Path, tiers: Mapping[str, list[Row]]) -> list[Row]:
    """The tier that holds phones, by its name or because it is the only one."""
    named = [name for name in tiers if _PHONE_TIERS.search(name.lower())] if len(tiers) > 1 else list(tiers)
    listed = ", ".join(repr(name) for name in tiers) or "none"
    if len(named) != 1:
        what = (
            f"several tiers of phones ({', '.join(map(repr, named))})" if named else f"no tier named phones ({listed})"
        )
        raise InputError(f"{path} has {what}", hint="keep one interval tier, or name the one with phones: phones")
    return tiers[named[0]]


def _from_labels(path: Path, text: str) -> Iterator[Row]:
    lines = [(number, line.split()) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    header = next((i for i, (_, words) in enumerate(lines) if words == ["#"]), None)
    if header is not None:
        return _ends_only(path, lines[header + 1 :])
    if path.suffix.lower() == ".ctm":
        return _from_ctm(path, lines)
    rows = []
    for number, words in lines:
        start, end = _number(path, number, words[0]), _number(path, number, words[1] if len(words) > 1 else "")
        rows.append(Row(start, end, words[2] if len(words) > 2 else "", number))
    are_whole = all(word.lstrip("+-").isdigit() for _, words in lines for word in words[:2])
    per_s = 1.0
    if path.suffix.lower() == ".phn":
        per_s = _TIMIT_PER_S
    elif are_whole and rows and rows[-1].end_s >= _LEAST_HTK:
        per_s = _HTK_PER_S
    return (row._replace(start_s=row.start_s / per_s, end_s=row.end_s / per_s) for row in rows)


def _ends_only(path: Path, lines: list[tuple[int, list[str]]]) -> Iterator[Row]:
    start = 0.0
    for number, words in lines:
        end = _number(path, number, words[0])
        yield Row(start, end, words[2] if len(words) > 2 else "", number)
        start = end


def _from_ctm(path: Path, lines: list[tuple[int, list[str]]]) -> Iterator[Row]:
    for number, words in lines:
        if len(words) < 5:
            raise InputError(f"{path}, line {number}: expected name, channel, start, duration, phone")
        start = _number(path, number, words[2])
        yield Row(start, start + _number(path, number, words[3]), words[4], number)


def _number(path: Path, line: int, text: Any) -> float:
    where = f"{path}, line {line}" if line else str(path)
    if isinstance(text, bool) or not isinstance(text, (str, int, float)):
        raise InputError(f"{where}: expected a time, found {text!r}")
    try:
        return float(text)
    except ValueError as cause:
        hint = "label files have lines of start, end and phone; other formats are told by their suffix"
        raise InputError(f"{where}: expected a time, found {text!r}", hint=hint) from cause


def _pick(row: Mapping[str, Any], names: Iterable[str]) -> Any:
    return next((row[name] for name in names if row.get(name) is not None), None)


def _from_json(path: Path, text: str) -> Iterator[Row]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as cause:
        line = getattr(cause, "lineno", None)
        raise InputError(f"{path}{f', line {line}' if line else ''} is not JSON: {cause}") from cause
    for index, entry in enumerate(_json_list(found), 1):
        start = end = name = None
        if isinstance(entry, list) and len(entry) >= 3:
            start, end, name = entry[:3]
        elif isinstance(entry, Mapping):
            start, end, name = _pick(entry, _STARTS), _pick(entry, _ENDS), _pick(entry, _NAMES)
            if end is None and start is not None and "duration" in entry:
                end = _number(path, 0, start) + _number(path, 0, entry["duration"])
        if start is None or end is None or not isinstance(name, str):
            raise InputError(
                f"{path}: entry {index} is {json.dumps(entry)[:80]}",
                hint='expected {"start": 0.1, "end": 0.2, "phone": "AH"}',
            )
        yield Row(_number(path, 0, start), _number(path, 0, end), name, 0)


def _json_list(found: Any) -> Any:
    """The list of phones: the whole file, its `phones`, or the `tiers` that the Montreal aligner writes."""
    if isinstance(found, Mapping):
        inside = _pick(found, ("phones", "phonemes", "segments", "entries"))
        if inside is None and isinstance(found.get("tiers"), Mapping):
            named = [name for name in found["tiers"] if _PHONE_TIERS.search(str(name).lower())]
            inside = found["tiers"][named[0]] if len(named) == 1 else None
        return _json_list(inside)
    return found if isinstance(found, list) else []


def _from_csv(path: Path, text: str) -> Iterator[Row]:
    sample = text[:4096]
    delimiter = max("\t,;", key=sample.count)
    reader = csv.reader(io.StringIO(text), delimiter=delimiter)
    places: dict[str, int] | None = None
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        if places is None:
            places = _columns(path, cells)
            if places["named"]:
                continue
        row = {name: cells[place].strip() for name, place in places.items() if name != "named" and place < len(cells)}
        if row.get("type", "phones") not in ("phones", "phone", "phoneme"):
            continue  # the Montreal aligner puts words and phones in one table
        start = _number(path, reader.line_num, row.get("start", ""))
        end = _number(path, reader.line_num, row.get("end", row.get("duration", "")))
        yield Row(start, end if "end" in places else start + end, row.get("name", ""), reader.line_num)


def _columns(path: Path, header: list[str]) -> dict[str, int]:
    """Place of each column; `named` says whether this line names them."""
    cells = [cell.strip().lower() for cell in header]
    meanings = {"start": _STARTS, "end": _ENDS, "duration": ("duration", "dur"), "name": _NAMES, "type": ("type",)}
    places = {what: cells.index(name) for what, names in meanings.items() for name in reversed(names) if name in cells}
    if "start" in places and "name" in places and ("end" in places or "duration" in places):
        return places | {"named": 1}
    if re.fullmatch(r"[-+.\deE]+", cells[0]) and len(cells) >= 3:
        return {"start": 0, "end": 1, "name": 2, "named": 0}
    raise InputError(
        f"{path}, line 1: no columns start, end and phone in {', '.join(cells)}", hint="e.g. start,end,phone"
    )
