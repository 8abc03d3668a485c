"""One photo, moved by coefficients: the square around the head is drawn, and put back into the photo on request.

Section 3.2 and figure 2: the source's identity with the driver's expression and camera is drawn as PNCC, and the
generator makes the frame of it.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import numpy.typing as npt

from talkhead.coeffs.container import Coeffs
from talkhead.coeffs.layout import space_family
from talkhead.errors import CoeffFileError, InputError
from talkhead.face import HEAD_MARGIN
from talkhead.face.crop import fixed_crop
from talkhead.face.framing import Box, brought_to, cut_box, on_white
from talkhead.face.seam import Seam, feather_mask
from talkhead.face3d.fit import PhotoFit, fit_like, fit_photo
from talkhead.face3d.morphable import FaceModel
from talkhead.face3d.pncc import posed_vertices
from talkhead.face3d.posed import absolute
from talkhead.protocols import Drive, Source
from talkhead.systems.headgan.options import RenderOptions
from talkhead.systems.headgan.painters import N_BEFORE, Painter

U8 = npt.NDArray[np.uint8]
F64 = npt.NDArray[np.float64]

_LEAST_SIDE = 32  # pixels of the photo's square around the head
_IS_CROP = 0.8  # of a square photo's side: where the head takes so much of it, it was cut out already


class HeadGanRenderer:
    """Renders one photo; see `talkhead.protocols.Renderer`.

    Args:
        source: photo and face. painter: draws the square. options: framing and size. model: the face model that gives
            coefficients a meaning.
    Raises:
        InputError: the head is too small in the photo.
    """

    def __init__(self, source: Source, painter: Painter, options: RenderOptions, model: FaceModel) -> None:
        self._painter, self._options, self._model = painter, options, model
        image, landmarks = on_white(source.image, source.alpha), source.landmarks
        if options.framing == "full":
            image, landmarks = brought_to(image, landmarks, options.size)
        self._size = image.shape[1], image.shape[0]
        box = head_box(landmarks.bbox, self._size)
        square, points = cut_box(image, landmarks, box)
        if len(square) < _LEAST_SIDE:
            raise InputError(
                f"{source.name}: the head fills a square of only {len(square)} pixels",
                hint=f"it needs {_LEAST_SIDE}: use a larger picture",
            )
        under = np.ascontiguousarray(square)
        self._square, _ = brought_to(under, points, painter.side)
        self._landmarks = landmarks
        # Measured in the whole photo, as motion is: a head away from its middle also moves when its size changes.
        self._fit = fit_photo(landmarks, self._size, model)
        self._photo, self._box, self._seam = image, box, None
        self._look(self._fit)
        if options.framing == "full":
            self._seam = Seam(under, feather_mask(box, self._size))

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the frames."""
        if self._seam is not None:
            return self._size
        side = self._options.size or self._painter.side
        return side, side

    @property
    def hears(self) -> tuple[str, ...]:
        """What the networks listen to."""
        return self._painter.hears

    def rest_coeffs(self) -> Coeffs:
        """The photo's own coefficients, one frame, in the photo's pixels."""
        return self._fit.coeffs

    def render(self, drive: Drive) -> Iterator[U8]:
        """One (H, W, 3) uint8 frame per coefficient row that is to be drawn, each a fresh array.

        Before the first frame the networks see it twice, as in the release.

        Raises:
            CoeffFileError: codes of another space, or features that are not as many as frames.
        """
        coeffs = drive.coeffs
        audio = next((drive.features[name] for name in self.hears if name in drive.features), None)
        codes = coeffs.exp is not None or coeffs.id is not None
        if codes and space_family(coeffs.space) != space_family(self._model.space.name):
            raise CoeffFileError(f"codes of space {coeffs.space} cannot move a face of {self._model.space.name}")
        if audio is not None and len(audio) != len(coeffs):
            raise CoeffFileError(f"{self.hears[0]} has {len(audio)} rows for {len(coeffs)} frames")
        # Of a clip of the same person everything is drawn with the clip's identity, as in training sets.
        fit = fit_like(self._fit, self._landmarks, coeffs, self._model)
        if fit is not self._seen:
            self._look(fit)
        for start in drive.frames[:: self._options.batch]:
            stop = min(start + self._options.batch, drive.frames.stop)
            frames = np.maximum(np.arange(start - N_BEFORE, stop), 0)
            vertices = self._vertices(absolute(coeffs.at(frames), fit))
            heard = None if audio is None else audio[start:stop]
            for square in self._painter.paint(vertices, heard):
                yield self._shown(square)

    def _look(self, fit: PhotoFit) -> None:
        """Show the painter the photo, with the face where a fit has it."""
        self._seen = fit
        self._painter.look(self._square, self._vertices(fit.coeffs)[0])

    def _vertices(self, coeffs: Coeffs) -> F64:
        """Vertices of coefficients absolute in the photo, (T, V, 3) pixels of the square."""
        x0, y0, x1, _ = self._box
        placed = posed_vertices(coeffs, self._model, self._size) - (x0, y0, 0)
        return placed * (self._painter.side / (x1 - x0))

    def _shown(self, square: U8) -> U8:
        if self._seam is not None:
            out = self._photo.copy()
            x0, y0, x1, y1 = self._box
            out[y0:y1, x0:x1] = self._seam.blended(square)
            return out
        width, _ = self.size
        if width == len(square):
            return square.copy()
        way = cv2.INTER_AREA if width < len(square) else cv2.INTER_CUBIC
        return np.asarray(cv2.resize(square, (width, width), interpolation=way), np.uint8)


def head_box(face: tuple[float, float, float, float], size: tuple[int, int]) -> Box:
    """The square around a head that training sets have too, in whole pixels and inside the photo.

    A square photo that is hardly larger is taken whole: it is such a crop already, perhaps a frame of a training set.

    Args:
        face: x0, y0, x1, y1 of the face's points. size: width and height of the photo.
    """
    crop = fixed_crop([face], size, 1, HEAD_MARGIN)
    side = max(int(crop.scale), 1)
    if size[0] == size[1] and side > _IS_CROP * size[0]:
        return 0, 0, size[0], size[1]
    # Half of what was cut off on each side: a square that ends at the photo's border still does.
    left, top = (round(corner + (crop.scale - side) / 2) for corner in crop.matrix[:, 2].tolist())
    x0, y0 = max(0, min(left, size[0] - side)), max(0, min(top, size[1] - side))
    return x0, y0, x0 + side, y0 + side
