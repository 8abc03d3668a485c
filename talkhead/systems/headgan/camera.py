"""Cameras of a driver made those of a source, as HeadGAN's published code does for different people.

Absolute, in the pixels of the crops that both were measured in; the command `reenact` does the same with tracks that
are relative to the photo (`coeffs.retarget`, mode `adapted`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from talkhead.coeffs.container import Coeffs
from talkhead.coeffs.smooth import box
from talkhead.errors import ShapeError, UsageError
from talkhead.face3d.weak_camera import ROT, SCALE, SHIFT, camera_of, with_camera
from talkhead.geometry import euler_to_matrix, matrix_to_euler

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class AdaptConfig:
    """How a driver's camera is adapted.

    Attributes:
        scale: bring the mean scale to the source's. trans: bring the mean of `T / s` to the source's.
        standardize: and its deviation too. window: frames of the running mean over both.
        relative: turn heads from where the source's is, by the driver's turns since his first frame:
            `R_t R_0^-1 R_source`; in the release they are turned as the driver's.
        lead: how often frame 0 counts; the release puts it in front twice more before it adapts anything.
    """

    scale: bool = True
    trans: bool = True
    standardize: bool = False
    window: int = 15
    relative: bool = False
    lead: int = 3


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
        config: what to do; `relative` and `lead` do not matter here.
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


def adapt(driving: Coeffs, source: Coeffs, size: tuple[int, int], config: AdaptConfig = DEFAULTS) -> Coeffs:
    """A driver's coefficients with the source's identity and an adapted camera.

    The place is measured from the picture's centre, the release measures it from the corner: there, a head whose size
    changes also wanders.

    Args:
        driving: (T frames) absolute tracks. source: one frame or more, absolute. size: of the picture both are placed
            in, width and height.
    Returns:
        Absolute tracks in that picture; expression, lids and gaze are the driver's, `id` the source's.
    Raises:
        CoeffFileError: a track of a pose is absent or relative. UsageError: `lead` or `window` is less than 1.
    """
    if config.lead < 1:
        raise UsageError(f"frame 0 counts {config.lead} times, expected at least 1")
    centre = np.array([size[0] / 2, size[1] / 2, 0.0])
    theirs, own = camera_of(driving, size), camera_of(source, size)
    padded = np.concatenate([np.repeat(theirs[:1], config.lead - 1, axis=0), theirs])
    scale, shift = adapt_scale_and_shift(
        (padded[:, SCALE], padded[:, SHIFT] - centre), (own[:, SCALE], own[:, SHIFT] - centre), config
    )
    rows = theirs.copy()
    rows[:, SCALE], rows[:, SHIFT] = scale[config.lead - 1 :], shift[config.lead - 1 :] + centre
    if config.relative:
        turns = euler_to_matrix(theirs[:, ROT])
        rows[:, ROT] = matrix_to_euler(turns @ turns[0].T @ euler_to_matrix(own[0, ROT]))
    return with_camera(driving.replace(id=source.id), rows, size)


def _pair(name: str, pair: tuple[npt.ArrayLike, npt.ArrayLike]) -> tuple[F64, F64]:
    s, t = np.asarray(pair[0], np.float64), np.asarray(pair[1], np.float64)
    if s.ndim != 1 or t.shape != (len(s), 3) or not len(s):
        raise ShapeError(name, np.shape(t), f"({len(np.atleast_1d(s))}, 3) beside scales (T,)")
    return s, t


def _ratio(numerator: F64, denominator: npt.NDArray[np.floating[Any]]) -> F64:
    """1 where a track does not move at all."""
    return np.where(denominator > 0, numerator / np.where(denominator > 0, denominator, 1), 1.0)
