"""`train`: a system, a recipe and a prepared set -> weights that the system's stages load."""

from __future__ import annotations

import logging
import math
import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from talkhead.device import resolve_device
from talkhead.errors import EnvironmentProblem, InputError, MediaError, OutputExistsError, UsageError
from talkhead.progress import NoProgress, Progress
from talkhead.training.config import LoopConfig
from talkhead.training.index import TrainingSet, read_set
from talkhead.training.recipe import (
    Recipe,
    build_spec,
    data_of,
    init_of,
    learning_system,
    read_recipe,
    smallest,
    write_recipe,
)

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from talkhead.training.data import Examples, Sample

log = logging.getLogger(__name__)
RECIPE = "recipe.yaml"
_OWN = ("checkpoints", "samples", "tensorboard", "log.jsonl", RECIPE)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainResult:
    """What a training made.

    Attributes:
        run: its folder. weights: what the system's stages load. system: whose. steps: done in all. values: terms of
            the last step, and of the held-out frames. is_main: whether this process wrote the files. written: False
            after a dry run.
    """

    run: str
    weights: str
    system: str
    steps: int
    values: dict[str, float]
    is_main: bool = True
    written: bool = True

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def train(
    system: str,
    data: str | Path | None,
    output: str | Path,
    *,
    recipe: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    device: str = "auto",
    init: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    dry_run: bool = False,
    download: bool = True,
    progress: Progress | None = None,
) -> TrainResult:
    """Train a system.

    Under `torchrun` every process calls this; together they are one run, whose batch is all of theirs.

    Args:
        system: its name. data: folder of a set made by `prepare`; None with `resume`: the same as before.
        output: folder of the run. recipe: YAML file (docs/training.md); with `resume` that of the run by default.
        settings: values that win over the recipe's, by dotted name: `loop.steps`, `system.network.width_mult`.
        init: weights to begin with: a file that the system's stages load, or the folder of a run, whose last
            checkpoint has the judging networks too, and whose recipe is the default then. What the run itself has saved
            goes before.
        device: where. resume: go on from the last checkpoint in `output`. overwrite: throw a run that is there away.
        dry_run: two steps of narrow networks, nothing is left. download: whether weights of networks that only judge
            may be fetched.
        progress: is told of steps.
    Raises:
        UsageError: the system does not learn, or a setting does not exist. InputError: the recipe or set is missing
            or does not fit. OutputExistsError: a run is there. DivergedError: a term is not finite any more.
        EnvironmentProblem: Lightning Fabric or the device is missing. WeightsError: judging networks are missing.
        KeyboardInterrupt, SystemExit: the process was asked to end; the step under way is finished and saved before.
    """
    info = learning_system(system)
    run = Path(output)
    source = recipe
    if resume and recipe is None and (run / RECIPE).is_file():
        source = run / RECIPE
    if resume and data is None:
        data = data_of(run / RECIPE)
    if resume and init is None:
        init = init_of(run / RECIPE)
    begun = None if init is None else Path(init)
    if begun is not None and not begun.exists() and not (resume and _goes_on(run)):
        raise InputError(f"there is no {begun} to begin with", hint="--init FILE of weights, or the folder of a run")
    if begun is not None and begun.is_dir() and source is None:
        source = begun / RECIPE
    if begun is not None and overwrite and run.resolve() in (begun.resolve(), *begun.resolve().parents):
        raise UsageError(f"{run} would be thrown away before it begins with {begun}", hint="another -o")
    if data is None:
        raise UsageError("no training set given", hint="--data SET; talkhead prepare makes one")
    overrides = {**(smallest(info, narrow=begun is None) if dry_run else {}), **(settings or {})}
    chosen = read_recipe(info, source, overrides)
    found = read_set(data)
    with ExitStack() as stack:
        if dry_run:
            run = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        fabric = make_fabric(device, chosen.loop)
        if fabric.is_global_zero and not dry_run:
            _begin(run, resume=resume, overwrite=overwrite)
        import torch

        stack.enter_context(torch.random.fork_rng(devices=_cards(fabric)))
        torch.manual_seed(chosen.loop.seed)
        result = _trained(
            fabric, info.name, chosen, found, run, begun, resume=resume, download=download, progress=progress
        )
    return replace(result, run=str(output), written=False, weights="") if dry_run else result


def _goes_on(run: Path) -> bool:
    """Whether a run has a checkpoint, so that what it once began with is not read any more."""
    from talkhead.training.checkpoint import all_checkpoints

    return bool(all_checkpoints(run))


def _trained(
    fabric: Fabric, name: str, recipe: Recipe, found: TrainingSet, run: Path, init: Path | None, *, resume: bool,
    download: bool, progress: Progress | None,
) -> TrainResult:  # fmt: skip
    from talkhead.training.checkpoint import all_checkpoints, begin_from
    from talkhead.training.loop import RunFiles, Trainer

    info = learning_system(name)
    spec = build_spec(info, recipe.system, str(fabric.device), download=download)
    examples, held = _examples(found, recipe.loop, spec.sample)
    loop = recipe.loop
    if loop.epochs is not None:
        of_a_step = loop.batch * loop.accumulate * fabric.world_size
        loop = replace(loop, steps=math.ceil(loop.epochs * len(examples) / of_a_step))
    if fabric.is_global_zero:
        write_recipe(recipe, str(found.folder.resolve()), run / RECIPE, "" if init is None else str(init.resolve()))
    fabric.barrier()
    about = {"system": name, "set": found.folder.name, "frames": len(examples), "space": found.space}
    weights = run / f"{name}.safetensors"
    checkpoints = all_checkpoints(run) if resume else []
    if init is not None:
        about["init"] = init.name
        if not checkpoints:
            begin_from(init, spec)
    trainer = Trainer(fabric, spec, loop, RunFiles(folder=run, weights=weights, about=about))
    if checkpoints:
        trainer.resume(checkpoints[-1])
        log.info("%s: goes on after step %d", run, trainer.step)
    elif resume:
        log.warning("%s has no checkpoint; it begins anew", run)
    is_main = fabric.is_global_zero
    values = trainer.fit(examples, held, (progress if is_main else None) or NoProgress())
    return TrainResult(
        run=str(run), weights=str(weights), system=name, steps=trainer.step, values=values, is_main=is_main
    )


def _examples(found: TrainingSet, loop: LoopConfig, sample: Sample) -> tuple[Examples, Examples | None]:
    from talkhead.training.data import HELD_OUT, Examples, first_frames, split

    learned, held = split(found, loop.hold_out)
    if loop.overfit:
        learned = first_frames(learned, loop.overfit)
    share = max(1, loop.workers)
    cache = loop.cache_mb * 1e6 / share
    examples = Examples(found, learned, sample, seed=loop.seed, window=loop.window, cache_bytes=cache)
    if not held:
        return examples, None
    return examples, Examples(found, held, sample, seed=loop.seed, window=loop.window, kind=HELD_OUT, cache_bytes=cache)


def make_fabric(device: str, loop: LoopConfig) -> Fabric:
    """Lightning Fabric for this process: alone, or one of those that `torchrun` started.

    Raises:
        EnvironmentProblem: it is not installed, or the device is not there.
    """
    try:
        from lightning_fabric import Fabric
    except ImportError as error:
        raise EnvironmentProblem(
            "training needs the package lightning-fabric", hint="pip install 'talkhead[train]'"
        ) from error
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # its notes repeat what the recipe says
    place = resolve_device(device)
    kind, _, index = place.partition(":")
    world = int(os.environ.get("WORLD_SIZE", "1"))
    precision: Any = {"float32": "32-true", "bfloat16": "bf16-mixed"}[loop.precision]
    if world > 1:
        local = int(os.environ.get("LOCAL_WORLD_SIZE", world))
        fabric = Fabric(accelerator=kind, strategy="ddp", devices=local, num_nodes=world // local, precision=precision)
    else:
        devices: Any = [int(index)] if kind == "cuda" else 1
        fabric = Fabric(accelerator=kind, devices=devices, precision=precision)
    fabric.launch()
    return fabric


def _cards(fabric: Fabric) -> list[int]:
    return [fabric.device.index or 0] if fabric.device.type == "cuda" else []


def _begin(run: Path, *, resume: bool, overwrite: bool) -> None:
    """Make the folder of a run, or refuse one that is there."""
    if run.exists() and not run.is_dir():
        raise MediaError(f"cannot write {run}: it is a file")
    if not run.exists():
        if not run.parent.is_dir():
            raise MediaError(f"cannot write {run}: there is no folder {run.parent}", hint="create it first")
        if resume:
            raise UsageError(f"there is no run {run} to go on with")
        run.mkdir()
    elif resume:
        if not (run / RECIPE).is_file():
            raise UsageError(f"{run} is no run: it has no {RECIPE}")
    elif any(run.iterdir()):
        if not overwrite:
            raise OutputExistsError(f"{run} is there already", hint="--resume goes on, --overwrite begins anew")
        for name in _OWN:
            path = run / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
