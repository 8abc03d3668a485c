"""A video -> does it carry our mark of origin?"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from talkhead.pipelines.inputs import PathLike


@dataclass(frozen=True, kw_only=True, slots=True)
class Provenance:
    """What was found in a video or picture.

    Attributes:
        path: the file. mark: whether the invisible mark is in the picture. score: how clearly, where `threshold` is the
            least that counts. note: our note in the container, "" without one. n_frames: how many were looked at.
    """

    path: str
    mark: bool
    score: float
    threshold: float
    note: str
    n_frames: int

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def verify(video: PathLike) -> Provenance:
    """Look for the invisible mark and the note that talkhead puts into its videos.

    Args:
        video: video or picture; the first minute is looked at.
    Raises:
        MediaError: unreadable, or without a picture.
    """
    from talkhead.media.mark import verify_video

    report = verify_video(video)
    return Provenance(
        path=str(video),
        mark=bool(report.present),
        score=round(float(report.score), 2),
        threshold=report.threshold,
        note=report.note or "",
        n_frames=report.n_frames,
    )
