"""Pixels -> coefficients: one photo, or a whole video, tracked and fitted frame by frame."""

from __future__ import annotations

import logging
from pathlib import Path

from talkhead.coeffs.container import Coeffs
from talkhead.coeffs.retarget import is_same_person
from talkhead.errors import FaceNotFoundError
from talkhead.pipelines.config import DEFAULTS
from talkhead.pipelines.inputs import PathLike, Photo, open_source, read_choice, stamped
from talkhead.pipelines.outputs import MEDIA_SUFFIXES, PICTURE_SUFFIXES, check_coeff_output, write_if_asked
from talkhead.pipelines.progress import NoProgress, Progress, tracked
from talkhead.protocols import Source

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
) -> Coeffs:
    """Extract shape, expression, pose, eyelids and gaze of a face.

    Args:
        face: photo or video; a photo gives one frame. output: coefficient file to write too.
        face_choice: which face, as in `open_source`. fps: rate of the result; None keeps the video's own.
        landmarks: also keep the 68 points of every frame. space: convert the codes to this space.
    Raises:
        MediaError: unreadable. FaceNotFoundError: no face. UsageError: no conversion to that space.
    """
    check_coeff_output(output, overwrite=overwrite, inputs=[face, face_choice])
    if isinstance(face, (str, Path)) and is_video(face):
        coeffs = extract_video(face, face_choice, fps, landmarks=landmarks, progress=progress or NoProgress())
    else:
        coeffs = extract_photo(open_source(face, face_choice), fps or DEFAULTS.fps, landmarks=landmarks)
    if space is not None:
        from talkhead.coeffs.convert import convert_space

        coeffs = convert_space(coeffs, space)
    coeffs = stamped(coeffs, "extract", {"fps": fps, "face": str(face_choice), "space": space}, face)
    return write_if_asked(coeffs, output, overwrite=overwrite)


def extract_photo(
    source: Source, fps: float = DEFAULTS.fps, *, landmarks: bool = False, like: Coeffs | None = None
) -> Coeffs:
    """Coefficients of one photo, one frame long.

    Args:
        source: photo and face. fps: rate to write down. landmarks: also keep the 68 points.
        like: coefficients to be compared with these; if they show the same person, shape and open eyes are taken from
            them, since a clip tells identity and expression apart better than one picture.
    """
    from talkhead.face3d.fit import fit_photo
    from talkhead.face3d.morphable import load_builtin

    height, width = source.image.shape[:2]
    model = load_builtin()
    coeffs = fit_photo(source.landmarks, (width, height), model).coeffs
    if like is not None and is_same_person(like, coeffs, model.space):
        eye_open = like.params.get("eye_open")
        coeffs = fit_photo(source.landmarks, (width, height), model, id_codes=like.id, eye_open=eye_open).coeffs
    coeffs = coeffs.replace(fps=fps)
    return coeffs.replace(landmarks=source.landmarks.view68()[None]) if landmarks else coeffs


def extract_video(
    video: PathLike,
    face_choice: str | int | PathLike = DEFAULTS.face,
    fps: float | None = DEFAULTS.fps,
    *,
    landmarks: bool = False,
    progress: Progress | None = None,
) -> Coeffs:
    """Coefficients of a video, streamed: memory grows by a few hundred bytes a frame.

    Raises:
        FaceNotFoundError: no frame shows a face.
    """
    from talkhead.face.mesh import FaceTracker
    from talkhead.face3d.fit import fit_video
    from talkhead.face3d.morphable import load_builtin
    from talkhead.media.video import open_clip

    with open_clip(video, fps=fps) as clip:
        tracker = FaceTracker(fps=clip.fps, choice=read_choice(face_choice), name=str(video))
        found = tracked(tracker.track_clip(clip), progress or NoProgress(), "track", clip.n_frames)
        try:
            coeffs = fit_video(found, clip.size, clip.fps, load_builtin(), keep_landmarks=landmarks)
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
