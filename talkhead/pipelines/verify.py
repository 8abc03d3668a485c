"""A video -> does it carry our mark of origin?"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from talkhead.pipelines.inputs import PathLike


@dataclass(frozen=True, kw_only=True, slots=True)
class Provenance:
    """What was found in a video.

    Attributes:
        path: the file. mark: whether the invisible mark is in the picture. score: how clearly, where `threshold` is the
            least that counts. note: the comment in the container, "" without one.
    """

    path: str
    mark: bool
    score: float
    threshold: float
    note: str

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def verify(video: PathLike) -> Provenance:
    """Look for the invisible mark and the note that talkhead puts into its videos.

    Args:
        video: video or picture.
    Raises:
        MediaError: unreadable, or without a picture.
    """
    from talkhead.media.mark import THRESHOLD, detect_mark
    from talkhead.media.video import open_clip

    with open_clip(video) as clip:
        report = detect_mark(clip)
    return Provenance(
        path=str(video),
        mark=report.present,
        score=float(report.score),
        threshold=float(THRESHOLD),
        note=clip.info.metadata.get("comment", ""),
    )
