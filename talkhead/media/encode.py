"""Film out: frames piped into ffmpeg while the next ones are made, then sound added, then renamed."""

from __future__ import annotations

import contextlib
import shutil
import uuid
from collections import deque
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from talkhead.errors import EnvironmentProblem, MediaError, OutputExistsError, ShapeError, UsageError
from talkhead.media.ffmpeg import LOCAL_ONLY, FFmpeg, input_args, rate, run
from talkhead.media.image import encode_png
from talkhead.media.mark import Label, Mark, note
from talkhead.media.output import atomic_output, check_output
from talkhead.media.probe import MediaInfo, probe
from talkhead.media.yuv import luma_plane, rgb_to_i420

U8 = npt.NDArray[np.uint8]
Codec = Literal["h264", "h265", "vp9", "av1", "ffv1"]
Preset = Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"]

CRF = 18
PRESET: Preset = "veryfast"
AUDIO_BITRATE = "192k"
# Enough to keep the encoder busy over one slow frame; more would only hold memory.
_AHEAD = 4


class _Container(NamedTuple):
    codecs: tuple[Codec, ...]
    copied_sound: frozenset[str]
    sound_encoder: str = "aac"
    has_faststart: bool = False


_PCM = frozenset({"pcm_s16le", "pcm_s24le"})
_MP4_SOUND = frozenset({"aac", "aac-he", "mp3", "ac3", "alac"})
_MP4 = _Container(("h264", "h265", "vp9", "av1"), _MP4_SOUND, has_faststart=True)
_CONTAINERS: Mapping[str, _Container] = {
    ".mp4": _MP4,
    ".m4v": _MP4,
    ".mov": _MP4._replace(copied_sound=_MP4_SOUND | _PCM),
    # Not AAC, MP3, Vorbis: the samples their encoders put in front would be heard here, the sound 16 to 25 ms late.
    ".mkv": _Container(("h264", "h265", "vp9", "av1", "ffv1"), frozenset({"ac3", "opus", "flac"}) | _PCM, "libopus"),
    ".webm": _Container(("vp9", "av1"), frozenset({"opus"}), "libopus"),
}
# Largest crf of each encoder; ffv1 is lossless and has none.
_MAX_CRF: Mapping[Codec, int] = {"h264": 51, "h265": 51, "vp9": 63, "av1": 63, "ffv1": 51}
# Samples of one packet: the grain in which copied sound can be cut. The others have packets of any size.
_PACKET_SAMPLES: Mapping[str, int] = {"aac": 1024, "aac-he": 2048, "mp3": 1152, "ac3": 1536, "alac": 4096, "opus": 960}
# `probe` reads two decimals.
_DURATION_ERROR_S = 0.005
# sRGB pixels through the BT.601 matrix of yuv.py, said so in the file.
_COLOUR = ("-color_range", "tv", "-colorspace", "smpte170m", "-color_primaries", "bt709", "-color_trc", "bt709")


class VideoWriter:
    """Writes frames, and optionally sound, into a film that appears under its name only when it is complete.

    Use as a context manager: leaving the block finishes the film, leaving it by an error or Ctrl-C removes all traces.
    Encoding runs beside the caller (a thread converts, ffmpeg's process encodes).

    The picture decides the length: sound is cut or filled with silence to it. Sound is copied untouched where the
    container takes it and its length fits, else encoded (AAC, or Opus in webm).

    Args:
        path: `.mp4`, `.m4v`, `.mov`, `.mkv` or `.webm`. size: width and height of the frames; an odd one is made even
            in the file by repeating the last column or row, as 4:2:0 needs it. fps: constant rate.
        audio: a file whose sound goes in. audio_start_s: where in it the film starts, seconds.
        crf: quality, lower is better and larger. preset: speed of h264 and h265; the others have one speed.
        codec: None chooses by suffix (vp9 for webm, else h264). `ffv1` in mkv is lossless RGB.
        overwrite: replace a film that is there.
        mark: hide the provenance mark in the picture and note it in the metadata (mark.py).
        label: text shown in a corner, None for none. metadata: title, artist and such; containers keep what they know.
    Raises:
        UsageError: suffix, codec, crf, size or fps do not go together. OutputExistsError, MediaError: as
            `atomic_output`; also when `audio` has no sound.
    """

    def __init__(
        self,
        path: str | Path,
        size: tuple[int, int],
        fps: float,
        *,
        audio: str | Path | None = None,
        audio_start_s: float = 0.0,
        crf: int = CRF,
        preset: Preset = PRESET,
        codec: Codec | None = None,
        overwrite: bool = False,
        mark: bool = True,
        label: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        self.path = Path(path)
        self.size = size
        self.fps = fps
        self.n_frames = 0
        self._container = _container(self.path)
        self._codec: Codec = codec or self._container.codecs[0]
        _check_options(self.path, self._container, self._codec, crf, size, fps)
        check_output(self.path, overwrite)
        self._overwrite, self._crf, self._preset = overwrite, crf, preset
        self._audio = None if audio is None else _probe_sound(audio)
        self._audio_start_s = audio_start_s
        even = (size[0] + size[0] % 2, size[1] + size[1] % 2)
        self._coded_size = size if self._codec == "ffv1" else even
        self._mark = Mark(self._coded_size) if mark else None
        self._label = Label(size, label) if label else None
        self._tags = {**(metadata or {}), **({"comment": note()} if mark else {})}
        self._pending: deque[Future[None]] = deque()
        self._stack = contextlib.ExitStack()
        self._process: FFmpeg | None = None

    def __enter__(self) -> VideoWriter:
        with contextlib.ExitStack() as stack:
            self._target = stack.enter_context(atomic_output(self.path, self._overwrite))
            self._picture = self._target
            if self._audio is not None:
                self._picture = self._target.with_name("." + uuid.uuid4().hex[:12] + ".partial" + self._target.suffix)
                stack.callback(self._picture.unlink, missing_ok=True)
            self._worker = ThreadPoolExecutor(1, thread_name_prefix="video-writer")
            stack.callback(self._worker.shutdown, cancel_futures=True)
            # Ended before the worker is waited for: a write that hangs in the pipe then fails at once.
            self._process = stack.enter_context(FFmpeg(self._encoder_arguments(), feed=True))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            # Handed on, so that the temporary file is removed and not renamed.
            self._stack.__exit__(kind, error, trace)
            return
        with self._stack:
            self._finish()

    def write(self, frame: U8) -> None:
        """Add a frame; waits when the encoder is several frames behind.

        Args:
            frame: (H, W, 3) uint8 RGB. It is copied; the caller may go on to change it.
        Raises:
            ShapeError: shape or dtype do not fit. MediaError: the encoder failed; its own reason is given.
        """
        width, height = self.size
        if frame.shape != (height, width, 3):
            raise ShapeError("frame", frame.shape, f"({height}, {width}, 3)")
        if frame.dtype != np.uint8:
            raise MediaError(f"frame has dtype {frame.dtype}, expected uint8")
        self._pending.append(self._worker.submit(self._send, frame.copy()))
        self.n_frames += 1
        while len(self._pending) > _AHEAD:
            self._settle()

    def _settle(self) -> None:
        try:
            self._pending.popleft().result()
        except OSError as error:
            raise self._failure() from error

    def _send(self, frame: U8) -> None:
        if self._label is not None:
            self._label.draw(frame)
        if self._codec == "ffv1":
            coded = frame if self._mark is None else self._mark.apply_rgb(frame)
        else:
            coded = rgb_to_i420(frame)
            if self._mark is not None:
                self._mark.apply_luma(luma_plane(coded))
        assert self._process is not None
        rest = coded.reshape(-1).data
        while rest:
            rest = rest[self._process.stdin.write(rest) :]

    def _finish(self) -> None:
        assert self._process is not None
        while self._pending:
            self._settle()
        if self._process.wait() != 0:
            raise self._failure()
        if self.n_frames == 0:
            raise MediaError(f"no frames were written to {self.path}")
        if self._audio is not None:
            self._add_sound(self._audio)

    def _failure(self) -> MediaError | EnvironmentProblem:
        assert self._process is not None
        self._process.wait()
        if "Unknown encoder" in self._process.said:
            return EnvironmentProblem(f"this ffmpeg has no encoder for {self._codec}", hint="choose another --codec")
        return MediaError(f"cannot write {self.path}: {self._process.reason()}")

    def _encoder_arguments(self) -> list[str]:
        width, height = self._coded_size
        is_rgb = self._codec == "ffv1"
        colour = () if is_rgb else _COLOUR
        return [
            *LOCAL_ONLY,
            *("-f", "rawvideo", "-pix_fmt", "rgb24" if is_rgb else "yuv420p", "-video_size", f"{width}x{height}"),
            *("-framerate", rate(self.fps), *colour, "-i", "pipe:0"),
            *_codec_arguments(self._codec, self._crf, self._preset),
            *colour,
            *(() if self._audio else self._file_arguments()),
            *("-y", f"file:{self._picture}"),
        ]

    def _file_arguments(self) -> list[str]:
        tags = [part for key, value in self._tags.items() for part in ("-metadata", f"{key}={value}")]
        return [*(("-movflags", "+faststart") if self._container.has_faststart else ()), *tags]

    def _add_sound(self, audio: MediaInfo) -> None:
        length = self.n_frames / self.fps
        if self._can_copy(audio, length):
            sound = ["-c:a", "copy"]
        else:
            fit = f"aresample=async=1:first_pts=0,apad=whole_dur={length:.6f},atrim=end={length:.6f}"
            sound = ["-af", fit, "-c:a", self._container.sound_encoder, "-b:a", AUDIO_BITRATE]
        seek = ["-ss", f"{self._audio_start_s:.6f}"] if self._audio_start_s else []
        run(
            [
                *input_args(self._picture),
                *seek,
                *input_args(audio.path),
                # Tags of the sound's file stay out: phones write where they were.
                *("-map", "0:v:0", "-map", f"1:{audio.audio_index}", "-map_metadata", "-1", "-map_chapters", "-1"),
                *("-c:v", "copy", *sound, "-t", f"{length:.6f}"),
                *self._file_arguments(),
                *("-y", f"file:{self._target}"),
            ],
            failure=f"cannot write {self.path}",
        )

    def _can_copy(self, audio: MediaInfo, length: float) -> bool:
        frame = 1 / self.fps
        packet = _PACKET_SAMPLES.get(audio.audio_codec, audio.sample_rate) / audio.sample_rate
        fits = packet < frame or audio.duration_s <= length + _DURATION_ERROR_S
        is_long_enough = audio.duration_s > length - frame + _DURATION_ERROR_S
        return audio.audio_codec in self._container.copied_sound and not self._audio_start_s and fits and is_long_enough


class FrameFolderWriter:
    """Writes frames as `frame_000000.png`, ... into a folder that appears only when all are there.

    Args:
        path: the folder. size: width and height of the frames. overwrite: replace the frames of a folder that is
            there; its other files stay. mark, label: as in `VideoWriter`.
    Raises:
        OutputExistsError: the folder has something in it and `overwrite` is false. MediaError: it cannot be written.
    """

    def __init__(
        self,
        path: str | Path,
        size: tuple[int, int],
        *,
        overwrite: bool = False,
        mark: bool = True,
        label: str | None = None,
    ) -> None:
        self.path = Path(path)
        self.size = size
        self.n_frames = 0
        self._mark = Mark(size) if mark else None
        self._label = Label(size, label) if label else None
        if self.path.exists() and not self.path.is_dir():
            raise MediaError(f"cannot write {self.path}: it is a file", hint="give the name of a folder")
        if self.path.is_dir() and any(self.path.iterdir()) and not overwrite:
            raise OutputExistsError(f"{self.path} is not empty", hint="use --overwrite or another name")

    def __enter__(self) -> FrameFolderWriter:
        self._folder = self.path.resolve().with_name(f".{self.path.name[:40]}.{uuid.uuid4().hex[:12]}.partial")
        try:
            self._folder.mkdir()
        except OSError as error:
            raise MediaError(f"cannot write {self.path}: {(error.strerror or str(error)).lower()}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._finish()
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def write(self, frame: U8) -> None:
        """Add a frame, (H, W, 3) uint8 RGB.

        Raises:
            ShapeError: the shape does not fit. MediaError: the file cannot be written.
        """
        width, height = self.size
        if frame.shape != (height, width, 3):
            raise ShapeError("frame", frame.shape, f"({height}, {width}, 3)")
        frame = frame.copy()
        if self._label is not None:
            self._label.draw(frame)
        if self._mark is not None:
            frame = self._mark.apply_rgb(frame)
        try:
            (self._folder / f"frame_{self.n_frames:06d}.png").write_bytes(encode_png(frame))
        except OSError as error:
            raise MediaError(f"cannot write {self.path}: {(error.strerror or str(error)).lower()}") from error
        self.n_frames += 1

    def _finish(self) -> None:
        if self.n_frames == 0:
            raise MediaError(f"no frames were written to {self.path}")
        try:
            if not self.path.exists():
                self._folder.rename(self.path.resolve())
                return
            for old in self.path.glob("frame_[0-9]*.png"):
                old.unlink()
            for new in self._folder.iterdir():
                new.replace(self.path / new.name)
        except OSError as error:
            raise MediaError(f"cannot write {self.path}: {(error.strerror or str(error)).lower()}") from error


def write_frames_folder(
    path: str | Path, frames: Iterable[U8], *, overwrite: bool = False, mark: bool = True, label: str | None = None
) -> int:
    """Write all frames into a folder of PNG files (see `FrameFolderWriter`) and return how many there were.

    Raises:
        MediaError: there are no frames, or the folder cannot be written.
    """
    iterator = iter(frames)
    first = next(iterator, None)
    if first is None:
        raise MediaError(f"no frames were written to {path}")
    size = (first.shape[1], first.shape[0])
    with FrameFolderWriter(path, size, overwrite=overwrite, mark=mark, label=label) as writer:
        writer.write(first)
        for frame in iterator:
            writer.write(frame)
        return writer.n_frames


def _container(path: Path) -> _Container:
    found = _CONTAINERS.get(path.suffix.lower())
    if found is None:
        raise UsageError(f"cannot write {path}: no video format has the suffix {path.suffix!r}",
                         hint="use one of " + " ".join(_CONTAINERS))  # fmt: skip
    return found


def _check_options(
    path: Path, container: _Container, codec: Codec, crf: int, size: tuple[int, int], fps: float
) -> None:
    if codec not in _MAX_CRF:
        raise UsageError(f"unknown codec {codec!r}", hint="use one of " + " ".join(_MAX_CRF))
    if codec not in container.codecs:
        takers = " ".join(suffix for suffix, c in _CONTAINERS.items() if codec in c.codecs)
        raise UsageError(f"{path.suffix} files do not hold {codec}", hint=f"{codec} goes into {takers}")
    if not 0 <= crf <= _MAX_CRF[codec]:
        raise UsageError(f"crf is {crf}, expected 0 to {_MAX_CRF[codec]} for {codec}")
    if min(size) < 1 or max(size) > 16384:
        raise UsageError(f"cannot write frames of {size[0]}x{size[1]} pixels")
    if not 0 < fps <= 1000:
        raise UsageError(f"fps is {fps:g}, expected more than 0 and at most 1000")


def _codec_arguments(codec: Codec, crf: int, preset: Preset) -> list[str]:
    if codec == "h264":
        return ["-c:v", "libx264", "-preset", preset, "-crf", str(crf), "-pix_fmt", "yuv420p"]
    if codec == "h265":
        quiet = ["-x265-params", "log-level=error", "-tag:v", "hvc1"]
        return ["-c:v", "libx265", "-preset", preset, "-crf", str(crf), "-pix_fmt", "yuv420p", *quiet]
    if codec == "vp9":
        fast = ["-deadline", "realtime", "-cpu-used", "5", "-row-mt", "1"]
        return ["-c:v", "libvpx-vp9", "-b:v", "0", "-crf", str(crf), "-pix_fmt", "yuv420p", *fast]
    if codec == "av1":
        return ["-c:v", "libsvtav1", "-preset", "10", "-crf", str(crf), "-pix_fmt", "yuv420p"]
    return ["-c:v", "ffv1", "-level", "3", "-pix_fmt", "bgr0"]


def _probe_sound(path: str | Path) -> MediaInfo:
    info = probe(path)
    if not info.has_audio:
        raise MediaError(f"no sound in {info.path}")
    return info
