"""Photos and clips -> coefficients of space `bfm`, measured by SadTalker's 3DMM regressor (Deng et al. 2019)."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from talkhead.coeffs.container import Coeffs
from talkhead.errors import FaceNotFoundError, InputError
from talkhead.face.landmarks import Landmarks
from talkhead.face.landmarks68 import landmarks68_of_clip
from talkhead.protocols import Source
from talkhead.systems.sadtalker.config import RENDER_SIZES, Preprocess
from talkhead.systems.sadtalker.measure import Measured, Measurer, Regress, coeffs_of
from talkhead.systems.sadtalker.photo import Framing, framed, measured_square

if TYPE_CHECKING:
    from talkhead.media.video import Clip

log = logging.getLogger(__name__)
U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

BATCH = 16  # pictures a run of the network; the memory of 16 is small and more is not quicker


class BfmExtractor:
    """See `talkhead.protocols.Extractor`.

    Args:
        regressor, device, dtype: as `Measurer` takes them. side: of the square that faces are cut to first.
    """

    def __init__(
        self, regressor: Regress, device: Any = None, dtype: Any = None, *, side: int = RENDER_SIZES[0]
    ) -> None:
        self._measurer = Measurer(regressor, device, dtype)
        self._side = side

    def photo(
        self,
        source: Source,
        *,
        fps: float,
        landmarks: bool = False,
        like: Coeffs | None = None,
        preprocess: Preprocess = "crop",
    ) -> Coeffs:
        """Coefficients of one photo, one frame long.

        Args:
            source: photo and face. fps: rate to write down. landmarks: also keep the 68 points. like: not used; the
                regressor knows one picture at a time. preprocess: what of the photo is cut first.
        Raises:
            InputError: the face lies outside the picture.
        """
        framing, points = framed(source, preprocess, self._side, self._measurer.device)
        measured = measured_square(framing.square(source.image), framing, points, self._measurer)
        return coeffs_of(measured, fps, points[None] if landmarks else None)

    def video(
        self,
        clip: Clip,
        found: Iterable[Landmarks | None],
        *,
        landmarks: bool = False,
        preprocess: Preprocess = "crop",
    ) -> Coeffs:
        """Coefficients of a clip; memory grows by some 600 bytes a frame.

        The first frame with a face decides what is cut, as published; in it each frame is aligned by its own points. A
        frame without a face keeps the points of the frame before; those before the first face take its coefficients.
        `params["frames_without_face"]` counts both.

        Args:
            clip: its frames. found: the face of each, None where there is none. landmarks: also keep the 68 points.
            preprocess: what of the frames is cut first.
        Raises:
            FaceNotFoundError: no frame shows a face.
        """
        faces = _Faces(clip.size, preprocess, self._side)
        parts: list[Measured] = []
        with closing(_frames(clip, found)) as frames:
            for batch in _batches(faces.aligned(frames, self._measurer.device), BATCH):
                parts.append(self._measurer([picture for picture, _ in batch], [place for _, place in batch]))
        if not parts:
            raise FaceNotFoundError(
                f"no face found in any of {faces.n_frames} frames",
                hint="the face must be visible and at least 20 pixels from eye to eye",
            )
        measured = Measured.joined(parts)
        held = np.maximum(np.arange(faces.n_frames) - faces.n_before, 0)
        whole = Measured(rows=measured.rows[held], identity=measured.identity)
        points = np.array(faces.points)[held] if landmarks else None
        return coeffs_of(whole, clip.fps, points, frames_without_face=faces.n_missing)


class _Faces:
    """Aligns the face of each frame; counts frames, and those without a face.

    Attributes:
        n_frames, n_missing: frames so far, and those without a face. n_before: frames before the first face.
        points: (68, 2) of every frame from the first face on.
    """

    def __init__(self, size: tuple[int, int], preprocess: Preprocess, side: int) -> None:
        self._size, self._preprocess, self._side = size, preprocess, side
        self._framing: Framing | None = None
        self.n_frames = self.n_missing = self.n_before = 0
        self.points: list[F32] = []

    def aligned(self, frames: Iterable[tuple[U8, Landmarks | None]], device: str) -> Iterator[tuple[U8, F64]]:
        """The regressor's picture and its alignment of each frame from the first face on."""
        for image, found in landmarks68_of_clip(frames, device=device):
            self.n_frames += 1
            seen = found is not None and self._is_framed_by(found)
            self.n_missing += not seen
            if found is not None and seen:
                self.points.append(found)
            elif self.points:
                self.points.append(self.points[-1])
            else:
                self.n_before += 1
                continue
            assert self._framing is not None
            yield self._framing.aligned(self._framing.square(image), self.points[-1])

    def _is_framed_by(self, points: F32) -> bool:
        """Whether a framing is known; the first points that give one decide it."""
        if self._framing is None:
            try:
                self._framing = Framing.of(points, self._size, self._preprocess, self._side)
            except InputError as error:
                log.debug("frame %d: %s", self.n_frames - 1, error.message)
                return False
        return True


def _frames(
    clip: Iterable[U8], found: Iterable[Landmarks | None]
) -> Generator[tuple[U8, Landmarks | None], None, None]:
    # The tracker has a decoder of its own; asked first, it is the one that sees the end.
    for face, image in zip(found, clip, strict=False):
        yield image, face


def _batches(items: Iterable[tuple[U8, F64]], size: int) -> Iterator[list[tuple[U8, F64]]]:
    batch: list[tuple[U8, F64]] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
