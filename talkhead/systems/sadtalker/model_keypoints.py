"""Canonical 3-D keypoints of a picture: an hourglass that opens into a volume (Wang et al. 2021, section 3.1)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from talkhead.systems.sadtalker.config import KeypointConfig
from talkhead.systems.sadtalker.model_blocks import ConvUnit, UpUnit, check_sides, halve


class KeypointDetector(nn.Module):
    """Picture -> canonical keypoints.

    Raises:
        ValueError: a picture whose sides are no multiples of `multiple`.
    """

    def __init__(self, config: KeypointConfig) -> None:
        super().__init__()
        widths = [min(config.max_width, config.expansion * 2**k) for k in range(config.n_blocks + 1)]
        self.depth, self.reduce, self.temperature = config.depth, config.reduce, config.temperature
        self.multiple = config.reduce * 2**config.n_blocks
        # A Gaussian of sigma (reduce - 1) / 2 before taking every reduce-th pixel; 13 x 13 for 4.
        sigma = (config.reduce - 1) / 2
        self.register_buffer("blur", _gaussian(sigma).expand(3, 1, -1, -1).clone())
        self.downs = nn.ModuleList(ConvUnit(3 if k == 0 else widths[k], widths[k + 1]) for k in range(config.n_blocks))
        self.lift = nn.Conv2d(widths[-1], widths[-1] * config.depth, 1)
        self.ups = nn.ModuleList(UpUnit(widths[k + 1], widths[k], ndim=3) for k in reversed(range(config.n_blocks)))
        self.logits = nn.Conv3d(widths[0], config.n_keypoints, 3, padding=1)

    blur: Tensor

    def forward(self, image: Tensor) -> Tensor:
        """Keypoints of pictures.

        Args:
            image: (B, 3, S, S) in [0, 1].
        Returns:
            (B, K, 3), x to the right, y down, z into the picture, each axis of the volume from -1 to 1.
        """
        return self.expect(self.heat(self.shrink(image)))

    def shrink(self, image: Tensor) -> Tensor:
        """The blurred picture, every `reduce`-th pixel: (B, 3, S, S) -> (B, 3, S/4, S/4)."""
        check_sides(image, self.multiple)
        return F.conv2d(image, self.blur, padding=self.blur.shape[-1] // 2, groups=3, stride=self.reduce)

    def heat(self, small: Tensor) -> Tensor:
        """Logits of every keypoint in every cell: (B, 3, H, W) -> (B, K, D, H, W)."""
        x = small
        for down in self.downs:
            x = halve(down(x))
        x = self.lift(x)  # (B, C * D, H / 32, W / 32)
        x = x.unflatten(1, (-1, self.depth))  # (B, C, D, H / 32, W / 32)
        for up in self.ups:
            x = up(x)
        return self.logits(x)

    def expect(self, logits: Tensor) -> Tensor:
        """Mean position under the softmax over cells: (B, K, D, H, W) -> (B, K, 3)."""
        chance = (logits.float().flatten(2) / self.temperature).softmax(-1).view(logits.shape)
        axes = []
        # One axis at a time: a single product over all cells would lose digits in float32 (1.6e-4 at 512 pixels).
        for dim, others in ((4, (2, 3)), (3, (2, 4)), (2, (3, 4))):
            n = logits.shape[dim]
            axes.append((chance.sum(others) * torch.linspace(-1, 1, n, device=logits.device)).sum(-1))
        return torch.stack(axes, -1)


def _gaussian(sigma: float) -> Tensor:
    radius = round(4 * sigma)
    line = torch.exp(-0.5 * (torch.arange(-radius, radius + 1.0) / sigma) ** 2) if radius else torch.ones(1)
    kernel = torch.outer(line, line)
    return kernel / kernel.sum()
