"""`talkhead verify`: does a video carry our mark of origin?"""

from __future__ import annotations

from typing import Annotated

import typer

from talkhead.cli import options
from talkhead.cli.report import Reporter


@options.reporting
def command(
    video: Annotated[str, typer.Argument(metavar="VIDEO", help="Video, or picture, to look at.")],
    *,
    reporter: Reporter,
) -> None:
    """Say whether a video carries the invisible mark and the note that it is synthetic."""
    from talkhead.pipelines.verify import verify

    found = verify(video)
    mark = "found" if found.mark else "not found"
    mark += f" (score {found.score:.1f}, from {found.threshold:.1f} on it counts; {found.n_frames} frames looked at)"
    text = f"{video}\n  invisible mark  {mark}\n  note            {found.note or 'none'}"
    reporter.table(text, **found.as_dict())
