"""Instance normalisation (Ulyanov et al. 2016), with and without weights of its own."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

EPS = 1e-5


def instance_norm(x: Tensor) -> Tensor:
    """Every channel of every sample brought to mean 0 and variance 1 over its places; (B, C, H, W) both."""
    return functional.instance_norm(x, eps=EPS)


class InstanceNorm(nn.Module):
    """`instance_norm`, then a weight and a bias per channel.

    Args:
        channels: C of (B, C, H, W).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.init.ones_(torch.empty(channels)))
        self.bias = nn.Parameter(nn.init.zeros_(torch.empty(channels)))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) both."""
        return functional.instance_norm(x, weight=self.weight, bias=self.bias, eps=EPS)
