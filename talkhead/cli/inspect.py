"""`talkhead inspect`: what is in a coefficient file."""

from __future__ import annotations

from typing import Annotated

import typer

from talkhead.cli import options
from talkhead.cli.report import Reporter


@options.reporting
def command(
    coeffs: Annotated[str, typer.Argument(metavar="COEFFS", help="Coefficient file; - is standard input.")],
    plot: Annotated[
        str | None, typer.Option("--plot", metavar="PNG", help="Also draw the tracks into a picture.")
    ] = None,
    overwrite: options.Overwrite = False,
    *,
    reporter: Reporter,
) -> None:
    """Show what a coefficient file holds: origin, tracks, ranges, sparklines."""
    pass
