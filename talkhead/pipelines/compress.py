"""A talking video, or coefficients and a photo -> a stream of a few kbit/s (docs/compressed-stream.md)."""

from __future__ import annotations

import contextlib
import logging
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import numpy as np
import numpy.typing as npt

from talkhead.coeffs.codec import Track, chunks, reference_of, widths_of
from talkhead.coeffs.container import Coeffs
from talkhead.coeffs.file import require_space
from talkhead.coeffs.layout import MAYBE_RELATIVE
from talkhead.coeffs.retarget import is_same_person, retarget
from talkhead.coeffs.stream import SoundFile, StreamInfo, StreamReader, write_stream
from talkhead.errors import CoeffFileError, CompressedStreamError, FaceNotFoundError, UsageError
from talkhead.files import atomic_output, check_output
from talkhead.pipelines.choose import build, build_extractor, choose_system, partner
from talkhead.pipelines.config import (
    COMPRESS_DEFAULTS,
    DEFAULTS,
    Machine,
    MachineKeywords,
    MotionFormat,
    PictureKind,
    Quality,
    Result,
    Sound,
)
from talkhead.pipelines.extract import extract_video
from talkhead.pipelines.inputs import STDIO, PathLike, Photo, check_sound, open_source, read_motion
from talkhead.pipelines.outputs import MEDIA_SUFFIXES, refuse_inputs
from talkhead.pipelines.reference_frame import face_number, head_centre, reference_frames
from talkhead.progress import NoProgress, Progress, tracked
from talkhead.protocols import SystemInfo

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from talkhead.face3d.morphable import FaceModel

log = logging.getLogger(__name__)

F64 = npt.NDArray[np.float64]
U8 = npt.NDArray[np.uint8]

STEPS: Mapping[Quality, float] = {"low": 0.020, "medium": 0.010, "high": 0.006, "best": 0.003}
"""By how much the face may move when a number of the compact format is rounded to its neighbour, eye distances."""
EYE_TRACKS = ("eyelid", "gaze", "tongue")
MOTION_SUFFIXES = frozenset({".safetensors", ".mat", ".csv", ".thc"})
# Landmark errors are counted in bins of a hundredth of a percent of the eye distance, up to 20 %.
_BIN, _N_BINS = 1e-4, 2000


@dataclass(frozen=True, kw_only=True, slots=True)
class CompressResult(Result):
    """What `compress` made.

    Attributes:
        format: of the motion. header_bytes, picture_bytes, motion_bytes, sound_bytes: of the parts; all are the file.
        motion_kbit_s: of the motion alone. error_mean, error_p95: how far what a decoder gets is from what was
            measured, at the mesh points, percent of the eye distance: on average, and of the farther twentieth the
            least. reference_frame: of the video, from 0; None of a photo.
    """

    format: MotionFormat = "compact"
    header_bytes: int = 0
    picture_bytes: int = 0
    motion_bytes: int = 0
    sound_bytes: int = 0
    motion_kbit_s: float = 0.0
    error_mean: float = 0.0
    error_p95: float = 0.0
    reference_frame: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Subject:
    """Motion and the picture it moves.

    Attributes:
        coeffs: T frames. reference: one frame, of the picture. picture: its file. face: which one moves.
        frame: of the video, from 0.
    """

    coeffs: Coeffs
    reference: Coeffs
    picture: bytes
    face: int
    frame: int | None = None


def compress(
    motion: PathLike | Coeffs,
    output: PathLike,
    *,
    face: Photo | None = None,
    quality: Quality = COMPRESS_DEFAULTS.quality,
    format: MotionFormat = COMPRESS_DEFAULTS.format,  # noqa: A002 - the command line's word
    eyes: bool | None = None,
    picture: PictureKind = COMPRESS_DEFAULTS.picture,
    picture_quality: int = COMPRESS_DEFAULTS.picture_quality,
    sound: Sound = COMPRESS_DEFAULTS.sound,
    audio: PathLike | None = None,
    fps: float | None = DEFAULTS.fps,
    face_choice: str | int | PathLike = DEFAULTS.face,
    overwrite: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
    **machine: Unpack[MachineKeywords],
) -> CompressResult:
    """Compress a talking video: one picture, and a few numbers a frame for how the face moves.

    Args:
        motion: a video; or coefficients, a file of them or "-", which need a `face`. output: stream to write; "-" is
            standard output. face: photo that shall be moved, instead of the most suitable frame of the video.
        quality: of the compact format. format: `compact` rounds and codes, `float32` and `float16` store the numbers.
        eyes: whether lids, gaze and tongue are stored; None: with `compact`. Raw formats then have the 35 numbers of
            HeadGAN's section on compression. picture: format of the reference picture. picture_quality: of webp, jpeg.
        sound: `copy` stores the video's as it is, `opus` at 24 kbit/s, `none` not at all. audio: another sound track.
        fps: of the motion; None keeps the video's. face_choice: which face of the video or photo.
        overwrite, dry_run, progress: as everywhere. machine: who measures, and where; see `Machine`.
    Raises:
        MediaError, FaceNotFoundError: unsuitable video or photo. CoeffFileError: codes of another space, or motion that
            cannot be stored so. UsageError: words that are no choice, or coefficients without a face.
    """
    _check_words(quality=quality, format=format, picture=picture, sound=sound)
    if not 1 <= picture_quality <= 100:
        raise UsageError(f"picture quality is {picture_quality}, expected 1 to 100")
    if not _is_video(motion) and face is None:
        raise UsageError("coefficients need a photo to go with", hint="talkhead compress COEFFS FACE -o X.thc")
    _check_stream_output(output, overwrite=overwrite, inputs=[motion, face, audio, face_choice])
    check_sound(audio)
    machine_wish = Machine.of({**machine, "is_dry": dry_run})
    task = _Task(
        machine=machine_wish,
        measurer=_measurer(machine_wish),
        encode=_PictureEncoder(picture, picture_quality),
        fps=fps,
        face_choice=face_choice,
        progress=progress or NoProgress(),
    )
    if dry_run:
        return _planned(motion, face, task, output, format)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="talkhead-")))
        track = _take_sound(motion, audio, sound, folder)
        subject = task.subject(motion, face)
        with_eyes = format == "compact" if eyes is None else eyes
        info = _stream_info(subject, format, STEPS[quality], with_eyes)
        target = stack.enter_context(_target(output, folder, overwrite=overwrite))
        pieces = tracked(chunks(subject.coeffs, info.chunk_frames), task.progress, "encode", None)
        with target.open("wb") as out:
            sizes = write_stream(out, info, pieces, picture=subject.picture, picture_kind=picture, sound=track)
        mean, p95 = _errors(subject.coeffs, target)
    return CompressResult(
        output=str(output),
        system=task.measurer.name,
        n_frames=info.n_frames,
        fps=info.fps,
        size=info.size,
        format=format,
        header_bytes=sizes.header,
        picture_bytes=sizes.picture,
        motion_bytes=sizes.motion,
        sound_bytes=sizes.sound,
        motion_kbit_s=round(8 * sizes.motion * info.fps / info.n_frames / 1000, 3),
        error_mean=mean,
        error_p95=p95,
        reference_frame=subject.frame,
    )


class _PictureEncoder:
    """Makes the file of the reference picture."""

    def __init__(self, kind: PictureKind, quality: int) -> None:
        self._kind, self._quality = kind, quality

    def __call__(self, image: U8) -> tuple[bytes, U8]:
        """The file, and what it shows."""
        from talkhead.media.image import decode_image, encode_image

        data = encode_image(image, self._kind, self._quality)
        return data, decode_image(data, self._kind, "the reference picture").pixels


@dataclass(frozen=True, kw_only=True, slots=True)
class _Task:
    """How motion is measured, and the picture made that goes with it.

    Attributes:
        machine: where. measurer: who. encode: makes the file of the picture. fps: of a video's motion, None: its own.
        face_choice: which face. progress: is told how far it is.
    """

    machine: Machine
    measurer: SystemInfo
    encode: _PictureEncoder
    fps: float | None
    face_choice: str | int | PathLike
    progress: Progress

    def subject(self, motion: PathLike | Coeffs, face: Photo | None) -> _Subject:
        """What is to be stored of a video, or of motion and a photo."""
        if not _is_video(motion):
            assert face is not None
            return self._of_photo(read_motion(motion), face, self.face_choice)
        assert not isinstance(motion, Coeffs)
        extractor = build_extractor(self.measurer, self.machine, self.progress)
        coeffs = extract_video(motion, self.face_choice, self.fps, extractor=extractor, progress=self.progress)
        # The choice was among the faces of the video; a photo that comes with it shows one.
        return self._of_video(coeffs, motion) if face is None else self._of_photo(coeffs, face, DEFAULTS.face)

    def _of_video(self, coeffs: Coeffs, video: PathLike) -> _Subject:
        """The most suitable frame: the first of the candidates that a reader will find the face in."""
        from talkhead.face3d.leverage import leverage
        from talkhead.media.video import open_clip

        for frame in reference_frames(open_clip(video, fps=self.fps), coeffs, leverage(_model())):
            data, pixels = self.encode(frame.image)
            try:
                face = face_number(pixels, head_centre(coeffs, frame.number), str(video))
            except FaceNotFoundError:
                continue
            log.info("frame %d of %s is the reference picture", frame.number, video)
            reference = coeffs.at(slice(frame.number, frame.number + 1))
            return _Subject(coeffs=coeffs, reference=reference, picture=data, face=face, frame=frame.number)
        raise FaceNotFoundError(
            f"{video}: no face is found in the frames that would do as reference picture",
            hint="use --picture png, a higher --picture-quality, or give a photo",
        )

    def _of_photo(self, coeffs: Coeffs, face: Photo, face_choice: str | int | PathLike) -> _Subject:
        """Motion and the photo that it shall move: as it is where it was measured in the photo's own place.

        Else it is laid on the photo as `reenact` does: of the same person the very expression, of others the changes.
        """
        from talkhead.media.image import over_white

        source = open_source(face, face_choice)
        own = build_extractor(self.measurer, self.machine).photo(source, fps=coeffs.fps, like=coeffs)
        require_space(coeffs, own.space, "the motion")
        image = source.image if source.alpha is None else over_white(source.image, source.alpha)
        height, width = image.shape[:2]
        space = _model().space
        is_own = tuple(coeffs.size if coeffs.size is not None else ()) == (width, height)
        if MAYBE_RELATIVE & coeffs.tensors().keys() - coeffs.relative and not (
            is_own and is_same_person(coeffs, own, space)
        ):
            coeffs = retarget(coeffs, source=own, mode="auto", space=space)
        # An expression is of somebody; a head that only turns is of nobody, and can be so in any space.
        identity = own.id if coeffs.id is None and coeffs.exp is not None else coeffs.id
        coeffs = coeffs.replace(size=own.size, space=own.space, id=identity)
        data, pixels = self.encode(image)
        x0, y0, x1, y1 = source.landmarks.bbox
        number = face_number(pixels, ((x0 + x1) / 2, (y0 + y1) / 2), source.name)
        return _Subject(coeffs=coeffs, reference=own, picture=data, face=number)


def _check_words(**words: str) -> None:
    choices = {
        "quality": get_args(Quality), "format": get_args(MotionFormat), "picture": get_args(PictureKind),
        "sound": get_args(Sound),
    }  # fmt: skip
    for name, word in words.items():
        if word not in choices[name]:
            raise UsageError(f"{name} is {word!r}, expected {' or '.join(choices[name])}")


def _is_video(motion: PathLike | Coeffs) -> bool:
    if isinstance(motion, Coeffs) or motion == STDIO:
        return False
    return Path(motion).suffix.lower() not in MOTION_SUFFIXES


def _check_stream_output(output: PathLike, *, overwrite: bool, inputs: list[object]) -> None:
    if str(output) == STDIO:
        return
    if Path(output).suffix.lower() in MEDIA_SUFFIXES | (MOTION_SUFFIXES - {".thc"}):
        raise UsageError(
            f"this makes a compressed stream, and {output} is the name of something else", hint="end it in .thc"
        )
    refuse_inputs(output, inputs)
    check_output(output, overwrite)


def _measurer(machine: Machine) -> SystemInfo:
    """Who reads the face: in the space of the built-in face model, the one that streams are written in.

    Raises:
        UsageError: the system that was asked for measures in another space.
    """
    from talkhead.systems import info

    space = _model().space
    if machine.system == "auto":
        return choose_system(machine, "extract", space=space.name)
    chosen = partner(info(machine.system), "extract")
    if not chosen.reads(space.name):
        raise UsageError(
            f"{chosen.name} measures in the space {' '.join(chosen.spaces)}, streams hold {space.family}",
            hint="leave --system out; decompress --system draws with any",
        )
    build(chosen, "extract", machine)
    return chosen


def _planned(
    motion: PathLike | Coeffs, face: Photo | None, task: _Task, output: PathLike, form: MotionFormat
) -> CompressResult:
    """What would be made, after a look at the inputs."""
    from talkhead.media.image import read_image
    from talkhead.media.video import open_clip

    if isinstance(face, (str, Path)):
        read_image(face)
    if _is_video(motion):
        assert not isinstance(motion, Coeffs)
        clip = open_clip(motion, fps=task.fps)
        length, rate, size = clip.n_frames, clip.fps, clip.size
    else:
        coeffs = read_motion(motion)
        length, rate, size = len(coeffs), coeffs.fps, None
    name = task.measurer.name
    return CompressResult(
        output=str(output), system=name, n_frames=length, fps=rate, size=size, format=form, written=False
    )


def _take_sound(motion: PathLike | Coeffs, audio: PathLike | None, sound: Sound, folder: Path) -> SoundFile | None:
    """The sound as a file of its own; None where there is none, or none is wanted."""
    from talkhead.media.probe import probe
    from talkhead.media.soundtrack import copy_sound, encode_opus

    origin = motion if audio is None else audio
    if sound == "none" or isinstance(origin, Coeffs) or (audio is None and not _is_video(motion)):
        return None
    if not probe(origin).has_audio:
        return None
    target = folder / "sound"
    return SoundFile(path=target, kind=(copy_sound if sound == "copy" else encode_opus)(origin, target))


def stream_tracks(coeffs: Coeffs, reference: Coeffs, *, step: float | None, with_eyes: bool) -> tuple[Track, ...]:
    """The tracks of a stream.

    Args:
        coeffs: motion. reference: one frame, of the picture; relative tracks start at rest. step: of the compact
            format, eye distances by which a face may move when a number is rounded to its neighbour; None for raw
            formats. with_eyes: whether lids, gaze and tongue are among them.
    Raises:
        CoeffFileError: there is none.
    """
    from talkhead.face3d.leverage import leverage

    lever = leverage(_model())
    tracks = []
    for name, columns in widths_of(coeffs).items():
        if name in EYE_TRACKS and not with_eyes:
            continue
        relative = name in coeffs.relative
        if relative or getattr(reference, name) is None:
            rest = np.full(columns, 1.0 if name == "scale" else 0.0, np.float32)
        else:
            rest = reference_of(reference, name)
        tracks.append(Track(name, rest, relative, None if step is None else (step / lever[name]).astype(np.float32)))
    if not tracks:
        raise CoeffFileError("the motion has no track that a stream can hold")
    return tuple(tracks)


def _stream_info(subject: _Subject, form: MotionFormat, step: float, with_eyes: bool) -> StreamInfo:
    coeffs = subject.coeffs
    assert coeffs.size is not None
    width, height = (round(float(side)) for side in coeffs.size)
    step_or_none = step if form == "compact" else None
    return StreamInfo(
        format=form,
        space=coeffs.space,
        fps=coeffs.fps,
        n_frames=len(coeffs),
        size=(width, height),
        tracks=stream_tracks(coeffs, subject.reference, step=step_or_none, with_eyes=with_eyes),
        id=coeffs.id,
        face=subject.face,
    )


@contextlib.contextmanager
def _target(output: PathLike, folder: Path, *, overwrite: bool) -> Iterator[Path]:
    """Where to write; what is for standard output goes there when all of it is well."""
    if str(output) != STDIO:
        with atomic_output(output, overwrite, error=CompressedStreamError) as temporary:
            yield temporary
        return
    if sys.stdout.isatty():
        raise UsageError("a compressed stream is not written to a terminal", hint="use -o FILE, or pipe it on")
    temporary = folder / "stream"
    yield temporary
    with temporary.open("rb") as stream:
        shutil.copyfileobj(stream, sys.stdout.buffer)
    sys.stdout.buffer.flush()


def _errors(coeffs: Coeffs, stream: Path) -> tuple[float, float]:
    """Landmark errors of what a decoder gets, percent of the eye distance: mean and 95th percentile."""
    from talkhead.face3d.leverage import landmark_errors

    counts: npt.NDArray[np.int64] = np.zeros(_N_BINS, np.int64)
    total, at = 0.0, 0
    with StreamReader(stream) as reader:
        for piece in reader.motion():
            stored = {name: None for name in widths_of(coeffs) if getattr(piece, name) is None}
            true = coeffs.at(slice(at, at + len(piece))).replace(id=piece.id, **stored)
            at += len(piece)
            errors = landmark_errors(true, piece, _model())
            total += float(errors.sum())
            counts += np.bincount(np.minimum((errors / _BIN).astype(int), _N_BINS - 1).reshape(-1), minlength=_N_BINS)
    reached = int(np.searchsorted(np.cumsum(counts), 0.95 * counts.sum()))
    p95 = 0.0 if total == 0 else (reached + 0.5) * _BIN
    return round(100 * total / int(counts.sum()), 4), round(100 * p95, 3)


def _model() -> FaceModel:
    from talkhead.face3d.morphable import load_builtin

    return load_builtin()
