"""Faces that a clip does not show: what the networks learn from beyond the clip's own poses and grimaces.

The mesh tells where each point of a drawn face lies in the reference, for any pose and expression; no picture of it is
needed. A person of whom there is one short clip opens the mouth wider, or turns further, than the clip shows.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from talkhead.coeffs.container import Coeffs
from talkhead.coeffs.layout import Space

F64 = npt.NDArray[np.float64]

ROTATION = (0.15, 0.25, 0.1)
"""Deviation of pitch, yaw and roll from the frame's, radians: half of what talking heads turn to either side."""
EXPRESSION = 0.7
"""Deviation of expression from the frame's, in the face model's own deviations."""
SHIFT = 0.08
"""Deviation of x and y, halves of the picture's shorter side."""
ZOOM = 0.08
"""Deviation of the logarithm of the size."""


def imagined(coeffs: Coeffs, space: Space, rng: np.random.Generator) -> Coeffs:
    """Frames of the same person who has another expression and holds the head otherwise; the same change in all.

    Args:
        coeffs: consecutive frames, absolute. space: of their expressions. rng: chooses.
    """

    def noise(n: int) -> F64:
        return rng.standard_normal(n)

    changed: dict[str, npt.NDArray[np.float32]] = {}
    if coeffs.exp is not None:
        changed["exp"] = coeffs.exp * rng.uniform(0, 1.5) + EXPRESSION * space.exp_std * noise(len(space.exp_std))
    if coeffs.rot is not None:
        changed["rot"] = coeffs.rot + ROTATION * noise(3)
    if coeffs.trans is not None:
        changed["trans"] = coeffs.trans + np.append(SHIFT * noise(2), 0)
    if coeffs.scale is not None:
        changed["scale"] = coeffs.scale * np.exp(ZOOM * noise(1))
    return coeffs.replace(**{name: np.asarray(values, np.float32) for name, values in changed.items()})
