"""`mediapipe-tasks`: the same answers from mediapipe's task files, for releases that carry no networks themselves.

The user brings two files (Apache-2.0, from mediapipe's model pages): `face_landmarker.task`, and for the matte
`selfie_segmenter.tflite`.
"""

from __future__ import annotations

import logging
import os
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from talkhead.errors import EnvironmentProblem, WeightsError
from talkhead.face.networks import quiet_stderr
from talkhead.face.providers import Detection, Look, Reach
from talkhead.face.topology import N_POINTS

log = logging.getLogger(__name__)
U8 = npt.NDArray[np.uint8]
MODELS = "https://storage.googleapis.com/mediapipe-models"
LANDMARKER = ("face_landmarker.task", "TALKHEAD_FACE_LANDMARKER", f"{MODELS}/face_landmarker/face_landmarker/float16/1")
SEGMENTER = (
    "selfie_segmenter.tflite",
    "TALKHEAD_SELFIE_SEGMENTER",
    f"{MODELS}/image_segmenter/selfie_segmenter/float16/1",
)
MAX_FACES = 10
# Corresponding mesh points of a detector's six: eyes, nose tip, mouth, ears.
KEYPOINTS = (468, 473, 1, 13, 234, 454)


def model_file(name: str, variable: str, folder_url: str, given: Path | None = None) -> Path:
    """Where a task file lies: given, named by the environment variable, or in the user's cache folder.

    Args:
        name: file name. variable: environment variable with its path. folder_url: where to get it. given: path.
    Raises:
        WeightsError: it is in none of these places; says where to get it and where to put it.
    """
    named = os.environ.get(variable)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "talkhead" / "models" / name
    path = given or (Path(named) if named else cache)
    if not path.is_file():
        raise WeightsError(
            f"{name} is not at {path}",
            hint=f"download {folder_url}/{name} to {cache}, or name its place in {variable}",
        )
    return path


class TasksProvider:
    """FaceLandmarker and ImageSegmenter behind `FaceProvider`.

    Args:
        landmarker: path of `face_landmarker.task`. segmenter: path of `selfie_segmenter.tflite`. Default: see
            `model_file`.
    Raises:
        WeightsError: the landmarker's file is missing or damaged. EnvironmentProblem: mediapipe does not load.
    """

    name = "mediapipe-tasks"
    mesh_size = 320

    def __init__(self, landmarker: Path | None = None, segmenter: Path | None = None) -> None:
        self._landmarker_file = model_file(*LANDMARKER, given=landmarker)
        self._segmenter_given = segmenter
        try:
            with quiet_stderr():
                self._api = _api()
        except ImportError as error:
            raise EnvironmentProblem(f"mediapipe does not load: {error}") from error

    def detect_size(self, reach: Reach) -> int:
        """See `FaceProvider.detect_size`."""
        return 640 if reach == "far" else 320

    def detect(self, square: U8, reach: Reach) -> list[Detection]:
        """See `FaceProvider.detect`; boxes of the meshes that the landmarker finds."""
        found = []
        for points in self._meshes(self._many, square):
            low, high = points[:, :2].min(0), points[:, :2].max(0)
            bbox = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
            found.append(Detection(bbox=bbox, score=0.9, keypoints=points[list(KEYPOINTS), :2]))
        return found

    def look(self, crop: U8) -> Look:
        """See `FaceProvider.look`; presence is 0 or 1."""
        meshes = self._meshes(self._one, crop)
        return Look(points=meshes[0], presence=1.0) if meshes else Look(points=np.zeros((N_POINTS, 3)), presence=0.0)

    def person(self, square: U8) -> npt.NDArray[np.float32]:
        """See `FaceProvider.person`.

        Raises:
            WeightsError: the segmenter's file is missing or damaged.
        """
        masks = self._segmenter.segment(self._picture(square)).confidence_masks
        first = np.asarray(masks[0].numpy_view(), np.float32).reshape(square.shape[:2])
        # One mask is "person"; of several, the first is "background".
        return first if len(masks) == 1 else 1 - first

    def _meshes(self, landmarker: Any, picture: U8) -> list[npt.NDArray[np.float64]]:
        height, width = picture.shape[:2]
        found = landmarker.detect(self._picture(picture)).face_landmarks
        return [np.array([(p.x * width, p.y * height, p.z * width) for p in face]) for face in found]

    def _picture(self, pixels: U8) -> Any:
        return self._api.Image(image_format=self._api.ImageFormat.SRGB, data=np.ascontiguousarray(pixels))

    @cached_property
    def _one(self) -> Any:
        return self._landmarker(1)

    @cached_property
    def _many(self) -> Any:
        return self._landmarker(MAX_FACES)

    def _landmarker(self, n_faces: int) -> Any:
        vision, path = self._api.tasks.vision, self._landmarker_file
        options = vision.FaceLandmarkerOptions(base_options=self._base(path), num_faces=n_faces)
        return _started(vision.FaceLandmarker.create_from_options, options, path)

    @cached_property
    def _segmenter(self) -> Any:
        path = model_file(*SEGMENTER, given=self._segmenter_given)
        vision = self._api.tasks.vision
        options = vision.ImageSegmenterOptions(base_options=self._base(path), output_confidence_masks=True)
        return _started(vision.ImageSegmenter.create_from_options, options, path)

    def _base(self, path: Path) -> Any:
        return self._api.tasks.BaseOptions(model_asset_path=str(path))


def _api() -> Any:
    import mediapipe

    return mediapipe


def _started(create: Any, options: Any, path: Path) -> Any:
    try:
        with quiet_stderr():
            return create(options)
    except (RuntimeError, ValueError, OSError) as error:
        raise WeightsError(f"{path} is not a model that this mediapipe can read: {error}") from error
