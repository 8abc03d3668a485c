"""The Frechet distance of two sets of features (Heusel et al. 2017, eq. 6): FID and FVD without their networks."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from talkhead.errors import InputError, ShapeError
from talkhead.evaluation.measurement import Grade, Measurement

F64 = npt.NDArray[np.float64]

LEAST_FRAMES, LEAST_WINDOWS = 2048, 256
"""Fewer frames (FID) or windows (FVD) than this: the covariance lacks rank and the distance is biased upward."""


class FeatureStatistics:
    """Mean and covariance of features that come in batches; memory depends on their width alone.

    Batches are merged by the pairwise update of Chan, Golub and LeVeque (1979), in float64.
    """

    def __init__(self) -> None:
        self.n = 0
        self._mean: F64 = np.zeros(0)
        self._scatter: F64 = np.zeros((0, 0))

    def add(self, features: npt.NDArray[np.floating[Any]]) -> None:
        """Take in features, (n, D) or one of them, (D,).

        Raises:
            ShapeError: another width than before. InputError: not finite.
        """
        batch = np.atleast_2d(np.asarray(features, np.float64))
        if batch.ndim != 2 or (self.n and batch.shape[1] != len(self._mean)):
            raise ShapeError("features", batch.shape, f"(n, {len(self._mean) if self.n else 'D'})")
        if not np.isfinite(batch).all():
            raise InputError("features hold values that are not finite", hint="float32 networks give finite features")
        if len(batch):
            mean = batch.mean(0)
            self._join(len(batch), mean, (batch - mean).T @ (batch - mean))

    def merge(self, other: FeatureStatistics) -> None:
        """Take in what another has seen.

        Raises:
            ShapeError: another width.
        """
        if not other.n:
            return
        if self.n and len(other._mean) != len(self._mean):
            raise ShapeError("features", other._mean.shape, f"({len(self._mean)},)")
        self._join(other.n, other._mean, other._scatter)

    def moments(self) -> tuple[F64, F64]:
        """Mean (D,), and the sum of squares about it (D, D): with `n`, all there is."""
        return self._mean, self._scatter

    @classmethod
    def of(cls, n: int, mean: F64, scatter: F64) -> FeatureStatistics:
        """What has these `moments`.

        Raises:
            ShapeError: they do not go together.
        """
        if mean.ndim != 1 or scatter.shape != (len(mean), len(mean)):
            raise ShapeError("scatter", scatter.shape, f"({len(mean)}, {len(mean)})")
        found = cls()
        found.n, found._mean, found._scatter = n, np.array(mean, np.float64), np.array(scatter, np.float64)
        return found

    def _join(self, n: int, mean: F64, scatter: F64) -> None:
        if not self.n:
            self.n, self._mean, self._scatter = n, mean.copy(), scatter.copy()
            return
        total, apart = self.n + n, mean - self._mean
        self._mean = self._mean + apart * (n / total)
        self._scatter += scatter
        self._scatter += np.outer(apart, apart) * (self.n * n / total)
        self.n = total

    @property
    def mean(self) -> F64:
        """(D,)."""
        return self._mean

    @property
    def covariance(self) -> F64:
        """(D, D), divided by n - 1.

        Raises:
            InputError: fewer than two features.
        """
        if self.n < 2:
            raise InputError(f"a covariance needs at least 2 features, not {self.n}")
        return self._scatter / (self.n - 1)


def frechet_distance(generated: FeatureStatistics, real: FeatureStatistics) -> float:
    """Squared Frechet distance of the Gaussians with these means and covariances; 0 for identical sets.

    `|m1 - m2|^2 + tr(C1 + C2 - 2 (C1^1/2 C2 C1^1/2)^1/2)`: the symmetric form, whose eigenvalues are real.

    Raises:
        InputError: fewer than two features on a side. ShapeError: widths differ.
    """
    if generated.mean.shape != real.mean.shape:
        raise ShapeError("generated", generated.mean.shape, f"{real.mean.shape}, the width of the real features")
    first, second = generated.covariance, real.covariance
    values, vectors = np.linalg.eigh(first)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    middle = root @ second @ root
    shared = np.sqrt(np.maximum(np.linalg.eigvalsh((middle + middle.T) / 2), 0.0)).sum()
    apart = ((generated.mean - real.mean) ** 2).sum()
    return max(float(apart + np.trace(first) + np.trace(second) - 2 * shared), 0.0)


def rank_warning(n_generated: int, n_real: int, least: int, what: str) -> str:
    """What to tell of a distance of few samples; empty if there are `least` on both sides.

    Args:
        n_generated, n_real: samples. least: of `LEAST_FRAMES`, `LEAST_WINDOWS`. what: they are, "frames" or "windows".
    """
    n = min(n_generated, n_real)
    if n >= least:
        return ""
    return (
        f"{n} {what} are fewer than {least}: the covariance lacks rank and the distance is biased upward; compare only"
        f" with distances of as many {what}"
    )


def frechet_measurement(
    generated: FeatureStatistics,
    real: FeatureStatistics,
    *,
    name: str,
    definition: str,
    grade: Grade,
    n_clips: int,
    n_frames: int,
    params: dict[str, float | int | str] | None = None,
) -> Measurement:
    """FID or FVD of a set as a row of a report; `rank_warning` is for whoever shows it.

    Args:
        name, definition, grade: of the features. n_clips, n_frames: of the generated side. params: added to the counts.
    """
    few = min(generated.n, real.n) < 2
    return Measurement(
        name=name,
        definition=definition,
        grade=grade,
        value=None if few else frechet_distance(generated, real),
        reason="fewer than 2 features on a side" if few else "",
        n_frames=n_frames,
        n_clips=n_clips,
        params={"n_generated": generated.n, "n_real": real.n, **(params or {})},
    )
