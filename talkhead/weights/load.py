"""Weights as tensors: safetensors as they are, pickled archives converted once, by a reader that runs no code."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from talkhead.errors import InputError, WeightsError
from talkhead.files import atomic_output
from talkhead.weights.manifest import WeightFile
from talkhead.weights.store import cache_folder, check, sha256_of

log = logging.getLogger(__name__)

CONVERSION = 1  # part of the converted file's name: a new number makes every archive be converted anew


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
    if entry.format in ("onnx", "task", "mat"):
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


def _tensors(entry: WeightFile, path: Path) -> Iterator[tuple[str, Any]]:
    import torch

    try:
        with path.open("rb") as file:  # of a path, torch would go by the suffix
            content = torch.load(file, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - torch raises what its many readers raise
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise WeightsError(f"{path} cannot be read as plain tensors, and nothing else is: {said[0][:160]}") from error
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
