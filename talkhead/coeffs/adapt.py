"""A driver's camera brought to a source's: as large on average, in the same place, steadied; HeadGAN's published way.

Doukas et al. 2021 leave it out; the published code does it when two different people are in photo and video.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from talkhead.coeffs.smooth import box
from talkhead.errors import ShapeError

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class AdaptConfig:
    """How a driver's camera is adapted.

    Attributes:
        scale: bring the mean scale to the source's. trans: bring the mean of `T / s` to the source's.
        standardize: and its deviation too. window: frames of the running mean over both.
    """

    scale: bool = True
    trans: bool = True
    standardize: bool = False
    window: int = 15


DEFAULTS = AdaptConfig()


def adapt_scale_and_shift(
    driving: tuple[npt.ArrayLike, npt.ArrayLike],
    source: tuple[npt.ArrayLike, npt.ArrayLike],
    config: AdaptConfig = DEFAULTS,
) -> tuple[F64, F64]:
    """Scale and shift of a driver brought to a source's, then smoothed.

    `s` is multiplied by the ratio of the means; `T / s` is moved so that its mean is the source's; both pass a running
    mean, and `T` is the product of the two. What is switched off is the driver's own, as it is.

    Args:
        driving: scales (T,), pixels per unit, and shifts (T, 3), pixels. source: the same of some frames (N,), (N, 3).
            Heads grow about the point that shifts are measured from.
    Returns:
        scales (T,), shifts (T, 3).
    Raises:
        ShapeError: arrays that do not fit together. UsageError: `window` is less than 1.
    """
    s, t = _pair("driving", driving)
    if not (config.scale or config.trans):
        return s, t
    s_source, t_source = _pair("source", source)
    place, aim = t / s[:, None], t_source / s_source[:, None]
    if config.trans:
        ratio = _ratio(aim.std(0), place.std(0)) if config.standardize else np.ones(3)
        place = box((place - place.mean(0)) * ratio + aim.mean(0), config.window)
    if config.scale:
        s = box(s * (s_source.mean() / s.mean()), config.window)
    return s, s[:, None] * place


def _pair(name: str, pair: tuple[npt.ArrayLike, npt.ArrayLike]) -> tuple[F64, F64]:
    s, t = np.asarray(pair[0], np.float64), np.asarray(pair[1], np.float64)
    if s.ndim != 1 or t.shape != (len(s), 3) or not len(s):
        raise ShapeError(name, np.shape(t), f"({len(np.atleast_1d(s))}, 3) beside scales (T,)")
    return s, t


def _ratio(numerator: F64, denominator: npt.NDArray[np.floating[Any]]) -> F64:
    """1 where a track does not move at all."""
    return np.where(denominator > 0, numerator / np.where(denominator > 0, denominator, 1), 1.0)
