"""What lies behind the head, and the colours of the head alone: the two layers a frame is made of."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]


def push_pull(colors: F32, weight: F32) -> F32:
    """Fill where `weight` is 0 with a smooth blend of its surroundings (pyramid of weighted means).

    Args:
        colors: (H, W, C) float32. weight: (H, W), 0..1.
    Returns:
        (H, W, C); unchanged where `weight` is 1.
    """
    levels = [(colors * weight[..., None], weight)]
    while min(levels[-1][1].shape) > 2:
        c, w = levels[-1]
        c, w = cv2.pyrDown(c), cv2.pyrDown(w)
        gain = np.where(w > 1e-6, np.minimum(1.0, 4 * w) / np.maximum(w, 1e-6), 0).astype(np.float32)
        levels.append((c.reshape(*w.shape, -1) * gain[..., None], w * gain))
    c, w = levels[-1]
    filled = c / np.maximum(w, 1e-6)[..., None]
    for c, w in reversed(levels[:-1]):
        up = cv2.resize(filled, (w.shape[1], w.shape[0]), interpolation=cv2.INTER_LINEAR).reshape(*w.shape, -1)
        filled = c + (1 - w)[..., None] * up
    return filled


def background_plate(image: U8, alpha: F32, eye_px: float) -> U8:
    """The picture without the person: mirrored at the matte's edge near it, a smooth blend farther in.

    Mirroring keeps the grain and texture of what is beside the head; only a band of a few tenths of an eye distance
    is ever uncovered.

    Args:
        image: (H, W, 3) uint8. alpha: (H, W) person matte 0..1. eye_px: eye distance in pixels.
    Returns:
        (H, W, 3) uint8; equal to `image` where there is no person.
    """
    reach = max(1, round(0.05 * eye_px))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    hole = cv2.dilate((alpha > 0.03).astype(np.uint8), kernel)
    if not hole.any():
        return image.copy()
    if hole.all():
        return cv2.GaussianBlur(image, (0, 0), 0.3 * eye_px)
    height, width = hole.shape
    distance, labels = cv2.distanceTransformWithLabels(hole, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    ys, xs = np.nonzero(hole == 0)
    near_x, near_y = np.zeros(len(xs) + 1, np.float32), np.zeros(len(xs) + 1, np.float32)
    near_x[labels[ys, xs]], near_y[labels[ys, xs]] = xs, ys
    # The nearest background pixel jumps from row to row; a smoothed field keeps mirrored lines whole.
    sigma = max(0.5, 0.04 * eye_px)
    field_x, field_y = cv2.GaussianBlur(near_x[labels], (0, 0), sigma), cv2.GaussianBlur(near_y[labels], (0, 0), sigma)
    grid_x, grid_y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    map_x, map_y = 2 * field_x - grid_x, 2 * field_y - grid_y
    mirrored = cv2.remap(image, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    from_hole = cv2.remap(
        hole.astype(np.float32), map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    # Beyond the picture there is nothing to mirror, and its last pixels are often a frame.
    rim = max(2.0, 0.02 * eye_px)
    within = (map_x > rim) & (map_x < width - 1 - rim) & (map_y > rim) & (map_y < height - 1 - rim)
    trust = (1 - from_hole) * within * np.clip(1.6 - distance / (0.6 * eye_px), 0, 1)
    known = (hole == 0).astype(np.float32)
    smooth = push_pull(image.astype(np.float32), known)
    soft_trust = cv2.GaussianBlur(trust.astype(np.float32), (0, 0), max(0.5, 0.03 * eye_px))[..., None]
    filled = soft_trust * mirrored + (1 - soft_trust) * smooth
    # Ease in over a few pixels so that the plate's edge is nowhere a line.
    ease = np.clip(distance / max(1.5, 0.03 * eye_px), 0, 1)[..., None]
    plate = image + ease * (filled - image)
    plate[hole == 0] = image[hole == 0]
    return np.clip(plate + 0.5, 0, 255).astype(np.uint8)


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
    core = ((alpha > 0.97).astype(np.float32))
    reach = max(1, round(0.02 * eye_px))
    core = cv2.erode(core, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    extended = push_pull(observed, core) if core.any() else observed
    trust = np.clip((a - 0.3) / 0.5, 0, 1)
    colors = trust * solved + (1 - trust) * extended
    colors[alpha > 0.99] = observed[alpha > 0.99]
    return np.dstack([np.clip(colors + 0.5, 0, 255), np.clip(alpha * 255 + 0.5, 0, 255)]).astype(np.uint8)
