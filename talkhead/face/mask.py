"""The person's matte: several looks of the segmentation network, joined, cleaned and refined at the hair."""

from __future__ import annotations

import logging

import numpy as np
import numpy.typing as npt

from talkhead.errors import ShapeError, WeightsError
from talkhead.face.crop import Crop, square_crop
from talkhead.face.landmarks import Landmarks
from talkhead.face.matting import refine_matte
from talkhead.face.providers import FaceProvider, provider
from talkhead.face.topology import OVAL

log = logging.getLogger(__name__)
U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]
NETWORK_SIZE = 256
WIDTHS = (2.8, 4.4, 6.8, 10.5)
"""Sides of the network's squares in eye distances; the narrow ones see hair edges, the wide ones who is who."""
WORK_SCALE = 200.0
"""Eye distance in pixels at which the matte is computed; beyond it only memory and time grow."""
TRUSTED_COVER = 0.9
"""A look that calls less of the face a person than this has failed."""
MAX_PICTURE = 16.0
"""The whole picture is looked at too, unless it is wider than this many eye distances."""


def person_mask(image: U8, landmarks: Landmarks, *, using: FaceProvider | None = None) -> F32:
    """How much of each pixel belongs to the person with this face.

    Args:
        image: (H, W, 3) uint8 RGB. landmarks: of the face. using: provider.
    Returns:
        (H, W) float32, 0..1; 1 inside the face oval, 0 for other people who do not touch this one.
    Raises:
        ShapeError: not an RGB picture.
    """
    import cv2

    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ShapeError("image", image.shape, "(H, W, 3) uint8")
    height, width = image.shape[:2]
    shrink = min(1.0, WORK_SCALE / landmarks.eye_distance)
    size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    work = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8) if shrink < 1 else image
    points = landmarks.points[:, :2] * (size[0] / width, size[1] / height)
    unit = landmarks.eye_distance * shrink
    oval = _oval(points, size, 0.97)
    try:
        rough = _rough(work, points, unit, oval, using or provider())
    except WeightsError as error:
        log.warning("%s; the person is cut out by colour alone", error)
        rough = _by_color(work, points, unit, oval)
    alpha = refine_matte(work.astype(np.float32) / 255, rough, unit)
    alpha = np.where(_connected(alpha, oval, unit), alpha, 0)
    alpha = np.maximum(alpha, oval)
    if shrink < 1:
        alpha = cv2.resize(alpha, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(alpha, 0, 1).astype(np.float32)


def _rough(image: U8, points: npt.NDArray[np.float64], unit: float, oval: F32, eyes: FaceProvider) -> F32:
    """Probability of "person" from looks at squares of several widths.

    The widest look that sees the face decides who is who; narrower ones sharpen its edge and change nothing far from
    it. Squares stay inside the picture where they can: repeated borders look like walls and confuse the network.
    """
    height, width = image.shape[:2]
    middle = points[list(OVAL)].mean(0)
    face = oval > 0.5
    rough, count, best = np.zeros((height, width), np.float32), np.zeros((height, width), np.float32), 0.0
    for side in reversed(_sides(max(height, width), unit)):
        center = [n / 2 if side >= n else float(np.clip(c, side / 2, n - side / 2))
                  for c, n in zip(middle, (width, height), strict=True)]  # fmt: skip
        crop = square_crop(center, side, NETWORK_SIZE)
        pixels = crop.cut(image)
        seen = (eyes.person(pixels) + eyes.person(np.ascontiguousarray(pixels[:, ::-1]))[:, ::-1]) / 2
        looked = _placed(seen, crop, (width, height))
        covered = float(looked[face].mean()) if face.any() else 1.0
        if covered < TRUSTED_COVER and best > covered:
            continue
        weight = _placed(_window(crop, width, height), crop, (width, height))
        if best >= TRUSTED_COVER:
            weight *= _near_edge(rough, unit)
        else:
            count[:] = 0
        best = max(best, covered)
        count += weight
        rough += np.divide(weight, count, out=np.zeros_like(count), where=count > 0) * (looked - rough)
    if best < 0.8:
        log.warning("the person stands out badly from the background; the matte may be ragged")
    return np.maximum(rough, oval)


def _by_color(image: U8, points: npt.NDArray[np.float64], unit: float, oval: F32) -> F32:
    """Rough foreground without a network: colours like the head's, in the head and a cone of shoulders below it."""
    import cv2

    height, width = image.shape[:2]
    shrink = max(1.0, unit / 40)
    size = (max(1, round(width / shrink)), max(1, round(height / shrink)))
    x, y = (np.stack(np.meshgrid(np.arange(size[0]), np.arange(size[1])), 0) + 0.5) * shrink
    middle = points[list(OVAL)].mean(0)
    across, down = (x - middle[0]) / unit, (y - middle[1]) / unit
    head = (across / 1.0) ** 2 + ((down + 0.15) / 1.3) ** 2
    body = np.abs(across) - np.clip(3 * (down - 0.75), 0, 3)
    labels = np.where((head < 2) | ((body < 0) & (down > 0.75)), cv2.GC_PR_FGD, cv2.GC_BGD).astype(np.uint8)
    labels[cv2.resize(oval, size, interpolation=cv2.INTER_AREA) > 0.5] = cv2.GC_FGD
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    if (labels == cv2.GC_BGD).any():
        cv2.setRNGSeed(0)
        cv2.grabCut(small, labels, None, np.zeros((1, 65)), np.zeros((1, 65)), 4, cv2.GC_INIT_WITH_MASK)
    solid = np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.float32)
    soft = cv2.GaussianBlur(solid, (0, 0), 0.03 * unit / shrink + 0.5)
    return np.maximum(cv2.resize(soft, (width, height), interpolation=cv2.INTER_LINEAR), oval)


def _near_edge(rough: F32, unit: float) -> F32:
    """1 within 0.2 eye distances of where the probability is one half, 0 beyond 0.3."""
    import cv2

    solid = (rough > 0.5).astype(np.uint8)
    inside, outside = (cv2.distanceTransform(side, cv2.DIST_L2, 3) for side in (solid, 1 - solid))
    away = np.asarray(inside + outside, np.float32) / unit
    return np.clip((0.3 - away) / 0.1, 0, 1).astype(np.float32)


def _sides(longest: int, unit: float) -> list[float]:
    """Widths of the squares in pixels: those that fit, and the whole picture unless the person is small in it."""
    sides = [w * unit for w in WIDTHS if w * unit < longest / 1.15]
    return [*sides, float(longest)] if longest < MAX_PICTURE * unit or not sides else sides


def _placed(values: F32, crop: Crop, size: tuple[int, int]) -> F32:
    """Values of a crop where they belong in the picture, 0 outside."""
    import cv2

    step = crop.matrix[:, :2]
    to_picture = np.concatenate([step, crop.matrix[:, 2:] + (step.sum(1, keepdims=True) - 1) / 2], 1)
    return np.asarray(
        cv2.warpAffine(np.ascontiguousarray(values), to_picture, size, flags=cv2.INTER_LINEAR), np.float32
    )


def _window(crop: Crop, width: int, height: int) -> F32:
    """Weights (256, 256) that fade to 0 at the square's sides, except where the picture ends there."""
    n = crop.size
    steps = np.arange(n) + 0.5
    ramps = []
    for start, length in ((crop.matrix[0, 2], width), (crop.matrix[1, 2], height)):
        low = np.ones(n) if start <= 0.5 else np.minimum(1, steps / 24)
        high = np.ones(n) if start + crop.scale * n >= length - 0.5 else np.minimum(1, steps[::-1] / 24)
        ramps.append(np.minimum(low, high))
    return np.minimum.outer(ramps[1], ramps[0]).astype(np.float32)


def _oval(points: npt.NDArray[np.float64], size: tuple[int, int], factor: float) -> F32:
    """The face oval, drawn `factor` times as large, (H, W) 0..1."""
    import cv2

    loop = points[list(OVAL)]
    loop = loop.mean(0) + factor * (loop - loop.mean(0))
    drawn = np.zeros(size[::-1], np.uint8)
    # Four more bits of precision; cv2 counts from pixel centres.
    cv2.fillPoly(drawn, [np.round((loop - 0.5) * 16).astype(np.int32)], 255, lineType=cv2.LINE_AA, shift=4)
    return drawn.astype(np.float32) / 255


def _connected(alpha: F32, oval: F32, unit: float) -> npt.NDArray[np.bool_]:
    """Where the matte hangs together with the face; grain, other people and far-off blobs do not."""
    import cv2

    count, labels = cv2.connectedComponents((np.maximum(alpha, oval) > 0.15).astype(np.uint8), connectivity=8)
    if count <= 1:
        return np.ones(alpha.shape, np.bool_)
    face = labels[oval > 0.5]
    face = face[face > 0]
    if not len(face):
        return np.ones(alpha.shape, np.bool_)
    kept = (labels == np.bincount(face).argmax()).astype(np.uint8)
    # A soft rim below the threshold belongs to the edge it surrounds.
    side = 2 * max(1, round(0.03 * unit)) + 1
    return np.asarray(cv2.dilate(kept, np.ones((side, side), np.uint8)), np.bool_)
