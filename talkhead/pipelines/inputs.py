"""What users hand in (paths, "-", arrays, values already made) becomes the values the stages work on."""

from __future__ import annotations

import contextlib
import hashlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from talkhead import __version__
from talkhead.coeffs.bfm import N_EXP
from talkhead.coeffs.bfm import SPACE as BFM
from talkhead.coeffs.container import Coeffs
from talkhead.coeffs.file import read_coeffs
from talkhead.coeffs.layout import Space, space_family
from talkhead.errors import CoeffFileError, MediaError, UsageError
from talkhead.protocols import Source, Speech

log = logging.getLogger(__name__)

PathLike = str | Path
Photo = PathLike | npt.NDArray[np.uint8] | Source
Audio = PathLike | tuple[npt.NDArray[Any], int] | Speech
Motion = PathLike | Coeffs
STDIO = "-"
RIVAL = 0.5  # a face this much of the largest one's width may be the one that is meant


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenSpeech:
    """Speech to listen to, and the file to take the sound track from (None: it came as samples)."""

    speech: Speech
    path: Path | None


def open_source(face: Photo, face_choice: str | int | PathLike = "largest") -> Source:
    """Load a photo (or the first frame of a video) and choose the face in it.

    Args:
        face: path, (H, W, 3) uint8 RGB pixels, or a `Source` that is ready.
        face_choice: "largest", the index of a face, or the path of a picture of the person.
    Raises:
        MediaError: unreadable. FaceNotFoundError: no face. FaceChoiceError: there is no such face.
    """
    from talkhead.face.mesh import choose_face
    from talkhead.media.image import read_image

    if isinstance(face, Source):
        return face
    choice = read_choice(face_choice)
    if isinstance(face, np.ndarray):
        pixels, alpha, name = face, None, "photo"
        if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
            raise UsageError(f"a photo as an array is (H, W, 3) uint8, not {pixels.shape} {pixels.dtype}")
    else:
        image = read_image(face)
        pixels, alpha, name = image.pixels, image.alpha, str(face)
    landmarks = choose_face(pixels, choice, name=name)
    if isinstance(choice, str):
        _mention_others(pixels, name)
    return Source(image=pixels, alpha=alpha, landmarks=landmarks, name=name)


@contextlib.contextmanager
def open_speech(audio: Audio) -> Iterator[OpenSpeech]:
    """Open speech for streaming: a path, "-" (standard input), mono samples with their rate, or a ready `Speech`.

    Raises:
        MediaError: unreadable, without sound, or longer than 24 h.
    """
    from talkhead.media.audio import AudioStream, Waveform
    from talkhead.media.stdin import spooled_input

    if isinstance(audio, tuple):
        samples, sample_rate = audio
        yield OpenSpeech(speech=Waveform(full_scale(samples), sample_rate), path=None)
    elif isinstance(audio, (str, Path)):
        with spooled_input(audio) as path:
            yield OpenSpeech(speech=AudioStream(path), path=Path(path))
    else:
        yield OpenSpeech(speech=audio, path=None)


def check_sound(path: PathLike | None) -> None:
    """Refuse a sound track that cannot be read, before any work; None is none.

    Raises:
        MediaError: unreadable, damaged, or without sound.
    """
    from talkhead.media.audio import AudioStream

    if path is not None:
        AudioStream(path)


def full_scale(samples: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """Samples with full scale 1; whole numbers are what sound files hold (int16 from -32768, uint8 about 128)."""
    given = np.asarray(samples)
    if given.dtype.kind not in "iu" or given.dtype.itemsize > 4:
        return np.asarray(given, np.float32)
    limits = np.iinfo(given.dtype)
    half = (float(limits.max) - float(limits.min) + 1.0) / 2.0
    return np.asarray((given - (limits.min + half)) / half, np.float32)


def read_motion(motion: Motion | Sequence[Motion]) -> Coeffs:
    """Read coefficient files and merge them in order: tracks of later ones replace those of earlier ones.

    Files of SadTalker (`.mat`), ARKit and OpenFace (`.csv`) are read too, and compressed streams (`.thc`).

    Raises:
        CoeffFileError: a file breaks the format or their spaces differ. UsageError: none given, or rates differ.
    """
    inputs: list[Motion] = [motion] if isinstance(motion, (str, Path, Coeffs)) else list(motion)
    if not inputs:
        raise UsageError("no coefficient file given")
    check_one_stdin(inputs)
    loaded = [item if isinstance(item, Coeffs) else _read_one(item) for item in inputs]
    merged = loaded[0]
    for item, later in zip(inputs[1:], loaded[1:], strict=True):
        try:
            merged = merged.merged(later)
        except (UsageError, CoeffFileError) as error:
            name = item if isinstance(item, (str, Path)) else "coefficients"
            raise type(error)(f"{name}: {error.message}", hint=error.hint) from error
    return merged


def _read_one(path: str | Path) -> Coeffs:
    from talkhead.coeffs.neighbours import import_neighbour, is_neighbour
    from talkhead.coeffs.stream import is_stream

    if is_stream(path):
        from talkhead.pipelines.opened_stream import read_compressed

        return read_compressed(path)
    coeffs = import_neighbour(path, known_space()) if is_neighbour(path) else read_coeffs(path)
    if coeffs.exp is not None and space_family(coeffs.space) == BFM and coeffs.exp.shape[1] != N_EXP:
        raise CoeffFileError(f"{path}: exp is {coeffs.exp.shape[1]} codes of space {coeffs.space}, which has {N_EXP}")
    return coeffs


def _mention_others(pixels: npt.NDArray[np.uint8], name: str) -> None:
    """Say that there was a choice, where a second face is nearly as large."""
    from talkhead.face.detect import detect_faces

    widths = [found.bbox[2] - found.bbox[0] for found in detect_faces(pixels)]
    n_rivals = sum(width > RIVAL * widths[0] for width in widths[1:])
    if n_rivals:
        log.info("%s shows %d faces; the largest is taken (--face INDEX takes another)", name, n_rivals + 1)


def known_space(name: str | None = None) -> Space:
    """What codes of a space mean; of the built-in face model where the name is not known or not given.

    Edits refuse codes of other spaces than the one they are given.
    """
    from talkhead.face3d.morphable import load_builtin
    from talkhead.face3d.spaces import space_of

    found = None if name is None else space_of(name)
    return found or load_builtin().space


def check_one_stdin(inputs: Sequence[object]) -> None:
    """Raise UsageError if more than one input is standard input."""
    if sum(1 for item in inputs if isinstance(item, str) and item == STDIO) > 1:
        raise UsageError("only one input can be - (standard input)")


def stamped(coeffs: Coeffs, command: str, params: dict[str, Any], source: object = None) -> Coeffs:
    """Coefficients with their origin: command, options (beside those known already), hash of the file they are from."""
    return coeffs.replace(
        created_by=f"talkhead {__version__} {command}",
        params=dict(coeffs.params) | {key: value for key, value in params.items() if value is not None},
        source_sha256=file_sha256(source) if isinstance(source, (str, Path)) else coeffs.source_sha256,
    )


def name_of(motion: Motion | None) -> str | None:
    """What to call a reference in messages and parameters; None if there is none."""
    if motion is None:
        return None
    return "the reference" if isinstance(motion, Coeffs) else str(motion)


def file_sha256(path: PathLike) -> str:
    """SHA-256 of a file in hex; empty for standard input and what is not a plain file."""
    file = Path(path)
    if str(path) == STDIO or not file.is_file():
        return ""
    digest = hashlib.sha256()
    try:
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    except OSError as cause:
        raise MediaError(f"cannot read {file}: {cause.strerror}") from cause
    return digest.hexdigest()


def read_choice(choice: str | int | PathLike) -> Any:
    """What `--face` means: "largest", an index, or the pixels of a picture of the person.

    Raises:
        UsageError: none of these. MediaError: the picture cannot be read.
    """
    from talkhead.media.image import read_image

    if isinstance(choice, int) or choice == "largest":
        return choice
    text = str(choice)
    if text.lstrip("-").isdigit():
        return int(text)
    if not Path(text).exists():
        raise UsageError(f"--face is {text!r}: expected largest, an index, or a picture file")
    return read_image(text).pixels
