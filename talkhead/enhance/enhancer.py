"""Frames in, better frames out, one after the other: the face restored, the picture enlarged."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from talkhead.enhance.align import REACH_S, Place, place_points, steadied
from talkhead.enhance.config import BACKGROUND_WEIGHTS, FACE_WEIGHTS, EnhanceConfig
from talkhead.enhance.networks import FaceRestorer, Upscaler, open_restorer, open_upscaler
from talkhead.enhance.paste import cut_face, face_change, face_mask, paste
from talkhead.errors import ShapeError
from talkhead.face.crop import Crop
from talkhead.face.mesh import FaceChoice, FaceTracker
from talkhead.face.providers import FaceProvider

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger(__name__)
U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

CARD_BATCH = 8
"""Faces per pass through the network on a card; a CPU is no faster with more than one."""


@dataclass(frozen=True, slots=True)
class _Begun:
    """A batch on its way through the network: frames, the places of their faces, the crops cut out there."""

    frames: list[U8]
    places: list[Place | None]
    cuts: list[F32]
    started: Tensor | None


class Enhancer:
    """Enhances the frames of videos. Holds no more than a second of frames at a time, however long the video is.

    Args:
        config: what to do. restorer: the face network; None leaves faces. upscaler: the network for whole pictures;
            None: a Lanczos filter. batch: faces per pass. using: provider of landmarks.
    """

    def __init__(
        self,
        config: EnhanceConfig,
        *,
        restorer: FaceRestorer | None = None,
        upscaler: Upscaler | None = None,
        batch: int = 1,
        using: FaceProvider | None = None,
    ) -> None:
        self.config = config
        self._restorer = restorer
        self._upscaler = upscaler
        self._batch = batch
        self._using = using

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of the frames given for frames of this size."""
        scale = self.config.scale_of(width, height)
        return width * scale, height * scale

    def frames(self, frames: Iterable[U8], fps: float, *, face: FaceChoice = "largest") -> Iterator[U8]:
        """Enhance the frames of one video.

        One face is followed from frame to frame; others are only enlarged. Where it is not seen, so is the whole
        frame; a warning tells if that was all of the video.

        Args:
            frames: (H, W, 3) uint8 RGB, of one size, a fresh array each. fps: frames per second. face: which one, as
                in `talkhead.face.mesh.choose_face`.
        Yields:
            As many, in the same order, of `size(W, H)`.
        Raises:
            ShapeError: no RGB frames. FaceChoiceError: there is no such face in the first frame that shows any.
            EnvironmentProblem: the card has too little memory.
        """
        if self._restorer is None or not self.config.restores:
            for frame in map(_checked, frames):
                yield self._enlarged(frame)[0]
            return
        placed = steadied(self._seen(frames, fps, face), max(1, round(REACH_S * fps)))
        before: _Begun | None = None
        n_frames = n_placed = 0
        # One batch ahead: while a card computes, the next faces are found and cut out.
        while group := list(islice(placed, self._batch)):
            begun = self._begun(group)
            n_frames, n_placed = n_frames + len(group), n_placed + len(begun.cuts)
            if before is not None:
                yield from self._finished(before)
            before = begun
        if before is not None:
            yield from self._finished(before)
        if n_frames and not n_placed:
            log.warning("no face was found in %d frames: nothing to restore, they were only enlarged", n_frames)

    def _seen(self, frames: Iterable[U8], fps: float, face: FaceChoice) -> Iterator[tuple[U8, F64 | None]]:
        """Frames and the points of the face in them."""
        tracker = FaceTracker(fps, choice=face, using=self._using)
        for frame in map(_checked, frames):
            landmarks = tracker.track(frame)
            yield frame, None if landmarks is None else place_points(landmarks)

    def _begun(self, group: list[tuple[U8, Place | None]]) -> _Begun:
        """Cut out the faces of some frames and send them to the network."""
        assert self._restorer is not None
        cuts = [cut_face(frame, place.crop) for frame, place in group if place is not None]
        started = self._restorer.start(cuts) if cuts else None
        return _Begun([frame for frame, _ in group], [place for _, place in group], cuts, started)

    def _finished(self, begun: _Begun) -> Iterator[U8]:
        """Enlarge the frames of a batch and put its faces in."""
        assert self._restorer is not None
        restored = self._restorer.finish(begun.started) if begun.started is not None else []
        faces = zip(begun.cuts, restored, strict=True)
        for frame, place in zip(begun.frames, begun.places, strict=True):
            picture, plain = self._enlarged(frame)
            if place is None:
                yield picture
                continue
            cut, face = next(faces)
            crop, share = place.crop, self.config.strength * place.share
            mask = face_mask(crop, place.oval)
            change = face_change(cut, face, mask)
            yield paste(picture, plain, self._in_output(crop, frame), share * change, share * mask)

    def _enlarged(self, frame: U8) -> tuple[U8, U8 | None]:
        """The frame at the size of the output; and, if a network did that, what the filter makes of it too."""
        height, width = frame.shape[:2]
        size = self.size(width, height)
        plain = _resized(frame, size)
        if self._upscaler is None:
            return plain, None
        return _resized(self._upscaler.enlarge(frame), size), plain

    def _in_output(self, crop: Crop, frame: U8) -> Crop:
        return Crop(matrix=crop.matrix * self.config.scale_of(frame.shape[1], frame.shape[0]), size=crop.size)


def open_enhancer(
    config: EnhanceConfig, *, weights: Callable[[str], Path], device: str = "cpu", dtype: str = "float32"
) -> Enhancer:
    """Load the networks that an enhancement needs.

    Args:
        config: what to do. weights: the safetensors file of an entry of the manifest, as
            `talkhead.weights.catalogue.tensors` finds it; asked for `config.weights`.
        device, dtype: as resolved by `talkhead.device`.
    Raises:
        WeightsError: from `weights`, or a file holds another network. EnvironmentProblem: CodeFormer without the
            package that holds it.
    """
    restorer = upscaler = None
    if config.faces is not None and config.restores:
        path = weights(FACE_WEIGHTS[config.faces])
        restorer = open_restorer(config.faces, path, device=device, dtype=dtype)
    if config.background is not None:
        upscaler = open_upscaler(weights(BACKGROUND_WEIGHTS[config.background]), device=device, dtype=dtype)
    batch = CARD_BATCH if device.startswith("cuda") else 1
    return Enhancer(config, restorer=restorer, upscaler=upscaler, batch=batch)


def _checked(frame: U8) -> U8:
    if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8:
        raise ShapeError("frame", frame.shape, "(H, W, 3) uint8")
    return frame


def _resized(picture: U8, size: tuple[int, int]) -> U8:
    """The picture at (width, height): by a Lanczos filter, averaged where it gets smaller; itself if it has that."""
    import cv2

    height, width = picture.shape[:2]
    if (width, height) == size:
        return picture
    smaller = size[0] < width
    return np.asarray(
        cv2.resize(picture, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LANCZOS4), np.uint8
    )
