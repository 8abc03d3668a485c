"""What one training step minimises, and networks that only pass gradients on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class TrainStep:
    """What one step minimises.

    Attributes:
        losses: terms by name, scalars before their weights. total: their weighted sum, to go backward from.
    """

    losses: Mapping[str, Tensor]
    total: Tensor

    @classmethod
    def of(cls, losses: Mapping[str, Tensor], weights: Mapping[str, float]) -> TrainStep:
        """Weigh terms; each has a weight."""
        total = torch.stack([weights[name] * value for name, value in losses.items()]).sum()
        return cls(dict(losses), total)


@contextlib.contextmanager
def frozen(*networks: nn.Module) -> Iterator[None]:
    """Let gradients pass through networks without gathering in their parameters, as a generator's step needs it."""
    held = [parameter for network in networks for parameter in network.parameters() if parameter.requires_grad]
    for parameter in held:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in held:
            parameter.requires_grad_(True)
