"""`Evaluation`: everything a run found, and its JSON and CSV forms."""

from __future__ import annotations

import csv
import importlib.metadata
import io
import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from talkhead.errors import InputError
from talkhead.evaluation.clip import ClipResult
from talkhead.evaluation.measurement import Measurement
from talkhead.evaluation.protocol import Pool, Protocol
from talkhead.evaluation.suite import SetRow

FORMAT, FORMAT_VERSION = "talkhead-evaluation", 1
PACKAGES = ("numpy", "scipy", "scikit-image", "torch", "mediapipe", "opencv-contrib-python", "opencv-python")
COLUMNS = (
    "scope", "clip", "side", "name", "definition", "grade", "value", "low_95", "high_95", "unit", "pool", "n_frames",
    "frames_dropped", "n_clips", "reason", "params",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """A clip of a set that could not be judged."""

    name: str
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """What a run found.

    Attributes:
        protocol: how clips were judged. clips: in the order given. set_rows, real_set_rows: of a set, else empty.
        failures: clips that could not be judged. notes: what a reader should know of the set. versions: of packages.
        weights: sha256 of files, by name. seconds: of the work.
    """

    protocol: Protocol
    clips: tuple[ClipResult, ...]
    set_rows: tuple[SetRow, ...] = ()
    real_set_rows: tuple[SetRow, ...] = ()
    failures: tuple[Failure, ...] = ()
    notes: tuple[str, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)
    weights: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def rows(self) -> tuple[Measurement, ...]:
        """The numbers to read first: those of the set in the protocol's pooling, else those of the only clip."""
        return tuple(row.measurement for row in main_rows(self.set_rows, self.protocol.pool)) or (
            self.clips[0].rows if self.clips else ()
        )

    @property
    def real_rows(self) -> tuple[Measurement, ...]:
        """The same of the real clips."""
        return tuple(row.measurement for row in main_rows(self.real_set_rows, self.protocol.pool)) or (
            self.clips[0].real_rows if self.clips and not self.set_rows else ()
        )

    def value(self, name: str) -> float | None:
        """The value of a row by its name; None where it has none or there is no such row."""
        return next((row.value for row in self.rows if row.name == name), None)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "protocol": self.protocol.as_dict(),
            "versions": self.versions,
            "weights": self.weights,
            "seconds": round(self.seconds, 3),
            "notes": list(self.notes),
            "clips": [clip_as_dict(clip) for clip in self.clips],
            "set": [_set_row_as_dict(row) for row in self.set_rows],
            "real_set": [_set_row_as_dict(row) for row in self.real_set_rows],
            "failures": [asdict(failure) for failure in self.failures],
        }

    def as_json(self) -> str:
        """A JSON document."""
        return json.dumps(self.as_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def as_csv(self) -> str:
        """A flat table, one row per number."""
        held = io.StringIO()
        writer = csv.DictWriter(held, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for clip in self.clips:
            for side, rows in (("generated", clip.rows), ("real", clip.real_rows)):
                writer.writerows(_flat(row, scope="clip", clip=clip.name, side=side) for row in rows)
        for side, set_rows in (("generated", self.set_rows), ("real", self.real_set_rows)):
            writer.writerows(
                _flat(r.measurement, scope="set", clip="", side=side) | {
                    "pool": r.pool, "low_95": _number(r.low), "high_95": _number(r.high)
                }
                for r in set_rows
            )  # fmt: skip
        return held.getvalue()


def main_rows(rows: Iterable[SetRow], pool: Pool) -> list[SetRow]:
    """One row per name and definition: in this pooling where there is one, else the other."""
    chosen: dict[tuple[str, str, str], SetRow] = {}
    for row in rows:
        key = (row.measurement.name, row.measurement.definition, row.measurement.grade)
        if key not in chosen or row.pool == pool:
            chosen[key] = row
    return list(chosen.values())


def versions() -> dict[str, str]:
    """Versions of this program and of the packages that numbers depend on."""
    from talkhead import __version__

    found = {"talkhead": __version__}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def read_evaluation(path: Path) -> dict[str, Any]:
    """The JSON document of an earlier run.

    Raises:
        InputError: unreadable, or something else.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path}: {error}", hint="give files that `talkhead eval -o` wrote") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise InputError(f"{path} is no result of `talkhead eval`", hint="give files that `talkhead eval -o` wrote")
    if document.get("format_version") != FORMAT_VERSION:
        raise InputError(f"{path} has format version {document.get('format_version')}, expected {FORMAT_VERSION}")
    return document


def clip_as_dict(clip: ClipResult) -> dict[str, Any]:
    """One clip for JSON."""
    return {
        "name": clip.name,
        "files": clip.files,
        "fps": clip.fps,
        "size": list(clip.size),
        "n_frames": clip.n_frames,
        "crop": clip.crop,
        "seconds": round(clip.seconds, 3),
        "notes": list(clip.notes),
        "rows": [_row_as_dict(row) for row in clip.rows],
        "real_rows": [_row_as_dict(row) for row in clip.real_rows],
    }


def clip_from_dict(stored: dict[str, Any]) -> ClipResult:
    """What `clip_as_dict` gave; without curves and pictures."""
    known = {field.name for field in fields(Measurement)}

    def rows(key: str) -> tuple[Measurement, ...]:
        return tuple(Measurement(**{name: row[name] for name in known if name in row}) for row in stored[key])

    return ClipResult(
        name=stored["name"],
        files=stored["files"],
        fps=stored["fps"],
        size=(stored["size"][0], stored["size"][1]),
        n_frames=stored["n_frames"],
        rows=rows("rows"),
        real_rows=rows("real_rows"),
        crop=stored["crop"],
        notes=tuple(stored["notes"]),
        seconds=stored["seconds"],
    )


def _row_as_dict(row: Measurement) -> dict[str, Any]:
    params = {key: value for key, value in row.params.items() if not _is_odd(value)}
    identical = {"identical": params["identical"]} if "identical" in params else {}
    return asdict(row) | {"params": params} | identical


def _set_row_as_dict(row: SetRow) -> dict[str, Any]:
    return _row_as_dict(row.measurement) | {"pool": row.pool, "low_95": row.low, "high_95": row.high}


def _flat(row: Measurement, **where: str) -> dict[str, Any]:
    params = "; ".join(f"{key}={value}" for key, value in row.params.items())
    return where | {
        "name": row.name, "definition": row.definition, "grade": row.grade, "value": _number(row.value),
        "unit": row.unit, "n_frames": row.n_frames, "frames_dropped": row.frames_dropped, "n_clips": row.n_clips,
        "reason": row.reason, "params": params,
    }  # fmt: skip


def _number(value: float | None) -> str:
    return "" if value is None else repr(value)


def _is_odd(value: object) -> bool:
    return isinstance(value, float) and not math.isfinite(value)
