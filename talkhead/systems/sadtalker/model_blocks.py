"""Convolution units that the keypoint detector and the renderer are built of (Wang et al. 2021; Park et al. 2019).

2-D pictures are (B, C, H, W), volumes (B, C, D, H, W). Pooling and upsampling act on H and W alone, never on depth.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def check_sides(image: Tensor, multiple: int) -> None:
    """Refuse a picture that the halvings do not divide.

    Raises:
        ValueError: the sides.
    """
    if image.shape[-1] % multiple or image.shape[-2] % multiple:
        raise ValueError(f"sides {tuple(image.shape[-2:])} are no multiples of {multiple}")


def upsample(x: Tensor, factor: int = 2) -> Tensor:
    """Each cell of the last two axes repeated `factor` times."""
    scale = (1.0, float(factor), float(factor))[5 - x.ndim :]
    return F.interpolate(x, scale_factor=scale, mode="nearest")


def halve(x: Tensor) -> Tensor:
    """Means of 2 x 2 cells of the last two axes."""
    if x.ndim == 4:
        return F.avg_pool2d(x, 2)
    # Slices of depth are pictures of a batch: PyTorch has no 3-D pooling of bfloat16 on the CPU.
    slices = x.movedim(2, 1)  # (B, D, C, H, W)
    pooled = F.avg_pool2d(slices.flatten(0, 1), 2)
    return pooled.view(*slices.shape[:3], *pooled.shape[2:]).movedim(1, 2)


class ConvUnit(nn.Module):
    """Convolution (side 3, same size), batch norm, rectifier.

    Args:
        n_in, n_out: channels. ndim: 2 or 3. kernel: side. slope: of the rectifier below zero.
    """

    def __init__(self, n_in: int, n_out: int, *, ndim: int = 2, kernel: int = 3, slope: float = 0.0) -> None:
        super().__init__()
        conv, norm = (nn.Conv2d, nn.BatchNorm2d) if ndim == 2 else (nn.Conv3d, nn.BatchNorm3d)
        self.conv = conv(n_in, n_out, kernel, padding=kernel // 2)
        self.norm = norm(n_out)
        self.slope = slope

    def forward(self, x: Tensor) -> Tensor:
        """(B, n_in, ...) -> (B, n_out, ...)."""
        return F.leaky_relu(self.norm(self.conv(x)), self.slope)


class UpUnit(ConvUnit):
    """A `ConvUnit` on the map at twice its height and width, enlarged by repeating cells."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, n_in, ..., H, W) -> (B, n_out, ..., 2H, 2W)."""
        return super().forward(upsample(x))


class ResBlock3d(nn.Module):
    """Two convolutions, each after its own batch norm and rectifier, added to what came in."""

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm3d(n_channels)
        self.conv1 = nn.Conv3d(n_channels, n_channels, 3, padding=1)
        self.norm2 = nn.BatchNorm3d(n_channels)
        self.conv2 = nn.Conv3d(n_channels, n_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, D, H, W) -> the same shape."""
        return x + self.conv2(F.relu(self.norm2(self.conv1(F.relu(self.norm1(x))))))


class SpectralConv2d(nn.Module):
    """A 2-D convolution whose weight is divided by an estimate of its largest singular value (Miyato et al. 2018).

    While training, each call takes one step of power iteration, which moves `weight_u` and `weight_v`.
    """

    def __init__(self, n_in: int, n_out: int, kernel: int, *, bias: bool = True) -> None:
        super().__init__()
        start = nn.Conv2d(n_in, n_out, kernel, bias=bias)
        self.weight_orig = start.weight
        self.bias = start.bias
        self.register_buffer("weight_u", F.normalize(torch.randn(n_out), dim=0, eps=1e-12))
        self.register_buffer("weight_v", F.normalize(torch.randn(n_in * kernel**2), dim=0, eps=1e-12))

    weight_u: Tensor
    weight_v: Tensor

    @property
    def weight(self) -> Tensor:
        """The weight that convolves, (n_out, n_in, kernel, kernel)."""
        flat = self.weight_orig.flatten(1)  # (n_out, n_in * kernel**2)
        return self.weight_orig / torch.dot(self.weight_u, flat @ self.weight_v)

    def forward(self, x: Tensor) -> Tensor:
        """(B, n_in, H, W) -> (B, n_out, H, W)."""
        if self.training:
            self._iterate()
        return F.conv2d(x, self.weight, self.bias, padding=self.weight_orig.shape[-1] // 2)

    @torch.no_grad()
    def _iterate(self) -> None:
        flat = self.weight_orig.flatten(1)
        # New tensors: those of the last call may still be waiting for their gradients.
        self.weight_v = F.normalize(flat.T @ self.weight_u, dim=0, eps=1e-12)
        self.weight_u = F.normalize(flat @ self.weight_v, dim=0, eps=1e-12)


class Hourglass(nn.Module):
    """A U-net: each of `downs` and a halving, each of `ups` beside what came before its halving, then `head`."""

    downs: nn.ModuleList
    ups: nn.ModuleList
    head: nn.Module

    def forward(self, x: Tensor) -> Tensor:
        """(B, n_in, D, h, h) -> (B, n_out, D, h, h)."""
        skips = [x]
        for down in self.downs:
            skips.append(halve(down(skips[-1])))
        x = skips.pop()
        for up in self.ups:
            x = torch.cat((up(x), skips.pop()), 1)
        return self.head(x)
