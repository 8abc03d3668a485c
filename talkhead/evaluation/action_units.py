"""Action units of generated and real frames: AU-H (HeadGAN), F1 and accuracy (AU-driven talking heads).

The published numbers come from OpenFace 2 (Baltrusaitis et al. 2018), a program of its own whose CSV files are read
here. Without it five units are guessed from the face mesh, under a name that says so.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from talkhead.coeffs.tables import Table, read_table
from talkhead.errors import CoeffFileError, ShapeError
from talkhead.evaluation.measurement import PROXY_SIGN, Grade, Measurement, measurement_of
from talkhead.evaluation.mesh_readings import MeshReadings

F64 = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
ZeroDivision = Literal["leave out", 0]

SPEECH_UNITS = ("AU10", "AU14", "AU20", "AU25", "AU26")
LEAST_SUPPORT = 0.05  # of the real frames: rarer units have an F1 that a single frame moves

LIPS_APART, CHIN_DROP, LIP_RAISE, STRETCH, DIMPLE, DIMPLE_GAP = 0.03, 0.06, 0.02, 0.03, 0.02, 0.02  # eye distances


@dataclass(frozen=True, kw_only=True, slots=True)
class Presences:
    """Which action units are there in which frames.

    Attributes:
        units: their names, "AU01", ... present: (T, U) bool. found: (T,) where the face was measured.
        frames: (T,) number of each frame in its clip, rising.
    Raises:
        ShapeError: the shapes do not go together.
    """

    units: tuple[str, ...]
    present: Flags
    found: Flags
    frames: npt.NDArray[np.intp]

    def __post_init__(self) -> None:
        if self.present.shape != (len(self.found), len(self.units)):
            raise ShapeError("present", self.present.shape, f"({len(self.found)}, {len(self.units)})")
        if self.frames.shape != self.found.shape:
            raise ShapeError("frames", self.frames.shape, f"({len(self.found)},)")


def read_presences(path: str | os.PathLike[str]) -> Presences:
    """Presences from a CSV file of OpenFace's `FeatureExtraction`, of the face seen most.

    Raises:
        CoeffFileError: unreadable, or without presences (`AU10_c`, ...).
    """
    table = read_table(path)
    columns = [name for name in table.columns if name.startswith("au") and name.endswith("_c") and name[2:-2].isdigit()]
    if not columns:
        raise CoeffFileError(f"{path} holds no action unit presences", hint="run OpenFace's FeatureExtraction -aus")
    rows = _rows_of_one_face(table)
    numbers = table.numbers("frame")[rows] if "frame" in table else rows
    return Presences(
        units=tuple(name[:-2].upper() for name in columns),
        present=table.matrix(columns)[rows] > 0.5,
        found=table.numbers("success")[rows] == 1 if "success" in table else np.ones(len(rows), bool),
        frames=np.asarray(numbers, np.intp),
    )


def mesh_presences(readings: MeshReadings, real: MeshReadings) -> Presences:
    """Five units guessed from the mesh, by thresholds that the real clip sets for both.

    AU25 lips apart; AU26 the chin low as well; AU10 the upper lip raised; AU20 the mouth stretched; AU14 stretched and
    closed. AU10 and AU14 are rare in speech: look at their support.

    Args:
        readings: of the clip to judge. real: of the real clip, which may be the same.
    """
    seen = real.found
    usual = {name: getattr(real, name)[seen] for name in ("chin", "lip", "width")}
    if not seen.any():
        usual = {name: np.full(1, np.nan) for name in usual}
    widest, low = readings.width - np.median(usual["width"]), np.percentile(usual["chin"], 10) + CHIN_DROP
    apart = readings.gap > LIPS_APART
    units = {
        "AU10": readings.lip < np.median(usual["lip"]) - LIP_RAISE,
        "AU14": (widest > DIMPLE) & (readings.gap < DIMPLE_GAP),
        "AU20": widest > STRETCH,
        "AU25": apart,
        "AU26": apart & (readings.chin > low),
    }
    return Presences(
        units=tuple(units),
        present=np.stack(list(units.values()), 1),
        found=readings.found if seen.any() else np.zeros(len(readings), bool),
        frames=np.arange(len(readings)),
    )


def hamming_distances(generated: Flags, real: Flags) -> F64:
    """Share of units that differ in each frame, (T,), of (T, U).

    Raises:
        ShapeError: they differ in shape.
    """
    _check_pair(generated, real)
    return np.asarray((generated != real).mean(1))


class PresenceCounts:
    """Agreement of action units over all frames of one clip or of a set.

    Args:
        units: to compare; default those of the first clip.
    """

    def __init__(self, units: Sequence[str] | None = None) -> None:
        self.units: tuple[str, ...] = tuple(units or ())
        self.n_frames = self.n_dropped = self.n_clips = 0
        self._hamming = 0.0
        self._counts = np.zeros((3, len(self.units)))  # both, generated only, real only

    def add(self, generated: Presences, real: Presences) -> None:
        """Take in one clip; frames that either lacks, or shows no face in, are dropped and counted.

        Raises:
            CoeffFileError: a unit is missing.
        """
        if not self.units:
            self.units = tuple(unit for unit in real.units if unit in generated.units)
            self._counts = np.zeros((3, len(self.units)))
        ours, theirs = (_columns(side, self.units) for side in (generated, real))
        _, a, b = np.intersect1d(generated.frames, real.frames, return_indices=True)
        kept = generated.found[a] & real.found[b]
        ours, theirs = ours[a][kept], theirs[b][kept]
        self.n_clips += 1
        self.n_frames += len(ours)
        self.n_dropped += max(len(generated.frames), len(real.frames)) - len(ours)
        self._hamming += float(hamming_distances(ours, theirs).sum())
        self._counts += np.stack([(ours & theirs).sum(0), (ours & ~theirs).sum(0), (~ours & theirs).sum(0)])

    def merge(self, other: PresenceCounts) -> None:
        """Take in what another has counted.

        Raises:
            CoeffFileError: it counted other units.
        """
        if not self.units:
            self.units, self._counts = other.units, np.zeros((3, len(other.units)))
        if other.units != self.units:
            raise CoeffFileError(f"action units differ: {', '.join(other.units)} after {', '.join(self.units)}")
        self.n_frames += other.n_frames
        self.n_dropped += other.n_dropped
        self.n_clips += other.n_clips
        self._hamming += other._hamming
        self._counts = self._counts + other._counts

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        named = {name: getattr(self, name) for name in ("n_frames", "n_dropped", "n_clips")}
        return {"units": list(self.units), **named, "hamming": self._hamming, "counts": self._counts.tolist()}

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> PresenceCounts:
        """What `as_dict` gave."""
        counts = cls(stored["units"])
        counts.n_frames, counts.n_dropped, counts.n_clips = (stored[k] for k in ("n_frames", "n_dropped", "n_clips"))
        counts._hamming = stored["hamming"]
        counts._counts = np.asarray(stored["counts"], np.float64).reshape(3, len(counts.units))
        return counts

    @property
    def hamming(self) -> float:
        """Mean share of units that differ; NaN without frames."""
        return self._hamming / self.n_frames if self.n_frames else float("nan")

    @property
    def support(self) -> F64:
        """(U,) share of real frames that show each unit."""
        return (self._counts[0] + self._counts[2]) / max(self.n_frames, 1)

    @property
    def f1(self) -> F64:
        """(U,); NaN for a unit that is in no frame of either. The same as Dice's coefficient."""
        both, *others = self._counts
        total = 2 * both + sum(others)
        return np.divide(2 * both, total, out=np.full(len(self.units), np.nan), where=total > 0)

    @property
    def accuracy(self) -> F64:
        """(U,) share of frames on which both agree; NaN without frames."""
        return 1 - self._counts[1:].sum(0) / (self.n_frames or np.nan)

    def measurements(
        self, *, source: str = "openface", grade: Grade = "paper", zero_division: ZeroDivision = "leave out"
    ) -> list[Measurement]:
        """`au_h` over all units, `au_f1` and `au_acc` over the five of speech, and the F1 of those that are not rare.

        Args:
            source: of the presences; becomes part of the name if they are a proxy. grade: of the source.
            zero_division: what the F1 of a unit that is in no frame counts as.
        """
        speech = [i for i, unit in enumerate(self.units) if unit in SPEECH_UNITS]
        f1, support = self.f1[speech], self.support[speech]
        undefined = int(np.isnan(f1).sum())
        counted = np.nan_to_num(f1) if zero_division == 0 else f1[np.isfinite(f1)]
        usual = f1[np.isfinite(f1) & (support >= LEAST_SUPPORT)]
        supports = {f"support_{self.units[i]}": float(self.support[i]) for i in speech}
        f1_params: dict[str, float | int | str] = {**supports, "undefined": undefined, "zero_division": zero_division}
        rows: list[tuple[str, str, float, str, dict[str, float | int | str]]] = [
            ("au_h", f"au_h/{len(self.units)}-units", self.hamming, "", {"n_units": len(self.units)}),
            ("au_f1", "au_f1/10-14-20-25-26", _mean(counted), "", f1_params),
            ("au_f1_usual", "au_f1/support-5-percent", _mean(usual), "", {**supports, "n_units": len(usual)}),
            ("au_acc", "au_acc/10-14-20-25-26", 100 * _mean(self.accuracy[speech]), "%", {}),
        ]
        return [
            measurement_of(
                value,
                "none of the units is in any frame" if self.n_frames else "no frame shows a face in both clips",
                name=name + (PROXY_SIGN + source if grade == "proxy" else ""),
                definition=definition,
                grade=grade,
                unit=unit,
                n_frames=self.n_frames,
                frames_dropped=self.n_dropped,
                n_clips=self.n_clips,
                params={"units_from": source, **params},
            )
            for name, definition, value, unit, params in rows
        ]


def _mean(values: F64) -> float:
    return float(values.mean()) if len(values) and np.isfinite(values).all() else float("nan")


def _columns(side: Presences, units: tuple[str, ...]) -> Flags:
    missing = [unit for unit in units if unit not in side.units]
    if missing or not units:
        raise CoeffFileError(f"action units are missing: {', '.join(missing) or 'the files share none'}")
    return side.present[:, [side.units.index(unit) for unit in units]]


def _check_pair(generated: Flags, real: Flags) -> None:
    if generated.shape != real.shape or generated.ndim != 2:
        raise ShapeError("generated", generated.shape, f"(T, U) as the real presences, {real.shape}")


def _rows_of_one_face(table: Table) -> npt.NDArray[np.intp]:
    if "face_id" not in table:
        return np.arange(len(table))
    faces = table.numbers("face_id")
    ids, counts = np.unique(faces, return_counts=True)
    return np.flatnonzero(faces == ids[counts.argmax()])
