"""Photos and clips -> coefficients in the built-in face model, fitted to the tracked mesh (docs/face-model.md)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from talkhead.coeffs.container import Coeffs
from talkhead.face.landmarks import Landmarks
from talkhead.face3d.fit import fit_like, fit_photo, fit_video
from talkhead.face3d.morphable import FaceModel, load_builtin
from talkhead.protocols import Source

if TYPE_CHECKING:
    from talkhead.media.video import Clip


class MeshwarpExtractor:
    """See `talkhead.protocols.Extractor`.

    Args:
        model: the face model that gives coefficients a meaning.
    """

    def __init__(self, model: FaceModel | None = None) -> None:
        self._model = model or load_builtin()

    def photo(self, source: Source, *, fps: float, landmarks: bool = False, like: Coeffs | None = None) -> Coeffs:
        """Coefficients of one photo, one frame long.

        Args:
            source: photo and face. fps: rate to write down. landmarks: also keep the 68 points.
            like: coefficients to be compared with these; if they show the same person, shape and open eyes are taken
                from them, since a clip tells identity and expression apart better than one picture.
        """
        height, width = source.image.shape[:2]
        model = self._model
        fit = fit_photo(source.landmarks, (width, height), model)
        if like is not None:
            fit = fit_like(fit, source.landmarks, like, model)
        coeffs = fit.coeffs.replace(fps=fps)
        return coeffs.replace(landmarks=source.landmarks.view68()[None]) if landmarks else coeffs

    def video(self, clip: Clip, found: Iterable[Landmarks | None], *, landmarks: bool = False) -> Coeffs:
        """Coefficients of a clip; memory grows by a few hundred bytes a frame.

        Raises:
            FaceNotFoundError: no frame shows a face.
        """
        return fit_video(found, clip.size, clip.fps, self._model, keep_landmarks=landmarks)
