"""Film in: frames streamed from ffmpeg at a constant rate, by timestamp; film out is encode.py."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt

from talkhead.errors import MediaError, UsageError
from talkhead.media.encode import FrameFolderWriter, VideoWriter, write_frames_folder
from talkhead.media.ffmpeg import FFmpeg, input_args, rate
from talkhead.media.probe import MAX_PIXELS, MediaInfo, count_frames, probe

__all__ = [
    "Clip",
    "FrameFolderWriter",
    "MediaInfo",
    "VideoWriter",
    "count_frames",
    "open_clip",
    "probe",
    "write_frames_folder",
]

_log = logging.getLogger(__name__)

# Chroma is interpolated rather than repeated: lips and irises are small and coloured. Costs 1 ms at 512 px.
_SCALE_FLAGS = "bicubic+accurate_rnd+full_chroma_int"
# From this height on, an untagged film is taken to be BT.709, as players do.
_HD_LINES = 720
# A film whose header promises more than it holds is damaged; the last second may be missing for honest reasons.
_MISSING_SHARE, _MISSING_S = 0.05, 1.0
_MARGIN_FRAMES = 2  # decoded before a start inside the film, and behind an end


@dataclass(frozen=True, kw_only=True, slots=True)
class Clip:
    """A film as a stream of frames; every `iter` decodes it again from the start, in constant memory.

    Attributes:
        path: the file. size: width and height of the frames. fps: their constant rate.
        n_frames: how many to expect; some files hold a few more or less than their header says.
        start_s: where frame 0 lies in the file, seconds. end_s: where the clip ends, None for the file's end.
        info: what the file holds.
    """

    path: Path
    size: tuple[int, int]
    fps: float
    n_frames: int
    start_s: float
    end_s: float | None
    info: MediaInfo

    def __iter__(self) -> Iterator[npt.NDArray[np.uint8]]:
        """Frames, (H, W, 3) uint8 RGB, a fresh array each; ffmpeg ends when the iterator is dropped.

        Raises:
            MediaError: nothing can be decoded, or the file ends long before its header says.
        """
        width, height = self.size
        with FFmpeg(self._arguments(), drain=True) as process:
            count = 0
            while True:
                frame = np.empty((height, width, 3), np.uint8)
                if not _fill(process, frame):
                    break
                count += 1
                yield frame
            status = process.wait()
            self._check_end(process, status, count)

    def __enter__(self) -> Clip:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to free: each iterator owns its decoder and ends it."""

    def first_frame(self) -> npt.NDArray[np.uint8]:
        """The first frame, (H, W, 3) uint8 RGB.

        Raises:
            MediaError: it cannot be decoded.
        """
        with contextlib.closing(iter(self)) as frames:  # type: ignore[type-var]
            return next(frames)

    def _arguments(self) -> list[str]:
        info = self.info
        # The frame that is nearest to the start may lie before it, that of the last frame behind the end.
        margin = _MARGIN_FRAMES / info.fps if info.fps else 0.0
        lead = min(self.start_s, margin)
        seek = ["-ss", f"{self.start_s - lead:.6f}"] if self.start_s > lead else []
        until = [] if self.end_s is None else ["-t", f"{self.end_s - self.start_s + lead + margin:.6f}"]
        count = [] if self.end_s is None else ["-frames:v", str(self.n_frames)]
        filters = [*_resample_filters(info.fps, self.fps, lead), self._scale_filter()]
        return [
            *seek,
            *until,
            *input_args(self.path),
            *("-map", f"0:{info.video_index}", "-vf", ",".join(filters), "-fps_mode", "passthrough"),
            *count,
            *("-pix_fmt", "rgb24", "-f", "rawvideo", "pipe:1"),
        ]

    def _scale_filter(self) -> str:
        width, height = self.size
        colour = self.info.colour
        is_tagged = any(name in colour for name in ("bt", "smpte", "gbr", "fcc", "ycgco"))
        matrix = ":in_color_matrix=bt709" if self.info.height >= _HD_LINES and not is_tagged else ""
        # Always present, so that a film that changes its size half way still gives frames of one size.
        return f"scale={width}:{height}:flags={_SCALE_FLAGS}{matrix}"

    def _check_end(self, process: FFmpeg, status: int, count: int) -> None:
        if count == 0:
            raise MediaError(f"cannot read {self.path}: {process.reason() if process.said else 'it holds no frames'}")
        expected = self.n_frames
        is_short = expected - count > max(_MISSING_SHARE * expected, _MISSING_S * self.fps)
        if is_short and self.info.is_duration_exact and (status != 0 or process.said):
            raise MediaError(
                f"{self.path} is damaged: {count / self.fps:.1f} of {expected / self.fps:.1f} s can be read"
                f" ({process.reason()})"
            )
        if status != 0:
            raise MediaError(f"cannot read {self.path} after {count / self.fps:.1f} s: {process.reason()}")
        if process.said:
            _log.info("%s: %s", self.path, process.reason())


def open_clip(
    path: str | Path,
    *,
    fps: float | None = None,
    start_s: float = 0.0,
    end_s: float | None = None,
    max_size: int | None = None,
) -> Clip:
    """Open a film for reading; nothing is decoded until it is iterated.

    Frame n shows what the film showed at `start_s + n / fps` (the nearest of its frames), also when its own rate varies
    or its picture starts later than its sound: time 0 is where the file starts. Rotation marks and pixel shapes are
    applied; sizes stay odd where they are.

    Args:
        path: a local file. fps: rate of the frames, None for the film's own average. start_s, end_s: part to read,
            seconds. max_size: longest side in pixels; larger films are scaled down.
    Raises:
        MediaError: missing, empty, damaged, without a picture, or above 100 megapixels.
        UsageError: `fps`, `start_s`, `end_s` or `max_size` is out of range.
    """
    if fps is not None and not 0 < fps <= 1000:
        raise UsageError(f"fps is {fps:g}, expected more than 0 and at most 1000")
    if max_size is not None and max_size < 1:
        raise UsageError(f"max_size is {max_size}, expected at least 1 pixel")
    if start_s < 0 or (end_s is not None and end_s <= start_s):
        raise UsageError(f"cannot read from {start_s:g} s to {end_s} s")
    info = probe(path)
    if not info.has_video:
        raise MediaError(f"no picture in {info.path}", hint="it holds sound only" if info.has_audio else None)
    if info.width * info.height > MAX_PIXELS:
        raise MediaError(f"{info.path} is {info.width}x{info.height}; more than 100 megapixels are refused")
    if info.duration_s and start_s >= info.duration_s:
        raise UsageError(f"{info.path} lasts {info.duration_s:.2f} s; it cannot be read from {start_s:g} s on")
    scale = min(1.0, max_size / max(info.width, info.height)) if max_size else 1.0
    rate_out = fps or info.fps
    end = min(end_s, info.duration_s) if end_s is not None and info.duration_s else end_s
    length = (end if end is not None else info.duration_s) - start_s
    return Clip(
        path=info.path,
        size=(max(round(info.width * scale), 1), max(round(info.height * scale), 1)),
        fps=rate_out,
        n_frames=max(round(length * rate_out), 1),
        start_s=start_s,
        end_s=end_s,
        info=info,
    )


def _resample_filters(fps_in: float, fps_out: float, lead: float = 0.0) -> list[str]:
    """Filters that resample frames of which the first `lead` seconds come before those that are wanted."""
    # `fps` shows at output time t the last frame before t + 1/(2 fps_out), which is early when frames are dropped:
    # 60 -> 25 by 12 ms on average. Moving its clock by half the difference of the periods gives the nearest frame.
    early = 0.5 / fps_out - 0.5 / fps_in if fps_in > fps_out else 0.0
    shift = [f"setpts=PTS+{early - lead:.9f}/TB"] if early != lead else []
    return [*shift, f"fps={rate(fps_out)}:start_time=0"]


def _fill(process: FFmpeg, frame: npt.NDArray[np.uint8]) -> bool:
    """Read one whole frame; False at the end (a piece of a frame is dropped)."""
    view = frame.reshape(-1).data
    done = 0
    while done < len(view):
        n = process.stdout.readinto(view[done:])  # type: ignore[attr-defined]
        if not n:
            return False
        done += n
    return True
