"""The space `bfm`: the Basel face model as Deep3DFaceRecon arranges it (Deng et al. 2019), SadTalker's coefficients.

Expression and identity columns are multiplied by their standard deviations, so codes of 1 are usual. Axes, angles and
the unit are ours. The camera is a perspective one in a picture that was aligned to the face: 224 pixels wide, focal
length 1015, the head 10 units away.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from talkhead.coeffs.layout import Space

SPACE = "bfm"
N_ID, N_EXP, N_TEX, N_GAMMA = 80, 64, 80, 27
FOCAL, DISTANCE, SIDE = 1015.0, 10.0, 224.0
NEAREST = 1.0  # units between head and camera that no face is nearer than; guards the division

BFM_SPACE = Space(name=SPACE, id_std=np.ones(N_ID, np.float32), exp_std=np.ones(N_EXP, np.float32), controls={})
"""Nobody has named its components or said how they mirror: no controls."""


def scale_of_depth(depth: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """Pixels per unit of heads whose `trans` has these z, (...), in the aligned picture."""
    return (FOCAL / np.maximum(DISTANCE - np.asarray(depth, np.float64), NEAREST)).astype(np.float32)


def depth_of_scale(scale: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """The z of `trans` at which heads have these sizes, (...) pixels per unit: the inverse of `scale_of_depth`."""
    depth: npt.NDArray[np.float64] = DISTANCE - FOCAL / np.maximum(np.asarray(scale, np.float64), 1e-6)
    return depth
