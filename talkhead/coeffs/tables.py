"""Numbers by column name out of the CSV files of other programs."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from talkhead.errors import CoeffFileError

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Table:
    """A CSV file with a header line; columns are read when asked for, since such files have hundreds of them.

    Attributes:
        path: of the file. columns: column name in small letters -> its place. n_rows: without the header.
    """

    path: Path
    columns: Mapping[str, int]
    n_rows: int

    def __len__(self) -> int:
        return self.n_rows

    def __contains__(self, column: object) -> bool:
        return isinstance(column, str) and column.lower() in self.columns

    def numbers(self, column: str) -> F64:
        """One column, (n_rows,); errors as `matrix`."""
        found: F64 = self.matrix([column])[:, 0]
        return found

    def matrix(self, columns: Iterable[str]) -> F64:
        """Several columns side by side, (n_rows, n_columns).

        Raises:
            CoeffFileError: a column is missing, or a cell is not a finite number.
        """
        names = list(columns)
        places = [self._place(name) for name in names]
        with _failures_named(self.path):
            values = np.loadtxt(
                self.path, delimiter=",", skiprows=1, usecols=places, ndmin=2, encoding="utf-8-sig", comments=None
            )
        bad = np.argwhere(~np.isfinite(values))
        if len(bad):
            row, column = bad[0]
            raise CoeffFileError(f"{self.path}: {names[column]} in row {row + 1} is {values[row, column]}")
        return values

    def text(self, column: str) -> list[str]:
        """One column as it stands.

        Raises:
            CoeffFileError: the column is missing, or a row is too short for it.
        """
        place = self._place(column)
        with _failures_named(self.path), self.path.open(newline="", encoding="utf-8-sig") as stream:
            return [row[place].strip() for row in csv.reader(stream) if row][1:]

    def _place(self, column: str) -> int:
        if column not in self:
            raise CoeffFileError(f"{self.path} has no column {column}")
        return self.columns[column.lower()]


def read_table(path: str | os.PathLike[str]) -> Table:
    """Open a CSV file: its header is read and its rows are counted.

    Raises:
        CoeffFileError: the file is missing, is not text, or has no rows.
    """
    path = Path(path)
    with _failures_named(path), path.open(newline="", encoding="utf-8-sig") as stream:
        header = next(csv.reader(stream), [])
        n_rows = sum(1 for line in stream if line.strip())
    if not n_rows:
        raise CoeffFileError(f"{path}: a header line and at least one row are needed")
    return Table(path, {name.strip().lower(): place for place, name in enumerate(header)}, n_rows)


@contextmanager
def _failures_named(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, IndexError, csv.Error) as cause:
        raise CoeffFileError(f"cannot read table {path}: {cause}") from cause
