"""Checkpoint files of SadTalker: their networks' sizes, and the tensors of each by prefix."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING

from talkhead.config import from_mapping
from talkhead.errors import InputError, WeightsError
from talkhead.systems.sadtalker.config import PUBLISHED, NetworkConfig

if TYPE_CHECKING:
    from torch import Tensor

CONFIG_KEY = "talkhead.sadtalker"  # metadata of files whose networks have other sizes than the published ones


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
