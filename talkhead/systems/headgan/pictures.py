"""Small rules of the published code about pixels: mouths, masks of the person, whole numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from talkhead.errors import ShapeError

I64 = npt.NDArray[np.int64]

MOUTH = slice(48, 70)
"""Rows of landmarks that tell where the mouth is. Published files have 70 rows: the pupils count too."""


def mouth_centres(landmarks: npt.NDArray[np.floating[Any]]) -> I64:
    """Middles of mouths: medians of the mouth's landmarks, all in whole pixels, truncated.

    Args:
        landmarks: (..., 68 or 70, 2), pixels, x then y.
    Returns:
        (..., 2), x then y; may be nearer to the border than half a mouth picture.
    Raises:
        ShapeError: another shape.
    """
    if landmarks.shape[-2:] not in ((68, 2), (70, 2)):
        raise ShapeError("landmarks", landmarks.shape, "(..., 68 or 70, 2)")
    whole = np.trunc(landmarks[..., MOUTH, :])
    return np.trunc(np.median(whole, axis=-2)).astype(np.int64)


def inside(centres: I64, size: int | tuple[int, int], mouth_side: int) -> I64:
    """Centres moved so that squares around them lie in a picture.

    Args:
        centres: (..., 2) pixels, x then y. size: width and height of the picture, or its side. mouth_side: of the
            squares, even.
    """
    return np.clip(centres, mouth_side // 2, np.asarray(size) - mouth_side // 2)


def foreground(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Where a parser sees a person: any class but the background, neck and clothes too.

    Args:
        logits: (B, classes, H, W), class 0 the background. size: height and width wanted.
    Returns:
        (B, 1, *size) float32 in [0, 1], resized bilinearly.
    """
    person = (logits.argmax(1, keepdim=True) > 0).float()
    return interpolate(person, size, mode="bilinear", align_corners=False)


def union(first: Tensor, second: Tensor) -> Tensor:
    """What two soft masks cover together: their sum, at most 1."""
    return (first + second).clamp(max=1)


def to_uint8(values: Tensor, *, signed: bool = True) -> Tensor:
    """Numbers in [-1, 1], or [0, 1] if not `signed`, as uint8: cut to the range and truncated."""
    unit = (values.float() + 1) / 2 if signed else values.float()
    return (unit * 255).clamp(0, 255).to(torch.uint8)
