"""Numbers of consecutive frames, kept small: means that run, columns of four bytes a number, curves a page can show."""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
Floats = npt.NDArray[np.floating[Any]]


class Mean:
    """A mean that needs no list.

    Attributes:
        n: numbers so far. total: their sum.
    """

    __slots__ = ("n", "total")

    def __init__(self) -> None:
        self.n = 0
        self.total = 0.0

    def add(self, value: float) -> None:
        """Take the next number."""
        self.n += 1
        self.total += value

    @property
    def value(self) -> float:
        """The mean; NaN without numbers."""
        return self.total / self.n if self.n else float("nan")


class Columns:
    """Rows of numbers, one a frame or several at once; 4 bytes a number are held.

    Args:
        width: numbers in a row.
    """

    def __init__(self, width: int = 1) -> None:
        self._width = width
        self._held = array("f")

    def __len__(self) -> int:
        return len(self._held) // self._width

    def add(self, *row: float) -> None:
        """Take one row."""
        assert len(row) == self._width, row
        self._held.extend(row)

    def add_rows(self, rows: Floats) -> None:
        """Take rows, (n, width), or (n,) for a single column."""
        assert rows.size == len(rows) * self._width, rows.shape
        self._held.frombytes(np.ascontiguousarray(rows, np.float32).tobytes())

    def table(self) -> F32:
        """All rows, (T, width); a copy."""
        return np.array(self._held, np.float32).reshape(-1, self._width)

    def column(self, number: int = 0) -> F32:
        """One column, (T,); a copy."""
        return np.array(np.frombuffer(self._held, np.float32)[number :: self._width])


def thinned(curve: Floats, most: int) -> F64:
    """A curve (T,) of at most so many points, evenly over the same time, whose peaks and dips are still there.

    Longer ones are cut into pieces, of which the lowest and the highest value stay in their order. What is not finite
    is NaN; a piece without numbers stays a gap.

    Args:
        most: points, even.
    """
    values = np.where(np.isfinite(curve), np.asarray(curve, np.float64), np.nan)
    if len(values) <= most:
        return values
    out = np.full((most // 2, 2), np.nan)
    for piece, part in enumerate(np.array_split(values, most // 2)):
        if np.isnan(part).all():
            continue
        low, high = int(np.nanargmin(part)), int(np.nanargmax(part))
        out[piece] = part[min(low, high)], part[max(low, high)]
    return out.reshape(-1)
