"""How carefully somebody speaks: from mumbling to over-articulation, by one number.

Less effort means smaller movements that also run into each other, so that short sounds miss their targets more than
long ones do (Lindblom's undershoot, 1963); more effort means larger ones that stand apart, firmer contact and rounding
(his hyper-speech, 1990). Lips that meet on p, b, m do so at every value. The amounts are choices, not measurements.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

from talkhead.coeffs.limits import soft_limit
from talkhead.errors import UsageError
from talkhead.systems.meshwarp.articulation import MouthTracks

LOWEST, HIGHEST = 0.0, 2.0
_BLUR_S = 0.07  # standard deviation of the smoothing at 0
_NEARLY_SHUT = (0.1, 0.2)  # openings between which lips count as less and less shut
_CRISP_S, _CRISP = 0.06, 0.8  # what is sharpened at 2, and how much

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Amounts:
    """Factor on a track at articulation 0 and 2; how far it reaches at 1, and the bound it approaches above."""

    mumbled: float
    clear: float
    knee: float
    limit: float


_AMOUNTS = {
    "open": _Amounts(0.3, 1.3, 1.25, 1.6),
    "jaw": _Amounts(0.25, 1.35, 1.3, 1.7),
    "wide": _Amounts(0.4, 1.35, 1.0, 1.3),
    "pucker": _Amounts(0.4, 1.35, 1.0, 1.3),
    "funnel": _Amounts(0.4, 1.35, 1.0, 1.3),
    "close": _Amounts(0.5, 1.6, 1.0, 1.0),
    "tuck": _Amounts(0.5, 1.5, 1.0, 1.0),
    "upper": _Amounts(0.4, 1.25, 1.0, 1.3),
    "lower": _Amounts(0.4, 1.25, 1.0, 1.3),
    "tongue": _Amounts(0.6, 1.2, 1.0, 1.0),
}
_CONTACTS = ("close", "tuck")  # their timing is that of the sound at every value


def check_articulation(articulation: float) -> None:
    """Refuse what `enunciated` would refuse, before any work.

    Raises:
        UsageError: articulation out of range.
    """
    if not LOWEST <= articulation <= HIGHEST:
        raise UsageError(f"articulation is {articulation:g}, expected {LOWEST:g} to {HIGHEST:g}")


def enunciated(mouth: MouthTracks, articulation: float, fps: float) -> MouthTracks:
    """The same speech, spoken with another effort.

    Args:
        mouth: tracks at 1. articulation: 0 = mumbled, 1 = as it is, 2 = over-articulated. fps: of the tracks.
    Returns:
        Tracks (T,); the very same ones at 1.
    Raises:
        UsageError: articulation out of range.
    """
    check_articulation(articulation)
    if articulation == 1.0:
        return mouth
    tracks = {f.name: _with_effort(f.name, getattr(mouth, f.name), articulation, fps) for f in fields(MouthTracks)}
    # Smoothing fills the closures of p, b, m and sharpening moves their neighbours: contact is laid over the result.
    contact = np.clip(np.maximum(mouth.close, tracks["close"]), 0.0, 1.0)
    nearly = np.clip((_NEARLY_SHUT[1] - mouth.open) / (_NEARLY_SHUT[1] - _NEARLY_SHUT[0]), 0.0, 1.0)
    shut = np.maximum(contact, nearly)
    closed = (1.0 - max(articulation - 1.0, 0.0) * contact) * np.minimum(tracks["open"], mouth.open)
    tracks["open"] = (1.0 - shut) * tracks["open"] + shut * closed
    return replace(mouth, **tracks)


def _with_effort(name: str, track: F64, articulation: float, fps: float) -> F64:
    amounts, ease, effort = _AMOUNTS[name], max(1.0 - articulation, 0.0), max(articulation - 1.0, 0.0)
    out = track
    if name not in _CONTACTS:
        out = _blurred(track, ease * _BLUR_S * fps) if ease else out
        out = out + effort * _CRISP * (out - _blurred(out, _CRISP_S * fps)) if effort else out
    grown = out * (1.0 + ease * (amounts.mumbled - 1.0) + effort * (amounts.clear - 1.0))
    # Nothing is pressed below what it is at 1.
    knee = max(amounts.knee, float(track.max(initial=0.0)))
    bounded = soft_limit(grown, knee, amounts.limit) if amounts.limit > knee else np.minimum(grown, knee)
    return np.maximum(bounded, 0.0)


def _blurred(track: F64, width: float) -> F64:
    """Gaussian mean, ends held; width: standard deviation in frames, cut at three of them."""
    half = int(np.ceil(3.0 * width))
    if half == 0:
        return track
    kernel = np.exp(-0.5 * (np.arange(-half, half + 1) / width) ** 2)
    return np.convolve(np.pad(track, half, mode="edge"), kernel / kernel.sum(), "valid")
