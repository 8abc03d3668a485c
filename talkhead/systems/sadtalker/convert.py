"""Checkpoint files -> our networks: read once, by prefix, strictly; every key is used or named as skipped."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from talkhead.config import from_mapping
from talkhead.errors import InputError, WeightsError
from talkhead.systems.sadtalker.config import PUBLISHED, NetworkConfig

if TYPE_CHECKING:
    from torch import Tensor, nn

CONFIG_KEY = "talkhead.sadtalker"  # metadata of files whose networks have other sizes than the published ones
_N_SHOWN = 3


@dataclasses.dataclass(frozen=True, slots=True)
class Checkpoint:
    """A safetensors file with networks of SadTalker.

    Attributes:
        path: the file. config: sizes of its networks.
    """

    path: Path
    config: NetworkConfig

    @classmethod
    def open(cls, path: Path) -> Checkpoint:
        """Look at a file without reading its tensors.

        Raises:
            WeightsError: no safetensors file, or sizes that are not understood.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="pt") as file:
                about = (file.metadata() or {}).get(CONFIG_KEY)
        except (SafetensorError, OSError) as error:
            raise WeightsError(f"{path} is no safetensors file: {error}") from error
        if about is None:
            return cls(path, PUBLISHED)
        try:
            return cls(path, from_mapping(json.loads(about), NetworkConfig, where=f"sizes in {path.name}"))
        except (InputError, ValueError) as error:
            raise WeightsError(f"{path}: its networks' sizes cannot be read: {error}") from error

    def part(self, prefix: str) -> dict[str, Tensor]:
        """The tensors of one network on the CPU, their common prefix taken off.

        Raises:
            WeightsError: there are none: a file of another system.
        """
        from safetensors import safe_open

        with safe_open(self.path, framework="pt") as file:
            found = {key[len(prefix) :]: file.get_tensor(key) for key in file.keys() if key.startswith(prefix)}  # noqa: SIM118 - not a dict
        if not found:
            raise WeightsError(
                f"{self.path} holds no {prefix or 'tensors'}: it is not a checkpoint of sadtalker",
                hint="talkhead weights verify sadtalker",
            )
        return found


def config_metadata(config: NetworkConfig) -> dict[str, str]:
    """Metadata for a file whose networks have these sizes."""
    return {CONFIG_KEY: json.dumps(dataclasses.asdict(config))}


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


def _listed(what: str, keys: set[str]) -> list[str]:
    if not keys:
        return []
    shown = ", ".join(sorted(keys)[:_N_SHOWN])
    return [f"{what} {shown}" + (f" and {len(keys) - _N_SHOWN} more" if len(keys) > _N_SHOWN else "")]
