"""A photo made ready for the networks: the square they draw, and the coefficients of its face."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from talkhead.coeffs.container import Coeffs
from talkhead.errors import InputError
from talkhead.face.landmarks68 import landmarks68
from talkhead.protocols import Source
from talkhead.systems.sadtalker.align import aligned_face
from talkhead.systems.sadtalker.config import FPS, Preprocess, RenderOptions
from talkhead.systems.sadtalker.crop import SadCrop, Size, crop_of, cut, squared, to_square
from talkhead.systems.sadtalker.measure import Measured, Measurer, Regress, coeffs_of

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class PreparedPhoto:
    """What the renderer needs to know about a photo.

    Attributes:
        square: (S, S, 3) uint8 RGB, the networks' source picture. crop: where it was cut, None for the whole picture.
        display: width and height whose proportions the drawn square takes when it is shown.
        coeffs: of the photo's face, one frame, space `bfm`, absolute. row: the same as the networks read it, (73,):
            expression 64, angles 3, translation 3, alignment 3.
    """

    square: U8
    crop: SadCrop | None
    display: Size
    coeffs: Coeffs
    row: F32


@dataclass(frozen=True, kw_only=True, slots=True)
class Framing:
    """How a picture's pixels become the square.

    Attributes:
        crop: the boxes, None for the whole picture. preprocess: which of them. side: of the square. size: of the
            picture.
    """

    crop: SadCrop | None
    preprocess: Preprocess
    side: int
    size: Size

    @staticmethod
    def of(points68: npt.ArrayLike, size: Size, preprocess: Preprocess, side: int) -> Framing:
        """Framing of a face by its 68 points, (68, 2), in the picture's pixels.

        Raises:
            InputError: the face lies outside the picture.
        """
        crop = None if preprocess == "resize" else crop_of(points68, size)
        return Framing(crop=crop, preprocess=preprocess, side=side, size=size)

    @property
    def display(self) -> Size:
        """Width and height whose proportions the drawn square takes when it is shown."""
        return self.size if self.crop is None else self.crop.display(self.preprocess)

    def square(self, image: U8) -> U8:
        """The networks' picture of a photo or frame."""
        return squared(cut(image, self.crop, self.preprocess), self.side)

    def aligned(self, square: U8, points68: npt.ArrayLike) -> tuple[U8, F64]:
        """The regressor's picture of the square, and its alignment; see `aligned_face`.

        The published code detects the face once more on the square. Here the points found in the picture are mapped
        through the crop: what was read off the full resolution is the more exact.
        """
        return aligned_face(square, to_square(points68, self.crop, self.preprocess, self.side, self.size))


def prepare(
    source: Source, options: RenderOptions, regressor: Regress, *, device: Any = None, dtype: Any = None
) -> PreparedPhoto:
    """Cut, square and measure a photo.

    Args:
        source: the photo and its face. options: preprocess and side. regressor: see `Measurer`; device, dtype: too.
    Raises:
        InputError: the face lies outside the picture.
    """
    measurer = Measurer(regressor, device, dtype)
    framing, points = framed(source, options.mode, options.side, measurer.device)
    square = framing.square(source.image)
    measured = measured_square(square, framing, points, measurer)
    return PreparedPhoto(
        square=square,
        crop=framing.crop,
        display=framing.display,
        coeffs=coeffs_of(measured, FPS),
        row=measured.rows[0],
    )


def framed(source: Source, preprocess: Preprocess, side: int, device: str = "cpu") -> tuple[Framing, F32]:
    """Framing of a photo, and the 68 points of its face, (68, 2) pixels of the photo.

    Raises:
        InputError: the face lies outside the picture.
    """
    height, width = source.image.shape[:2]
    points = landmarks68(source.image, source.landmarks, provider="auto", device=device)[:, :2]
    try:
        return Framing.of(points, (width, height), preprocess, side), points
    except InputError as error:
        raise type(error)(f"{source.name}: {error.message}", hint=error.hint) from error


def measured_square(square: U8, framing: Framing, points68: npt.ArrayLike, measurer: Measurer) -> Measured:
    """Coefficients of the face in one square; points in the photo's pixels."""
    picture, alignment = framing.aligned(square, points68)
    return measurer([picture], [alignment])
