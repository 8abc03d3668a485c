"""The 68 points of FAN as an instrument of LMD (Bulat and Tzimiropoulos 2017): of dlib's kind, and freely licensed."""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

from talkhead.errors import WeightsError
from talkhead.evaluation.networks.loading import Origin
from talkhead.face.landmarks import Landmarks
from talkhead.face.landmarks68 import FAN_FILE, VARIABLE, chosen_provider, fan_file, landmarks68
from talkhead.weights.store import sha256_of

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]

_SIDES = 2  # films whose last frame is remembered


class FaceAlignment:
    """Finds the 68 points of faces.

    Args:
        device: to compute on.
    Attributes:
        origin: of its file, which is published if its sha256 begins with what the file's name promises.
    Raises:
        WeightsError: the package or its weights are not here, or the environment asks for the mesh.
    """

    def __init__(self, *, device: str = "cpu") -> None:
        if chosen_provider() != "fan" or not fan_file().is_file():  # which would be downloaded
            raise WeightsError(
                "needs FAN, whose package face-alignment or weights are not here",
                hint=f"pip install face-alignment, and {FAN_FILE} into torch's cache; {VARIABLE} must not be mesh",
            )
        self._device = device
        sha256 = sha256_of(fan_file())
        is_published = sha256.startswith(FAN_FILE.partition("-")[2].partition(".")[0])
        self.origin = Origin(name=FAN_FILE, sha256=sha256, is_published=is_published)
        self._last: deque[tuple[U8, F32]] = deque(maxlen=_SIDES)

    def points(self, frame: U8, face: Landmarks) -> F32:
        """The points of a face, (68, 2) pixels.

        The real clip is measured beside the generated one and against itself; a frame that was just seen is not looked
        at again, since FAN takes a second on a CPU.

        Args:
            frame: (H, W, 3) uint8 RGB. face: where to look.
        """
        for seen, points in self._last:
            if seen is frame:
                return points
        found = np.asarray(landmarks68(frame, face, provider="fan", device=self._device)[:, :2], np.float32)
        self._last.append((frame, found))
        return found
