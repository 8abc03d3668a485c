"""How unlike two faces are, for choosing among the people of one photo.

No identity network ships with talkhead. What is compared: the pattern of light and dark over the mesh (brows, beard,
glasses, wrinkles), the tint of the skin, and the proportions. On frames of six clips and a few photos, two pictures of
one person were nearer than pictures of two people in 99.8 % of the pairs; that is easy material, and no proof of who
somebody is.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from talkhead.face.landmarks import Landmarks
from talkhead.face.topology import (
    INNER_LIP_LOWER,
    INNER_LIP_UPPER,
    MIRROR,
    N_SKIN,
    OUTER_LIP_LOWER,
    OUTER_LIP_UPPER,
    RIGID,
)
from talkhead.geometry import fit_similarity

U8 = npt.NDArray[np.uint8]
F64 = npt.NDArray[np.float64]
TINT_WEIGHT, SHAPE_WEIGHT = 2.0, 10.0
GREY = 0.02
"""Log ratio of the colour channels below which a picture counts as black and white, and tint says nothing."""


def difference(image_a: U8, face_a: Landmarks, image_b: U8, face_b: Landmarks) -> float:
    """How unlike two faces are; 0 is the same picture, only the order of values means something.

    Args:
        image_a, image_b: (H, W, 3) uint8 RGB. face_a, face_b: the faces in them.
    """
    (light_a, tint_a), (light_b, tint_b) = _skin(image_a, face_a), _skin(image_b, face_b)
    pattern = 1 - float(light_a @ light_b)
    grey = min(float(np.abs(tint_a).max()), float(np.abs(tint_b).max())) < GREY
    tint = 0.0 if grey else float(np.linalg.norm(tint_a - tint_b))
    return pattern + TINT_WEIGHT * tint + SHAPE_WEIGHT * _shape_difference(face_a, face_b)


def _skin(image: U8, face: Landmarks) -> tuple[F64, F64]:
    """Unit-length log brightness at the mesh points without the lips, and the median log ratios R/G and B/G."""
    import cv2

    blurred = cv2.GaussianBlur(image, (0, 0), max(0.5, 0.03 * face.eye_distance)).astype(np.float32)
    at = face.points[_without_lips(), :2].astype(np.float32) - 0.5
    colors = cv2.remap(blurred, at[None], None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0]
    logs = np.log(colors.astype(np.float64) + 4)
    light = logs.mean(1) - logs.mean()
    tint = np.median(logs[:, [0, 2]] - logs[:, 1:2], axis=0)
    return light / max(1e-6, float(np.linalg.norm(light))), np.asarray(tint, np.float64)


def _without_lips() -> list[int]:
    lips = {*INNER_LIP_LOWER, *INNER_LIP_UPPER, *OUTER_LIP_LOWER, *OUTER_LIP_UPPER}
    return [i for i in range(N_SKIN) if i not in lips]


def _shape_difference(a: Landmarks, b: Landmarks) -> float:
    """Mean distance of the rigid points after the best similarity, in eye distances; depth counts half."""
    rigid = list(RIGID)
    p, q = (_symmetric(face.points * (1, -1, -1))[rigid] / face.eye_distance for face in (a, b))
    scale, rotation, shift = fit_similarity(p, q)
    return float(np.linalg.norm((scale * p @ rotation.T + shift - q) * (1, 1, 0.5), axis=1).mean())


def _symmetric(points: F64) -> F64:
    """The mean of a face and its mirror image: turning and grimacing change it less than the face itself."""
    mirrored = points[MIRROR] * (-1, 1, 1)
    scale, rotation, shift = fit_similarity(mirrored[:N_SKIN], points[:N_SKIN])
    mean: F64 = (points + scale * mirrored @ rotation.T + shift) / 2
    return mean
