"""The 478 points of the right face: choosing it in a still, following it through a clip."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import Literal

import numpy as np
import numpy.typing as npt

from talkhead.errors import FaceChoiceError, FaceNotFoundError
from talkhead.face.detect import TURNS, Effort, detect_faces
from talkhead.face.landmarks import Landmarks
from talkhead.face.likeness import difference
from talkhead.face.looks import Looks, Roi, look_often, roi_of_detection, roi_of_points
from talkhead.face.providers import Detection, FaceProvider, provider

log = logging.getLogger(__name__)
U8 = npt.NDArray[np.uint8]
FaceChoice = Literal["auto", "largest"] | int | npt.NDArray[np.uint8]

STILL_LOOKS = 16
"""25 ms once per photo; its landmarks become texture coordinates, so their error is seen in every frame."""
VIDEO_LOOKS = 6
MIN_PRESENCE = 0.8
MAX_DEVIATION = 0.04
"""Human faces, paintings, robots: presence 1.0 and deviation below 0.017 (stills) and 0.026 (grimaces in video). False
finds (an animal, its eye, a cup, a rocket) failed the presence, or deviated by 0.048 and more."""
DOUBTFUL_DEVIATION = 0.025
CLEARLY_LARGER = 0.7
"""With `auto`, the largest face is taken if the next one is smaller than this part of it."""


class FaceMesher:
    """Landmarks of single pictures.

    Args:
        using: provider; default `talkhead.face.providers.provider()`. n_looks: looks averaged per face.
    """

    def __init__(self, using: FaceProvider | None = None, *, n_looks: int = STILL_LOOKS) -> None:
        self.eyes = using or provider()
        self.n_looks = n_looks

    def landmarks(self, image: U8, bbox: tuple[float, float, float, float] | None = None) -> Landmarks | None:
        """Landmarks of one face.

        Args:
            image: (H, W, 3) uint8 RGB. bbox: x0, y0, x1, y1 of the face, upright; None takes the largest face.
        Returns:
            None where the networks see no human face.
        """
        if bbox is None:
            faces = _verified_faces(image, self, everywhere=False)
            return faces[0].landmarks if faces else None
        x0, y0, x1, y1 = bbox
        roi = Roi(center=np.array([(x0 + x1) / 2, (y0 + y1) / 2]), side=1.5 * max(x1 - x0, y1 - y0, 1.0), angle=0.0)
        looks = self.verified(image, roi, self.n_looks)
        return looks.landmarks if looks else None

    def verified(self, image: U8, roi: Roi, n_looks: int) -> Looks | None:
        """Centre on the face step by step, look `n_looks` times, and believe it only if the looks agree."""
        looks = look_often(image, roi, 1, self.eyes)
        for _ in range(3):
            before, roi = roi, roi_of_points(looks.points)
            looks = look_often(image, roi, 2, self.eyes)
            if not roi_of_points(looks.points).far_from(before):
                break
        if looks.presence < MIN_PRESENCE / 2:
            return None
        looks = look_often(image, roi_of_points(looks.points), n_looks, self.eyes)
        return looks if looks.presence >= MIN_PRESENCE and looks.deviation <= MAX_DEVIATION else None


def choose_face(
    image: U8, choice: FaceChoice = "largest", *, name: str = "photo", using: FaceProvider | None = None
) -> Landmarks:
    """Landmarks of the chosen face of a still.

    Args:
        image: (H, W, 3) uint8 RGB.
        choice: "largest"; "auto", which wants the largest to be clearly so; an index counting from the left, 0 first
            (negative counts from the right); or a picture (H, W, 3) uint8 RGB of the person. The picture is compared
            by the shape and the coarse look of the face, not by an identity network: good for telling apart the few
            people of one photo, no proof of who it is.
        name: of the file, for messages. using: provider.
    Raises:
        FaceNotFoundError: no human face in the image or in the picture of the person.
        FaceChoiceError: no such index, or "auto" and several faces of about one size; the message lists them.
    """
    mesher = FaceMesher(using)
    everywhere = not (isinstance(choice, str) and choice == "largest")
    found = _verified_faces(image, mesher, everywhere=everywhere)
    if not found:
        height, width = image.shape[:2]
        raise FaceNotFoundError(
            f"no face found in {name} ({width}x{height})",
            hint="a human face with both eyes in view is needed, at least 40 pixels wide",
        )
    chosen = _chosen(image, found, choice, name, mesher)
    landmarks = chosen.landmarks
    if landmarks.deviation > DOUBTFUL_DEVIATION:
        log.warning("%s: the face is hard to read (landmarks agree to %.0f %% of the eye distance only)", name,
                    100 * landmarks.deviation)  # fmt: skip
    return landmarks


def _verified_faces(image: U8, mesher: FaceMesher, *, everywhere: bool, quick: bool = False) -> list[Looks]:
    """Faces that hold a second look, the largest first; one only unless `everywhere`.

    A detector may take an upside-down face for an upright one; the looks then agree badly, and the best of all turns
    of the picture is taken. `quick` looks for upright faces of fair size only.
    """
    if quick:
        return _verified_in(image, mesher, "quick", 0, first_only=not everywhere)
    best: list[Looks] = []
    efforts: tuple[Effort, ...] = ("everywhere",) if everywhere else ("normal", "everywhere")
    for effort in efforts:
        for turn in TURNS:
            found = _verified_in(image, mesher, effort, turn, first_only=not everywhere)
            if found and (not best or found[0].deviation < best[0].deviation):
                best = found
            if best and best[0].deviation <= DOUBTFUL_DEVIATION:
                return best
        if best:
            break
    return best


def _verified_in(image: U8, mesher: FaceMesher, effort: Effort, turn: int, *, first_only: bool) -> list[Looks]:
    found: list[Looks] = []
    for detection in detect_faces(image, effort=effort, turns=(turn,), using=mesher.eyes):
        looks = mesher.verified(image, roi_of_detection(detection), mesher.n_looks)
        if looks and not any(_same_place(looks, other) for other in found):
            found.append(looks)
            if first_only:
                break
    return sorted(found, key=lambda f: -_width(f))


def _chosen(image: U8, found: list[Looks], choice: FaceChoice, name: str, mesher: FaceMesher) -> Looks:
    """The one that is meant among faces sorted by size."""
    if isinstance(choice, np.ndarray):
        wanted = _verified_faces(choice, mesher, everywhere=False)
        if not wanted:
            raise FaceNotFoundError("no face found in the picture of the person to choose")
        return min(found, key=lambda f: difference(image, f.landmarks, choice, wanted[0].landmarks))
    ordered = sorted(found, key=lambda f: roi_of_points(f.points).center[0])
    if isinstance(choice, str):
        if choice == "auto" and len(found) > 1 and _width(found[1]) > CLEARLY_LARGER * _width(found[0]):
            raise FaceChoiceError(
                f"{name} shows {_listed(ordered)}", hint="choose with --face largest, INDEX or REF.jpg"
            )
        return found[0]
    if not -len(ordered) <= choice < len(ordered):
        raise FaceChoiceError(f"face {choice} of {name} does not exist; it shows {_listed(ordered)}")
    return ordered[choice]


def _listed(faces: list[Looks]) -> str:
    """What was found, in index order: "2 faces: 0 at x=120..300 y=80..260, ..."."""
    boxes = [face.landmarks.bbox for face in faces]
    places = [f"{i} at x={b[0]:.0f}..{b[2]:.0f} y={b[1]:.0f}..{b[3]:.0f}" for i, b in enumerate(boxes)]
    return f"{len(faces)} face{'s' if len(faces) > 1 else ''}: " + ", ".join(places)


def _width(looks: Looks) -> float:
    return roi_of_points(looks.points).side


def _same_place(a: Looks, b: Looks) -> bool:
    one, other = roi_of_points(a.points), roi_of_points(b.points)
    return bool(np.linalg.norm(one.center - other.center) < 0.3 * max(one.side, other.side) / 1.5)


class FaceTracker:
    """Follows one face through the frames of a clip; nothing is smoothed or delayed.

    Each frame is read afresh around the last position by `n_looks` looks. After a loss the face nearest to the last
    place is taken up again; after one second any face is, chosen as at the start.

    Args:
        fps: frames per second. choice: as in `choose_face`, for the first frame that shows a face.
        name: of the file, for messages. n_looks: looks averaged per frame. using: provider.
    """

    def __init__(
        self,
        fps: float = 25.0,
        *,
        choice: FaceChoice = "largest",
        name: str = "video",
        n_looks: int = VIDEO_LOOKS,
        using: FaceProvider | None = None,
    ) -> None:
        self._mesher = FaceMesher(using, n_looks=n_looks)
        self._choice = choice
        self._name = name
        self._patience = max(1, round(fps))
        self._roi: Roi | None = None
        self._missing = 0

    def track(self, frame: U8) -> Landmarks | None:
        """Landmarks of the face in the next frame, (H, W, 3) uint8 RGB; None where it is not seen.

        Raises:
            FaceChoiceError: as `choose_face`, at the first frame that shows faces.
        """
        looks = self._follow(frame) if self._roi is not None and self._missing == 0 else None
        if looks is None:
            looks = self._find(frame)
        if looks is None:
            self._missing += 1
            return None
        self._missing = 0
        self._roi = roi_of_points(looks.points)
        return looks.landmarks

    def track_clip(self, clip: Iterable[U8]) -> Iterator[Landmarks | None]:
        """`track` for every frame of a clip, one result a frame."""
        for frame in clip:
            yield self.track(frame)

    def _follow(self, frame: U8) -> Looks | None:
        """Look where the face was; look again if it has moved far since."""
        assert self._roi is not None
        roi, n_looks, eyes = self._roi, self._mesher.n_looks, self._mesher.eyes
        for _ in range(3):
            looks = look_often(frame, roi, n_looks, eyes)
            if looks.presence < 0.5 or looks.deviation > 2 * MAX_DEVIATION:
                return None
            seen = roi_of_points(looks.points)
            if not seen.far_from(roi):
                break
            roi = seen
        return looks if looks.deviation <= MAX_DEVIATION else None

    def _find(self, frame: U8) -> Looks | None:
        """Search the frame: near the last place if the face was lost just now, else by the first choice.

        A thorough search takes a second on a large frame, so it is made once per second of clip.
        """
        if self._roi is None or self._missing >= self._patience:
            everywhere = not (isinstance(self._choice, str) and self._choice == "largest")
            quick = self._missing % self._patience != 0
            found = _verified_faces(frame, self._mesher, everywhere=everywhere, quick=quick)
            if not found:
                return None
            if self._roi is not None and isinstance(self._choice, int):
                return min(found, key=self._distance)
            return _chosen(frame, found, self._choice, self._name, self._mesher)
        near = [f for f in detect_faces(frame, effort="quick", turns=(0,), using=self._mesher.eyes) if self._is_near(f)]
        for detection in near:
            looks = self._mesher.verified(frame, roi_of_detection(detection), self._mesher.n_looks)
            if looks:
                return looks
        return None

    def _distance(self, looks: Looks) -> float:
        assert self._roi is not None
        return float(np.linalg.norm(roi_of_points(looks.points).center - self._roi.center))

    def _is_near(self, found: Detection) -> bool:
        assert self._roi is not None
        return bool(np.linalg.norm(found.center - self._roi.center) < self._roi.side)
