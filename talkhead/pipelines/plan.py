"""What dry runs say about inputs without doing the work."""

from __future__ import annotations

from talkhead.pipelines.extract import is_video
from talkhead.pipelines.inputs import PathLike, open_speech


def describe_face(face: PathLike) -> str:
    """One line about a photo or video.

    Raises:
        MediaError: it cannot be read.
    """
    from talkhead.media.image import read_image
    from talkhead.media.video import probe

    if is_video(face):
        info = probe(face)
        return f"video {face}, {info.width}x{info.height}, {info.duration_s:.2f} s"
    width, height = read_image(face).size
    return f"photo {face}, {width}x{height}"


def describe_audio(audio: PathLike) -> str:
    """One line about speech.

    Raises:
        MediaError: it cannot be read, or has no sound.
    """
    with open_speech(audio) as opened:
        length = getattr(opened.speech, "duration_s", 0.0)
    return f"sound {audio}, {length:.2f} s"
