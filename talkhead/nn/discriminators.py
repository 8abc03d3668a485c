"""Discriminators that judge patches of a picture, at several scales (Isola et al. 2017; Wang et al. 2018).

Users: HeadGAN (layout `spade`, appendix C.2), rhythmic and pir (layout `pix2pixhd`).
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

from talkhead.nn.norm import InstanceNorm
from talkhead.nn.spectral import SpectralConv2d

Layout = Literal["spade", "pix2pixhd"]
Spectral = Literal["inner", "all", "none"]

SLOPE = 0.2  # of leaky ReLUs
KERNEL, PADDING = 4, 2
MAX_FACTOR = 8  # channels stop growing here, at 512 of 64


class PatchLayer(nn.Module):
    """4 x 4 convolution; but for the last one, instance norm where asked for, and a leaky ReLU."""

    def __init__(self, n_in: int, n_out: int, *, stride: int, norm: bool, spectral: bool, is_last: bool) -> None:
        super().__init__()
        kind = SpectralConv2d if spectral else nn.Conv2d
        self.conv = kind(n_in, n_out, KERNEL, stride, PADDING, bias=not norm)
        self.norm = InstanceNorm(n_out) if norm else None
        self.is_last = is_last

    def forward(self, x: Tensor) -> Tensor:
        """(B, n_in, H, W) -> (B, n_out, H', W')."""
        x = self.conv(x)
        if self.norm is not None:
            x = self.norm(x)
        return x if self.is_last else functional.leaky_relu(x, SLOPE, inplace=True)


class PatchDiscriminator(nn.Module):
    """One scale.

    Args:
        n_in: channels of the picture and its condition. width: channels of the first layer; they double to 8 times
            that. n_layers: before the score. `spade`: the last of them keeps the size, the others halve it;
            `pix2pixhd`: they all halve it, and one more that keeps it follows. layout: which of the two. spectral:
            spectral norm on the layers between the first and the last (`inner`), on all, or on none; those between
            have instance norm with weights in any case.
    """

    def __init__(
        self, n_in: int, *, width: int = 64, n_layers: int = 4, layout: Layout = "spade", spectral: Spectral = "inner"
    ) -> None:
        super().__init__()
        n_halving = n_layers - 1 if layout == "spade" else n_layers
        widths = [min(width << k, MAX_FACTOR * width) for k in range(n_halving + 1)] + [1]
        layers = []
        for k, n_out in enumerate(widths):
            is_inner = 0 < k < len(widths) - 1
            layers.append(
                PatchLayer(
                    widths[k - 1] if k else n_in,
                    n_out,
                    stride=2 if k < n_halving else 1,
                    norm=is_inner,
                    spectral=spectral == "all" or (spectral == "inner" and is_inner),
                    is_last=k == len(widths) - 1,
                )
            )
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, n_in, H, W) -> maps of all layers; the last one, (B, 1, H', W'), is the score."""
        maps = []
        for layer in self.layers:
            x = layer(x)
            maps.append(x)
        return maps


class MultiScaleDiscriminator(nn.Module):
    """The same at several scales: each next one sees means of 3 x 3, every second pixel, the padding not counted.

    Args:
        n_in, width, n_layers, layout, spectral: as in `PatchDiscriminator`. n_scales: how many.
    """

    def __init__(
        self,
        n_in: int,
        *,
        width: int = 64,
        n_layers: int = 4,
        n_scales: int = 2,
        layout: Layout = "spade",
        spectral: Spectral = "inner",
    ) -> None:
        super().__init__()
        self.scales = nn.ModuleList(
            [
                PatchDiscriminator(n_in, width=width, n_layers=n_layers, layout=layout, spectral=spectral)
                for _ in range(n_scales)
            ]
        )

    def forward(self, x: Tensor) -> list[list[Tensor]]:
        """(B, n_in, H, W) -> of each scale, the finest first, the maps of its layers; the last is its score."""
        found = []
        for k, scale in enumerate(self.scales):
            if k:
                x = functional.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)
            found.append(scale(x))
        return found
