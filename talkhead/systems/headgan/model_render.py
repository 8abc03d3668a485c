"""HeadGAN's rendering network R (section 3.3; appendix C, table 5)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from talkhead.nn.adain import AdaInBlock
from talkhead.nn.spade import SLOPE
from talkhead.systems.headgan.config import N_PNCC, N_STACK, NetworkConfig
from talkhead.systems.headgan.model_flow import N_RGB, Encoder, Features, Head, spade_block


class RenderingNetwork(nn.Module):
    """R: drawn faces, bent features of the source and sound to a picture; without `config.audio`, no sound."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        widths = config.widths
        self.encoder = Encoder(N_STACK * N_PNCC, widths)
        # On h-bar 3, h-bar 2, h-bar 1 and y-bar; what is heard comes after the first three.
        self.looks = nn.ModuleList([spade_block(width, width, config) for width in reversed(widths)])
        self.looks.append(spade_block(widths[0], N_RGB, config))
        self.hears = (
            nn.ModuleList([AdaInBlock(width, config.n_audio) for width in reversed(widths)]) if config.audio else None
        )
        self.head = Head(widths[0], N_RGB)

    def forward(self, stack: Tensor, features: Features, audio: Tensor | None = None) -> Tensor:
        """Draw the last frame of a stack.

        Args:
            stack: drawn faces, oldest first, (B, 9, H, W), in [0, 1]. features: of the source, bent. audio: (B,
                n_audio), exactly where the network hears.
        Returns:
            (B, 3, H, W) in [-1, 1].
        """
        _, _, x = self.encoder(stack)
        for k, condition in enumerate((features.h3, features.h2, features.h1)):
            if k:
                x = functional.pixel_shuffle(x, 2)
            x = self.looks[k](x, condition)
            if self.hears is not None:
                assert audio is not None
                x = self.hears[k](x, audio)
        x = self.looks[3](x, features.reference)
        return torch.tanh(self.head(functional.leaky_relu(x, SLOPE, inplace=True)))
