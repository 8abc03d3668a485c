"""Soft limits: what is small passes unchanged, what is large approaches a bound."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]


def soft_limit(values: npt.ArrayLike, knee: float, limit: float) -> F64:
    """Numbers compressed towards +-`limit`; unchanged within +-`knee`, smooth at the knee.

    Args:
        values: any shape. knee, limit: 0 <= knee < limit, in the unit of the values.
    """
    v = np.asarray(values, np.float64)
    room = limit - knee
    size = np.abs(v)
    result: F64 = np.where(size <= knee, v, np.sign(v) * (knee + room * np.tanh((size - knee) / room)))
    return result


def soft_limit_length(vectors: npt.ArrayLike, knee: float, limit: float) -> F64:
    """Vectors (..., n) with their length compressed by `soft_limit`; directions stay."""
    v = np.asarray(vectors, np.float64)
    length = np.linalg.norm(v, axis=-1, keepdims=True)
    result: F64 = v * (soft_limit(length, knee, limit) / np.maximum(length, 1e-12))
    return result
