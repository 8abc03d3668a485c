"""The 68-point view of a face, from the mesh or from FAN, for papers and tools that were built on it."""

from __future__ import annotations

import functools
import inspect
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from talkhead.errors import EnvironmentProblem, WeightsError
from talkhead.face.landmarks import Landmarks
from talkhead.face.mesh import choose_face

U8 = npt.NDArray[np.uint8]


def landmarks68(
    image: U8, landmarks: Landmarks | None = None, *, provider: Literal["mesh", "fan"] = "mesh", device: str = "cpu"
) -> npt.NDArray[np.float32]:
    """The iBUG 68 points of one face.

    Args:
        image: (H, W, 3) uint8 RGB. landmarks: of the face; None takes the largest face.
        provider: "mesh" reads them off the 478 points. "fan" runs the Face Alignment Network (Bulat and
            Tzimiropoulos 2017) of the face-alignment package, which downloads 96 MB of weights at first use.
        device: for fan, "cpu", "cuda" or "mps".
    Returns:
        (68, 3) pixels with depth from the mesh, (68, 2) pixels from fan.
    Raises:
        FaceNotFoundError: no face. WeightsError: the weights of fan cannot be had.
        EnvironmentProblem: face-alignment is not installed.
    """
    face = landmarks or choose_face(image)
    if provider == "mesh":
        return face.view68()
    found = _fan(device).get_landmarks_from_image(image, detected_faces=[np.array([*face.bbox, 1.0])])
    return np.asarray(found[0], np.float32)


@functools.cache
def _fan(device: str) -> Any:
    try:
        import face_alignment
    except ImportError as error:
        raise EnvironmentProblem(f"face-alignment does not load: {error}", hint="pip install face-alignment") from error
    options: dict[str, Any] = {"device": device, "flip_input": True, "face_detector": "folder"}
    # Compiling costs a minute and only pays for long clips; releases before 1.5 do not know the word.
    if "compile" in inspect.signature(face_alignment.FaceAlignment.__init__).parameters:
        options["compile"] = False
    try:
        return face_alignment.FaceAlignment(face_alignment.LandmarksType.TWO_D, **options)
    except (OSError, RuntimeError) as error:
        raise WeightsError(
            f"the weights of FAN cannot be loaded: {error}",
            hint="2DFAN4-11f355bf06.pth.tar from adrianbulat.com/downloads/python-fan belongs into"
            " the folder hub/checkpoints of torch's cache (TORCH_HOME)",
        ) from error
