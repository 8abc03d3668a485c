"""SadTalker's face renderer for use: what depends on the source alone is computed once, constants are folded.

Made of a trained `Renderer` by `fold`; the pictures differ by rounding only. Where the arithmetic is saved:

- the feature volume, its compressed form, the source's heat maps and the motion that stays are kept (`EncodedSource`);
- spectral norms, batch norms and the 1 of SPADE's 1 + gamma are part of the weights;
- convolutions of maps enlarged by repetition read the small map (`kernels`);
- gamma and beta, and the first convolutions of a block's norms, are one convolution each; a block normalises its input
  once, before it is enlarged; beta of a shortcut is convolved by the shortcut's own 1 x 1 weights beforehand;
- keypoint motions only translate, and Gaussians are separable: both are products of three 1-D functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from talkhead.systems.sadtalker.kernels import EnlargedKernel, Kernel, channels_last, use_kernels
from talkhead.systems.sadtalker.model_blocks import check_sides, halve
from talkhead.systems.sadtalker.model_renderer import (
    EPS,
    SLOPE,
    VARIANCE,
    Decoder,
    DenseMotion,
    Hourglass3d,
    Renderer,
    Spade,
    SpadeBlock,
    Trace,
    cut,
    identity_grid,
    warp,
)
from talkhead.systems.sadtalker.winograd import WinogradKernel

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
        self.mask = Kernel.of(plain.mask)
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
        x = source.heat.new_empty(b, *sides, k + 1, 1 + n_looked, dtype=self.mask.weight.dtype)  # channels innermost
        x[..., 0, 0] = 0
        x[..., 0, 1:] = source.still.movedim(1, -1)
        x[..., 1:, 0] = (separable_heat(kp_driving, sides) - source.heat).movedim(1, -1)
        x[..., 1:, 1:] = translated(source.compressed, source.keypoints - kp_driving).movedim((1, 2), (-2, -1))
        return x.flatten(-2).movedim(-1, 1)  # (B, (K + 1) * (1 + c), D, h, h)


class FastHourglass(nn.Module):
    """`Hourglass3d` whose concatenations are written in place."""

    def __init__(self, plain: Hourglass3d, make: type[Kernel]) -> None:
        super().__init__()
        wide, narrow = plain.downs[:_N_WIDE], plain.downs[_N_WIDE:]
        self.downs = nn.ModuleList([*use_kernels(wide, make), *use_kernels(narrow)])
        self.ups = use_kernels(plain.ups)
        self.head = use_kernels(nn.Sequential(plain.head), make)

    def forward(self, x: Tensor) -> Tensor:
        """(B, n_in, D, h, h) -> (B, n_out, D, h, h)."""
        skips = [x]
        for down in self.downs:
            skips.append(halve(down(skips[-1])))
        x = skips.pop()
        for up in self.ups:
            x = torch.cat((up(x), skips.pop()), 1)
        return self.head(x)


class FastDecoder(nn.Module):
    """`Decoder` with folded weights."""

    def __init__(self, plain: Decoder, make: type[Kernel]) -> None:
        super().__init__()
        self.stem = make.of(plain.stem)
        self.middle = nn.ModuleList(FastSpadeBlock(cast(SpadeBlock, block), make) for block in plain.middle)
        self.ups = nn.ModuleList(
            FastSpadeBlock(cast(SpadeBlock, block), make, 2 ** (k + 1)) for k, block in enumerate(plain.ups)
        )
        self.to_rgb = Kernel.of(plain.to_rgb)

    def forward(self, condition: Tensor) -> Tensor:
        """(B, C, h, h) -> (B, 3, S, S) in [0, 1], float32."""
        x = self.stem(condition)
        for block in (*self.middle, *self.ups):
            x = block(x, condition)
        return self.to_rgb(F.leaky_relu_(x, SLOPE)).float().sigmoid()


class FastSpadeBlock(nn.Module):
    """`SpadeBlock` with folded weights.

    Args:
        plain: the block. factor: side of its map over that of the condition; from 2 on the block doubles its input.
    """

    def __init__(self, plain: SpadeBlock, make: type[Kernel], factor: int = 1) -> None:
        super().__init__()
        norms = [plain.norm_0, plain.norm_1, *([plain.norm_s] if plain.has_shortcut else [])]
        self.n_norms = len(norms)
        self.factor = factor
        weight = torch.cat([norm.shared.weight for norm in norms])
        bias = torch.cat([_bias(norm.shared) for norm in norms])
        self.shared: nn.Module = make(weight, bias) if factor == 1 else EnlargedKernel(weight, bias, factor)
        self.affine_0, self.affine_1 = (_affine(make, norm) for norm in norms[:2])
        self.conv_0 = make(plain.conv_0.weight, plain.conv_0.bias)
        self.conv_1 = make(plain.conv_1.weight, plain.conv_1.bias)
        self.has_shortcut = plain.has_shortcut
        if plain.has_shortcut:
            mix = plain.conv_s.weight  # (n_out, n_in, 1, 1)
            self.conv_s = Kernel(mix, None)
            self.affine_s = _affine(make, plain.norm_s, mix[..., 0, 0])

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """(B, n_in, H, W) -> (B, n_out, H, W), or twice the sides."""
        hidden = F.relu_(self.shared(condition)).chunk(self.n_norms, 1)
        repeats = min(self.factor, 2)
        normed = instance_norm(x)
        y = self.conv_0(_modulated(normed, self.affine_0, hidden[0], repeats))
        y = self.conv_1(_modulated(instance_norm(y), self.affine_1, hidden[1]))
        if not self.has_shortcut:
            return y.add_(x)
        for rows, affine in self.affine_s.bands(hidden[2], repeats):
            gamma, beta = affine.tensor_split((normed.shape[1],), 1)
            _cells(gamma, repeats).mul_(_rows(normed, rows, repeats))
            y[:, :, rows] += self.conv_s(gamma).add_(beta)
        return y


def _bias(conv: nn.Conv2d) -> Tensor:
    assert conv.bias is not None
    return conv.bias


def _affine(make: type[Kernel], norm: Spade, mix: Tensor | None = None) -> Kernel:
    # 1 + gamma and beta as one convolution; `mix` is what comes after, and is already applied to beta.
    weight, bias = norm.beta.weight, _bias(norm.beta)
    if mix is not None:
        weight, bias = torch.einsum("oi,ihyx->ohyx", mix, weight), mix @ bias
    return make(torch.cat((norm.gamma.weight, weight)), torch.cat((1 + _bias(norm.gamma), bias)))


def _modulated(normed: Tensor, affine: Kernel, hidden: Tensor, repeats: int = 1) -> Tensor:
    # Scaled, moved and rectified; each cell of `normed` counts for repeats x repeats of the result.
    out = torch.empty(
        (*normed.shape[:2], *hidden.shape[2:]),
        dtype=normed.dtype, device=normed.device, memory_format=torch.channels_last,
    )  # fmt: skip
    for rows, band in affine.bands(hidden, repeats):
        gamma, beta = (_cells(part, repeats) for part in band.chunk(2, 1))
        piece = out[:, :, rows]
        torch.addcmul(beta, _rows(normed, rows, repeats), gamma, out=_cells(piece, repeats))
        F.leaky_relu_(piece, SLOPE)
    return out


def _cells(x: Tensor, n: int) -> Tensor:
    # (B, C, n * H, n * W) -> (B, C, H, n, W, n), the same memory.
    b, c, h, w = x.shape
    return x.view(b, c, h // n, n, w // n, n)


def _rows(x: Tensor, rows: slice, n: int) -> Tensor:
    # The cells of an enlarged map's rows, to be spread over `_cells` of it.
    return x[:, :, rows.start // n : rows.stop // n, None, :, None]


def instance_norm(x: Tensor) -> Tensor:
    """Each channel of each picture with mean 0 and variance 1; (B, C, H, W), statistics in float32.

    A batch norm of one picture is an instance norm, and reads a picture whose channels are innermost as it lies.
    """
    normed = [F.batch_norm(one, None, None, training=True, eps=EPS) for one in x[:, None]]
    return normed[0] if len(normed) == 1 else torch.cat(normed)


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
