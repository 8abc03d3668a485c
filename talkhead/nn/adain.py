"""Adaptive instance normalisation (Huang and Belongie 2017): a vector tells each channel how to be scaled and moved.

User: HeadGAN, whose vector is what is heard (appendix C, table 5).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from talkhead.nn.norm import instance_norm
from talkhead.nn.spade import SLOPE
from talkhead.nn.spectral import SpectralConv2d


class AdaIn(nn.Module):
    """`(1 + g) * instance_norm(x) + b`, with g and b a linear map of a style.

    Args:
        channels: of what is normalised. n_style: values of the style.
    """

    def __init__(self, channels: int, n_style: int) -> None:
        super().__init__()
        self.linear = nn.Linear(n_style, 2 * channels)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """A map (B, channels, H, W) and a style (B, n_style) -> (B, channels, H, W)."""
        g, b = self.linear(style)[:, :, None, None].chunk(2, 1)
        return torch.addcmul(b, instance_norm(x), g + 1.0)


class AdaInBlock(nn.Module):
    """AdaIN, leaky ReLU, 3 x 3, twice; the input is not added.

    Args:
        channels, n_style: as in `AdaIn`. spectral: spectral norm on the convolutions.
    """

    def __init__(self, channels: int, n_style: int, *, spectral: bool = True) -> None:
        super().__init__()
        conv = SpectralConv2d if spectral else nn.Conv2d
        self.norm1 = AdaIn(channels, n_style)
        self.conv1 = conv(channels, channels, 3, padding=1)
        self.norm2 = AdaIn(channels, n_style)
        self.conv2 = conv(channels, channels, 3, padding=1)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """A map (B, channels, H, W) and a style (B, n_style) -> (B, channels, H, W)."""
        y = self.conv1(functional.leaky_relu(self.norm1(x, style), SLOPE, inplace=True))
        return self.conv2(functional.leaky_relu(self.norm2(y, style), SLOPE, inplace=True))
