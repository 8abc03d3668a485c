"""How unlike two faces are, for choosing among the people of one photo.

No identity network ships with talkhead. Shape (who has which proportions) and a coarse, pose-free look at brightness
(hair line, brows, beard, glasses) are compared instead; good among a few people, no proof of identity.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from talkhead.face.crop import square_crop
from talkhead.face.landmarks import Landmarks
from talkhead.face.topology import MIRROR, N_SKIN, RIGID
from talkhead.geometry import fit_similarity

U8 = npt.NDArray[np.uint8]
LOOK_SIZE = 24


def difference(image_a: U8, face_a: Landmarks, image_b: U8, face_b: Landmarks) -> float:
    """How unlike two faces are; 0 is the same picture, only the order of values means something.

    Args:
        image_a, image_b: (H, W, 3) uint8 RGB. face_a, face_b: the faces in them.
    """
    return _shape_difference(face_a, face_b) / 0.03 + _look_difference(image_a, face_a, image_b, face_b) / 0.3


def _shape_difference(a: Landmarks, b: Landmarks) -> float:
    """Mean distance of the rigid points after the best similarity, in eye distances; depth counts half."""
    rigid = list(RIGID)
    p, q = (_symmetric(face.points * (1, -1, -1))[rigid] / face.eye_distance for face in (a, b))
    scale, rotation, shift = fit_similarity(p, q)
    return float(np.linalg.norm((scale * p @ rotation.T + shift - q) * (1, 1, 0.5), axis=1).mean())


def _symmetric(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The mean of a face and its mirror image: turning and grimacing change it less than the face itself."""
    mirrored = points[MIRROR] * (-1, 1, 1)
    scale, rotation, shift = fit_similarity(mirrored[:N_SKIN], points[:N_SKIN])
    mean: npt.NDArray[np.float64] = (points + scale * mirrored @ rotation.T + shift) / 2
    return mean


def _look_difference(image_a: U8, a: Landmarks, image_b: U8, b: Landmarks) -> float:
    """1 - correlation of small grey pictures of the two heads, lighting and contrast removed."""
    one, other = _look(image_a, a), _look(image_b, b)
    return 1 - float((one * other).mean())


def _look(image: U8, face: Landmarks) -> npt.NDArray[np.float64]:
    x0, y0, x1, y1 = face.bbox
    crop = square_crop(((x0 + x1) / 2, (y0 + y1) / 2), 1.25 * max(x1 - x0, y1 - y0), LOOK_SIZE, face.roll)
    grey = crop.cut(image).astype(np.float64).mean(2)
    y, x = np.mgrid[-1 : 1 : LOOK_SIZE * 1j, -1 : 1 : LOOK_SIZE * 1j]
    plane = np.stack([np.ones_like(x), x, y], -1).reshape(-1, 3)
    flat = grey.ravel() - plane @ np.linalg.lstsq(plane, grey.ravel(), rcond=None)[0]
    normed: npt.NDArray[np.float64] = flat / max(1e-6, float(flat.std()))
    return normed
