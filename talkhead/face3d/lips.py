"""Where a photo's lips are, for motion that starts from lips that are together."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from talkhead.face.topology import INNER_LIP_PAIRS
from talkhead.face3d.eyes import UNITS_PER_EYE_DISTANCE
from talkhead.face3d.morphable import FaceModel

F64 = npt.NDArray[np.float64]

_REST_GAP = 0.008  # inner-lip distance of closed lips, eye distances


def closing_codes(face: F64, model: FaceModel) -> F64:
    """Expression codes that close the photo's own lips, so that speech can set the opening absolutely; (n_exp,).

    Args:
        face: (478, 3) the photo's own vertices, head frame. model: with a `lip-open` control.
    """
    direction = model.space.controls["lip-open"].astype(np.float64)
    amount = 0.0
    for _ in range(3):  # the gap is nearly linear in the code: three secant steps are exact to a hair
        gap = lip_gap(face + model.offset(amount * direction))
        slope = (lip_gap(face + model.offset((amount + 0.25) * direction)) - gap) / 0.25
        amount = min(0.0, amount + (_REST_GAP - gap) / max(slope, 0.02))  # never opens lips that are shut
        if amount == 0:
            break
    return amount * direction


def lip_gap(face: F64) -> float:
    """Signed mean inner-lip distance of vertices (478, 3), eye distances; negative when the lips overlap."""
    return float(np.mean([face[a, 1] - face[b, 1] for a, b in INNER_LIP_PAIRS])) / UNITS_PER_EYE_DISTANCE
