"""Random changes of training examples that leave them true: mirrored, another crop, another light.

A person of one short clip is soon known by heart; an example that looks a little different each time keeps networks at
copying from the reference. Reference, target and everything drawn of an example change together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from talkhead.errors import InputError

U8 = npt.NDArray[np.uint8]
F64 = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class AugmentConfig:
    """How far examples are changed; 0 everywhere leaves them as they are.

    Attributes:
        mirror: share of examples that are mirrored. zoom: the crop shows up to so much more or less, 0.1 for a tenth.
        turn: the picture is turned by up to so many degrees. shift: and moved by up to this share of its side, along
            each axis. light: channels are brighter or darker by up to this share, half of it alike.
    Raises:
        InputError: a value out of range.
    """

    mirror: float = 0.0
    zoom: float = 0.0
    turn: float = 0.0
    shift: float = 0.0
    light: float = 0.0

    def __post_init__(self) -> None:
        for name, most in (("mirror", 1), ("zoom", 1), ("turn", 180), ("shift", 0.5), ("light", 0.9)):
            value = getattr(self, name)
            if not 0 <= value <= most:
                raise InputError(f"augment.{name} is {value:g}, expected 0 to {most:g}")

    def draw(self, side: int, rng: np.random.Generator) -> Change:
        """A change of pictures of a side, pixels. Settings that are 0 take nothing from `rng`."""
        mirrored = bool(self.mirror) and rng.random() < self.mirror
        matrix = None
        if self.zoom or self.turn or self.shift:
            zoom = (1 + self.zoom) ** rng.uniform(-1, 1)
            angle = np.deg2rad(self.turn) * rng.uniform(-1, 1)
            shift = self.shift * side * rng.uniform(-1, 1, 2)
            turned = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            middle = np.full(2, (side - 1) / 2)
            matrix = np.column_stack([turned, middle - turned @ middle + shift])
        gains = None
        if self.light:
            gains = 1 + self.light * (rng.uniform(-0.5, 0.5) + rng.uniform(-0.5, 0.5, 3))
        return Change(side, mirrored, matrix, gains)


@dataclass(frozen=True, slots=True)
class Change:
    """What happens to an example: first a similarity of the picture's plane, then mirroring.

    Attributes:
        side: of the pictures, pixels. mirrored: whether left and right are exchanged. matrix: of the similarity, (2,
            3), pixels whose centres are whole numbers; None: none. gains: of the channels, (3,), or None.
    """

    side: int
    mirrored: bool
    matrix: F64 | None
    gains: F64 | None

    def picture(self, image: U8) -> U8:
        """A photo (side, side, 3), changed; beyond its border it goes on as it ends."""
        if self.gains is not None:
            image = np.clip(image * self.gains + 0.5, 0, 255).astype(np.uint8)
        return self.mask(image)

    def mask(self, image: U8) -> U8:
        """A picture without light, such as a mask, (side, side) or (side, side, C), changed."""
        import cv2

        if self.matrix is not None:
            image = np.asarray(
                cv2.warpAffine(image, self.matrix, (self.side, self.side), borderMode=cv2.BORDER_REPLICATE), np.uint8
            )
        return self.flipped(image, axis=1)

    def placed(self, points: F64) -> F64:
        """Points (..., 2 or 3), pixels and depth, where they are before mirroring."""
        if self.matrix is None:
            return points
        moved = points.copy()
        moved[..., :2] = points[..., :2] @ self.matrix[:, :2].T + self.matrix[:, 2]
        moved[..., 2:] *= np.sqrt(np.linalg.det(self.matrix[:, :2]))
        return moved

    def flipped(self, values: npt.NDArray[Any], axis: int = -1) -> npt.NDArray[Any]:
        """Values of pixels, mirrored if the example is; `axis` is that of columns."""
        return np.ascontiguousarray(np.flip(values, axis)) if self.mirrored else values
