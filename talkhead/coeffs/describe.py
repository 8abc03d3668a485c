"""What coefficients hold, for people: facts, ranges per column, sparklines, a plot."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from talkhead.coeffs.change import AXES
from talkhead.coeffs.container import Coeffs
from talkhead.coeffs.layout import EXTRA_OF, Space
from talkhead.coeffs.retarget import mouth_opening
from talkhead.errors import EnvironmentProblem
from talkhead.files import atomic_output

if TYPE_CHECKING:
    from matplotlib.axes import Axes

F64 = npt.NDArray[np.float64]

_BARS = "▁▂▃▄▅▆▇█"
# Columns people know by a name; units are those shown, angles in degrees.
_COLUMNS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "rot": (AXES, "deg"),
    "trans": (("x", "y", "z"), "100 mm"),
    "scale": (("",), "px/unit"),
    "eyelid": (("left", "right"), "closure"),
    "gaze": (("x", "y"), "deg"),
    "tongue": (("",), "raise"),
}
_IN_DEGREES = frozenset({"rot", "gaze"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """One row of the table: a column of a track over time.

    Attributes:
        track, name: e.g. `rot`, `yaw`. unit: of the numbers. relative: whether they are offsets from the source's rest.
        low, mean, high, std: over time. spark: its course as a line of block characters, empty for a single value.
    """

    track: str
    name: str
    unit: str
    relative: bool
    low: float
    mean: float
    high: float
    std: float
    spark: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Description:
    """Facts by name (all of them text, numbers or lists of names), and one `Column` per row."""

    facts: Mapping[str, Any]
    columns: tuple[Column, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"facts": dict(self.facts), "columns": [asdict(column) for column in self.columns]}


def describe(coeffs: Coeffs, *, space: Space | None = None, components: int | None = 4, width: int = 32) -> Description:
    """Describe coefficients.

    Args:
        coeffs: any. space: of the codes, adds standard deviations and the mouth opening. components: how many columns
            of `id` and `exp` to list; None for all. width: of the sparklines, characters.
    """
    facts: dict[str, Any] = {
        "space": coeffs.space,
        "frames": coeffs.n_frames,
        "fps": coeffs.fps,
        "duration_s": round(coeffs.duration_s, 3),
        "tracks": {name: list(value.shape) for name, value in coeffs.tensors().items()},
        "relative": sorted(coeffs.relative),
    }
    for fact, names in (("extra", coeffs.extra.keys() & EXTRA_OF), ("unknown", coeffs.extra.keys() - EXTRA_OF.keys())):
        if names:
            facts[fact] = {name: list(coeffs.extra[name].shape) for name in sorted(names)}
    if coeffs.size is not None:
        facts["source_size"] = [round(float(v)) for v in coeffs.size]
    facts |= {
        name: value
        for name, value in (
            ("source_sha256", coeffs.source_sha256),
            ("created_by", coeffs.created_by),
            ("params", dict(coeffs.params)),
        )
        if value
    }
    rows = tuple(
        _column(track, name, unit, values, relative=track in coeffs.relative, width=width)
        for track, name, unit, values in _columns(coeffs, space, components)
    )
    return Description(facts=facts, columns=rows)


def sparkline(values: npt.ArrayLike, width: int = 32) -> str:
    """The course of a track as block characters; each shows what lies farthest from the median in its stretch.

    Args:
        values: (T,). width: at most this many characters.
    """
    v = np.asarray(values, np.float64)
    middle = np.median(v)
    parts = np.array_split(v, min(width, len(v)))
    picked = np.array([part[np.abs(part - middle).argmax()] for part in parts])
    low, high = picked.min(), picked.max()
    if high - low <= 1e-9 * max(1.0, abs(high)):
        return _BARS[0] * len(picked)
    level = np.minimum(((picked - low) / (high - low) * len(_BARS)).astype(int), len(_BARS) - 1)
    return "".join(_BARS[i] for i in level)


def plot(
    coeffs: Coeffs,
    path: str | os.PathLike[str],
    *,
    space: Space | None = None,
    title: str = "",
    overwrite: bool = False,
) -> None:
    """Draw every track over time into a PNG picture.

    Args:
        coeffs: any. path: picture to write. space: of the codes; adds the mouth opening. title: above the drawing.
        overwrite: replace a picture already there.
    Raises:
        EnvironmentProblem: matplotlib is not installed. OutputExistsError, MediaError: as `atomic_output`.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as cause:
        raise EnvironmentProblem("plots need matplotlib", hint="pip install matplotlib") from cause

    panels: dict[str, list[tuple[str, str, F64]]] = {}
    for track, name, unit, values in _columns(coeffs, space, 6):
        if len(values) == coeffs.n_frames:
            panels.setdefault(track, []).append((name, unit, values))
    # A Figure of its own, not pyplot's: no window system is asked for and nothing global changes.
    figure = Figure(figsize=(10, 0.6 + 1.5 * max(len(panels), 1)), layout="constrained")
    drawn: Any = figure.subplots(max(len(panels), 1), 1, sharex=True, squeeze=False)
    seconds = np.arange(coeffs.n_frames) / coeffs.fps
    for axes, (track, lines) in zip(drawn[:, 0], panels.items(), strict=False):
        _draw(axes, seconds, track + (" (offset)" if track in coeffs.relative else ""), lines)
    drawn[-1, 0].set_xlabel("seconds")
    figure.suptitle(title or f"{coeffs.space}, {coeffs.n_frames} frames at {coeffs.fps:g}/s", fontsize=10)
    with atomic_output(path, overwrite) as temporary:
        figure.savefig(temporary, format="png", dpi=110, metadata={"Software": None})


def _draw(axes: Axes, seconds: F64, label: str, lines: list[tuple[str, str, F64]]) -> None:
    # A single frame has no line to draw.
    marker = "o" if len(seconds) == 1 else ""
    for name, _, values in lines:
        axes.plot(seconds, values, marker=marker, linewidth=0.9, label=name or None)
    axes.set_ylabel(f"{label}\n{lines[0][1]}", fontsize=8)
    axes.tick_params(labelsize=7)
    axes.grid(alpha=0.3, linewidth=0.5)
    axes.margins(x=0.01)
    if any(name for name, _, _ in lines):
        axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1, 1), frameon=False)


def _columns(coeffs: Coeffs, space: Space | None, components: int | None) -> Iterator[tuple[str, str, str, F64]]:
    """Track, column, unit and values of every row, (T,) or, for codes of identity, (1,)."""
    for track, tensor in coeffs.tensors().items():
        values = tensor.astype(np.float64)
        if track in ("id", "exp"):
            yield from _codes(track, np.atleast_2d(values), _known(coeffs, space), components)
        elif track == "au":
            yield from (("au", name, "", values[:, i]) for i, name in enumerate(coeffs.au_names))
        elif track in _COLUMNS:
            names, unit = _COLUMNS[track]
            unit = "factor" if track == "scale" and "scale" in coeffs.relative else unit
            table = np.degrees(values) if track in _IN_DEGREES else values
            yield from ((track, name, unit, table.reshape(len(table), -1)[:, i]) for i, name in enumerate(names))
    opening = mouth_opening(coeffs, space)
    if opening is not None:
        yield "mouth", "opening", "eye distances", opening


def _codes(track: str, values: F64, space: Space | None, components: int | None) -> Iterator[tuple[str, str, str, F64]]:
    unit, table = "codes", values
    if space is not None:
        std = np.maximum((space.id_std if track == "id" else space.exp_std).astype(np.float64), 1e-9)
        if len(std) == values.shape[1]:
            unit, table = "std", values / std
    for i in range(table.shape[1] if components is None else min(components, table.shape[1])):
        yield track, f"pc{i + 1}", unit, table[:, i]


def _known(coeffs: Coeffs, space: Space | None) -> Space | None:
    return space if space is not None and space.name == coeffs.space else None


def _column(track: str, name: str, unit: str, values: F64, *, relative: bool, width: int) -> Column:
    return Column(
        track=track,
        name=name,
        unit=unit,
        relative=relative,
        low=float(values.min()),
        mean=float(values.mean()),
        high=float(values.max()),
        std=float(values.std()),
        spark=sparkline(values, width) if len(values) > 1 else "",
    )
