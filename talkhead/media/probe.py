"""What a media file holds, read from what ffmpeg says about it (no ffprobe comes with the bundled ffmpeg)."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from talkhead.errors import MediaError
from talkhead.media.ffmpeg import FFmpeg, input_args, run

MAX_PIXELS = 100_000_000
FALLBACK_FPS = 25.0
# Above this an average rate is a container's clock, not a camera's.
_MAX_FPS = 1000.0
# Play lists and text art: ffmpeg opens them, but they are addresses of other files, or not media at all.
_REFUSED_FORMATS = frozenset({"concat", "dash", "hls", "sdp", "rtsp", "lavfi", "tty", "bin", "xbin", "adf", "idf"})
# Their headers say how long the streams are, so an early end means a damaged file.
_EXACT_FORMATS = frozenset({"mov", "matroska", "webm", "avi"})
_PLAINER = {
    "Invalid data found": "it is damaged, or no picture, video or sound",
    "moov atom not found": "it is damaged, or no picture, video or sound",
}
_MOTION_SUFFIXES = frozenset({".safetensors", ".mat", ".csv"})
_NTSC = (24, 30, 48, 60, 120)

_INPUT = re.compile(r"^Input #0, (?P<formats>\S+), from ", re.M)
_DURATION = re.compile(r"^  Duration: (?:(\d+):(\d+):(\d+(?:\.\d+)?)|N/A)(?:, start: (-?[\d.]+))?", re.M)
_STREAM = re.compile(r"^  Stream #0:(\d+)(?:\[0x[0-9a-f]+\])?(?:\([^)]*\))?: (Video|Audio): (.*)$")
_SIZE = re.compile(r", (\d+)x(\d+)(?=[ ,\[]|$)")
_SHAPE = re.compile(r"\bSAR (\d+):(\d+)")
_RATE = re.compile(r", ([\d.]+)(k?) (fps|tbr)\b")
_COLOUR = re.compile(r", [a-z0-9]+\(([^)]*)\)(?=, \d+x)")
_ROTATION = re.compile(r"rotation of (-?[\d.]+) degrees")
_SAMPLE_RATE = re.compile(r"(\d+) Hz")
_TAG = re.compile(r"^    (\S[^:]*?)\s*: (.*)$")


@dataclass(frozen=True, kw_only=True, slots=True)
class MediaInfo:
    """A media file as ffmpeg describes it.

    Attributes:
        path: the file. formats: names of its container.
        width, height: of the picture as shown (rotation and pixel shape applied), 0 without a picture.
        fps: average frames per second, 0 without a picture. duration_s: of the longest stream.
        n_frames_estimate: `duration_s * fps`, rounded; the true count may differ by some frames.
        rotation: degrees the picture is turned for showing, one of 0, 90, 180, 270 in most files.
        has_video, has_audio: cover pictures of sound files do not count as video.
        video_index, audio_index: stream numbers, -1 without. video_codec, audio_codec: names, "" without; `aac-he` is
            told from `aac` because its packets are longer. sample_rate: of the sound, 0 without.
        colour: the tags in brackets after the pixel format.
        is_duration_exact: the container's header promises the length. metadata: tags of the container.
    """

    path: Path
    formats: tuple[str, ...]
    width: int = 0
    height: int = 0
    fps: float = 0.0
    duration_s: float = 0.0
    rotation: float = 0.0
    video_index: int = -1
    audio_index: int = -1
    video_codec: str = ""
    audio_codec: str = ""
    sample_rate: int = 0
    colour: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def has_video(self) -> bool:
        """Whether there is a moving picture."""
        return self.video_index >= 0

    @property
    def has_audio(self) -> bool:
        """Whether there is sound."""
        return self.audio_index >= 0

    @property
    def is_picture(self) -> bool:
        """Whether it is one still picture rather than a film."""
        return any(name == "image2" or name.endswith("_pipe") for name in self.formats)

    @property
    def n_frames_estimate(self) -> int:
        """Frames to expect."""
        return max(round(self.duration_s * self.fps), 1) if self.has_video else 0

    @property
    def is_duration_exact(self) -> bool:
        """Whether `duration_s` is what the header promises rather than a guess from the bit rate."""
        return not _EXACT_FORMATS.isdisjoint(self.formats)


def probe(path: str | Path) -> MediaInfo:
    """Read what a media file holds.

    Args:
        path: a local file.
    Raises:
        MediaError: it is missing, empty, not media, or a play list.
    """
    file = check_input(path)
    with FFmpeg(input_args(file), log_level="info") as process:
        process.wait()
        said = process.said
        found = _INPUT.search(said)
        if found is None:
            reason = process.reason()
            reason = next((ours for theirs, ours in _PLAINER.items() if theirs in reason), reason)
            is_motion = file.suffix.lower() in _MOTION_SUFFIXES
            hint = "render and edit take coefficient files" if is_motion else None
            raise MediaError(f"cannot read {file}: {reason}", hint=hint)
    formats = tuple(found["formats"].rstrip(",").split(","))
    if not _REFUSED_FORMATS.isdisjoint(formats):
        raise MediaError(f"cannot read {file}: {formats[0]} is not a video, sound or picture format")
    info = _parse(file, formats, said[found.end() :])
    if not info.duration_s and (info.has_video or info.has_audio):
        info = replace(info, duration_s=_counted_duration(info))
    return info


def check_input(path: str | Path) -> Path:
    """The path of a file that exists and is not empty.

    Raises:
        MediaError: it does not, or is a folder.
    """
    file = Path(path)
    try:
        if file.is_dir():
            raise MediaError(f"cannot read {file}: it is a folder")
        if not file.exists():
            is_address = re.match(r"[a-z][a-z0-9+.-]+:/", str(path)) is not None
            hint = "only local files are read; download it first" if is_address else None
            if str(path) == "-":
                hint = "speech and coefficient files can come on standard input, nothing else"
            raise MediaError(f"cannot read {path}: no such file", hint=hint)
        if file.is_file() and file.stat().st_size == 0:
            raise MediaError(f"cannot read {file}: the file is empty")
    except OSError as error:
        raise MediaError(f"cannot read {file}: {error.strerror}") from error
    if not os.access(file, os.R_OK):
        raise MediaError(f"cannot read {file}: permission denied")
    return file


def count_frames(path: str | Path) -> int:
    """The number of pictures stored in the first video stream, by reading the file through without decoding.

    Raises:
        MediaError: unreadable, or there is no video.
    """
    info = probe(path)
    if not info.has_video:
        raise MediaError(f"no video in {info.path}")
    return int(_copied_progress(info, info.video_index).get("frame", "0"))


class _Video(NamedTuple):
    stream: int
    codec: str
    width: int
    height: int
    fps: float
    colour: str
    shape: Fraction


class _Audio(NamedTuple):
    stream: int
    codec: str
    sample_rate: int


def _parse(path: Path, formats: tuple[str, ...], said: str) -> MediaInfo:
    found = _DURATION.search(said)
    if found is None:
        return MediaInfo(path=path, formats=formats)
    seconds = 0.0 if found[1] is None else int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3])
    tags = (_TAG.match(line) for line in said[: found.start()].splitlines())
    audio: _Audio | None = None
    video: _Video | None = None
    rotation, last_is_chosen = 0.0, False
    for line in said[found.start() :].splitlines():
        if stream := _STREAM.match(line):
            if stream[2] == "Audio":
                audio = audio or _parse_audio(int(stream[1]), stream[3])
            candidate = _parse_video(int(stream[1]), stream[3]) if stream[2] == "Video" else None
            # The largest picture is the film, the others are previews.
            last_is_chosen = candidate is not None and (
                video is None or candidate.width * candidate.height > video.width * video.height
            )
            if last_is_chosen:
                video, rotation = candidate, 0.0
        elif last_is_chosen and (turn := _ROTATION.search(line)):
            rotation = -float(turn[1]) % 360
    width, height = _shown_size(video, rotation)
    return MediaInfo(
        path=path,
        formats=formats,
        duration_s=seconds,
        metadata={m[1].lower(): m[2] for m in tags if m},
        width=width,
        height=height,
        fps=video.fps if video else 0.0,
        rotation=rotation,
        colour=video.colour if video else "",
        video_index=video.stream if video else -1,
        video_codec=video.codec if video else "",
        audio_index=audio.stream if audio else -1,
        audio_codec=audio.codec if audio else "",
        sample_rate=audio.sample_rate if audio else 0,
    )


def _parse_video(index: int, description: str) -> _Video | None:
    size = _SIZE.search(description)
    codec = _codec(description)
    if size is None or not codec or "(attached pic)" in description:
        return None
    rates = {m[3]: float(m[1]) * (1000 if m[2] else 1) for m in _RATE.finditer(description)}
    colour = _COLOUR.search(description)
    shape = _SHAPE.search(description)
    return _Video(
        stream=index,
        codec=codec,
        width=int(size[1]),
        height=int(size[2]),
        fps=_exact_rate(rates.get("fps") or rates.get("tbr") or 0.0),
        colour=colour[1] if colour else "",
        shape=Fraction(int(shape[1]), int(shape[2])) if shape and int(shape[1]) and int(shape[2]) else Fraction(1),
    )


def _parse_audio(index: int, description: str) -> _Audio | None:
    codec = _codec(description)
    if codec == "aac" and "HE-AAC" in description:
        codec = "aac-he"
    sample_rate = _SAMPLE_RATE.search(description)
    return _Audio(index, codec, int(sample_rate[1])) if codec and sample_rate else None


def _codec(description: str) -> str:
    name = re.split(r"[ ,]", description, maxsplit=1)[0]
    return "" if name in ("none", "unknown") else name


def _exact_rate(fps: float) -> float:
    """The rate behind two printed decimals: 29.97 is 30000/1001."""
    if not 0 < fps <= _MAX_FPS:
        return FALLBACK_FPS
    for whole in _NTSC:
        if abs(fps - whole * 1000 / 1001) < 0.006:
            return whole * 1000 / 1001
    return fps


def _shown_size(video: _Video | None, rotation: float) -> tuple[int, int]:
    if video is None:
        return 0, 0
    width, height = max(round(video.width * video.shape), 1), video.height
    return (height, width) if round(rotation) % 180 == 90 else (width, height)


def _counted_duration(info: MediaInfo) -> float:
    index = info.video_index if info.has_video else info.audio_index
    progress = _copied_progress(info, index)
    if info.has_video:
        return int(progress.get("frame", "0")) / info.fps
    microseconds = progress.get("out_time_us", "0")
    return int(microseconds) / 1e6 if microseconds.lstrip("-").isdigit() else 0.0


def _copied_progress(info: MediaInfo, index: int) -> dict[str, str]:
    """The last progress report of copying one stream to nowhere."""
    output = run(
        [*input_args(info.path), "-map", f"0:{index}", "-c", "copy", "-f", "null", "-progress", "pipe:1", "-"],
        failure=f"cannot read {info.path}",
    )
    return dict(line.split("=", 1) for line in output.splitlines() if "=" in line)
