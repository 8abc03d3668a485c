"""Which system does a stage: by name, or the best one that this machine can run now."""

from __future__ import annotations

import importlib
import inspect
import logging
from collections.abc import Callable
from typing import Any

from talkhead.errors import UsageError
from talkhead.protocols import Stage, SystemInfo
from talkhead.systems import NAMES, info

log = logging.getLogger(__name__)


def systems_for(stage: Stage) -> list[SystemInfo]:
    """All systems that offer a stage, in registry order."""
    return [found for name in NAMES if stage in (found := info(name)).stages]


def choose_system(name: str, stage: Stage, device: str = "auto") -> SystemInfo:
    """The system for a stage; `auto` takes a learned one on a CUDA machine that has its weights, else a built-in one.

    The choice of `auto` is logged with its reason.

    Raises:
        UsageError: unknown name, or a system that does not offer the stage.
    """
    offered = systems_for(stage)
    names = ", ".join(s.name for s in offered)
    if name != "auto":
        chosen = info(name)
        if stage not in chosen.stages:
            raise UsageError(f"{name} does not offer {stage}", hint=f"systems that do: {names}")
        return chosen
    built_in = [s for s in offered if not s.weights]
    learned = [s for s in offered if s.weights]
    ready = [s for s in learned if has_weights(s)]
    if ready and (not built_in or _is_cuda(device)):
        _say(stage, ready[0], "its weights are here" + (" and a CUDA device" if built_in else ""))
        return ready[0]
    if not built_in:
        raise UsageError(f"no system can do {stage} now", hint=f"talkhead weights pull {names}")
    if not learned:
        why = "the only one" if len(offered) == 1 else "needs no weights"
    else:
        why = "no CUDA device" if ready else "no other system has its weights here"
    _say(stage, built_in[0], why)
    return built_in[0]


def partner(main: SystemInfo, stage: Stage, device: str = "auto") -> SystemInfo:
    """The system for a stage that goes with `main`: itself where it offers it, else the automatic choice."""
    return main if stage in main.stages else choose_system("auto", stage, device)


def has_weights(system: SystemInfo) -> bool:
    """Whether every weight file a system needs is in the cache of this machine."""
    if not system.weights:
        return True
    from talkhead.weights.catalogue import presence

    return presence(system.weights).is_complete


def build(system: SystemInfo, stage: Stage, *, device: str = "auto", dtype: str = "auto") -> Callable[..., Any]:
    """Build one stage of a system.

    Raises:
        UsageError: the system computes in one precision only and another was asked for.
        EnvironmentProblem: the device is not there.
    """
    if device not in ("auto", "cpu"):
        from talkhead.device import resolve_device

        device = resolve_device(device)
    builder = getattr(importlib.import_module(system.module), f"build_{stage}")
    accepted = inspect.signature(builder).parameters
    if "dtype" not in accepted and dtype not in ("auto", "float32"):
        raise UsageError(f"{system.name} computes in float32; --dtype {dtype} is for learned systems")
    options = {"device": device, "dtype": dtype}
    made: Callable[..., Any] = builder(**{key: value for key, value in options.items() if key in accepted})
    return made


def _is_cuda(device: str) -> bool:
    from talkhead.device import resolve_device

    return resolve_device(device).startswith("cuda")


def _say(stage: str, chosen: SystemInfo, why: str) -> None:
    log.info("system for %s: %s (%s)", stage, chosen.name, why)
