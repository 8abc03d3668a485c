"""SadTalker's face renderer for use: what depends on the source alone is computed once, constants are folded.

Made of a trained `Renderer` by `fold`; the pictures differ by rounding only. Where the arithmetic is saved:

- the feature volume, its compressed form, the source's heat maps and the motion that stays are kept (`EncodedSource`);
- batch norms are part of the weights, and convolutions of enlarged maps read the small ones (`kernels`);
- in float32 on a CPU, convolutions take half the products (`winograd`);
- the decoder has its own savings (`model_decoder_fast`);
- keypoint motions only translate, and Gaussians are separable: both are products of three 1-D functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from talkhead.systems.sadtalker.kernels import Kernel, channels_last, use_kernels
from talkhead.systems.sadtalker.model_blocks import Hourglass, check_sides
from talkhead.systems.sadtalker.model_decoder_fast import FastDecoder
from talkhead.systems.sadtalker.model_renderer import (
    VARIANCE,
    DenseMotion,
    Hourglass3d,
    Renderer,
    Trace,
    cut,
    identity_grid,
    warp,
)
from talkhead.systems.sadtalker.winograd import WideWinogradKernel, WinogradKernel

_N_WIDE = 3  # halvings of the hourglass whose maps are wide enough for WinogradKernel to pay


@dataclass(frozen=True, kw_only=True, slots=True)
class EncodedSource:
    """What is drawn from, the same for every frame; float32.

    Attributes:
        volume: features, (1, C, D, h, h). compressed: (1, c, D, h, h). still: `compressed` looked up without motion, of
            the same shape. keypoints: (1, K, 3). heat: Gaussians around them, (1, K, D, h, h).
    """

    volume: Tensor
    compressed: Tensor
    still: Tensor
    keypoints: Tensor
    heat: Tensor


class FastRenderer(nn.Module):
    """Draws a source with its keypoints moved, many times.

    Attributes:
        dtype: of the convolutions of every frame; positions, softmax and statistics are float32 always.
    Args:
        plain: trained, used up. make: what computes convolutions of side 3.
    """

    def __init__(self, plain: Renderer, dtype: torch.dtype, make: type[Kernel] = Kernel) -> None:
        super().__init__()
        self.dtype = dtype
        self.multiple = plain.multiple
        self.compress = use_kernels(nn.Sequential(plain.motion.compress))
        self.encoder = use_kernels(plain.encoder)
        self.motion = FastMotion(plain.motion, make).to(dtype)
        self.flatten = use_kernels(nn.Sequential(plain.flatten, plain.mix), make).to(dtype)
        self.decoder = FastDecoder(plain.decoder, make).to(dtype)

    @property
    def device(self) -> torch.device:
        """Where it draws."""
        return next(self.buffers()).device

    @torch.inference_mode()
    def encode(self, image: Tensor, kp_source: Tensor) -> EncodedSource:
        """Prepare a source.

        Args:
            image: (1, 3, S, S) in [0, 1]. kp_source: (1, K, 3).
        Raises:
            ValueError: sides that the halvings do not divide.
        """
        check_sides(image, self.multiple)
        volume = self.encoder(channels_last(image.float()))  # (1, C, D, h, h)
        compressed = self.compress(volume)
        kp_source = kp_source.float()
        return EncodedSource(
            volume=volume,
            compressed=compressed,
            still=warp(compressed, identity_grid(volume.shape[2:], volume.device)[None]),
            keypoints=kp_source,
            heat=separable_heat(kp_source, volume.shape[2:]),
        )

    @torch.inference_mode()
    def draw(self, source: EncodedSource, kp_driving: Tensor) -> Tensor:
        """Pictures of a source: (B, K, 3) -> (B, 3, S, S) in [0, 1], float32."""
        return self.decoder(self.condition(source, kp_driving))

    def condition(self, source: EncodedSource, kp_driving: Tensor) -> Tensor:
        """What the decoder paints from: (B, K, 3) -> (B, C, h, h)."""
        _, deformation, occlusion = self.motion(source, kp_driving.float())
        return self._condition(source, deformation, occlusion)

    @torch.inference_mode()
    def trace(self, source: EncodedSource, kp_driving: Tensor) -> Trace:
        """As `draw`, with what is computed on the way."""
        mask, deformation, occlusion = self.motion(source, kp_driving.float())
        condition = self._condition(source, deformation, occlusion)
        return Trace(
            prediction=self.decoder(condition),
            volume=source.volume,
            mask=mask,
            deformation=deformation,
            occlusion=occlusion,
            condition=condition,
        )

    def _condition(self, source: EncodedSource, deformation: Tensor, occlusion: Tensor) -> Tensor:
        volume = source.volume.expand(len(deformation), -1, -1, -1, -1)
        flat = channels_last(warp(volume, deformation).flatten(1, 2).to(self.dtype))  # (B, C * D, h, h)
        return self.flatten(flat) * occlusion.to(self.dtype)


def fold(plain: Renderer, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32) -> FastRenderer:
    """A renderer for use of a trained one, which is used up."""
    # Multiplying is what takes the time in float32 on a CPU; elsewhere the direct convolution is as fast or faster.
    make = WinogradKernel if torch.device(device).type == "cpu" and dtype is torch.float32 else Kernel
    with torch.no_grad():
        return FastRenderer(plain.eval(), dtype, make).requires_grad_(False).eval().to(device)


class FastMotion(nn.Module):
    """`DenseMotion` of an encoded source."""

    def __init__(self, plain: DenseMotion, make: type[Kernel]) -> None:
        super().__init__()
        self.hourglass = FastHourglass(plain.hourglass, make)
        self.mask = (WideWinogradKernel if make is WinogradKernel else Kernel).of(plain.mask)
        # The published layout puts depth into channels; here depth is an axis that the kernel covers at once.
        self.occlusion = Kernel(
            plain.occlusion.weight.view(1, -1, plain.depth, *plain.occlusion.kernel_size), plain.occlusion.bias
        )
        self.occlusion.padding = (0, *self.occlusion.padding[1:])

    def forward(self, source: EncodedSource, kp_driving: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Shares of the motions, deformation, occlusion; float32, as in `Trace`."""
        x = self.hourglass(self._motions(source, kp_driving))  # (B, n_out, D, h, h)
        mask = self.mask(x).float().softmax(1)  # (B, K + 1, D, h, h)
        deformation = combine(cut(mask), source.keypoints - kp_driving)
        return mask, deformation, self.occlusion(x)[:, :, 0].float().sigmoid()

    def _motions(self, source: EncodedSource, kp_driving: Tensor) -> Tensor:
        b, k = kp_driving.shape[:2]
        n_looked, *sides = source.compressed.shape[1:]
        # Channels innermost, as the convolutions read them.
        x = source.heat.new_empty(b, *sides, k + 1, 1 + n_looked, dtype=self.occlusion.weight.dtype)
        x[..., 0, 0] = 0
        x[..., 0, 1:] = source.still.movedim(1, -1)
        x[..., 1:, 0] = (separable_heat(kp_driving, sides) - source.heat).movedim(1, -1)
        x[..., 1:, 1:] = translated(source.compressed, source.keypoints - kp_driving).movedim((1, 2), (-2, -1))
        return x.flatten(-2).movedim(-1, 1)  # (B, (K + 1) * (1 + c), D, h, h)


class FastHourglass(Hourglass):
    """`Hourglass3d`, batch norms folded, small maps read where they are enlarged."""

    def __init__(self, plain: Hourglass3d, make: type[Kernel]) -> None:
        super().__init__()
        wide, narrow = plain.downs[:_N_WIDE], plain.downs[_N_WIDE:]
        self.downs = nn.ModuleList([*use_kernels(wide, make), *use_kernels(narrow)])
        self.ups = use_kernels(plain.ups)
        self.head = use_kernels(nn.Sequential(plain.head), make)


def separable_heat(keypoints: Tensor, sides: Sequence[int]) -> Tensor:
    """Gaussians around keypoints as products of three 1-D ones: (B, K, 3) -> (B, K, D, H, W)."""
    z, y, x = (
        torch.exp(
            -0.5 / VARIANCE * (torch.linspace(-1, 1, n, device=keypoints.device) - keypoints[..., axis, None]) ** 2
        )
        for n, axis in zip(sides, (2, 1, 0), strict=True)
    )  # (B, K, n)
    return torch.einsum("bkz,bky,bkx->bkzyx", z, y, x)


def translated(volume: Tensor, shift: Tensor) -> Tensor:
    """A volume looked up at the identity grid plus a constant.

    Args:
        volume: (1, C, D, H, W). shift: (B, K, 3), x, y, z.
    Returns:
        (B, K, C, D, H, W): `warp` up to rounding, one axis at a time.
    """
    z, y, x = (_interpolation(shift[..., axis], n) for n, axis in zip(volume.shape[2:], (2, 1, 0), strict=True))
    moved = torch.einsum("cdhw,bkxw->bkhcdx", volume[0], x)
    moved = torch.einsum("bkyh,bkhcdx->bkdycx", y, moved)
    return torch.einsum("bkzd,bkdycx->bkczyx", z, moved)


def _interpolation(shift: Tensor, n: int) -> Tensor:
    # Shares of n cells (last axis) in n looked-up places, as `grid_sample` without aligned corners has them.
    place = ((torch.linspace(-1, 1, n, device=shift.device) + shift[..., None] + 1) * n - 1) / 2
    distance = place[..., None] - torch.arange(n, device=shift.device)
    return (1 - distance.abs()).clamp_(min=0)  # (B, K, n, n)


def combine(mask: Tensor, shift: Tensor) -> Tensor:
    """Where each cell looks: the identity grid and its translations, weighted.

    Args:
        mask: (B, K + 1, D, H, W), the first for the identity. shift: (B, K, 3).
    Returns:
        (B, D, H, W, 3).
    """
    grid = identity_grid(mask.shape[2:], mask.device)
    return mask.sum(1)[..., None] * grid + torch.einsum("bkzyx,bkc->bzyxc", mask[:, 1:], shift)
