"""Spatially adaptive normalisation (Park et al. 2019, "SPADE"): a picture tells each place how to be scaled and moved.

Users: HeadGAN (instance norm, appendix C), the few-shot generators of vid2vid's family (batch norm, dynamic weights).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from talkhead.errors import ShapeError
from talkhead.nn.norm import instance_norm
from talkhead.nn.spectral import SpectralConv2d

Norm = Literal["instance", "batch"]
SLOPE = 0.2  # of leaky ReLUs


class Spade(nn.Module):
    """`norm(x) * (1 + gamma) + beta`, gamma and beta computed from a condition at every place.

    Args:
        channels: of what is normalised. n_condition: of the condition. hidden: channels between the condition and
            gamma, beta; 0: none, the condition is a feature map already and one 1 x 1 convolution reads it. kernel:
            size of the convolutions where there are hidden channels. norm: `instance`, or `batch` with running
            statistics; neither has weights of its own.
    """

    def __init__(
        self, channels: int, n_condition: int, *, hidden: int = 256, kernel: int = 3, norm: Norm = "instance"
    ) -> None:
        super().__init__()
        self.batch_norm = nn.BatchNorm2d(channels, affine=False) if norm == "batch" else None
        self.shared = nn.Conv2d(n_condition, hidden, kernel, padding=kernel // 2) if hidden else None
        n_read, size = (hidden, kernel) if hidden else (n_condition, 1)
        self.gamma = nn.Conv2d(n_read, channels, size, padding=size // 2)
        self.beta = nn.Conv2d(n_read, channels, size, padding=size // 2)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Normalise and modulate.

        Args:
            x: (B, channels, H, W). condition: (B, n_condition, h, w), resized to x by nearest.
        Returns:
            (B, channels, H, W).
        """
        condition = resized(condition, x)
        if self.shared is not None:
            condition = functional.relu(self.shared(condition), inplace=True)
        # One convolution for both: gamma plus one, then beta.
        weight = torch.cat((self.gamma.weight, self.beta.weight))
        assert self.gamma.bias is not None and self.beta.bias is not None
        bias = torch.cat((self.gamma.bias + 1.0, self.beta.bias))
        both = functional.conv2d(condition, weight, bias, padding=self.gamma.padding)
        scale, shift = both.chunk(2, 1)
        return torch.addcmul(shift, _normalised(x, self.batch_norm), scale)


class DynamicSpade(nn.Module):
    """SPADE whose weights are another network's answer, others for each sample of the batch.

    Args:
        channels: of what is normalised. norm: as in `Spade`.
    """

    def __init__(self, channels: int, *, norm: Norm = "batch") -> None:
        super().__init__()
        self.channels = channels
        self.batch_norm = nn.BatchNorm2d(channels, affine=False) if norm == "batch" else None

    def forward(self, x: Tensor, condition: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Normalise and modulate.

        Args:
            x: (B, channels, H, W). condition: (B, C, h, w), resized to x by nearest. weight: (B, 2 * channels, C, k,
                k), gamma's rows, then beta's; k odd. bias: (B, 2 * channels).
        Returns:
            (B, channels, H, W).
        Raises:
            ShapeError: weights for other sizes.
        """
        if weight.shape[:3] != (len(x), 2 * self.channels, condition.shape[1]):
            wanted = f"({len(x)}, {2 * self.channels}, {condition.shape[1]}, k, k)"
            raise ShapeError("weight", tuple(weight.shape), wanted)
        gamma, beta = per_sample_conv(resized(condition, x), weight, bias).chunk(2, 1)
        return torch.addcmul(beta, _normalised(x, self.batch_norm), gamma + 1.0)


class SpadeBlock(nn.Module):
    """SPADE, leaky ReLU, 3 x 3, twice; the input is added where `residual` says so.

    Args:
        channels, n_condition, hidden, norm: as in `Spade`. residual: add the input. spectral: spectral norm on the two
            convolutions (not on those inside SPADE).
    """

    def __init__(
        self,
        channels: int,
        n_condition: int,
        *,
        hidden: int = 256,
        residual: bool = True,
        spectral: bool = True,
        norm: Norm = "instance",
    ) -> None:
        super().__init__()
        conv = SpectralConv2d if spectral else nn.Conv2d
        self.residual = residual
        self.norm1 = Spade(channels, n_condition, hidden=hidden, norm=norm)
        self.conv1 = conv(channels, channels, 3, padding=1)
        self.norm2 = Spade(channels, n_condition, hidden=hidden, norm=norm)
        self.conv2 = conv(channels, channels, 3, padding=1)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """(B, channels, H, W) and a condition (B, n_condition, h, w) -> (B, channels, H, W)."""
        condition = resized(condition, x)
        y = self.conv1(functional.leaky_relu(self.norm1(x, condition), SLOPE, inplace=True))
        y = self.conv2(functional.leaky_relu(self.norm2(y, condition), SLOPE, inplace=True))
        return x + y if self.residual else y


def resized(condition: Tensor, x: Tensor) -> Tensor:
    """A condition (B, C, h, w) as large as x, by nearest."""
    if condition.shape[-2:] == x.shape[-2:]:
        return condition
    return functional.interpolate(condition, x.shape[-2:], mode="nearest")


def per_sample_conv(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Convolve every sample with its own weights, as one grouped convolution of the same size.

    Args:
        x: (B, C, H, W). weight: (B, C', C, k, k), k odd. bias: (B, C').
    Returns:
        (B, C', H, W).
    """
    B, n_out = weight.shape[:2]
    made = functional.conv2d(
        x.reshape(1, -1, *x.shape[2:]), weight.flatten(0, 1), bias.flatten(), padding=weight.shape[-1] // 2, groups=B
    )
    return made.view(B, n_out, *x.shape[2:])


def _normalised(x: Tensor, batch_norm: nn.BatchNorm2d | None) -> Tensor:
    return instance_norm(x) if batch_norm is None else batch_norm(x)
