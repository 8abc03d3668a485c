"""The films of one clip as they are judged: opened, checked against each other, cropped, scaled, decoded in step."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from talkhead.errors import InputError, MediaError
from talkhead.evaluation.crop import Square, find_square
from talkhead.evaluation.face_store import FilmFaces
from talkhead.evaluation.meters import View
from talkhead.evaluation.protocol import Protocol
from talkhead.media.video import Clip, open_clip

log = logging.getLogger(__name__)
U8 = npt.NDArray[np.uint8]

SHAPE_TOLERANCE = 0.02
"""Of the ratio of width and height: shapes nearer than this are the same."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Film:
    """A film as it is judged.

    Attributes:
        clip: the whole frames. square: what is cut out of them; None: nothing. size: width and height that the rest is
            scaled to.
    """

    clip: Clip
    size: tuple[int, int]
    square: Square | None = None

    @property
    def path(self) -> Path:
        """Of the file."""
        return self.clip.path

    @property
    def fps(self) -> float:
        """Frames per second, constant."""
        return self.clip.fps

    @property
    def cut_size(self) -> tuple[int, int]:
        """Width and height of what is judged of a frame, before it is scaled."""
        return _cut_size(self.clip, self.square)

    def frames(self, fps: float | None = None) -> Iterator[U8]:
        """Frames, (H, W, 3) uint8 RGB, decoded anew; at another rate if one is given.

        Raises:
            MediaError: they cannot be decoded.
        """
        clip = self.clip if fps is None else open_clip(self.path, fps=fps, end_s=self.clip.end_s)
        with contextlib.closing(iter(clip)) as whole:  # type: ignore[type-var]
            for frame in whole:
                yield resized(frame if self.square is None else self.square.cut(frame), self.size)


@dataclass(frozen=True, kw_only=True, slots=True)
class Films:
    """The generated film and the real one, and what is to be said of them.

    Attributes:
        judged, real: of one size and rate. notes: how they were brought to it. crop: what was cut of each, pixels, and
            which of them the face was looked for in; empty: nothing was.
    """

    judged: Film
    real: Film | None
    notes: tuple[str, ...] = ()
    crop: dict[str, Any] | None = None


def open_films(generated: Path, real: Path | None, protocol: Protocol) -> Films:
    """Open the films of a clip as a protocol wants them.

    Both are read by timestamp at the rate of the protocol, or of the generated film: its average where it varies.

    Raises:
        MediaError: missing, unreadable or no video. FaceNotFoundError: there is nothing to crop around.
        InputError: they differ in shape, or are not square where they must be.
    """
    judged = _opened(generated, protocol.fps, protocol)
    other = _opened(real, judged.fps, protocol) if real is not None else None
    notes = _check_rates(judged, other, protocol)
    _check_shapes(judged, other)
    square, crop = _crop(judged, other, protocol)
    if protocol.side is not None and square is None and not _is_square(judged.size):
        raise InputError(
            f"{generated} is {judged.size[0]}x{judged.size[1]}; protocol {protocol.name} judges square pictures",
            hint="leave out --no-crop, crop the clips yourself, or use --protocol plain",
        )
    size = _cut_size(judged, square) if protocol.side is None else (protocol.side, protocol.side)
    films = [None if clip is None else Film(clip=clip, square=square, size=size) for clip in (judged, other)]
    if crop is not None:
        rule = protocol.crop.text
        notes.append(f"frames are cropped alike, to {_box_text(crop['generated'])} of the generated clip ({rule})")
    for which, film in zip(("generated", "real"), films, strict=True):
        if film is not None and film.cut_size != size:
            how = "by areas" if size[0] * size[1] < film.cut_size[0] * film.cut_size[1] else "bicubic"
            notes.append(
                f"{which} frames are scaled {how} from {film.cut_size[0]}x{film.cut_size[1]} to {size[0]}x{size[1]}"
            )
    assert films[0] is not None
    return Films(judged=films[0], real=films[1], notes=tuple(notes), crop=crop)


class InStep:
    """The moments of both films, to the end of the shorter one, and the faces in them.

    Args:
        films: which. needs_faces: whether faces are looked for. keep_faces: keep them beside the films.
    Attributes:
        notes: what is to be said when all are seen.
    """

    def __init__(self, films: Films, *, needs_faces: bool, keep_faces: bool) -> None:
        self._films, self._needs_faces, self._keep_faces = films, needs_faces, keep_faces
        self.notes: list[str] = []

    def __iter__(self) -> Iterator[View]:
        judged, real = self._films.judged, self._films.real
        with contextlib.ExitStack() as stack:
            frames, faces = self._opened(judged, stack)
            others, other_faces = self._opened(real, stack) if real is not None else (None, None)
            number = 0
            while True:
                frame = next(frames, None)
                other = next(others, None) if others is not None else None
                if frame is None or (others is not None and other is None):
                    break
                face = faces.next(frame) if faces is not None else None
                other_face = other_faces.next(other) if other_faces is not None and other is not None else None
                yield View(number, frame, face, other, other_face)
                number += 1
            left = 0 if others is None else _left(frames if frame is not None else others, frame, other)
            if real is not None and left > 1:
                longer, shorter = (judged, real) if frame is not None else (real, judged)
                self.notes.append(f"{longer.path.name} is longer than {shorter.path.name}: frames compared: {number}")
                log.warning("%s", self.notes[-1])
            # The longer film was not read to its end, so not all of its faces are known.
            if faces is not None and (frame is None or left <= 1):
                faces.finish()
            if other_faces is not None and (other is None or left <= 1):
                other_faces.finish()

    def _opened(self, film: Film, stack: contextlib.ExitStack) -> tuple[Iterator[U8], FilmFaces | None]:
        frames = stack.enter_context(contextlib.closing(film.frames()))  # type: ignore[type-var]
        if not self._needs_faces:
            return frames, None
        clip = film.clip
        faces = FilmFaces(clip.path, film.size, clip.fps, clip.end_s, square=film.square, keep=self._keep_faces)
        return frames, stack.enter_context(faces)


def resized(frame: U8, size: tuple[int, int]) -> U8:
    """A frame at (width, height): by areas where it becomes smaller, bicubic where it becomes larger."""
    if (frame.shape[1], frame.shape[0]) == size:
        return np.ascontiguousarray(frame)
    import cv2

    method = cv2.INTER_AREA if size[0] * size[1] < frame.shape[0] * frame.shape[1] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(frame, size, interpolation=method), np.uint8)


def _opened(path: Path, fps: float | None, protocol: Protocol) -> Clip:
    clip = open_clip(path, fps=fps, end_s=protocol.clip_s)
    if clip.info.is_picture:
        raise MediaError(f"{path} is a picture, not a video", hint="talkhead eval judges videos; a photo is --source")
    return clip


def _cut_size(clip: Clip, square: Square | None) -> tuple[int, int]:
    if square is None:
        return clip.size
    x0, y0, x1, y1 = square.box(clip.size)
    return x1 - x0, y1 - y0


def _check_rates(judged: Clip, real: Clip | None, protocol: Protocol) -> list[str]:
    notes = []
    if real is not None and abs(real.info.fps - judged.fps) > 0.01:
        notes.append(f"the real clip has {real.info.fps:g} frames a second; it is read at {judged.fps:g}")
    if protocol.clip_s is not None and judged.n_frames < 0.95 * protocol.clip_s * judged.fps:
        notes.append(f"the clip is shorter than the {protocol.clip_s:g} s of protocol {protocol.name}")
    return notes


def _check_shapes(judged: Clip, real: Clip | None) -> None:
    if real is None:
        return
    one, other = judged.size[0] / judged.size[1], real.size[0] / real.size[1]
    if abs(other / one - 1) > SHAPE_TOLERANCE:
        raise InputError(
            f"{real.path} is {real.size[0]}x{real.size[1]}, {judged.path} {judged.size[0]}x{judged.size[1]}:"
            " different shapes cannot be compared",
            hint="crop both alike",
        )


def _crop(judged: Clip, real: Clip | None, protocol: Protocol) -> tuple[Square | None, dict[str, Any] | None]:
    """What is cut out of the frames of both clips: found in the real one, where there is one."""
    if protocol.cropping == "never" or (protocol.cropping == "auto" and _is_square(judged.size)):
        return None, None
    found_in = judged if real is None else real
    square = find_square(found_in.path, protocol.crop, end_s=found_in.end_s)
    crop: dict[str, Any] = {"found_in": "generated" if real is None else "real"}
    for which, clip in (("generated", judged), ("real", real)):
        if clip is not None:
            crop[which] = list(square.box(clip.size))
    return square, crop


def _is_square(size: tuple[int, int]) -> bool:
    return abs(size[0] / size[1] - 1) <= SHAPE_TOLERANCE


def _box_text(box: list[int]) -> str:
    return f"x {box[0]}..{box[2]}, y {box[1]}..{box[3]}"


def _left(rest: Iterator[U8], frame: U8 | None, other: U8 | None) -> int:
    """How many frames the longer film still has: 0, 1 or 2 for more."""
    if frame is None and other is None:
        return 0
    return 1 if next(rest, None) is None else 2
