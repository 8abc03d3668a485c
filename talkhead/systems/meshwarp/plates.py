"""What lies behind the head, and the colours of the head alone: the two layers a frame is made of."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from talkhead.face.matting import extend_colors

F32 = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]

# Mirrored content is stretched to twice its width and taken from a narrow band (eye distances) to and fro: a post or
# curtain that stands a little way off must not come out again behind the head.
_SQUEEZE = 0.5
_BAND = 0.11


def settle_matte(alpha: F32, eye_px: float) -> F32:
    """Decide broad half-transparent areas: hats, frills and collars of which the segmentation is unsure.

    Soft edges and strands are thin and stay soft; a broad area that is half there would tear in two layers, so it
    goes with the person.

    Args:
        alpha: (H, W) 0..1. eye_px: eye distance in pixels.
    """
    unsure = ((alpha > 0.15) & (alpha < 0.9)).astype(np.uint8)
    reach = max(1, round(0.03 * eye_px))
    core = cv2.erode(unsure, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1)))
    if not core.any():
        return alpha
    reach = round(1.6 * reach)
    broad = cv2.dilate(core, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1)))
    lifted = cv2.GaussianBlur((broad & (alpha > 0.06)).astype(np.float32), (0, 0), max(0.6, 0.012 * eye_px))
    return np.maximum(alpha, lifted)


def background_plate(image: U8, alpha: F32, eye_px: float) -> U8:
    """The picture without the person: mirrored at the matte's edge near it, a smooth blend farther in.

    Mirroring keeps the grain and texture of what is beside the head; only a band of a few tenths of an eye distance
    is ever uncovered. It goes along rows and columns, never obliquely: the lines of rooms stay straight.

    Args:
        image: (H, W, 3) uint8. alpha: (H, W) person matte 0..1. eye_px: eye distance in pixels.
    Returns:
        (H, W, 3) uint8; equal to `image` where there is no person.
    """
    reach = max(1, round(0.03 * eye_px))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    hole = cv2.dilate((alpha > 0.03).astype(np.uint8), kernel)
    if not hole.any():
        return image.copy()
    if hole.all():
        return cv2.GaussianBlur(image, (0, 0), 0.3 * eye_px)
    mirrored, raw = _mirrored(image, hole, eye_px)
    distance = cv2.distanceTransform(hole, cv2.DIST_L2, 5)
    smooth = extend_colors(image.astype(np.float32), (hole == 0).astype(np.float32))
    trust = cv2.GaussianBlur(raw * np.clip(1.6 - distance / (0.6 * eye_px), 0, 1), (0, 0), max(0.5, 0.03 * eye_px))
    # towards the middle no side has anything to show: what is mirrored thins out into the smooth blend
    mirrored = extend_colors(mirrored, np.where(hole > 0, raw, 1.0).astype(np.float32)) if raw.max() > 0 else smooth
    filled = smooth + np.clip(trust, 0, 1)[..., None] * (mirrored - smooth)
    # the farther in, the less sure: rows and columns that disagree run into each other
    soft = cv2.GaussianBlur(filled, (0, 0), max(0.8, 0.07 * eye_px))
    filled += np.clip((distance / eye_px - 0.06) / 0.30, 0, 1)[..., None] * (soft - filled)
    # Ease in over a few pixels so that the plate's edge is nowhere a line.
    ease = np.clip(distance / max(1.5, 0.03 * eye_px), 0, 1)[..., None]
    plate = image + ease * (filled - image)
    plate[hole == 0] = image[hole == 0]
    return np.clip(plate + 0.5, 0, 255).astype(np.uint8)


def _mirrored(image: U8, hole: U8, eye_px: float) -> tuple[F32, F32]:
    """The hole filled from its four sides, each mirrored at the hole's edge, nearer sides counting more.

    Returns:
        colours (H, W, 3) float32 and trust (H, W), 0 where no side has anything to show.
    """
    height, width = hole.shape
    known = (hole == 0).astype(np.float32)
    colors, total = np.zeros((height, width, 3), np.float32), np.zeros((height, width), np.float32)
    best = np.zeros((height, width), np.float32)
    grid_x, grid_y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    rim = max(2.0, 0.02 * eye_px)  # the last pixels of a picture are often a frame
    for axis in (0, 1):
        for backwards in (False, True):
            flip = (slice(None, None, -1), slice(None)) if axis == 0 else (slice(None), slice(None, None, -1))
            h = hole[flip] if backwards else hole
            edge = _last_known(h, axis)
            # the silhouette is ragged, and every notch would shift its whole row
            blurred = _smoothed_edge(edge, h, axis, eye_px)
            index = np.arange(height if axis == 0 else width, dtype=np.float32)
            index = index[:, None] if axis == 0 else index[None]
            steps = index - blurred
            depth = _depth(steps, np.minimum(blurred - rim, _BAND * eye_px))
            if backwards:
                steps, depth = steps[flip], depth[flip]
                at = (height if axis == 0 else width) - 1 - blurred[flip] + depth
            else:
                at = blurred - depth
            map_x, map_y = (grid_x, at.astype(np.float32)) if axis == 0 else (at.astype(np.float32), grid_y)
            inside = (map_x > rim) & (map_x < width - 1 - rim) & (map_y > rim) & (map_y < height - 1 - rim)
            sampled = cv2.remap(image, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            valid = cv2.remap(known, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) * inside
            valid = np.clip(2 * valid - 1, 0, 1)
            weight = valid / np.maximum(steps / (0.1 * eye_px), 0.05) ** 3
            colors += weight[..., None] * sampled
            total += weight
            best = np.maximum(best, valid)
    return colors / np.maximum(total, 1e-9)[..., None], best * (total > 0)


def _depth(steps: F32, band: F32) -> F32:
    """How far outside the hole a pixel `steps` inside it looks: to and fro within `band`, pixels."""
    band = np.maximum(band, 1.0)
    phase = np.mod(_SQUEEZE * steps, 2 * band)
    return np.minimum(phase, 2 * band - phase).astype(np.float32)


def _last_known(hole: U8, axis: int) -> F32:
    """Index of the last pixel outside the hole on the way here along `axis`; far outside where there was none."""
    shape = (-1, 1) if axis == 0 else (1, -1)
    index = np.arange(hole.shape[axis]).reshape(shape)
    last = np.maximum.accumulate(np.where(hole == 0, index, -10 * hole.shape[axis]), axis=axis)
    return last.astype(np.float32)


def _smoothed_edge(edge: F32, hole: U8, axis: int, eye_px: float) -> F32:
    """Average the edge with its neighbours across `axis`, among those that enter the same hole."""
    sigma = max(0.6, 0.07 * eye_px)
    valid = ((hole > 0) & (edge >= 0)).astype(np.float32)
    along_x, along_y = (sigma, 0.01) if axis == 0 else (0.01, sigma)
    total = cv2.GaussianBlur(valid, (0, 0), sigmaX=along_x, sigmaY=along_y)
    mean = cv2.GaussianBlur(edge * valid, (0, 0), sigmaX=along_x, sigmaY=along_y) / np.maximum(total, 1e-6)
    # a neighbour's edge from another part of the outline is no neighbour
    near = np.abs(mean - edge) < 0.3 * eye_px
    return np.where((valid > 0) & near, np.minimum(mean, edge), edge).astype(np.float32)


def foreground_layer(image: U8, alpha: F32, plate: U8, eye_px: float) -> U8:
    """Colour and matte of the person, such that matte and plate compose to the photo again.

    In the soft band the colour is solved from `image = a F + (1 - a) plate` where `a` is large enough, and taken
    from the solid core where it is not, so no old background travels with the hair.

    Args:
        image: (H, W, 3) uint8. alpha: (H, W) 0..1. plate: (H, W, 3) uint8 background. eye_px: eye distance, pixels.
    Returns:
        (H, W, 4) uint8: red, green, blue, matte.
    """
    a = alpha[..., None]
    observed, behind = image.astype(np.float32), plate.astype(np.float32)
    solved = np.clip((observed - (1 - a) * behind) / np.maximum(a, 0.3), 0, 255)
    core = (alpha > 0.97).astype(np.float32)
    reach = max(1, round(0.02 * eye_px))
    core = cv2.erode(core, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    extended = extend_colors(observed, core) if core.any() else observed
    trust = np.clip((a - 0.3) / 0.5, 0, 1)
    colors = trust * solved + (1 - trust) * extended
    colors[alpha > 0.99] = observed[alpha > 0.99]
    return np.dstack([np.clip(colors + 0.5, 0, 255), np.clip(alpha * 255 + 0.5, 0, 255)]).astype(np.uint8)
