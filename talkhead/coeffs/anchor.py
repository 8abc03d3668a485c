"""Absolute motion laid on a photo that is one of its own moments: what the photo shows is left as it is there."""

from __future__ import annotations

from typing import Any

import numpy as np

from talkhead.coeffs.container import F32, Coeffs
from talkhead.geometry import euler_to_matrix, matrix_to_euler

# From here on a lid is as good as shut, and says nothing about how it opens.
_SHUT = 0.9


def anchored(motion: Coeffs, reference: Coeffs, rest: Coeffs) -> Coeffs:
    """Carry motion over from one reading of a photo to another, so that the photo's own moment is its rest.

    A clip and a single picture of it are not measured quite alike: the clip knows better who it is. Without this the
    photo would be bent by the difference even where it already is what the motion asks for.

    Args:
        motion: T frames; tracks that are relative already stay. reference: one frame, the photo as the motion's maker
            read it. rest: one frame, the photo as its renderer reads it.
    Returns:
        T frames. Expression and gaze are moved by what the readings differ, turns are composed with it, lids close
        from the renderer's closure to shut. Position and size become offsets from the reference. Codes that are moved
        are of the identity that the renderer reads.
    """
    changes: dict[str, Any] = {}
    relative = set(motion.relative)
    pairs = {
        name: (track, getattr(reference, name), getattr(rest, name))
        for name, track in motion.tensors().items()
        if name not in relative and getattr(reference, name) is not None
    }
    for name in ("exp", "gaze"):
        if name in pairs and pairs[name][2] is not None:
            track, own, new = pairs[name]
            changes[name] = track - own + new
    if "rot" in pairs and pairs["rot"][2] is not None:
        turns, seen, drawn = (euler_to_matrix(angles) for angles in pairs["rot"])
        changes["rot"] = matrix_to_euler(turns @ np.swapaxes(seen, 1, 2) @ drawn).astype(np.float32)
    if "eyelid" in pairs and pairs["eyelid"][2] is not None:
        changes["eyelid"] = _closing(*pairs["eyelid"])
    if "trans" in pairs:
        changes["trans"] = motion.trans - reference.trans  # type: ignore[operator]
    if "scale" in pairs:
        changes["scale"] = motion.scale / reference.scale  # type: ignore[operator]
    relative |= changes.keys() & {"trans", "scale"}
    identity = rest.id if "exp" in changes else motion.id
    return motion.replace(relative=frozenset(relative), id=identity, **changes)


def _closing(track: F32, own: F32, new: F32) -> F32:
    """Closures for which `own` becomes `new` and shut stays shut; below, lids open as far as they did."""
    slope = np.where(np.maximum(own, new) < _SHUT, (1 - new) / np.maximum(1 - own, 1 - _SHUT), 1.0)
    above = np.where(slope == 1.0, track, new + (track - own) * slope)
    closing: F32 = np.where((track < own) & (slope != 1.0), new + track - own, above).astype(np.float32)
    return closing
