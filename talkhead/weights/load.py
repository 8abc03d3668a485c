"""Weights as tensors, read by readers that run no code: archives converted once, networks filled strictly."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import is_zipfile

from talkhead.errors import InputError, WeightsError
from talkhead.files import atomic_output
from talkhead.weights.manifest import WeightFile
from talkhead.weights.store import cache_folder, check, sha256_of

if TYPE_CHECKING:
    from torch import Tensor, nn

log = logging.getLogger(__name__)

CONVERSION = 1  # part of the converted file's name: a new number makes every archive be converted anew
_N_SHOWN = 3


def as_safetensors(entry: WeightFile, path: Path) -> Path:
    """The safetensors file of some weights: `path` itself, or what its archive was converted to.

    Args:
        entry: what `path` is. path: a checked copy.
    Returns:
        Path of a safetensors file. Keys of a converted archive are those of its nested dictionaries joined by dots; of
        the entries that the manifest names in `keep`, or of all; numbers and texts between the tensors are dropped.
    Raises:
        WeightsError: the file is damaged, holds more than plain values and tensors, or lacks what is to be kept.
    """
    if entry.format in ("onnx", "task", "mat", "torchscript"):
        raise WeightsError(f"{entry.name} holds no tensors to load: it is a {entry.format} file")
    check(entry, path)
    if entry.format == "safetensors":
        _check_header(path)
        return path
    converted = cache_folder() / "weights" / entry.name / f"v{CONVERSION}-{sha256_of(path)[:16]}.safetensors"
    if converted.is_file():
        try:
            _check_header(converted)
        except WeightsError:
            log.debug("%s is damaged, converting anew", converted)
        else:
            return converted
    _convert(entry, path, converted)
    return converted


def read_tensors(path: Path) -> tuple[dict[str, Tensor], str]:
    """All tensors of a file, and which file they come from.

    Args:
        path: a safetensors file, one converted by `as_safetensors` included, or a pickled archive of plain tensors.
    Returns:
        Tensors on the CPU by key (of an archive: nested keys joined by dots), and the sha256 of the published file:
        of the archive a file was converted from, else of `path` itself.
    Raises:
        WeightsError: there is no such file, it is damaged, or it holds more than plain values and tensors.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise WeightsError(f"no weights at {path}")
    if path.suffix != ".safetensors":
        return dict(_flat(_unpickled(path), "")), sha256_of(path)
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
            source = (file.metadata() or {}).get("source_sha256", "")
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path} is no safetensors file: {error}") from error
    return tensors, source or sha256_of(path)


def fill(
    module: nn.Module,
    tensors: Mapping[str, Tensor],
    *,
    rename: Sequence[tuple[str, str]] = (),
    skip: str = "",
    name: str,
) -> None:
    """Put checkpoint tensors into a network, in place, strictly.

    Args:
        module: network, on any device; on `meta` it takes the tensors themselves, not copies. tensors: by published
            key. rename: (pattern, replacement) of regular expressions, applied to each key in order, that lead to our
            names. skip: keys that fully match are knowingly left out. name: of the network, for messages.
    Raises:
        WeightsError: keys that are missing, not known, or of another shape; the first few are named.
    """
    given: dict[str, Tensor] = {}
    for key, value in tensors.items():
        if skip and re.fullmatch(skip, key):
            continue
        for pattern, replacement in rename:
            key = re.sub(pattern, replacement, key)
        given[key] = value
    expected = module.state_dict()
    problems = [
        *_listed("lacks", expected.keys() - given.keys()),
        *_listed("has besides", given.keys() - expected.keys()),
        *_listed(
            "has other shapes for",
            {key for key in expected.keys() & given.keys() if expected[key].shape != given[key].shape},
        ),
    ]
    if problems:
        raise WeightsError(f"the checkpoint does not fit {name}: it {'; '.join(problems)}")
    module.load_state_dict(given, strict=True, assign=any(value.is_meta for value in expected.values()))


def _convert(entry: WeightFile, path: Path, converted: Path) -> None:
    from safetensors.torch import save_file

    tensors = {key: value.contiguous().clone() for key, value in _tensors(entry, path)}
    if not tensors:
        raise WeightsError(f"{path} holds no tensors: is it {entry.name}?")
    metadata = {"source": entry.name, "source_sha256": sha256_of(path)}
    try:
        converted.parent.mkdir(parents=True, exist_ok=True)
        with atomic_output(converted, overwrite=True) as temporary:
            save_file(tensors, temporary, metadata=metadata)
    except InputError as error:
        raise WeightsError(f"cannot convert {path}: {error.message}", hint="set TALKHEAD_CACHE") from error
    except PermissionError as error:
        raise WeightsError(f"cannot write {converted}", hint="set TALKHEAD_CACHE to a writable folder") from error


def _unpickled(path: Path) -> Any:
    import torch

    try:
        with path.open("rb") as file:  # of a path, torch would go by the suffix
            return torch.load(file, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - torch raises what its many readers raise
        log.debug("%s: %s", path, error)
        # Its own words speak of settings that would run the code.
        what = "holds more than plain tensors, and is not read" if is_zipfile(path) else "is no archive of tensors"
        raise WeightsError(f"{path} {what}") from error


def _tensors(entry: WeightFile, path: Path) -> Iterator[tuple[str, Any]]:
    content = _unpickled(path)
    if entry.keep:
        lacking = [key for key in entry.keep if not isinstance(content, dict) or key not in content]
        if lacking:
            raise WeightsError(f"{path} has no {', '.join(lacking)}: is it {entry.name}?")
        # One kept entry needs no prefix.
        content = content[entry.keep[0]] if len(entry.keep) == 1 else {key: content[key] for key in entry.keep}
    yield from _flat(content, "")


def _flat(value: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    import torch

    if isinstance(value, torch.Tensor):
        yield prefix or "tensor", value.detach()
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _flat(item, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(value, (list, tuple)):
        for i, item in enumerate(value):
            yield from _flat(item, f"{prefix}.{i}" if prefix else str(i))


def _check_header(path: Path) -> None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            file.keys()
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path} is no safetensors file: {error}") from error


def _listed(what: str, keys: set[str]) -> list[str]:
    if not keys:
        return []
    shown = ", ".join(sorted(keys)[:_N_SHOWN])
    return [f"{what} {shown}" + (f" and {len(keys) - _N_SHOWN} more" if len(keys) > _N_SHOWN else "")]
