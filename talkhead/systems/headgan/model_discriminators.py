"""HeadGAN's discriminators: D sees a frame with its drawn face, D_m the mouth with the sound (section 3.3; C.2)."""

from __future__ import annotations

import torch
from torch import Tensor

from talkhead.errors import ShapeError, UsageError
from talkhead.nn.discriminators import MultiScaleDiscriminator
from talkhead.systems.headgan.config import N_PNCC
from talkhead.systems.headgan.model_flow import N_RGB
from talkhead.systems.headgan.pictures import inside


class Discriminator(MultiScaleDiscriminator):
    """D: (x_t, y_t) to scores and maps.

    Args:
        width: channels of the first layer.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__(N_PNCC + N_RGB, width=width)

    def judge(self, pncc: Tensor, image: Tensor) -> list[list[Tensor]]:
        """Drawn face of the frame (B, 3, H, W), and the frame, likewise -> maps (`nn.discriminators`)."""
        return self(torch.cat((pncc, image), 1))


class MouthDiscriminator(MultiScaleDiscriminator):
    """D_m: (h_a, y_t around the mouth) to scores and maps.

    Args:
        n_audio: values of what is heard; 0: it sees the mouth only. width: channels of the first layer.
    """

    def __init__(self, n_audio: int, width: int = 64) -> None:
        super().__init__(n_audio + N_RGB, width=width)
        self.n_audio = n_audio

    def judge(self, mouth: Tensor, audio: Tensor | None) -> list[list[Tensor]]:
        """Judge mouths.

        Args:
            mouth: (B, 3, h, w). audio: (B, n_audio), the same at every place; None where it hears nothing.
        Raises:
            UsageError: sound and the network do not go together.
        """
        if (audio is None) != (self.n_audio == 0):
            raise UsageError(f"D_m hears {self.n_audio} values, and was given {'none' if audio is None else 'some'}")
        if audio is not None:
            everywhere = audio[:, :, None, None].expand(-1, -1, *mouth.shape[2:]).to(mouth.dtype)
            mouth = torch.cat((everywhere, mouth), 1)
        return self(mouth)


def mouths_of(images: Tensor, centres: Tensor, side: int) -> Tensor:
    """Squares around mouths; a centre too near the border is moved inside (release).

    Args:
        images: (B, C, H, W). centres: (B, 2) whole pixels, x then y. side: of the squares, even.
    Returns:
        (B, C, side, side); gradients pass.
    Raises:
        ShapeError: other sizes.
    """
    B, _, H, W = images.shape
    if centres.shape != (B, 2):
        raise ShapeError("centres", tuple(centres.shape), f"({B}, 2)")
    if side > min(H, W):
        raise ShapeError("images", tuple(images.shape), f"at least {side} pixels a side")
    corners = (inside(centres.cpu().numpy(), (W, H), side) - side // 2).tolist()
    return torch.stack([image[:, y : y + side, x : x + side] for image, (x, y) in zip(images, corners, strict=True)])
