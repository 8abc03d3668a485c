"""`talkhead train`: a system, a recipe and a training set -> weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from talkhead.cli import options
from talkhead.cli.report import Reporter
from talkhead.errors import UsageError
from talkhead.training.config import LOOP

if TYPE_CHECKING:
    from talkhead.training.train import TrainResult

RECIPE = "Instead of the recipe's"


@options.reporting
def command(
    system: Annotated[str, typer.Argument(metavar="SYSTEM", help="Who learns; see `talkhead systems`.")],
    output: Annotated[str, typer.Option("--output", "-o", metavar="RUN", help="Folder of the run.")],
    data: Annotated[
        str | None, typer.Option("--data", metavar="SET", help="Training set, made by `talkhead prepare`.")
    ] = None,
    recipe: Annotated[
        str | None, typer.Option("--recipe", metavar="YAML", help="Settings of the loop and of the system.")
    ] = None,
    init: Annotated[
        str | None,
        typer.Option("--init", metavar="FILE|RUN", help="Begin with the weights of a checkpoint, or of another run."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the run's last checkpoint.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Throw a run that is there away first.")] = False,
    steps: Annotated[
        int | None,
        typer.Option("--steps", min=1, help="Steps in all.", show_default=str(LOOP.steps), rich_help_panel=RECIPE),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(
            "--batch", min=1, help="Examples at a time.", show_default=str(LOOP.batch), rich_help_panel=RECIPE
        ),
    ] = None,
    lr: Annotated[
        float | None,
        typer.Option("--lr", min=0, help="Learning rate.", show_default="the system's", rich_help_panel=RECIPE),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed",
            min=0,
            help="Same seed, same machine: same weights.",
            show_default=str(LOOP.seed),
            rich_help_panel=RECIPE,
        ),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            "--size", min=8, help="Side of the pictures.", show_default="the system's", rich_help_panel=RECIPE
        ),
    ] = None,
    width_mult: Annotated[
        float | None,
        typer.Option(
            "--width-mult", min=0.001, help="Factor of the networks' widths.", show_default="1", rich_help_panel=RECIPE
        ),
    ] = None,
    hold_out: Annotated[
        float | None,
        typer.Option(
            "--hold-out",
            min=0,
            max=0.9,
            help="Last share of every video not learned from.",
            show_default="0",
            rich_help_panel=RECIPE,
        ),
    ] = None,
    overfit: Annotated[
        int | None,
        typer.Option(
            "--overfit", min=1, metavar="N", help="Learn N frames of the first video.", rich_help_panel=RECIPE
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Any other, such as loop.ema=0; may be repeated.",
            rich_help_panel=RECIPE,
        ),
    ] = None,
    device: options.Device = "auto",
    no_download: options.NoDownload = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Two steps of narrow networks; nothing is left.")] = False,
    *,
    reporter: Reporter,
) -> None:
    """Train a system on a prepared set; under `torchrun` on several devices."""
    from talkhead.training.recipe import learning_system, parse_setting, setting_of
    from talkhead.training.train import train

    given = {"steps": steps, "batch": batch, "lr": lr, "seed": seed, "hold_out": hold_out, "overfit": overfit}
    wishes: dict[str, Any] = {f"loop.{name}": value for name, value in given.items() if value is not None}
    info = learning_system(system)
    if size is not None:
        wishes[setting_of(info, "side", "size")] = size
    if width_mult is not None:
        wishes[setting_of(info, "width_mult")] = width_mult
    for text in settings or ():
        name, value = parse_setting(text)
        if name in wishes:
            raise UsageError(f"{name} is given twice")
        wishes[name] = value
    result = train(
        system, data, output, recipe=recipe, settings=wishes, device=options.checked_device(device), init=init,
        resume=resume, overwrite=overwrite, dry_run=dry_run, download=not no_download, progress=reporter,
    )  # fmt: skip
    if result.is_main:
        _show(reporter, result)


def _show(reporter: Reporter, result: TrainResult) -> None:
    totals = ", ".join(
        f"{name.removesuffix('.total')} {value:.4g}" for name, value in result.values.items() if name.endswith(".total")
    )
    made = "would write" if not result.written else ""
    what = f"{result.run}/" if not result.written else result.weights
    text = f"{made} {what}: {result.system} after {result.steps} steps{f' ({totals})' if totals else ''}".strip()
    reporter.result(text, **result.as_dict())
