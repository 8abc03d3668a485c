"""YAML -> frozen dataclasses, strictly: unknown keys, missing keys and wrong types are refused, and named.

The only YAML files are the user's (job lists, training recipes) and the weights manifest. Words such as `yes` and `on`
stay strings (as in YAML 1.2), a key given twice is an error, and nothing in a file can name a Python object.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from talkhead.errors import InputError

T = TypeVar("T")


def nearest(word: str, known: list[str]) -> str | None:
    """The known word most like `word`, or None when nothing is close; for hints in messages."""
    found = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return found[0] if found else None


def read_config(path: Path, kind: type[T]) -> T:
    """Read a YAML file into a dataclass.

    Args:
        path: the file. kind: the dataclass; fields may be str, int, float, bool, Path, Literal, Enum, other
            dataclasses, `X | None`, `tuple[X, ...]`, `list[X]` and `dict[str, X]`.
    Raises:
        InputError: the file is missing or no YAML, or a key or value does not fit; the message names the key.
    """
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}: {error}") from error
    try:
        data = yaml.load(text, Loader=_strict_loader())  # a SafeLoader: plain values only
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    return from_mapping(data, kind, where=str(path))


def plain_value(text: str, *, where: str) -> Any:
    """A single value as a YAML file would have it: `3`, `1e-4`, `true`, `[a, b]`, a word.

    Raises:
        InputError: it is not valid YAML; `where` says whose it is.
    """
    import yaml

    try:
        return yaml.load(text, Loader=_strict_loader())  # a SafeLoader: plain values only
    except yaml.YAMLError as error:
        raise InputError(f"{where}: {text!r} is not valid YAML: {' '.join(str(error).split())}") from error


def from_mapping(data: object, kind: type[T], *, where: str) -> T:
    """Build a dataclass from plain values, as `read_config` does.

    Args:
        data: what a YAML or JSON reader gave. kind: the dataclass. where: file name or similar, for messages.
    Raises:
        InputError: a key is unknown or missing, or a value has the wrong type.
    """
    if not isinstance(data, Mapping):
        raise InputError(f"{where}: expected a mapping of keys to values, found {_kind_of(data)}")
    fields = {f.name: f for f in dataclasses.fields(cast(Any, kind)) if f.init}
    for key in data:
        if key not in fields:
            close = nearest(str(key), list(fields))
            hint = f"did you mean {close!r}?" if close else "known keys: " + ", ".join(fields)
            raise InputError(f"{where}: unknown key {key!r}", hint=hint)
    required = [
        name
        for name, f in fields.items()
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    ]
    missing = [name for name in required if name not in data]
    if missing:
        raise InputError(f"{where}: missing {', '.join(missing)}")
    hints = get_type_hints(kind)
    values = {name: _convert(value, hints[name], f"{where}: {name}") for name, value in data.items()}
    try:
        return kind(**values)
    except InputError as error:
        raise InputError(f"{where}: {error.message}", hint=error.hint) from error


def _convert(value: Any, kind: Any, where: str) -> Any:
    origin, args = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if origin in (Union, types.UnionType):
        return _convert_union(value, args, where)
    if origin is Literal:
        if value not in args:
            raise InputError(f"{where} is {value!r}, expected one of {', '.join(map(str, args))}")
        return value
    if origin in (tuple, list):
        if not isinstance(value, list):
            raise InputError(f"{where}: expected a list, found {_kind_of(value)}")
        return origin(_convert(v, args[0], f"{where}[{i}]") for i, v in enumerate(value))
    if origin in (dict, Mapping):
        if not isinstance(value, Mapping):
            raise InputError(f"{where}: expected a mapping, found {_kind_of(value)}")
        return {str(k): _convert(v, args[1], f"{where}.{k}") for k, v in value.items()}
    if dataclasses.is_dataclass(kind):
        return from_mapping(value, cast(type, kind), where=where)
    return _convert_scalar(value, kind, where)


def _convert_union(value: Any, kinds: tuple[Any, ...], where: str) -> Any:
    if value is None and type(None) in kinds:
        return None
    kinds = tuple(k for k in kinds if k is not type(None))
    for i, kind in enumerate(kinds):
        try:
            return _convert(value, kind, where)
        except InputError:
            if i == len(kinds) - 1:
                raise
    raise InputError(f"{where}: a value is needed")


def _convert_scalar(value: Any, kind: Any, where: str) -> Any:
    if kind is float and isinstance(value, str):
        # YAML 1.1 reads 1e-4 (no dot) as text.
        try:
            return float(value)
        except ValueError:
            pass
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is Path and isinstance(value, str):
        return Path(value)
    if isinstance(kind, type) and issubclass(kind, Enum):
        choices = {str(member.value): member for member in kind}
        if str(value) in choices:
            return choices[str(value)]
        raise InputError(f"{where} is {value!r}, expected one of {', '.join(choices)}")
    if kind in (str, int, float, bool) and type(value) is kind:
        return value
    raise InputError(f"{where}: expected {getattr(kind, '__name__', kind)}, found {_kind_of(value)} {value!r}")


def _kind_of(value: object) -> str:
    if value is None:
        return "nothing"
    return {"dict": "a mapping", "list": "a list", "str": "text"}.get(type(value).__name__, type(value).__name__)


def _strict_loader() -> Any:
    """A SafeLoader that refuses repeated keys and keeps yes, no, on and off as text."""
    import yaml

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        pass

    bool_tag = "tag:yaml.org,2002:bool"
    Loader.yaml_implicit_resolvers = {
        first: [(tag, regexp) for tag, regexp in resolvers if tag != bool_tag or first in "tTfF"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(loader: Any, node: Any) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key.value!r} given twice", key.start_mark)
            seen.add(key.value)
        mapping: dict[Any, Any] = yaml.SafeLoader.construct_mapping(loader, node, deep=True)
        return mapping

    Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, construct_mapping)
    return Loader
