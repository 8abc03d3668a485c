"""Residual blocks of picture generators."""

from __future__ import annotations

from torch import Tensor, nn


class ResBlock(nn.Module):
    """x + (reflect pad, 3 x 3, instance norm, ReLU, reflect pad, 3 x 3, instance norm) (Wang et al. 2018, "pix2pixHD").

    Args:
        channels: in and out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            nn.InstanceNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            nn.InstanceNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) both."""
        return x + self.body(x)
