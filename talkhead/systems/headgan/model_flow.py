"""The encoder of both of HeadGAN's networks, and the dense flow network F (section 3.3; appendix C, table 4)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from talkhead.nn.flow import halved, warp
from talkhead.nn.norm import InstanceNorm
from talkhead.nn.spade import SpadeBlock
from talkhead.nn.spectral import SpectralConv2d
from talkhead.systems.headgan.config import N_PNCC, N_STACK, NetworkConfig

N_RGB = 3


class Features(NamedTuple):
    """What is known of a source picture; the same for every frame that is drawn of it.

    Attributes:
        h1, h2, h3: feature maps, (B, 32, H, W), (B, 128, H/2, W/2), (B, 512, H/4, W/4) at full width. reference: the
            picture, (B, 3, H, W).
    """

    h1: Tensor
    h2: Tensor
    h3: Tensor
    reference: Tensor

    def repeated(self, n: int) -> Features:
        """The same for n frames, where they are of one picture; without copies.

        Raises:
            ValueError: they are of several pictures, and not of n.
        """
        if len(self.reference) == n:
            return self
        if len(self.reference) != 1:
            raise ValueError(f"features of {len(self.reference)} pictures for {n} frames")
        return Features(*(value.expand(n, -1, -1, -1) for value in self))


class Flowed(NamedTuple):
    """What F says.

    Attributes:
        flow: pixels, (B, 2, H, W), x then y, the mask applied. mask: where it counts, (B, 1, H, W) in [0, 1]; None
            without that head. raw: the flow before the mask. mask_logit: the mask's head before its tanh, or None.
    """

    flow: Tensor
    mask: Tensor | None
    raw: Tensor
    mask_logit: Tensor | None


class EncoderStage(nn.Module):
    """Convolution with spectral norm, instance norm with weights, ReLU.

    Args:
        n_in, n_out: channels. kernel: 7 is padded by reflection and keeps the size, 3 halves it.
    """

    def __init__(self, n_in: int, n_out: int, kernel: int) -> None:
        super().__init__()
        self.reflected = kernel // 2 if kernel == 7 else 0
        padding = 0 if self.reflected else kernel // 2
        # No bias: the norm would take it away again.
        self.conv = SpectralConv2d(n_in, n_out, kernel, 1 if self.reflected else 2, padding, bias=False)
        self.norm = InstanceNorm(n_out)

    def forward(self, x: Tensor) -> Tensor:
        """(B, n_in, H, W) -> (B, n_out, H', W')."""
        if self.reflected:
            x = functional.pad(x, (self.reflected,) * 4, mode="reflect")
        return functional.relu(self.norm(self.conv(x)), inplace=True)


class Encoder(nn.Module):
    """Rows 1 to 3 of tables 4 and 5.

    Args:
        n_in: channels of the picture. widths: of the three maps.
    """

    def __init__(self, n_in: int, widths: tuple[int, int, int]) -> None:
        super().__init__()
        first, second, third = widths
        self.stages = nn.ModuleList(
            [EncoderStage(n_in, first, 7), EncoderStage(first, second, 3), EncoderStage(second, third, 3)]
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, n_in, H, W) -> maps at the whole, a half and a quarter of the side."""
        h1 = self.stages[0](x)
        h2 = self.stages[1](h1)
        return h1, h2, self.stages[2](h2)


class Head(nn.Module):
    """7 x 7 convolution of a map padded by reflection, (B, n_in, H, W) -> (B, n_out, H, W)."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(n_in, n_out, 7)

    def forward(self, x: Tensor) -> Tensor:
        """(B, n_in, H, W) -> (B, n_out, H, W)."""
        return self.conv(functional.pad(x, (3, 3, 3, 3), mode="reflect"))


class DenseFlowNetwork(nn.Module):
    """F: from the source picture and its drawn face, and the drawn faces of the driving frames, to a flow (table 4).

    Without `config.flow` only its encoder is there (section 4.4).
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        first, second, third = config.widths
        self.encoder = Encoder(N_PNCC + N_RGB, config.widths)
        if not config.flow:
            return
        n_stack = N_STACK * N_PNCC
        self.deep = nn.ModuleList([spade_block(third, n_stack, config) for _ in range(3)])
        self.middle = spade_block(second, n_stack, config)
        self.flow_head = Head(first, 2)
        self.mask_head = Head(first, 1) if config.flow_mask else None

    def encode(self, reference_pncc: Tensor, reference: Tensor) -> Features:
        """Look at a source picture once.

        Args:
            reference_pncc: its drawn face, (B, 3, H, W), in [0, 1]. reference: the picture, (B, 3, H, W), in [-1, 1].
        """
        h1, h2, h3 = self.encoder(torch.cat((reference_pncc, reference), 1))
        return Features(h1, h2, h3, reference)

    def decode(self, h3: Tensor, stack: Tensor) -> Flowed:
        """The flow to the last frame of a stack.

        Args:
            h3: of `encode`. stack: drawn faces, oldest first, (B, 9, H, W).
        """
        x, condition = h3, functional.interpolate(stack, h3.shape[-2:], mode="nearest")
        for block in self.deep:
            x = block(x, condition)
        x = self.middle(functional.pixel_shuffle(x, 2), stack)
        x = functional.pixel_shuffle(x, 2)
        raw = self.flow_head(x)
        if self.mask_head is None:
            return Flowed(raw, None, raw, None)
        logit = self.mask_head(x)
        mask = (torch.tanh(logit) + 1.0) * 0.5
        return Flowed(raw * mask, mask, raw, logit)


def spade_block(channels: int, n_condition: int, config: NetworkConfig) -> SpadeBlock:
    """A SPADE block as this generator's are."""
    return SpadeBlock(channels, n_condition, hidden=config.spade_hidden, residual=config.spade_residual)


def bent(features: Features, flow: Tensor) -> Features:
    """Features and picture bent by a flow, (B, 2, H, W) pixels: h-bar 1 to 3 and y-bar of section 3.3."""
    half = halved(flow)
    return Features(
        warp(features.h1, flow),
        warp(features.h2, half),
        warp(features.h3, halved(half)),
        warp(features.reference, flow),
    )
