"""Finding faces: whole picture, both detectors, then tiles for small faces, then the picture turned."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import numpy.typing as npt

from talkhead.errors import ShapeError
from talkhead.face.crop import Crop, square_crop
from talkhead.face.providers import Detection, FaceProvider, Reach, provider

U8 = npt.NDArray[np.uint8]
Effort = Literal["quick", "normal", "everywhere"]
MAX_SIDE = 1600
"""Pictures are reduced to this before the search: a 20 px face of a 4000 px picture is no source for a video."""
TILE, TILE_STEP = 320, 160
"""Tiles in reduced pixels: finds all faces with 25 px between the outer eye corners, half of them at 18."""
MIN_SCORE = {"far": 0.5, "near": 0.5, "tile": 0.6}
OVERLAP = 0.3
TURNS = (0, 2, 1, 3)
"""Quarter turns of the picture to try: upright, upside down, on either side."""


def detect_faces(
    image: U8,
    *,
    effort: Effort = "normal",
    turns: tuple[int, ...] = TURNS,
    using: FaceProvider | None = None,
) -> list[Detection]:
    """Faces of a picture, the largest first.

    Args:
        image: (H, W, 3) uint8 RGB.
        effort: "quick" skips the search for faces below a twelfth of the picture, "normal" makes it if nothing else
            was found, "everywhere" always.
        turns: quarter turns to try, in this order, until one shows faces. using: provider; default `provider()`.
    Returns:
        Detections that overlap by less than 30 %; their scores are the detector's, no proof of a human face.
    Raises:
        ShapeError: not an RGB picture. WeightsError, EnvironmentProblem: see `provider`.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ShapeError("image", image.shape, "(H, W, 3) uint8")
    eyes = using or provider()
    small, scale = _reduced(image)
    for turn in turns:
        view = np.ascontiguousarray(np.rot90(small, turn))
        found = _search(view, eyes, effort)
        if found:
            back = _unturned(turn, small.shape[1], small.shape[0]) / scale
            return sorted((_mapped(f, back) for f in found), key=lambda f: -f.side)
    return []


def suppress_overlaps(found: list[Detection]) -> list[Detection]:
    """Keep the best of detections that overlap by 30 % and more; its box becomes their score-weighted mean."""
    kept: list[Detection] = []
    rest = sorted(found, key=lambda f: -f.score)
    while rest:
        best, *others = rest
        same = [best, *(f for f in others if _overlap(best.bbox, f.bbox) >= OVERLAP)]
        weights = np.array([f.score for f in same]) / sum(f.score for f in same)
        x0, y0, x1, y1 = (float(v) for v in weights @ np.array([f.bbox for f in same]))
        keypoints = np.einsum("n,nkc->kc", weights, np.array([f.keypoints for f in same]))
        kept.append(Detection(bbox=(x0, y0, x1, y1), score=best.score, keypoints=keypoints))
        rest = [f for f in others if _overlap(best.bbox, f.bbox) < OVERLAP]
    return kept


def _search(view: U8, eyes: FaceProvider, effort: Effort) -> list[Detection]:
    height, width = view.shape[:2]
    middle, side = (width / 2, height / 2), max(height, width)
    found = _found_in(view, square_crop(middle, side, eyes.detect_size("far")), eyes, "far", MIN_SCORE["far"])
    if not found or effort == "everywhere":
        whole = square_crop(middle, side, eyes.detect_size("near"))
        found += _found_in(view, whole, eyes, "near", MIN_SCORE["near"])
    if effort == "everywhere" or (effort == "normal" and not found):
        for crop in _tiles(width, height, eyes.detect_size("near")):
            inside = _found_in(view, crop, eyes, "near", MIN_SCORE["tile"])
            # A face cut by the tile's edge gives a wrong box; the next tile has it whole.
            found += [f for f in inside if f.side < TILE * 0.7]
    return suppress_overlaps(found)


def _found_in(view: U8, crop: Crop, eyes: FaceProvider, reach: Reach, min_score: float) -> list[Detection]:
    found = [f for f in eyes.detect(crop.cut(view, border=0), reach) if f.score >= min_score]
    return [_mapped(f, crop.matrix) for f in suppress_overlaps(found)]


def _tiles(width: int, height: int, size: int) -> list[Crop]:
    """Overlapping tiles that cover the picture; none where the whole picture is hardly more than one tile."""
    if max(width, height) < TILE * 1.25:
        return []
    xs, ys = (_starts(n) for n in (width, height))
    return [square_crop((x + TILE / 2, y + TILE / 2), TILE, size) for y in ys for x in xs]


def _starts(length: int) -> list[float]:
    count = 1 + max(0, math.ceil((length - TILE) / TILE_STEP))
    return [float(v) for v in np.linspace(0, max(0, length - TILE), count)]


def _reduced(image: U8) -> tuple[U8, float]:
    """The picture with its longer side at most MAX_SIDE, and reduced / original."""
    import cv2

    height, width = image.shape[:2]
    scale = min(1.0, MAX_SIDE / max(height, width))
    if scale == 1.0:
        return image, 1.0
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8), scale


def _unturned(turn: int, width: int, height: int) -> npt.NDArray[np.float64]:
    """(2, 3) affine from the view `np.rot90(picture, turn)` back to a picture of this size."""
    return np.array(
        [
            [[1, 0, 0], [0, 1, 0]],
            [[0, -1, width], [1, 0, 0]],
            [[-1, 0, width], [0, -1, height]],
            [[0, 1, 0], [-1, 0, height]],
        ][turn],
        np.float64,
    )


def _mapped(found: Detection, matrix: npt.NDArray[np.float64]) -> Detection:
    """A detection carried by a (2, 3) affine; the box stays upright in the new picture."""
    x0, y0, x1, y1 = found.bbox
    corners = np.array([[x0, y0], [x1, y1], [x0, y1], [x1, y0]]) @ matrix[:, :2].T + matrix[:, 2]
    low, high = corners.min(0), corners.max(0)
    bbox = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
    return Detection(bbox=bbox, score=found.score, keypoints=found.keypoints @ matrix[:, :2].T + matrix[:, 2])


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> float:
    """Intersection over union of two boxes."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(0.0, width) * max(0.0, height)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return shared / union if union > 0 else 0.0


__all__ = ["Detection", "detect_faces", "suppress_overlaps"]
