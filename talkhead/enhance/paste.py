"""Cutting an aligned face out of a frame, and putting the change that a network made back into it.

Not the restored face is pasted but its difference to the crop that the network saw: what the network leaves alone
stays exactly the frame's, detail finer than 512 pixels across a head survives, and a seam can only be as strong as the
change.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from talkhead.enhance.align import FACE_SIZE
from talkhead.face.crop import Crop

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

MASK_SIZE = 128
MASK_GROWTH = 1.22
"""The restored region in units of the face's oval: ears, hairline and the edge of the jaw are in it."""
MASK_BLUR = 20.0
"""Softness of its edge, crop pixels (standard deviation): half an eye distance from full to nothing."""
FAINT = 1 / 256
"""Less than this of a change is no change of an 8-bit picture, and not worth its time."""
BORDER = 48
"""Nothing is changed at the edge of the crop; it fades in over so many crop pixels."""

BAND_SIZE = 64
BAND_BLUR = 56.0
"""Colour and brightness, seen through a blur of this standard deviation in crop pixels, stay the frame's own."""


def cut_face(frame: U8, crop: Crop) -> F32:
    """Sample the aligned crop, with a Lanczos filter, averaging first where the frame is finer.

    Args:
        frame: (H, W, 3) uint8. crop: of `FACE_SIZE` pixels, in the frame's.
    Returns:
        (512, 512, 3) float32, 0..255; the frame's edge is repeated outside.
    """
    import cv2

    height, width = frame.shape[:2]
    x0, y0, x1, y1 = _box(crop, width, height, margin=8 * max(1.0, crop.scale))
    part = frame[y0:y1, x0:x1].astype(np.float32)
    ratio = np.ones(2)
    if crop.scale > 1:
        size = [max(1, round(n / crop.scale)) for n in (x1 - x0, y1 - y0)]
        ratio = np.array([x1 - x0, y1 - y0]) / size
        part = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    matrix = np.concatenate([crop.matrix[:, :2], crop.matrix[:, 2:] - [[x0], [y0]]], 1) / ratio[:, None]
    cut = cv2.warpAffine(
        part, _between_centres(matrix), (crop.size, crop.size), flags=cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    return np.clip(cut, 0, 255).astype(np.float32)


def face_mask(crop: Crop, oval: F64) -> F32:
    """How much of each crop pixel is replaced, (512, 512) float32, 0..1: the face's oval, grown, with a soft edge."""
    import cv2

    loop = crop.to_crop(oval)
    loop = (loop.mean(0) + MASK_GROWTH * (loop - loop.mean(0))) * MASK_SIZE / crop.size
    drawn = np.zeros((MASK_SIZE, MASK_SIZE), np.uint8)
    # Four more bits of precision; cv2 counts from pixel centres.
    cv2.fillPoly(drawn, [np.round((loop - 0.5) * 16).astype(np.int32)], 255, lineType=cv2.LINE_AA, shift=4)
    sigma = MASK_BLUR * MASK_SIZE / crop.size
    soft = cv2.GaussianBlur(drawn.astype(np.float32) / 255, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    steps = np.arange(crop.size) + 0.5
    ramp = np.clip(np.minimum(steps, steps[::-1]) / BORDER, 0, 1)
    ramp = ramp * ramp * (3 - 2 * ramp)
    mask = cv2.resize(soft, (crop.size, crop.size), interpolation=cv2.INTER_LINEAR)
    mask = (mask * np.minimum.outer(ramp, ramp)).astype(np.float32)
    mask[mask < FAINT] = 0
    return mask


def face_change(cut: F32, restored: F32, mask: F32) -> F32:
    """What is to be added to the crop: the restoration without its shift of colour and brightness, masked.

    Args:
        cut: what the network saw, (512, 512, 3), 0..255. restored: what it gave, the same. mask: (512, 512), 0..1.
    Returns:
        (512, 512, 3) float32, -255..255, already multiplied by the mask.
    """
    import cv2

    change = restored - cut
    small = (BAND_SIZE, BAND_SIZE)
    weight = cv2.resize(mask, small, interpolation=cv2.INTER_AREA)[..., None]
    weighted = cv2.resize(change, small, interpolation=cv2.INTER_AREA) * weight
    sigma = BAND_BLUR * BAND_SIZE / FACE_SIZE
    total = cv2.GaussianBlur(weight, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)[..., None]
    low = cv2.GaussianBlur(weighted, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE) / np.maximum(total, 1e-4)
    low = cv2.resize(low, mask.shape[::-1], interpolation=cv2.INTER_CUBIC)
    return ((change - low) * mask[..., None]).astype(np.float32)


def paste(picture: U8, plain: U8 | None, crop: Crop, change: F32, mask: F32) -> U8:
    """Add a change to a picture, where its face is.

    Args:
        picture: (H, W, 3) uint8; not altered. plain: the same picture enlarged without a network, where `picture` was
            enlarged with one: the face's own detail then comes from one network, not from two. crop: of the face, in
            the picture's pixels. change, mask: in the crop, the mask multiplied into the change.
    Returns:
        (H, W, 3) uint8, a new array.
    """
    height, width = picture.shape[:2]
    out = picture.copy()
    columns, rows = (np.flatnonzero(mask.any(axis)) for axis in (0, 1))
    if not len(columns):
        return out
    touched = (columns[0] - 2, rows[0] - 2, columns[-1] + 3, rows[-1] + 3)
    x0, y0, x1, y1 = _box(crop, width, height, of=touched, margin=2)
    size = (x1 - x0, y1 - y0)
    face = out[y0:y1, x0:x1].astype(np.float32)
    if plain is not None:
        face += _placed(mask, crop, (x0, y0), size)[..., None] * (plain[y0:y1, x0:x1] - face)
    face += _placed(change, crop, (x0, y0), size)
    out[y0:y1, x0:x1] = np.rint(np.clip(face, 0, 255)).astype(np.uint8)
    return out


def _placed(values: F32, crop: Crop, corner: tuple[int, int], size: tuple[int, int]) -> F32:
    """Values of a crop where they belong in a part of the picture, 0 outside; averaged where the picture is coarser."""
    import cv2

    n = crop.size if crop.scale >= 1 else max(8, round(crop.size * crop.scale))
    if n < crop.size:
        values = cv2.resize(values, (n, n), interpolation=cv2.INTER_AREA)
    turn = crop.matrix[:, :2] * (crop.size / n)
    matrix = np.concatenate([turn, crop.matrix[:, 2:] - np.array(corner)[:, None]], 1)
    return np.asarray(cv2.warpAffine(values, _between_centres(matrix), size, flags=cv2.INTER_CUBIC), np.float32)


def _between_centres(matrix: F64) -> F64:
    """An affine map of continuous pixels (pixel 0 covers [0, 1)) as cv2 counts: from the middle of pixel 0."""
    turn = matrix[:, :2]
    return np.concatenate([turn, matrix[:, 2:] + (turn.sum(1, keepdims=True) - 1) / 2], 1)


def _box(
    crop: Crop, width: int, height: int, *, margin: float, of: tuple[int, int, int, int] | None = None
) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1 of the pixels of a picture that a part of a crop, or all of it, covers; one pixel at least."""
    left, top, right, bottom = of or (0, 0, crop.size, crop.size)
    corners = crop.to_source([[left, top], [right, top], [left, bottom], [right, bottom]])
    low, high = np.floor(corners.min(0) - margin), np.ceil(corners.max(0) + margin)
    x0, y0 = (int(np.clip(v, 0, n - 1)) for v, n in zip(low, (width, height), strict=True))
    x1, y1 = (int(np.clip(v, 1, n)) for v, n in zip(high, (width, height), strict=True))
    return x0, y0, max(x1, x0 + 1), max(y1, y0 + 1)
