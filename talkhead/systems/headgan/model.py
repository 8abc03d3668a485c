"""HeadGAN's generator: a source picture, drawn faces and sound to a frame (section 3.3, equation 2)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from talkhead.errors import ShapeError, UsageError
from talkhead.systems.headgan.config import N_PNCC, N_STACK, PAPER, NetworkConfig
from talkhead.systems.headgan.model_flow import N_RGB, DenseFlowNetwork, Features, bent
from talkhead.systems.headgan.model_render import RenderingNetwork


class Drawn(NamedTuple):
    """What the generator makes of a stack.

    Attributes:
        image: the frame, (B, 3, H, W), in [-1, 1]. warped: the source bent by the flow, likewise; without flow the
            source itself. flow: pixels, (B, 2, H, W), or None. mask: where the flow counts, (B, 1, H, W) in [0, 1], or
            None. imagined_flow, imagined_image: `flow` and `image` of other faces, or None where none are asked for.
    """

    image: Tensor
    warped: Tensor
    flow: Tensor | None
    mask: Tensor | None
    imagined_flow: Tensor | None = None
    imagined_image: Tensor | None = None


class Generator(nn.Module):
    """G: dense flow network F and rendering network R, trained together.

    Args:
        config: sizes; the paper's if None.
    """

    def __init__(self, config: NetworkConfig | None = None) -> None:
        super().__init__()
        self.config = config or PAPER
        self.flow = DenseFlowNetwork(self.config)
        self.render = RenderingNetwork(self.config)

    def encode(self, reference_pncc: Tensor, reference: Tensor) -> Features:
        """Look at source pictures, once for all frames that are drawn of them.

        Args:
            reference_pncc: their drawn faces, (B, 3, H, W), in [0, 1]. reference: the pictures, (B, 3, H, W), RGB in
                [-1, 1]; sides are multiples of 4.
        Raises:
            ShapeError: other sizes.
        """
        B, _, H, W = reference.shape
        multiple = self.config.multiple
        if reference.shape[1] != N_RGB or H % multiple or W % multiple:
            raise ShapeError("reference", tuple(reference.shape), f"(B, {N_RGB}, H, W), multiples of {multiple}")
        if reference_pncc.shape != (B, N_PNCC, H, W):
            raise ShapeError("reference_pncc", tuple(reference_pncc.shape), f"({B}, {N_PNCC}, {H}, {W})")
        return self.flow.encode(reference_pncc, reference)

    def draw(
        self,
        stack: Tensor,
        features: Features,
        audio: Tensor | None = None,
        imagined: Tensor | None = None,
        *,
        draw_imagined: bool = False,
    ) -> Drawn:
        """Draw frames of source pictures.

        Args:
            stack: drawn faces of frames t-2, t-1, t in this order, (B, 9, H, W), in [0, 1]. features: of `encode`, of
                B pictures or of one. audio: what is heard at t, (B, n_audio); needed where the network hears.
            imagined: stacks of other faces to which the flow is wanted too, as `stack`; for training. draw_imagined:
                draw them as well; what is heard is the same.
        Raises:
            ShapeError: sizes that do not fit. UsageError: sound for a network that does not hear, or none for one that
                does.
        """
        B, H, W = len(stack), *features.reference.shape[2:]
        if stack.shape != (B, N_STACK * N_PNCC, H, W):
            raise ShapeError("stack", tuple(stack.shape), f"(B, {N_STACK * N_PNCC}, {H}, {W})")
        if len(features.reference) not in (1, B):
            raise ShapeError("features", tuple(features.reference.shape), f"one picture, or {B}")
        self._check_audio(audio, B)
        features = features.repeated(B)
        if not self.config.flow:
            return Drawn(self.render(stack, features, audio), features.reference, None, None)
        if imagined is None:
            flowed = self.flow.decode(features.h3, stack)
            seen = bent(features, flowed.flow)
            return Drawn(self.render(stack, seen, audio), seen.reference, flowed.flow, flowed.mask)
        stacks = torch.cat((stack, imagined))  # one pass for both
        flowed = self.flow.decode(torch.cat((features.h3, features.h3)), stacks)
        flow, other = flowed.flow[:B], flowed.flow[B:]
        mask = None if flowed.mask is None else flowed.mask[:B]
        if not draw_imagined:
            seen = bent(features, flow)
            return Drawn(self.render(stack, seen, audio), seen.reference, flow, mask, other)
        seen = bent(Features(*(torch.cat((value, value)) for value in features)), flowed.flow)
        image = self.render(stacks, seen, None if audio is None else torch.cat((audio, audio)))
        return Drawn(image[:B], seen.reference[:B], flow, mask, other, image[B:])

    def forward(
        self,
        stack: Tensor,
        reference_pncc: Tensor,
        reference: Tensor,
        audio: Tensor | None = None,
        imagined: Tensor | None = None,
        *,
        draw_imagined: bool = False,
    ) -> Drawn:
        """`encode`, then `draw`; shapes and errors as there."""
        return self.draw(stack, self.encode(reference_pncc, reference), audio, imagined, draw_imagined=draw_imagined)

    def _check_audio(self, audio: Tensor | None, n: int) -> None:
        if audio is None:
            if self.config.audio:
                raise UsageError("this HeadGAN listens, and was given no sound", hint="use a network without audio")
            return
        if not self.config.audio:
            raise UsageError("sound was given to a HeadGAN that does not listen", hint="use a network with audio")
        if audio.shape != (n, self.config.n_audio):
            raise ShapeError("audio", tuple(audio.shape), f"({n}, {self.config.n_audio})")
