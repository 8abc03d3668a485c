"""What dry runs say about inputs without doing the work."""

from __future__ import annotations

from talkhead.pipelines.extract import is_video
from talkhead.pipelines.inputs import PathLike


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
