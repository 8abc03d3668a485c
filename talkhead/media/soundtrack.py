"""The sound of a file as a file of its own: its packets untouched, or as Opus."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from talkhead.errors import MediaError
from talkhead.media.ffmpeg import input_args, run
from talkhead.media.probe import probe

SoundContainer = Literal["mp4", "matroska"]

OPUS_BITRATE = 24_000
"""Of speech in one channel, bits per second: clear, and less than a picture every few seconds."""

# Encoders of these put samples in front that only mp4's edit lists take out again; in matroska they would be heard.
_IN_MP4 = frozenset({"aac", "aac-he", "mp3", "ac3", "alac"})


def copy_sound(path: str | Path, target: Path) -> SoundContainer:
    """Copy the packets of the first sound of a file, without decoding them, into a file without tags.

    Args:
        path: film or sound. target: to write; a file there is replaced.
    Returns:
        The container that was written.
    Raises:
        MediaError: there is no sound, or it cannot be read.
    """
    info = probe(path)
    if not info.has_audio:
        raise MediaError(f"no sound in {info.path}")
    container: SoundContainer = "mp4" if info.audio_codec in _IN_MP4 else "matroska"
    _write(path, info.audio_index, target, ["-c:a", "copy"], container)
    return container


def encode_opus(path: str | Path, target: Path, bitrate: int = OPUS_BITRATE) -> SoundContainer:
    """Encode the first sound of a file as one channel of Opus.

    Args:
        path: film or sound. target: to write; a file there is replaced. bitrate: bits per second.
    Returns:
        The container that was written, `matroska`.
    Raises:
        MediaError: there is no sound, or it cannot be read.
    """
    info = probe(path)
    if not info.has_audio:
        raise MediaError(f"no sound in {info.path}")
    codec = ["-ac", "1", "-c:a", "libopus", "-b:a", str(bitrate), "-application", "voip"]
    _write(path, info.audio_index, target, codec, "matroska")
    return "matroska"


def _write(path: str | Path, stream: int, target: Path, codec: list[str], container: SoundContainer) -> None:
    run(
        [
            *input_args(path),
            # Tags stay out: phones write where they were. Without dates and names, equal sound gives equal bytes.
            *("-map", f"0:{stream}", "-map_metadata", "-1", "-map_chapters", "-1", "-fflags", "+bitexact"),
            *codec,
            *("-flags:a", "+bitexact", "-f", container, "-y", f"file:{target}"),
        ],
        failure=f"cannot take the sound out of {path}",
    )
