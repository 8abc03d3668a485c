"""Pixels -> coefficients: one photo, or a whole video, tracked and measured frame by frame."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from talkhead.coeffs.container import Coeffs
from talkhead.errors import FaceNotFoundError
from talkhead.pipelines.choose import build_extractor, choose_system, weights_for
from talkhead.pipelines.config import DEFAULTS, Machine, MachineKeywords
from talkhead.pipelines.inputs import PathLike, Photo, open_source, read_choice, stamped
from talkhead.pipelines.outputs import MEDIA_SUFFIXES, PICTURE_SUFFIXES, check_coeff_output, write_if_asked
from talkhead.progress import NoProgress, Progress, tracked
from talkhead.protocols import Extractor

if TYPE_CHECKING:
    from typing_extensions import Unpack

log = logging.getLogger(__name__)


def extract(
    face: Photo,
    output: PathLike | None = None,
    *,
    face_choice: str | int | PathLike = DEFAULTS.face,
    fps: float | None = DEFAULTS.fps,
    landmarks: bool = False,
    space: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    **machine: Unpack[MachineKeywords],
) -> Coeffs:
    """Extract shape, expression and pose of a face, and where the space has them eyelids and gaze.

    Args:
        face: photo or video; a photo gives one frame. output: coefficient file to write too.
        face_choice: which face, as in `open_source`. fps: rate of the result; None keeps the video's own.
        landmarks: also keep the 68 points of every frame. space: of the codes. A system that measures in it is taken
            where its weights can be had; otherwise the codes are converted.
        machine: who computes, and where; see `Machine`.
    Raises:
        MediaError: unreadable. FaceNotFoundError: no face. UsageError: no way to that space. WeightsError: the system
            asked for has no weights.
    """
    wish = Machine.of(machine)
    progress = progress or NoProgress()
    check_coeff_output(output, overwrite=overwrite, inputs=[face, face_choice])
    chosen = choose_system(wish, "extract", space=space)
    extractor = build_extractor(chosen, wish, progress)
    if isinstance(face, (str, Path)) and is_video(face):
        coeffs = extract_video(face, face_choice, fps, extractor=extractor, landmarks=landmarks, progress=progress)
    else:
        source = open_source(face, face_choice)
        coeffs = extractor.photo(source, fps=fps or DEFAULTS.fps, landmarks=landmarks)
    if space is not None and not chosen.reads(space):
        from talkhead.pipelines.convert import in_space

        door = weights_for(wish, progress)
        coeffs = in_space(coeffs, space, device=wish.device, dtype=wish.dtype, weights=door, progress=progress)
    params = {"fps": fps, "face": str(face_choice), "space": space, "system": chosen.name}
    return write_if_asked(stamped(coeffs, "extract", params, face), output, overwrite=overwrite)


def extract_video(
    video: PathLike,
    face_choice: str | int | PathLike = DEFAULTS.face,
    fps: float | None = DEFAULTS.fps,
    *,
    extractor: Extractor,
    landmarks: bool = False,
    progress: Progress | None = None,
) -> Coeffs:
    """Coefficients of a video, streamed: memory grows by a few hundred bytes a frame.

    Raises:
        FaceNotFoundError: no frame shows a face.
    """
    from talkhead.face.mesh import FaceTracker
    from talkhead.media.video import open_clip

    with open_clip(video, fps=fps) as clip:
        tracker = FaceTracker(fps=clip.fps, choice=read_choice(face_choice), name=str(video))
        found = tracked(tracker.track_clip(clip), progress or NoProgress(), "track", clip.n_frames)
        try:
            coeffs = extractor.video(clip, found, landmarks=landmarks)
        except FaceNotFoundError as error:
            raise FaceNotFoundError(f"{video}: {error.message}", hint=error.hint) from error
    missing = coeffs.params.get("frames_without_face", 0)
    if missing:
        log.warning("%s: no face in %d of %d frames; they are bridged", video, missing, len(coeffs))
    return coeffs


def is_video(path: PathLike) -> bool:
    """Whether a file is a moving picture; judged by its name where that says it, else by looking inside."""
    if Path(path).suffix.lower() in PICTURE_SUFFIXES:
        return False
    from talkhead.media.video import probe

    info = probe(path)
    return info.has_video and not info.is_picture


def looks_like_media(path: PathLike) -> bool:
    """Whether a file is a picture or video by its name, as opposed to a coefficient file or standard input."""
    return Path(path).suffix.lower() in MEDIA_SUFFIXES
