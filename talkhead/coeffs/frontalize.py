"""Coefficients with the head turned to the camera; expression, eyelids and gaze stay as they are."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from talkhead.coeffs.change import AXES
from talkhead.coeffs.container import Coeffs
from talkhead.errors import UsageError
from talkhead.geometry import euler_to_matrix, matrix_to_euler, matrix_to_rotvec, mean_rotation, rotvec_to_matrix


def frontalize(
    coeffs: Coeffs, *, strength: float = 1.0, keep: Collection[str] = (), keep_motion: bool = False
) -> Coeffs:
    """Turn the head to the camera.

    Args:
        coeffs: absolute (extracted) ones. strength: 1 all the way, 0 not at all, between them along the shortest turn.
        keep: axes among `pitch yaw roll` that stay. keep_motion: turn the mean pose only, so that the head still moves
            about the frontal pose.
    Returns:
        New coefficients without `landmarks`, which were measured on the turned head.
    Raises:
        UsageError: `strength` outside 0 .. 1, an unknown axis, or a pose that is relative to a photo or missing.
    """
    if not 0 <= strength <= 1:
        raise UsageError(f"strength {strength:g}: expected 0 to 1")
    unknown = sorted(set(keep) - set(AXES))
    if unknown:
        raise UsageError(f"cannot keep {' '.join(unknown)}", hint="expected some of " + " ".join(AXES))
    if coeffs.rot is None or "rot" in coeffs.relative:
        raise UsageError(
            "these coefficients do not say how the head is turned",
            hint="use coefficients extracted from a photo or video",
        )
    matrices = euler_to_matrix(coeffs.rot)
    away = mean_rotation(matrices) if keep_motion else matrices
    turned = matrix_to_euler(matrices @ rotvec_to_matrix(-strength * matrix_to_rotvec(away))).astype(np.float32)
    for axis in keep:
        turned[:, AXES.index(axis)] = coeffs.rot[:, AXES.index(axis)]
    without_landmarks = len(coeffs.tensors()) > 1
    return coeffs.replace(rot=turned, landmarks=None if without_landmarks else coeffs.landmarks)
