"""The 68-point view of a face, from the mesh or from FAN, for papers and tools that were built on it."""

from __future__ import annotations

import functools
import inspect
import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, cast, get_args

import numpy as np
import numpy.typing as npt

from talkhead.errors import EnvironmentProblem, UsageError, WeightsError
from talkhead.face.landmarks import Landmarks
from talkhead.face.mesh import choose_face

log = logging.getLogger(__name__)
U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]
Provider68 = Literal["auto", "mesh", "fan"]

VARIABLE = "TALKHEAD_LANDMARKS68"
FAN_FILE = "2DFAN4-11f355bf06.pth.tar"


def landmarks68(
    image: U8, landmarks: Landmarks | None = None, *, provider: Provider68 = "mesh", device: str = "cpu"
) -> F32:
    """The iBUG 68 points of one face.

    Args:
        image: (H, W, 3) uint8 RGB. landmarks: of the face; None takes the largest face.
        provider: "mesh" reads them off the 478 points. "fan" runs the Face Alignment Network (Bulat and
            Tzimiropoulos 2017) of the face-alignment package, which downloads 96 MB of weights at first use. "auto" is
            what `chosen_provider` says.
        device: for fan, "cpu", "cuda" or "mps".
    Returns:
        (68, 3) pixels with depth from the mesh, (68, 2) pixels from fan.
    Raises:
        FaceNotFoundError: no face. WeightsError: the weights of fan cannot be had.
        EnvironmentProblem: face-alignment is not installed.
    """
    face = landmarks or choose_face(image)
    if chosen_provider(provider) == "mesh":
        return face.view68()
    found = _fan(device).get_landmarks_from_image(image, detected_faces=[np.array([*face.bbox, 1.0])])
    return np.asarray(found[0], np.float32)


def landmarks68_of_clip(
    frames: Iterable[tuple[U8, Landmarks | None]], *, provider: Provider68 = "auto", device: str = "cpu"
) -> Iterator[tuple[U8, F32 | None]]:
    """The 68 points of one face through a clip; FAN is loaded once and the mesh tells it where to look.

    Args:
        frames: (H, W, 3) uint8 RGB with the face's mesh points, None where no face is seen.
        provider, device: as in `landmarks68`; on a CPU "auto" is the mesh, since FAN takes seconds a frame there.
    Yields:
        Each frame with its points, (68, 2) pixels, or None.
    Raises:
        WeightsError, EnvironmentProblem: as `landmarks68`, at the first frame that shows a face.
    """
    chosen = chosen_provider(provider, is_slow=device == "cpu")
    for image, face in frames:
        yield image, None if face is None else landmarks68(image, face, provider=chosen, device=device)[:, :2]


def chosen_provider(provider: Provider68 = "auto", *, is_slow: bool = False) -> Literal["mesh", "fan"]:
    """Who finds the points: the environment variable TALKHEAD_LANDMARKS68 where `provider` leaves it open.

    Args:
        provider: "auto" is "fan" where the package and its weights are at hand without a download, else "mesh".
        is_slow: there is so much to do that "auto" is "mesh" even so.
    Raises:
        UsageError: no such provider.
    """
    if provider == "auto":
        provider = cast(Provider68, os.environ.get(VARIABLE) or "auto")
    if provider not in get_args(Provider68):
        raise UsageError(f"no provider {provider!r} of 68 landmarks", hint=f"{VARIABLE} is auto, mesh or fan")
    if provider == "auto":
        return "fan" if not is_slow and fan_file().is_file() and _has_package() else "mesh"
    return provider


def fan_file() -> Path:
    """Where the weights of FAN lie once they are loaded: in the folder of torch.hub, found without loading torch."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("TORCH_HOME") or str(Path(cache) / "torch")
    return Path(home).expanduser() / "hub" / "checkpoints" / FAN_FILE


def _has_package() -> bool:
    from importlib.util import find_spec

    try:
        return find_spec("face_alignment") is not None
    except ValueError:  # of a module without a spec
        return True


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
    import torch

    tuned = torch.backends.cudnn.benchmark
    try:
        return face_alignment.FaceAlignment(face_alignment.LandmarksType.TWO_D, **options)
    except (OSError, RuntimeError) as error:
        raise WeightsError(
            f"the weights of FAN cannot be loaded: {error}",
            hint=f"{FAN_FILE} from adrianbulat.com/downloads/python-fan belongs into"
            " the folder hub/checkpoints of torch's cache (TORCH_HOME)",
        ) from error
    finally:
        # The package sets this flag of the whole process.
        torch.backends.cudnn.benchmark = tuned
