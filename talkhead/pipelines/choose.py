"""Which system does a stage: by name, or the best one that this machine can run now."""

from __future__ import annotations

import importlib
import inspect
import logging
from collections.abc import Callable, Mapping
from typing import Any

from talkhead.coeffs.layout import space_family
from talkhead.errors import UsageError
from talkhead.pipelines.config import Machine
from talkhead.progress import NoProgress, Progress
from talkhead.protocols import Extractor, Stage, SystemInfo, Weights
from talkhead.systems import NAMES, info

log = logging.getLogger(__name__)

Wishes = Mapping[Stage, Mapping[str, Any]]
"""What of each stage not every system can do; see `SystemInfo.lacks`."""

# Stages for which `auto` prefers a learned system; what a photo is measured by stays the built-in way, which knows
# eyelids and gaze, unless a space is asked for.
_LEARNED_STAGES = ("audio2coeff", "pose", "render", "reenact")


def systems_for(stage: Stage) -> list[SystemInfo]:
    """All systems that offer a stage, in registry order."""
    return [found for name in NAMES if stage in (found := info(name)).stages]


def choose_system(
    machine: Machine, stage: Stage, *, space: str | None = None, wishes: Wishes | None = None
) -> SystemInfo:
    """The system for a stage.

    `auto` takes, of those that know the space (where there is one), a learned system on a CUDA machine that can follow
    the wishes and has its weights or may and can download them, else a built-in one. The choice of `auto` is logged
    with its reason.

    Args:
        machine: who is asked for, and what may be done for it. stage: what is to be done. space: of the codes that are
            read or wanted. wishes: of this stage, and of those that go with it.
    Raises:
        UsageError: unknown name, a system that does not offer the stage, or a checkpoint for one that takes none.
    """
    offered = systems_for(stage)
    names = ", ".join(s.name for s in offered)
    if machine.system != "auto":
        chosen = info(machine.system)
        if stage not in chosen.stages:
            raise UsageError(f"{chosen.name} does not offer {stage}", hint=f"systems that do: {names}")
        if machine.checkpoint is not None and "checkpoint" not in chosen.understands:
            raise UsageError(f"{chosen.name} takes no --checkpoint", hint=_who_understands("checkpoint"))
        return chosen
    if machine.checkpoint is not None:
        hint = "name it with --system; " + _who_understands("checkpoint")
        raise UsageError("--checkpoint belongs to one system", hint=hint)
    offered = [s for s in offered if not s.by_name]
    if space is not None:
        family = space_family(space)
        offered = [s for s in offered if s.reads(family)] or offered
    chosen, why = _automatic(offered, stage, machine, wishes or {})
    log.info("system for %s: %s (%s)", stage, chosen.name, why)
    return chosen


def _automatic(offered: list[SystemInfo], stage: Stage, machine: Machine, wishes: Wishes) -> tuple[SystemInfo, str]:
    """The automatic choice among `offered`, and its reason."""
    built_in = [s for s in offered if not s.weights]
    learned = [s for s in offered if s.weights]
    if not learned:
        return built_in[0], "the only one" if len(offered) == 1 else "needs no weights"
    if built_in and stage not in _LEARNED_STAGES:
        return built_in[0], "needs no weights"
    if built_in and not _is_cuda(machine.device):
        return built_in[0], f"no CUDA device; --system {learned[0].name} would run here too, but slowly"
    able = [s for s in learned if not _lacking(s, wishes)]
    if built_in and not able:
        return built_in[0], _lacking(learned[0], wishes)
    system = next((s for s in able if has_weights(s)), (able or learned)[0])
    if not built_in:
        return system, "the only one that can do this"
    other = f"--system {built_in[0].name} needs neither"
    if has_weights(system):
        return system, f"a CUDA device and its weights are here; {other}"
    size, why_not = _to_download(system, machine)
    if not why_not:
        return system, f"a CUDA device and its weights can be downloaded, {size}; {other}"
    return built_in[0], f"{system.name} has no weights here: {why_not}; talkhead weights pull {system.name}"


def _lacking(system: SystemInfo, wishes: Wishes) -> str:
    """Which wish a system, or what goes with it, cannot follow; empty: none."""
    for stage, words in wishes.items():
        doer = partner(system, stage)
        if missing := doer.lacks(words):
            return f"{doer.name} has no {missing}"
    return ""


def _to_download(system: SystemInfo, machine: Machine) -> tuple[str, str]:
    """How much a system still needs, and why it cannot be had now (empty: it can)."""
    from talkhead.weights.catalogue import presence
    from talkhead.weights.manifest import megabytes

    if not machine.download:
        return "", "--no-download forbids fetching them"
    found = presence(system.weights, probe=True)
    return megabytes(found.n_bytes), found.why_not


def partner(main: SystemInfo, stage: Stage) -> SystemInfo:
    """The system for a stage that goes with `main`: itself where it offers it, else the built-in one."""
    if stage in main.stages:
        return main
    return next((s for s in systems_for(stage) if not s.weights), main)


def has_weights(system: SystemInfo) -> bool:
    """Whether every weight file a system needs is in the cache of this machine."""
    if not system.weights:
        return True
    from talkhead.weights.catalogue import presence

    return presence(system.weights).is_complete


def build(
    system: SystemInfo, stage: Stage, machine: Machine | None = None, progress: Progress | None = None
) -> Callable[..., Any]:
    """Build one stage of a system.

    Args:
        system: of the registry. stage: one that it offers. machine: where to compute. progress: is told of downloads.
    Raises:
        UsageError: the system computes in one precision only and another was asked for.
        EnvironmentProblem: the device is not there. WeightsError: weights are not here and cannot be fetched.
    """
    machine = machine or Machine()
    device, dtype = machine.device, machine.dtype
    if device not in ("auto", "cpu"):
        from talkhead.device import resolve_device

        device = resolve_device(device)
    builder = getattr(importlib.import_module(system.module), f"build_{stage}")
    accepted = inspect.signature(builder).parameters
    # A learned system's precision does not concern the built-in one that works beside it, nor its own ears.
    is_meant = not system.weights and machine.system in ("auto", system.name)
    if is_meant and "dtype" not in accepted and dtype not in ("auto", "float32"):
        raise UsageError(f"{system.name} computes in float32; --dtype {dtype} is for learned systems")
    options: dict[str, Any] = {"device": device, "dtype": dtype}
    if "weights" in accepted:
        options["weights"] = weights_for(machine, progress)
    if "checkpoint" in accepted:
        options["checkpoint"] = machine.checkpoint
    made: Callable[..., Any] = builder(**{key: value for key, value in options.items() if key in accepted})
    return made


def weights_for(machine: Machine, progress: Progress | None = None) -> Weights:
    """The door to weights (`talkhead.protocols.Weights`) as this run may use it."""
    from talkhead.weights.catalogue import Door

    return Door(
        download=machine.download and not machine.is_dry,
        accept=machine.accept_licences,
        progress=progress or NoProgress(),
    )


def build_extractor(system: SystemInfo, machine: Machine, progress: Progress | None = None) -> Extractor:
    """The extractor that goes with a system: its own, or the built-in one."""
    made: Any = build(partner(system, "extract"), "extract", machine, progress)
    extractor: Extractor = made
    return extractor


def understood(system: SystemInfo, words: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were set (are not None), for a system that knows them.

    Raises:
        UsageError: it does not know one of them.
    """
    given = {name: value for name, value in words.items() if value is not None}
    for name in given:
        if name not in system.understands:
            raise UsageError(f"{system.name} has no --{name.replace('_', '-')}", hint=_who_understands(name))
    return given


def _who_understands(word: str) -> str:
    return "systems that have it: " + ", ".join(name for name in NAMES if word in info(name).understands)


def _is_cuda(device: str) -> bool:
    from talkhead.device import resolve_device

    return resolve_device(device).startswith("cuda")
