"""Results as text: one run with its grades, or several side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from talkhead.errors import UsageError
from talkhead.evaluation.evaluation import Evaluation, main_rows, read_evaluation
from talkhead.evaluation.measurement import Measurement
from talkhead.evaluation.protocol import difference

NOTHING = "-"


def number(value: float | None) -> str:
    """Four digits; `-` for a value that does not exist."""
    return NOTHING if value is None else f"{value:.4g}"


def as_text(found: Evaluation) -> str:
    """The table of a run: name, value, interval, real, grade, unit, frames, dropped, definition; then the reasons."""
    real = {(row.name, row.definition): row for row in found.real_rows}
    bounds = {
        (r.measurement.name, r.measurement.definition): (r.low, r.high)
        for r in main_rows(found.set_rows, found.protocol.pool)
    }
    head = ["name", "value", "real", "grade", "unit", "frames", "dropped", "definition"]
    if bounds:
        head[2:2] = ["95 %", "clips"]
    lines = [head]
    for row in found.rows:
        if row.value is None:
            continue
        other = real.get((row.name, row.definition))
        cells = [
            row.name, number(row.value), number(other.value if other else None), row.grade, row.unit,
            str(row.n_frames), str(row.frames_dropped), row.definition,
        ]  # fmt: skip
        if bounds:
            low, high = bounds.get((row.name, row.definition), (None, None))
            cells[2:2] = ["" if low is None or high is None else f"{number(low)}..{number(high)}", str(row.n_clips)]
        lines.append(cells)
    parts = [*([_aligned(lines)] if len(lines) > 1 else []), *_reasons(found.rows), *_notes(found)]
    return "\n".join(parts).strip("\n")


def compare(files: Sequence[Path]) -> tuple[str, list[dict[str, Any]]]:
    """Two or more runs side by side.

    Args:
        files: JSON documents of runs.
    Returns:
        The table, and its rows as dicts.
    Raises:
        UsageError: fewer than two, or they were judged under different protocols. InputError: unreadable.
    """
    if len(files) < 2:
        raise UsageError("a comparison needs two or more JSON files")
    documents = [read_evaluation(path) for path in files]
    first = documents[0]
    for path, document in zip(files[1:], documents[1:], strict=True):
        if apart := difference(first["protocol"], document["protocol"]):
            raise UsageError(
                f"{files[0]} and {path} were judged under different protocols ({apart}) and cannot be compared",
                hint="run one of them again",
            )
    columns = [_main(document) for document in documents]
    keys = list(dict.fromkeys(key for column in columns for key in column))
    labels = _labels(files)
    rows: list[dict[str, Any]] = [
        {"name": name, "definition": definition, "grade": grade, "unit": unit}
        | {label: column.get(key, {}).get("value") for label, column in zip(labels, columns, strict=True)}
        for key in keys
        for name, definition, grade, unit in [key]
    ]
    shown = [row for row in rows if any(row[label] is not None for label in labels)]
    head = ["name", *labels, "grade", "unit", "definition"]
    ends = ("grade", "unit", "definition")
    lines = [[r["name"], *(number(r[label]) for label in labels), *(r[end] for end in ends)] for r in shown]
    none = [row["name"] for row in rows if row not in shown]
    text = _aligned([head, *lines])
    notes = [f"no value in any run: {', '.join(none)}"] if none else []
    if len({_judged(document) for document in documents}) > 1:
        notes.append("the runs judged other real clips, or other numbers of frames: differences may come from that")
    return "\n".join([text, *(f"\n{note}" for note in notes)]), rows


def _main(document: dict[str, Any]) -> dict[tuple[str, str, str, str], dict[str, Any]]:
    """The rows to compare of a stored run: of the set in the protocol's pooling, else of the only clip."""
    pool = document["protocol"]["pool"]
    stored = document["set"] or (document["clips"][0]["rows"] if document["clips"] else [])
    chosen: dict[tuple[str, str, str, str], dict[str, Any]] = {}
    for row in stored:
        key = (row["name"], row["definition"], row["grade"], row["unit"])
        if key not in chosen or row.get("pool") == pool:
            chosen[key] = row
    return chosen


def _judged(document: dict[str, Any]) -> tuple[tuple[str, int], ...]:
    """Names of the real clips, and how many frames were judged."""
    clips = document["clips"]
    return tuple(sorted((Path(clip["files"].get("real", "")).name, clip["n_frames"]) for clip in clips))


def _labels(files: Sequence[Path]) -> list[str]:
    """Short names of files, all different."""
    for names in ([path.stem for path in files], [str(path) for path in files]):
        if len(set(names)) == len(names):
            return names
    return [f"{number}: {path}" for number, path in enumerate(files, 1)]


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    right = [all(_is_number(line[i]) for line in lines[1:]) for i in range(len(lines[0]))]

    def padded(line: Sequence[str]) -> str:
        cells = zip(line, widths, right, strict=True)
        return "  ".join(cell.rjust(w) if is_right else cell.ljust(w) for cell, w, is_right in cells).rstrip()

    return "\n".join(map(padded, lines))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text in (NOTHING, "")
    return True


def _reasons(rows: Sequence[Measurement]) -> list[str]:
    """Rows without value, one line a reason."""
    why: dict[str, list[str]] = {}
    for row in rows:
        if row.value is None:
            why.setdefault(row.reason, []).append(row.name)
    return ["", "no value:", *(f"  {', '.join(names)}: {reason}" for reason, names in why.items())] if why else []


def _notes(found: Evaluation) -> list[str]:
    open_points = [found.protocol.unknown] if found.protocol.unknown else []
    shown = [f"  {note}" for note in [*open_points, *found.notes]]
    notes = [(clip.name, note) for clip in found.clips for note in clip.notes]
    shown += [f"  {name}: {note}" if len(found.clips) > 1 else f"  {note}" for name, note in notes]
    warned = [f"  {row.name}: {row.params['warning']}" for row in found.rows if "warning" in row.params]
    failed = [f"  {failure.name}: {failure.message}" for failure in found.failures]
    parts = []
    if shown or warned:
        parts += ["", "notes:", *shown, *warned]
    if failed:
        parts += ["", "not judged:", *failed]
    return parts
