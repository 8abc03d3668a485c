"""The face of every frame of a film: tracked once, and on request kept in a file beside the film.

The file is safetensors (`points` (T, 478, 3) float32 pixels, NaN where no face was seen), 6 KB a frame; its name holds
a hash of what it depends on: the film's sha256, the rate and size of the frames, the tracker. It is read row by row.
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
from talkhead.face.landmarks import Landmarks
from talkhead.face.topology import N_POINTS
from talkhead.files import atomic_output
from talkhead.weights.store import sha256_of

log = logging.getLogger(__name__)
U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]

_VERSION = 1  # of what is kept: a new number makes every film be tracked anew
_CHUNK = 1 << 20


class FilmFaces:
    """Faces of consecutive frames of one film; use as a context, which ends what was opened.

    Args:
        video: the film. size: width and height of the frames that will be given. fps: their rate.
        end_s: where the frames end, seconds; None: where the film does. keep: read and write the file beside the film.
    """

    def __init__(
        self, video: Path, size: tuple[int, int], fps: float, end_s: float | None = None, *, keep: bool = False
    ) -> None:
        self._video, self._size, self._fps = video, size, fps
        self._stack = contextlib.ExitStack()
        self._kept = kept_at(video, size, fps, end_s) if keep else None
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
            points = np.asarray(self._rows[self._n : self._n + 1])
            self._n += 1
            if len(points) == 1:
                return None if np.isnan(points[0]).any() else Landmarks(points[0].astype(np.float64))
            return self._track(frame)
        found = self._track(frame)
        self._n += 1
        if self._spool is not None:
            row = np.full((N_POINTS, 3), np.nan, np.float32) if found is None else found.points.astype(np.float32)
            self._spool.write(row.tobytes())
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

    def _open(self, path: Path) -> Any:
        if not path.is_file():
            return None
        try:
            from safetensors import safe_open

            file = self._stack.enter_context(safe_open(str(path), framework="numpy"))
            rows = file.get_slice("points")
            if tuple(rows.get_shape()[1:]) == (N_POINTS, 3):
                log.info("faces of %s: read from %s", self._video, path.name)
                return rows
        except Exception as error:  # noqa: BLE001 - safetensors has its own class; a damaged file is made anew
            log.warning("%s is damaged and made anew: %s", path, error)
        return None


def kept_at(video: Path, size: tuple[int, int], fps: float, end_s: float | None = None) -> Path:
    """Where the faces of a film are kept: beside it."""
    from talkhead.face.providers import provider

    facts = f"{_VERSION} {sha256_of(video)} {size[0]}x{size[1]} {fps:.6f} {end_s} {getattr(provider(), 'name', '')}"
    key = hashlib.sha256(facts.encode()).hexdigest()[:12]
    return video.with_name(f"{video.stem[:40]}.faces-{key}.safetensors")
