"""From a rough probability to a matte with hair in it: colour guided filter, then a two-colour model near the edge.

The guided filter is He, Sun and Tang 2010 with three-channel guidance. The colour model explains each pixel near the
edge as a mixture of the nearby sure foreground's and sure background's mean colours, and is believed where those
differ by more than their spread and the pixel lies on the line between them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
MODEL_SCALE = 40.0
"""Eye distance in pixels at which colour means are computed; they are smooth over a fifth of it anyway."""
GUIDE_SCALE = 110.0
"""Eye distance in pixels at which the guided filter's coefficients are computed; they are smooth too."""


def refine_matte(image: F32, rough: F32, unit: float) -> F32:
    """A matte that follows the picture.

    Args:
        image: (H, W, 3) RGB in 0..1. rough: (H, W) probability of foreground, 0..1.
        unit: eye distance in pixels; all radii are parts of it.
    Returns:
        (H, W) alpha, 0..1.
    """
    inside, outside = _edge_distances(rough, unit)
    settled = np.where(inside > 0.3, 1, np.where(outside > 0.3, 0, rough)).astype(np.float32)
    alpha = _stretch(_guided(image, settled, unit), 0.1, 0.9)
    # Strands reach a quarter of an eye distance out of the rough edge, gaps half as far into it, and further only where
    # the network itself is in doubt: a hole in a head is worse than a missing strand.
    doubt = np.clip(4 - 4 * settled, 0, 1)
    band = ((inside < 0.12) | (doubt > 0.4)) & (outside < 0.28)
    if not band.any():
        return alpha
    deep = np.minimum(inside[band] / 0.12, 1 - doubt[band])
    fade = np.clip(3 - 3 * np.maximum(deep, outside[band] / 0.28), 0, 1)
    fade *= np.where(inside[band] > 0, doubt[band], 1)
    mixed, trust = _two_color_alpha(image, settled, inside, outside, band, unit)
    weight = trust * fade
    alpha[band] += weight * (mixed - alpha[band])
    return alpha


def extend_colors(pixels: F32, known: F32) -> F32:
    """Fill what is not known smoothly from what is, by a pyramid of weighted means (push-pull, Gortler et al. 1996).

    Args:
        pixels: (H, W, C). known: (H, W), weights 0..1.
    Returns:
        (H, W, C), float32; exact only where `known` is 1.
    """
    import cv2

    sums, weights = [pixels * known[..., None]], [known]
    while min(weights[-1].shape) > 1:
        height, width = weights[-1].shape
        half = ((width + 1) // 2, (height + 1) // 2)
        weight = np.asarray(cv2.resize(weights[-1], half, interpolation=cv2.INTER_AREA), np.float32)
        total = np.asarray(cv2.resize(sums[-1], half, interpolation=cv2.INTER_AREA), np.float32)
        # Saturating keeps a full level from being diluted by the empty ones around it.
        gain = np.minimum(1, 4 * weight) / np.maximum(weight, 1e-8)
        sums.append(total * gain[..., None])
        weights.append(weight * gain)
    filled = sums[-1] / np.maximum(weights[-1], 1e-8)[..., None]
    for total, weight in zip(sums[-2::-1], weights[-2::-1], strict=True):
        coarse = cv2.resize(filled, weight.shape[::-1], interpolation=cv2.INTER_LINEAR).reshape(total.shape)
        filled = total + (1 - weight)[..., None] * coarse
    return np.asarray(filled, np.float32)


def _edge_distances(rough: F32, unit: float) -> tuple[F32, F32]:
    """Distance into and out of the region with probability above one half, eye distances."""
    import cv2

    solid = (rough > 0.5).astype(np.uint8)
    inside, outside = (cv2.distanceTransform(side, cv2.DIST_L2, 3) for side in (solid, 1 - solid))
    return np.asarray(inside / unit, np.float32), np.asarray(outside / unit, np.float32)


def _guided(image: F32, rough: F32, unit: float) -> F32:
    """Colour guided filter, radius 0.06 eye distances, coefficients at reduced size."""
    import cv2

    height, width = rough.shape
    shrink = max(1.0, unit / GUIDE_SCALE)
    small = (max(1, round(width / shrink)), max(1, round(height / shrink)))
    guide = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
    target = cv2.resize(rough, small, interpolation=cv2.INTER_AREA)
    slope, offset = _guided_coefficients(guide, target, max(2, round(0.06 * unit / shrink)), 1e-4)
    slope, offset = (cv2.resize(x, (width, height), interpolation=cv2.INTER_LINEAR) for x in (slope, offset))
    return np.clip(np.einsum("hwc,hwc->hw", slope, image) + offset, 0, 1)


def _guided_coefficients(guide: F32, target: F32, radius: int, eps: float) -> tuple[F32, F32]:
    """Box-averaged slope (h, w, 3) and offset (h, w) of the local linear model target ~ slope . guide + offset."""
    import cv2

    def box(x: F32) -> F32:
        side = 2 * radius + 1
        return np.asarray(cv2.blur(x, (side, side), borderType=cv2.BORDER_REFLECT), np.float32)

    mean, mean_t = box(guide), box(target)
    pairs = [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)]
    products = np.concatenate([box(np.stack([guide[..., i] * guide[..., j] for i, j in pairs[k : k + 3]], -1))
                               for k in (0, 3)], -1)  # fmt: skip
    rr, rg, rb, gg, gb, bb = (products[..., k] - mean[..., i] * mean[..., j] for k, (i, j) in enumerate(pairs))
    rr, gg, bb = rr + eps, gg + eps, bb + eps
    cov = box(guide * target[..., None]) - mean * mean_t[..., None]
    # Inverse of the symmetric 3 x 3 covariance by cofactors: a batched solver is ten times slower here.
    i00, i01, i02 = gg * bb - gb * gb, gb * rb - rg * bb, rg * gb - gg * rb
    i11, i12, i22 = rr * bb - rb * rb, rb * rg - rr * gb, rr * gg - rg * rg
    det = rr * i00 + rg * i01 + rb * i02
    c0, c1, c2 = cov[..., 0], cov[..., 1], cov[..., 2]
    rows = [i00 * c0 + i01 * c1 + i02 * c2, i01 * c0 + i11 * c1 + i12 * c2, i02 * c0 + i12 * c1 + i22 * c2]
    slope = np.stack(rows, -1) / det[..., None]
    offset = mean_t - np.einsum("hwc,hwc->hw", slope, mean)
    return box(slope), box(offset)


def _two_color_alpha(
    image: F32, settled: F32, inside: F32, outside: F32, band: npt.NDArray[np.bool_], unit: float
) -> tuple[F32, F32]:
    """Alpha of the pixels in `band` as mixtures of local mean colours, and how far to trust it, both (n,)."""
    sure_fore = ((settled > 0.9) & (inside > 0.05)).astype(np.float32)
    sure_back = ((settled < 0.1) & (outside > 0.08)).astype(np.float32)
    rows, columns = np.nonzero(band)
    fore, fore_var = _local_color(image, sure_fore, unit, rows, columns)
    back, back_var = _local_color(image, sure_back, unit, rows, columns)
    pixel = image[band]
    line = fore - back
    length2 = (line**2).sum(-1) + 1e-6
    share = ((pixel - back) * line).sum(-1) / length2
    spread_f, spread_b = (np.sqrt((var * line**2).sum(-1)) / length2 for var in (fore_var, back_var))
    off_line = ((pixel - back - np.clip(share, 0, 1)[:, None] * line) ** 2).sum(-1)
    contrast = length2 * (1 - 0.5 * np.minimum(1, 2 * (spread_f + spread_b)) ** 2)
    noise = length2 * (spread_f**2 + spread_b**2)
    trust = contrast / (contrast + 8 * noise + 4e-3) * np.exp(-off_line / (0.15 * length2 + 2e-3))
    # Grain of the background must not count as hair, nor grain of the hair as gaps.
    low = np.clip(2.0 * spread_b, 0.1, 0.5)
    high = 1 - np.clip(1.5 * spread_f, 0.1, 0.4)
    return _stretch(share, low, high), trust.astype(np.float32)


def _local_color(
    image: F32, sure: F32, unit: float, rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp]
) -> tuple[F32, F32]:
    """Mean and variance of the sure pixels' colour near given pixels, (n, 3) each."""
    import cv2

    height, width = sure.shape
    shrink = max(1.0, unit / MODEL_SCALE)
    small = (max(1, round(width / shrink)), max(1, round(height / shrink)))
    weight = np.asarray(cv2.resize(sure, small, interpolation=cv2.INTER_AREA), np.float32)[..., None]
    color = cv2.resize(image * sure[..., None], small, interpolation=cv2.INTER_AREA)
    square = cv2.resize(image**2 * sure[..., None], small, interpolation=cv2.INTER_AREA)
    stack = np.concatenate([color, weight], -1)
    total, total2 = np.zeros_like(stack), np.zeros_like(square)
    # The wider window only counts where the narrow one is empty.
    for width_eyes, share in ((0.18, 1.0), (0.55, 1e-2)):
        radius = max(1, round(width_eyes * unit / shrink))
        total += share * _bell(stack, radius)
        total2 += share * _bell(square, radius)
    mass = np.maximum(total[..., 3:], 1e-7)
    mean = total[..., :3] / mass
    moments = np.concatenate([mean, np.maximum(total2 / mass - mean**2, 0)], -1).astype(np.float32)
    x = ((columns + 0.5) * (small[0] / width) - 0.5).astype(np.float32)
    y = ((rows + 0.5) * (small[1] / height) - 0.5).astype(np.float32)
    return _sampled(moments[..., :3], x, y), _sampled(moments[..., 3:], x, y)


def _bell(table: F32, radius: int) -> F32:
    """Three box filters: a Gaussian of standard deviation `radius`, at a cost that does not grow with it."""
    import cv2

    for _ in range(3):
        table = np.asarray(cv2.blur(table, (2 * radius + 1, 2 * radius + 1)), np.float32)
    return table


def _sampled(table: F32, x: F32, y: F32) -> F32:
    """Bilinear samples, (n, C), of a picture (h, w, C)."""
    import cv2

    # remap wants both sides of its maps below 32768.
    side = 4096
    n = len(x)
    pad = -n % side
    grid_x, grid_y = (np.pad(v, (0, pad)).reshape(-1, side) for v in (x, y))
    table = np.ascontiguousarray(table)
    out = cv2.remap(table, grid_x, grid_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(out, np.float32).reshape(-1, table.shape[2])[:n]


def _stretch(x: F32, low: npt.ArrayLike, high: npt.ArrayLike) -> F32:
    """Map low..high to 0..1, clipped."""
    low, high = np.asarray(low, np.float32), np.asarray(high, np.float32)
    return np.clip((x - low) / (high - low), 0, 1).astype(np.float32)
