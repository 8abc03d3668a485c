"""The face of every frame of a film: tracked once, and on request kept in a file beside the film.

The file is safetensors (`points` (T, 478, 3) float32 pixels, NaN where no face was seen), 6 KB a frame; its name holds
a hash of what it depends on: the film's sha256, the rate and size of the frames, the tracker. It is read row by row,
not mapped: pages of a map would count as this program's memory.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import tempfile
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from talkhead.errors import TalkheadError
from talkhead.evaluation.crop import Square
from talkhead.face.landmarks import Landmarks
from talkhead.face.topology import N_POINTS
from talkhead.files import atomic_output
from talkhead.weights.store import sha256_of

log = logging.getLogger(__name__)
U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]

_VERSION = 1  # of what is kept: a new number makes every film be tracked anew
_CHUNK = 1 << 20
_ROW_BYTES = N_POINTS * 3 * 4


class FilmFaces:
    """Faces of consecutive frames of one film; use as a context, which ends what was opened.

    Args:
        video: the film. size: width and height of the frames that will be given. fps: their rate.
        end_s: where the frames end, seconds; None: where the film does. square: what they show of the film; None: all
            of it. keep: read and write the file beside the film.
    """

    def __init__(
        self,
        video: Path,
        size: tuple[int, int],
        fps: float,
        end_s: float | None = None,
        *,
        square: Square | None = None,
        keep: bool = False,
    ) -> None:
        self._video, self._size, self._fps = video, size, fps
        self._stack = contextlib.ExitStack()
        self._kept = kept_at(video, size, fps, end_s, square) if keep else None
        self._rows = self._open(self._kept) if self._kept is not None else None
        self._spool: IO[bytes] | None = None
        self._tracker: Any = None
        self._n = 0
        if self._kept is not None and self._rows is None:
            self._spool = self._stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack ends it

    def __enter__(self) -> FilmFaces:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def next(self, frame: U8) -> Landmarks | None:
        """The face in the next frame, (H, W, 3) uint8 RGB; None where none is seen."""
        if self._rows is not None:
            row = self._rows.read(_ROW_BYTES)
            if len(row) < _ROW_BYTES:
                return self._track(frame)
            kept = np.frombuffer(row, np.float32).reshape(N_POINTS, 3)
            return None if np.isnan(kept).any() else Landmarks(kept.astype(np.float64))
        found = self._track(frame)
        self._n += 1
        if self._spool is not None:
            points = np.full((N_POINTS, 3), np.nan, np.float32) if found is None else found.points.astype(np.float32)
            self._spool.write(points.tobytes())
        return found

    def finish(self) -> None:
        """Write the file, if one is wanted and was not there; a folder that cannot be written is only mentioned."""
        if self._spool is None or self._kept is None:
            return
        head = {
            "__metadata__": {"made_from": self._video.name, "fps": f"{self._fps:g}"},
            "points": {
                "dtype": "F32",
                "shape": [self._n, N_POINTS, 3],
                "data_offsets": [0, self._n * N_POINTS * 3 * 4],
            },
        }
        text = json.dumps(head).encode()
        text += b" " * (-len(text) % 8)
        try:
            with atomic_output(self._kept, overwrite=True) as temporary, temporary.open("wb") as file:
                file.write(len(text).to_bytes(8, "little") + text)
                self._spool.seek(0)
                while block := self._spool.read(_CHUNK):
                    file.write(block)
        except (OSError, TalkheadError) as error:
            log.warning("cannot keep the faces of %s: %s", self._video, error)

    def _track(self, frame: U8) -> Landmarks | None:
        if self._tracker is None:
            from talkhead.face.mesh import FaceTracker

            self._tracker = FaceTracker(self._fps, name=str(self._video))
        found: Landmarks | None = self._tracker.track(frame)
        # As a file would hold it: a second run must give the same numbers.
        return None if found is None else Landmarks(found.points.astype(np.float32).astype(np.float64))

    def _open(self, path: Path) -> IO[bytes] | None:
        """The file at its first row; None where there is none or it is damaged."""
        if not path.is_file():
            return None
        try:
            file = self._stack.enter_context(path.open("rb"))
            n_head = int.from_bytes(file.read(8), "little")
            n_bytes = path.stat().st_size - 8 - n_head
            shape = json.loads(file.read(max(min(n_head, n_bytes + n_head), 0)))["points"]["shape"]
            if shape[1:] == [N_POINTS, 3] and n_bytes == shape[0] * _ROW_BYTES:
                log.info("faces of %s: read from %s", self._video, path.name)
                return file
            log.warning("%s is damaged and made anew: %d bytes for %s points", path, n_bytes, shape)
        except (OSError, ValueError, LookupError, TypeError) as error:
            log.warning("%s is damaged and made anew: %s", path, error)
        return None


def kept_at(
    video: Path, size: tuple[int, int], fps: float, end_s: float | None = None, square: Square | None = None
) -> Path:
    """Where the faces of a film are kept: beside it."""
    from talkhead.face.providers import provider

    facts = f"{_VERSION} {sha256_of(video)} {size[0]}x{size[1]} {fps:.6f} {end_s} {getattr(provider(), 'name', '')}"
    if square is not None:
        facts += f" {square.x:.6f} {square.y:.6f} {square.side:.6f}"
    key = hashlib.sha256(facts.encode()).hexdigest()[:12]
    return video.with_name(f"{video.stem[:40]}.faces-{key}.safetensors")
