"""`talkhead inspect`: what is in a coefficient file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from talkhead.cli import options
from talkhead.cli.report import Reporter

if TYPE_CHECKING:
    from talkhead.coeffs.describe import Column, Description


@options.reporting
def command(
    coeffs: Annotated[str, typer.Argument(metavar="COEFFS", help="Coefficient file; - is standard input.")],
    all_columns: Annotated[
        bool, typer.Option("--all", help="Every component of id and exp, not the first four.")
    ] = False,
    plot: Annotated[str | None, typer.Option("--plot", metavar="PNG", help="Also draw the tracks.")] = None,
    overwrite: options.Overwrite = False,
    *,
    reporter: Reporter,
) -> None:
    """Show what a coefficient file holds: origin, tracks, ranges, sparklines."""
    from talkhead.coeffs.describe import describe
    from talkhead.coeffs.describe import plot as draw
    from talkhead.files import check_output
    from talkhead.pipelines.inputs import known_space, read_motion
    from talkhead.pipelines.outputs import refuse_inputs

    if plot is not None:
        refuse_inputs(plot, [coeffs])
        check_output(plot, overwrite)
    content = read_motion(coeffs)
    space = known_space(content.space)
    space_of_codes = space if space.name == content.space else None
    found = describe(content, space=space_of_codes, components=None if all_columns else 4)
    if plot is not None:
        draw(content, plot, space=space_of_codes, title=coeffs, overwrite=overwrite)
    reporter.table(_as_text(found), file=coeffs, plot=plot, **found.as_dict())


def _as_text(found: Description) -> str:
    facts = [f"{name:<13} {_fact(value)}" for name, value in found.facts.items()]
    head = f"{'track':<16}{'unit':<14}{'least':>10}{'mean':>10}{'most':>10}{'std':>10}"
    return "\n".join([*facts, "", head, *(_row(column) for column in found.columns)])


def _row(column: Column) -> str:
    name = f"{column.track} {column.name}".strip() + (" +" if column.relative else "")
    numbers = "".join(f"{value:>10.3f}" for value in (column.low, column.mean, column.high, column.std))
    return f"{name:<16}{column.unit:<14}{numbers}  {column.spark}".rstrip()


def _fact(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_fact(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return " x ".join(map(str, value)) if all(isinstance(v, int) for v in value) else " ".join(map(str, value))
    return str(value)
