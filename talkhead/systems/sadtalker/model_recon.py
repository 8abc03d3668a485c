"""Regressor of 3DMM coefficients: a residual network with bottlenecks (He et al. 2016; Deng et al. 2019)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from talkhead.systems.sadtalker.config import ReconConfig

SIDE = 224  # pixels, of the aligned picture
_EXPANSION = 4
# Identity, expression, texture, angles, lighting, translation x y, translation z: one head each.
_HEAD_SIZES = (80, 64, 80, 3, 27, 2, 1)
_PARTS = [80, 64, 80, 3, 27, 3]


@dataclass(frozen=True, slots=True)
class FaceCoeffs:
    """The 257 values of a face, split.

    Attributes:
        id: identity, (B, 80). exp: expression, (B, 64). tex: texture, (B, 80). angles: (B, 3), radians.
        gamma: lighting, (B, 27). trans: translation, (B, 3), units.
    """

    id: Tensor
    exp: Tensor
    tex: Tensor
    angles: Tensor
    gamma: Tensor
    trans: Tensor


def split_coeffs(coeffs: Tensor) -> FaceCoeffs:
    """Name the columns of (B, 257)."""
    return FaceCoeffs(*torch.split(coeffs, _PARTS, dim=1))


class ConvNorm(nn.Module):
    """Convolution without bias, batch norm."""

    def __init__(self, n_in: int, n_out: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(n_in, n_out, kernel, stride, kernel // 2, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(n_out)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H', W')."""
        return self.norm(self.conv(x))


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3 and 1 x 1 convolutions beside the input; the stride is the middle one's."""

    def __init__(self, n_in: int, width: int, stride: int) -> None:
        super().__init__()
        n_out = _EXPANSION * width
        self.steps = nn.ModuleList(
            [ConvNorm(n_in, width, 1), ConvNorm(width, width, 3, stride), ConvNorm(width, n_out, 1)]
        )
        self.shortcut = ConvNorm(n_in, n_out, 1, stride) if stride != 1 or n_in != n_out else None

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, 4 width, H / stride, W / stride)."""
        y = x
        for step in self.steps[:-1]:
            y = functional.relu(step(y))
        beside = x if self.shortcut is None else self.shortcut(x)
        return functional.relu(self.steps[-1](y) + beside)


class FaceRegressor(nn.Module):
    """Aligned picture -> the coefficients of its face (Deng et al. 2019)."""

    def __init__(self, config: ReconConfig) -> None:
        super().__init__()
        self.stem = ConvNorm(3, config.width, 7, 2)
        n_channels, stages = config.width, []
        for k, n_blocks in enumerate(config.blocks):
            width, blocks = config.width << k, []
            for i in range(n_blocks):
                blocks.append(Bottleneck(n_channels, width, 2 if k and not i else 1))
                n_channels = _EXPANSION * width
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)
        self.heads = nn.ModuleList(nn.Conv2d(n_channels, size, 1) for size in _HEAD_SIZES)

    def forward(self, image: Tensor) -> Tensor:
        """Pictures (B, 3, 224, 224) RGB in [0, 1] -> coefficients (B, 257); `split_coeffs` names them."""
        x = functional.max_pool2d(functional.relu(self.stem(image)), 3, 2, 1)
        for stage in self.stages:
            x = stage(x)
        x = x.mean((2, 3), keepdim=True)  # (B, 2048, 1, 1)
        return torch.cat([head(x) for head in self.heads], 1).flatten(1)  # (B, 257)
