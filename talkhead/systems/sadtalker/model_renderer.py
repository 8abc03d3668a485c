"""SadTalker's face renderer as it is trained: feature volume, dense motion, SPADE decoder.

Wang et al. 2021 ("face-vid2vid", sections 3.1 and A) with a decoder after Park et al. 2019, as in the published code.
Everything is computed in the order it is written in those papers; `model_renderer_fast` gives the same pictures sooner.

Here `h` is the side of the feature volume, S / 4 as published, and D its depth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from talkhead.systems.sadtalker.config import RendererConfig
from talkhead.systems.sadtalker.model_blocks import (
    ConvUnit,
    Hourglass,
    ResBlock3d,
    SpectralConv2d,
    UpUnit,
    check_sides,
    halve,
    upsample,
)

N_MIDDLE = 6  # SPADE blocks before the first upsampling
VARIANCE = 0.01  # of the Gaussian around a keypoint, in squared half sides of the volume
SMALLEST_SHARE = 1e-3  # softmax weights of motions below this count as none
SLOPE = 0.2  # of the decoder's rectifiers
MIX_SLOPE = 0.01  # of the one after the warped volume is flattened
EPS = 1e-5  # of instance norms


@dataclass(frozen=True, kw_only=True, slots=True)
class Trace:
    """A drawn batch and what was computed on the way.

    Attributes:
        prediction: (B, 3, S, S) in [0, 1]. volume: of the source, (B or 1, C, D, h, h). mask: share of each motion,
            the small ones still in, (B, K + 1, D, h, h). deformation: where each cell looks, (B, D, h, h, 3), x, y, z.
            occlusion: (B, 1, h, h). condition: what the decoder paints from, (B, C, h, h).
    """

    prediction: Tensor
    volume: Tensor
    mask: Tensor
    deformation: Tensor
    occlusion: Tensor
    condition: Tensor


def identity_grid(sides: Sequence[int], device: torch.device) -> Tensor:
    """Position of every cell of a (D, H, W) volume, (D, H, W, 3), x, y, z, each from -1 to 1."""
    axes = (torch.linspace(-1, 1, n, device=device) for n in sides)
    z, y, x = torch.meshgrid(*axes, indexing="ij")
    return torch.stack((x, y, z), -1)


def warp(volume: Tensor, where: Tensor) -> Tensor:
    """Look up (B, C, D, H, W) at (B, D, H, W, 3); nothing outside.

    The last cell of the identity grid is at 1, that of `grid_sample` half a cell before it: as the networks learned it.
    """
    return F.grid_sample(volume, where, mode="bilinear", padding_mode="zeros", align_corners=False)


def renderer_widths(config: RendererConfig) -> tuple[int, ...]:
    """Channels of the picture's encoder: the first convolution and each halving."""
    return tuple(min(config.max_width, config.expansion * 2**k) for k in range(config.n_down + 1))


class FeatureEncoder(nn.Module):
    """Picture -> feature volume: 2-D convolutions, channels opened into depth, residual 3-D convolutions."""

    def __init__(self, config: RendererConfig) -> None:
        super().__init__()
        widths = renderer_widths(config)
        self.depth = config.depth
        self.first = ConvUnit(3, widths[0])
        self.downs = nn.ModuleList(ConvUnit(widths[k], widths[k + 1]) for k in range(config.n_down))
        self.lift = nn.Conv2d(widths[-1], config.volume_width * config.depth, 1)
        self.blocks = nn.ModuleList(ResBlock3d(config.volume_width) for _ in range(config.n_resblocks))

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, S, S) in [0, 1] -> (B, C, D, h, h)."""
        x = self.first(image)
        for down in self.downs:
            x = halve(down(x))
        x = self.lift(x).unflatten(1, (-1, self.depth))  # (B, C, D, h, h)
        for block in self.blocks:
            x = block(x)
        return x


class Hourglass3d(Hourglass):
    """3-D U-net whose depth keeps its size."""

    def __init__(self, config: RendererConfig, n_in: int) -> None:
        super().__init__()
        widths = [min(config.motion_max_width, config.motion_expansion * 2**k) for k in range(config.motion_blocks + 1)]
        last = config.motion_blocks - 1
        self.downs = nn.ModuleList(
            ConvUnit(n_in if k == 0 else widths[k], widths[k + 1], ndim=3) for k in range(last + 1)
        )
        self.ups = nn.ModuleList(
            UpUnit(widths[k + 1] * (1 if k == last else 2), widths[k], ndim=3) for k in reversed(range(last + 1))
        )
        self.n_out = widths[0] + n_in
        self.head = ConvUnit(self.n_out, self.n_out, ndim=3)


class DenseMotion(nn.Module):
    """Keypoints -> where every cell of the volume looks, and which cells of the picture are hidden in the source."""

    def __init__(self, config: RendererConfig) -> None:
        super().__init__()
        n_motions = config.n_keypoints + 1
        self.depth = config.depth
        self.compress = ConvUnit(config.volume_width, config.compress, ndim=3, kernel=1)
        self.hourglass = Hourglass3d(config, n_motions * (config.compress + 1))
        self.mask = nn.Conv3d(self.hourglass.n_out, n_motions, 7, padding=3)
        self.occlusion = nn.Conv2d(self.hourglass.n_out * config.depth, 1, 7, padding=3)

    def forward(self, volume: Tensor, kp_source: Tensor, kp_driving: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Shares of the motions, deformation and occlusion, as in `Trace`.

        Args:
            volume: (B, C, D, h, h). kp_source, kp_driving: (B, K, 3).
        """
        grid = identity_grid(volume.shape[2:], volume.device)
        flows = self._flows(grid, kp_source, kp_driving)  # (B, K + 1, D, h, h, 3)
        looked_up = self._moved(self.compress(volume), flows)  # (B, K + 1, compress, D, h, h)
        heat = heat_maps(grid, kp_driving) - heat_maps(grid, kp_source)  # (B, K, D, h, h)
        heat = torch.cat((torch.zeros_like(heat[:, :1]), heat), 1)[:, :, None]
        x = self.hourglass(torch.cat((heat, looked_up), 2).flatten(1, 2))
        mask = self.mask(x).softmax(1)  # (B, K + 1, D, h, h)
        deformation = (flows * cut(mask)[..., None]).sum(1)  # (B, D, h, h, 3)
        return mask, deformation, self.occlusion(x.flatten(1, 2)).sigmoid()

    @staticmethod
    def _flows(grid: Tensor, kp_source: Tensor, kp_driving: Tensor) -> Tensor:
        shift = (kp_source - kp_driving)[:, :, None, None, None]  # (B, K, 1, 1, 1, 3)
        return torch.cat((grid.expand(len(shift), 1, *grid.shape), grid + shift), 1)

    @staticmethod
    def _moved(compressed: Tensor, flows: Tensor) -> Tensor:
        n_motions = flows.shape[1]
        copies = compressed[:, None].expand(-1, n_motions, -1, -1, -1, -1).flatten(0, 1)
        looked_up = warp(copies, flows.flatten(0, 1))
        return looked_up.view(-1, n_motions, *looked_up.shape[1:])


def heat_maps(grid: Tensor, keypoints: Tensor) -> Tensor:
    """Gaussians around keypoints: (D, h, h, 3), (B, K, 3) -> (B, K, D, h, h)."""
    distance = ((grid - keypoints[:, :, None, None, None]) ** 2).sum(-1)
    return torch.exp(-0.5 / VARIANCE * distance)


def cut(mask: Tensor) -> Tensor:
    """Shares without the smallest; what is left is not scaled up."""
    return torch.where(mask < SMALLEST_SHARE, 0.0, mask)


class Spade(nn.Module):
    """Instance norm whose scale and offset at each place are drawn from a condition (Park et al. 2019, eq. 1)."""

    def __init__(self, n_channels: int, n_condition: int, n_hidden: int) -> None:
        super().__init__()
        self.shared = nn.Conv2d(n_condition, n_hidden, 3, padding=1)
        self.gamma = nn.Conv2d(n_hidden, n_channels, 3, padding=1)
        self.beta = nn.Conv2d(n_hidden, n_channels, 3, padding=1)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """(B, C, H, W), conditioned on (B, n_condition, h, h)."""
        hidden = F.relu(self.shared(F.interpolate(condition, size=x.shape[2:], mode="nearest")))
        return F.instance_norm(x, eps=EPS) * (1 + self.gamma(hidden)) + self.beta(hidden)


class SpadeBlock(nn.Module):
    """Two spectrally normed convolutions, each after a `Spade`, and a shortcut (Park et al. 2019, figure 4)."""

    def __init__(self, n_in: int, n_out: int, n_condition: int, n_hidden: int) -> None:
        super().__init__()
        n_middle = min(n_in, n_out)
        self.norm_0 = Spade(n_in, n_condition, n_hidden)
        self.conv_0 = SpectralConv2d(n_in, n_middle, 3)
        self.norm_1 = Spade(n_middle, n_condition, n_hidden)
        self.conv_1 = SpectralConv2d(n_middle, n_out, 3)
        self.has_shortcut = n_in != n_out
        if self.has_shortcut:
            self.norm_s = Spade(n_in, n_condition, n_hidden)
            self.conv_s = SpectralConv2d(n_in, n_out, 1, bias=False)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """(B, n_in, H, W) -> (B, n_out, H, W)."""
        shortcut = self.conv_s(self.norm_s(x, condition)) if self.has_shortcut else x
        x = self.conv_0(F.leaky_relu(self.norm_0(x, condition), SLOPE))
        return shortcut + self.conv_1(F.leaky_relu(self.norm_1(x, condition), SLOPE))


class Decoder(nn.Module):
    """Condition -> picture; every block sees the condition again."""

    def __init__(self, config: RendererConfig) -> None:
        super().__init__()
        n_condition = renderer_widths(config)[-1]
        widths = [2 * n_condition, *(n_condition // 2**k for k in range(config.n_down - 1)), config.expansion]
        self.stem = nn.Conv2d(n_condition, widths[0], 3, padding=1)
        self.middle = nn.ModuleList(
            SpadeBlock(widths[0], widths[0], n_condition, config.spade_hidden) for _ in range(N_MIDDLE)
        )
        self.ups = nn.ModuleList(
            SpadeBlock(widths[k], widths[k + 1], n_condition, config.spade_hidden) for k in range(config.n_down)
        )
        self.to_rgb = nn.Conv2d(widths[-1], 3, 3, padding=1)

    def forward(self, condition: Tensor) -> Tensor:
        """(B, C, h, h) -> (B, 3, S, S) in [0, 1]."""
        x = self.stem(condition)
        for block in self.middle:
            x = block(x, condition)
        for block in self.ups:
            x = block(upsample(x), condition)
        return self.to_rgb(F.leaky_relu(x, SLOPE)).sigmoid()


class Renderer(nn.Module):
    """Source picture and keypoints -> the picture with the keypoints moved.

    Raises:
        ValueError: a picture whose sides are no multiples of `multiple`.
    """

    def __init__(self, config: RendererConfig) -> None:
        super().__init__()
        n_condition = renderer_widths(config)[-1]
        self.multiple = 2 ** (config.n_down + config.motion_blocks)
        self.encoder = FeatureEncoder(config)
        self.motion = DenseMotion(config)
        self.flatten = ConvUnit(config.volume_width * config.depth, n_condition, slope=MIX_SLOPE)
        self.mix = nn.Conv2d(n_condition, n_condition, 1)
        self.decoder = Decoder(config)

    def forward(self, image: Tensor, kp_source: Tensor, kp_driving: Tensor) -> Tensor:
        """(B, 3, S, S) in [0, 1], (B, K, 3), (B, K, 3) -> (B, 3, S, S) in [0, 1]."""
        return self.trace(image, kp_source, kp_driving).prediction

    def trace(self, image: Tensor, kp_source: Tensor, kp_driving: Tensor) -> Trace:
        """As `forward`, with what was computed on the way."""
        check_sides(image, self.multiple)
        volume = self.encoder(image)
        mask, deformation, occlusion = self.motion(volume, kp_source, kp_driving)
        condition = self.mix(self.flatten(warp(volume, deformation).flatten(1, 2))) * occlusion
        return Trace(
            prediction=self.decoder(condition),
            volume=volume,
            mask=mask,
            deformation=deformation,
            occlusion=occlusion,
            condition=condition,
        )
