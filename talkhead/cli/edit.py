"""`talkhead edit`: coefficients -> coefficients; photo -> photo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from talkhead.cli import options
from talkhead.cli.report import Reporter
from talkhead.errors import UsageError
from talkhead.pipelines.config import DEFAULTS, MachineKeywords

if TYPE_CHECKING:
    from talkhead.coeffs.edit import Edit


class EditCommand(TyperCommand):
    """Adds the list of edits to the help; it lives with the edits themselves, which are not cheap to import."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Show the help, then the edits."""
        super().format_help(ctx, formatter)
        _print_edits()


@options.reporting
@options.rendering
def command(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[IN]...",
            help="Coefficient files, merged in order, or one photo; - is standard input.",
            show_default="-",
        ),
    ] = None,
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", metavar="PATH", help="Coefficient file, picture or video; - is standard output."
        ),
    ] = "-",
    edits: Annotated[list[str] | None, typer.Option("--set", hidden=True)] = None,
    fps: Annotated[
        float | None,
        typer.Option(
            "--fps", min=1, max=240, help="Frames per second of a photo's video.", show_default=f"{DEFAULTS.fps:g}"
        ),
    ] = None,
    *,
    words: dict[str, Any],
    reporter: Reporter,
) -> None:
    """Change expression, pose, eyes or timing of coefficient files, or of a photo."""
    from talkhead.pipelines.edit import edit, edit_photo
    from talkhead.pipelines.extract import looks_like_media
    from talkhead.pipelines.outputs import check_coeff_output

    files = inputs or ["-"]
    changes = _parsed(edits or [])
    if looks_like_media(files[0]):
        if len(files) > 1:
            raise UsageError("a photo is edited alone; to move it by coefficient files use render")
        if output == "-":
            raise UsageError("no output given", hint="add -o OUT.png")
        result = edit_photo(files[0], changes, output, fps=fps or DEFAULTS.fps, progress=reporter, **words)
        options.report_result(reporter, result)
        return
    if fps is not None:
        raise UsageError("--fps is for the video of a photo", hint=f"--retime {fps:g}fps changes coefficients")
    machine: dict[str, Any] = {name: words[name] for name in MachineKeywords.__annotations__ if name in words}
    machine["is_dry"] = words["dry_run"]
    if words["dry_run"]:
        check_coeff_output(output, overwrite=words["overwrite"], inputs=files)
        coeffs = edit(files, changes, **machine)
        options.report_coeffs(reporter, output, coeffs, written=False)
        return
    options.refuse_terminal(output)
    options.report_coeffs(reporter, output, edit(files, changes, output, overwrite=words["overwrite"], **machine))


OWN_OPTIONS = options.names_of(command) | {"--help"}


def _parsed(edits: list[str]) -> list[Edit]:
    """`--set "NAME VALUE"`, as cli/aliases.py writes them."""
    from talkhead.coeffs.edit import Edit, parse_edit
    from talkhead.coeffs.file import read_coeffs

    parsed = []
    for text in edits:
        name, _, value = text.partition(" ")
        parsed.append(Edit(name=name, coeffs=read_coeffs(value)) if name == "id-from" else parse_edit(name, value))
    return parsed


def _print_edits() -> None:
    from rich.console import Console
    from rich.panel import Panel
    from rich.table import Table

    from talkhead.coeffs.edit import EDITS, edit_kind

    table = Table.grid(padding=(0, 2))
    for kind in (edit_kind("exp-pc1"), edit_kind("au1"), *EDITS.values()):
        value = {"nothing": "", "coeffs": "FILE", "word": "WORD"}.get(kind.takes, kind.unit.upper() or "VALUE")
        table.add_row(f"[bold cyan]--{kind.name}[/]", f"[yellow]{value}[/]", kind.help)
    about = (
        "VALUE is a number, or seconds:value,seconds:value,... keyframes. [cyan]--yaw=5[/] sets, [cyan]--yaw+=5[/] and"
        " [cyan]--yaw-=5[/] add, [cyan]--scale*=1.1[/] multiplies; a plain number adds to named controls, sets angles."
    )
    Console().print(Panel(table, title="Edits", title_align="left", border_style="dim", subtitle=None))
    Console().print(f" {about}\n")
