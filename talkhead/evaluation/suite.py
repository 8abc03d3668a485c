"""Clips of a set: means over clips and over frames, confidence intervals by the bootstrap (Efron 1979)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from talkhead.evaluation.families import in_order
from talkhead.evaluation.measurement import Measurement, mean_over_clips, mean_over_frames
from talkhead.evaluation.pixels import pooled_psnr
from talkhead.evaluation.protocol import Pool

F64 = npt.NDArray[np.float64]

RESAMPLES, SEED, LOW, HIGH = 2000, 0, 2.5, 97.5
LEAST_CLIPS = 2
MEANS_OVER_FRAMES = ("l1", "psnr", "ssim", "cpbd", "lpips", "csim", "lmd", "ard", "are", "au_h", "identity_shape")
"""Families of definitions whose value of a clip is a mean over its frames, so that frames can be pooled."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SetRow:
    """One number of a set.

    Attributes:
        measurement: the number. pool: what counts alike. low, high: 95 % interval over clips; None with fewer than two
            clips, and for numbers that exist for the whole set only.
    """

    measurement: Measurement
    pool: Pool
    low: float | None = None
    high: float | None = None


def set_rows(clips: Sequence[Sequence[Measurement]], gathered: Sequence[Measurement] = ()) -> tuple[SetRow, ...]:
    """Rows of a set: the mean over clips, and over frames where that differs.

    Args:
        clips: rows of each clip. gathered: numbers of the whole set.
    """
    groups: dict[tuple[str, str, str, str], list[Measurement]] = {}
    known = {row.name: row for rows in clips for row in rows if row.value is not None}
    for rows in clips:
        for row in (_as_known(row, known) for row in rows):
            groups.setdefault((row.name, row.definition, row.grade, row.unit), []).append(row)
    found: list[SetRow] = []
    for group in groups.values():
        found += _rows_of(group)
    alone = [SetRow(measurement=row, pool="frames") for row in gathered]
    names = [row.name for row in in_order([*(row.measurement for row in found), *(row.measurement for row in alone)])]
    return tuple(sorted([*found, *alone], key=lambda row: names.index(row.measurement.name)))


def interval(values: Sequence[float], weights: Sequence[float] | None = None) -> tuple[float, float] | None:
    """95 % interval of a mean: percentiles of the means of clips drawn with replacement, always from the same seed.

    Args:
        values: of the clips. weights: how much each counts.
    """
    if len(values) < LEAST_CLIPS:
        return None
    drawn = np.random.default_rng(SEED).integers(0, len(values), (RESAMPLES, len(values)))
    weight = np.ones(len(values)) if weights is None else np.asarray(weights, np.float64)
    means = (np.asarray(values) * weight)[drawn].sum(1) / weight[drawn].sum(1)
    low, high = np.percentile(means, [LOW, HIGH])
    return float(low), float(high)


def _as_known(row: Measurement, known: dict[str, Measurement]) -> Measurement:
    """A row without value counts to the number that other clips have under its name."""
    other = known.get(row.name)
    if row.value is not None or other is None:
        return row
    return replace(row, definition=other.definition, grade=other.grade, unit=other.unit)


def _rows_of(group: list[Measurement]) -> list[SetRow]:
    valued = [(row.value, row.n_frames) for row in group if row.value is not None]
    values = [value for value, _ in valued]
    macro = replace(mean_over_clips(group), params={**mean_over_clips(group).params, "pool": "clips"})
    bounds = interval(values) or (None, None)
    rows = [SetRow(measurement=macro, pool="clips", low=bounds[0], high=bounds[1])]
    pooled = _pooled(group)
    if pooled is None or pooled.value is None or macro.value is None:
        return rows
    if not math.isclose(pooled.value, macro.value, rel_tol=1e-9, abs_tol=1e-12):
        inside: tuple[float | None, float | None] = (None, None)
        if pooled.definition != "psnr/pooled":
            inside = interval(values, [max(n, 1) for _, n in valued]) or inside
        rows.append(SetRow(measurement=pooled, pool="frames", low=inside[0], high=inside[1]))
    return rows


def _pooled(group: list[Measurement]) -> Measurement | None:
    """The number over all frames of the set; None where that has no meaning."""
    first = group[0]
    if first.definition == "psnr/pooled":
        value = pooled_psnr(group) if any(row.n_frames for row in group) else math.inf
        mean = mean_over_clips(group)
        return replace(mean, value=value, params={**mean.params, "pool": "frames"}) if math.isfinite(value) else None
    if first.definition.split("/")[0] not in MEANS_OVER_FRAMES or first.definition in ("csim/all_pairs",):
        return None
    return mean_over_frames(group)
