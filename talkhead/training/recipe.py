"""A training recipe: a YAML file, and what the command line says otherwise -> checked settings."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, get_args, get_type_hints

from talkhead.config import from_mapping, plain_value, read_config
from talkhead.errors import InputError, UsageError
from talkhead.files import atomic_output
from talkhead.protocols import SystemInfo, TrainSpec
from talkhead.training.config import LoopConfig

SMALLEST_WIDTH = 1 / 16
"""Width of networks in a dry run, where a system's sizes have a `width_mult`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """Everything that decides about a training but the data.

    Attributes:
        name: of the system. loop: how any system is trained. system: the system's own `TrainConfig`.
    """

    name: str
    loop: LoopConfig
    system: Any


@dataclass(frozen=True, kw_only=True, slots=True)
class _Sections:
    """A recipe file as it stands; `name`, `data` and `init` are in those that a run wrote itself."""

    loop: dict[str, Any] = field(default_factory=dict)
    system: dict[str, Any] = field(default_factory=dict)
    name: str = ""
    data: str = ""
    init: str = ""


def learning_system(name: str) -> SystemInfo:
    """The system of that name, if it learns.

    Raises:
        UsageError: there is none, or it does not.
    """
    from talkhead.systems import NAMES, info

    found = info(name)
    if "train" not in found.stages:
        able = [other for other in NAMES if "train" in info(other).stages]
        raise UsageError(f"{name} has nothing to learn", hint=f"systems that do: {', '.join(able) or 'none'}")
    return found


def read_recipe(info: SystemInfo, path: str | Path | None, overrides: Mapping[str, Any]) -> Recipe:
    """The recipe of a run.

    Args:
        info: the system. path: YAML file with the sections `loop` (`LoopConfig`) and `system` (the system's own);
            both, and every key, may be left out. overrides: values by dotted names, `loop.steps`,
            `system.network.width_mult`; they win.
    Raises:
        InputError: the file is missing, is no YAML, or has a key or value that does not fit. UsageError: an override
            has, or a value is out of range, or the recipe is of another system.
    """
    sections = _Sections() if path is None else read_config(Path(path), _Sections)
    if sections.name not in ("", info.name):
        raise UsageError(f"{path} is a recipe of {sections.name}, not of {info.name}")
    where = "recipe" if path is None else str(path)
    kind = config_kind(_builder(info), info)
    loop, system = dict(sections.loop), dict(sections.system)
    # Both are checked before the overrides, so that a message names who is wrong.
    from_mapping(loop, LoopConfig, where=f"{where}: loop")
    from_mapping(system, kind, where=f"{where}: system")
    for name, value in overrides.items():
        section, _, rest = name.partition(".")
        if section not in ("loop", "system") or not rest:
            raise UsageError(f"{name!r} is no name of a setting", hint="such as loop.batch or system.learning_rate")
        _put(loop if section == "loop" else system, rest.split("."), value)
    try:
        return Recipe(
            name=info.name,
            loop=from_mapping(loop, LoopConfig, where="loop"),
            system=from_mapping(system, kind, where="system"),
        )
    except InputError as error:
        raise UsageError(error.message, hint=error.hint) from error


def write_recipe(recipe: Recipe, data: str, path: Path, init: str = "") -> None:
    """Write a recipe that `read_recipe` reads back as it is; `data_of` and `init_of` the rest."""
    import yaml

    sections = {
        "name": recipe.name,
        "data": data,
        "init": init,
        "loop": asdict(recipe.loop),
        "system": asdict(recipe.system),
    }
    with atomic_output(path, overwrite=True) as temporary:
        temporary.write_text(yaml.safe_dump(_plain(sections), sort_keys=False), encoding="utf-8")


def data_of(path: Path) -> str | None:
    """The folder of the set that a run's own recipe names; None if there is no such recipe."""
    return read_config(path, _Sections).data or None if path.is_file() else None


def init_of(path: Path) -> str | None:
    """What a run began with, by its own recipe; None if it began anew, or there is no such recipe."""
    return read_config(path, _Sections).init or None if path.is_file() else None


def parse_setting(text: str) -> tuple[str, Any]:
    """`key=value` of the command line; the value is read as in a recipe.

    Raises:
        UsageError: there is no `=`, or the value is not YAML.
    """
    name, separator, value = text.partition("=")
    if not separator or not name.strip():
        raise UsageError(f"--set {text}: expected NAME=VALUE", hint="such as loop.batch=8")
    try:
        return name.strip(), plain_value(value, where=f"--set {name}")
    except InputError as error:
        raise UsageError(error.message, hint=error.hint) from error


def build_spec(info: SystemInfo, config: Any, device: str, *, download: bool = True) -> TrainSpec:
    """What a system brings to its training.

    Args:
        info: the system. config: its own settings. device: where it will be. download: whether weights of networks
            that only judge may be fetched.
    Raises:
        WeightsError: they are asked for and cannot be had.
    """
    builder = _builder(info)
    options: dict[str, Any] = {}
    if "weights" in inspect.signature(builder).parameters:
        from talkhead.weights.catalogue import Door

        options["weights"] = Door(download=download)
    spec: TrainSpec = builder(config, device=device, **options)
    return spec


def config_kind(builder: Callable[..., Any], info: SystemInfo) -> type[Any]:
    """The dataclass that `build_train(config, ...)` of a system asks for."""
    annotation = inspect.signature(builder).parameters["config"].annotation
    kind = builder.__globals__.get(annotation) if isinstance(annotation, str) else annotation
    assert isinstance(kind, type) and dataclasses.is_dataclass(kind), (info.name, annotation)
    return kind


def find_setting(kind: type[Any], name: str) -> str | None:
    """Dotted name of the first field of that name in a dataclass or the dataclasses in it; None if there is none."""
    hints = get_type_hints(kind)
    fields = [f.name for f in dataclasses.fields(kind)]
    if name in fields:
        return name
    for inner in fields:
        for part in (hints[inner], *get_args(hints[inner])):
            found = find_setting(part, name) if isinstance(part, type) and dataclasses.is_dataclass(part) else None
            if found is not None:
                return f"{inner}.{found}"
    return None


def setting_of(info: SystemInfo, *names: str) -> str:
    """Dotted name, from `system` on, of a setting of the system that has one of these names.

    Raises:
        UsageError: it has none of them.
    """
    kind = config_kind(_builder(info), info)
    found = next((name for name in (find_setting(kind, wanted) for wanted in names) if name), None)
    if found is None:
        raise UsageError(f"{info.name} has no setting {names[0]}")
    return f"system.{found}"


def smallest(info: SystemInfo, *, narrow: bool = True) -> dict[str, Any]:
    """Overrides for a dry run: two steps, and if `narrow` narrow networks."""
    kind = config_kind(_builder(info), info)
    found = find_setting(kind, "width_mult")
    small: dict[str, Any] = {
        "loop.steps": 2, "loop.epochs": None, "loop.batch": 2, "loop.accumulate": 1, "loop.validate_every": 2,
        "loop.sample_every": 2, "loop.save_every": 0, "loop.n_validate": 2, "loop.tensorboard": False,
    }  # fmt: skip
    return small if found is None or not narrow else small | {f"system.{found}": SMALLEST_WIDTH}


def _builder(info: SystemInfo) -> Callable[..., Any]:
    builder: Callable[..., Any] = importlib.import_module(info.module).build_train
    return builder


def _put(mapping: dict[str, Any], path: list[str], value: Any) -> None:
    for key in path[:-1]:
        inner = mapping.get(key)
        mapping[key] = dict(inner) if isinstance(inner, Mapping) else {}
        mapping = mapping[key]
    mapping[path[-1]] = value


def _plain(value: Any) -> Any:
    """Without tuples, paths and enums, which YAML would spell in Python's own way."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if value is None or isinstance(value, (bool, int, float)) or type(value) is str:
        return value
    return str(getattr(value, "value", value))
