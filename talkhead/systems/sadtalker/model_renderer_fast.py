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

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from talkhead.systems.sadtalker.kernels import EnlargedKernel, Kernel, channels_last, use_kernels
from talkhead.systems.sadtalker.model_blocks import check_sides, halve, upsample
from talkhead.systems.sadtalker.model_renderer import (
    EPS,
    SLOPE,
    VARIANCE,
    Decoder,
    DenseMotion,
    Hourglass3d,
    Renderer,
    SpadeBlock,
    Trace,
    cut,
    identity_grid,
    warp,
)


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
    """

    def __init__(self, plain: Renderer, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype
        self.multiple = plain.multiple
        self.compress = use_kernels(nn.Sequential(plain.motion.compress))
        self.encoder = use_kernels(plain.encoder)
        self.motion = FastMotion(plain.motion).to(dtype)
        self.flatten = use_kernels(nn.Sequential(plain.flatten, plain.mix)).to(dtype)
        self.decoder = FastDecoder(plain.decoder).to(dtype)

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
            still=warp(compressed, identity_grid(*volume.shape[2:], device=volume.device)[None]),
            keypoints=kp_source,
            heat=separable_heat(kp_source, volume.shape[2:]),
        )

    @torch.inference_mode()
    def draw(self, source: EncodedSource, kp_driving: Tensor) -> Tensor:
        """Pictures of a source: (B, K, 3) -> (B, 3, S, S) in [0, 1], float32."""
        return self.trace(source, kp_driving).prediction

    @torch.inference_mode()
    def trace(self, source: EncodedSource, kp_driving: Tensor) -> Trace:
        """As `draw`, with what was computed on the way."""
        mask, deformation, occlusion = self.motion(source, kp_driving.float())
        volume = source.volume.expand(len(kp_driving), -1, -1, -1, -1)
        flat = channels_last(warp(volume, deformation).flatten(1, 2).to(self.dtype))  # (B, C * D, h, h)
        condition = self.flatten(flat) * occlusion.to(self.dtype)
        return Trace(
            prediction=self.decoder(condition),
            volume=source.volume,
            mask=mask,
            deformation=deformation,
            occlusion=occlusion,
            condition=condition,
        )


def fold(plain: Renderer, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32) -> FastRenderer:
    """A renderer for use of a trained one, which is used up."""
    with torch.no_grad():
        return FastRenderer(plain.eval(), dtype).requires_grad_(False).eval().to(device)


class FastMotion(nn.Module):
    """`DenseMotion` of an encoded source."""

    def __init__(self, plain: DenseMotion) -> None:
        super().__init__()
        self.hourglass = FastHourglass(plain.hourglass)
        self.mask = Kernel.of(plain.mask)
        # The published layout puts depth into channels; here depth is an axis that the kernel covers at once.
        self.occlusion = Kernel(plain.occlusion.weight.unflatten(1, (-1, plain.depth)), plain.occlusion.bias)
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

    def __init__(self, plain: Hourglass3d) -> None:
        super().__init__()
        self.downs, self.ups = use_kernels(plain.downs), use_kernels(plain.ups)
        self.head = use_kernels(nn.Sequential(plain.head))

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

    def __init__(self, plain: Decoder) -> None:
        super().__init__()
        self.stem = Kernel.of(plain.stem)
        self.middle = nn.ModuleList(FastSpadeBlock(block) for block in plain.middle)
        self.ups = nn.ModuleList(FastSpadeBlock(block, 2 ** (k + 1)) for k, block in enumerate(plain.ups))
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

    def __init__(self, plain: SpadeBlock, factor: int = 1) -> None:
        super().__init__()
        norms = [plain.norm_0, plain.norm_1, *([plain.norm_s] if plain.has_shortcut else [])]
        self.n_hidden = plain.norm_0.shared.out_channels
        self.factor = factor
        weight, bias = joined([norm.shared for norm in norms])
        self.shared: nn.Module = Kernel(weight, bias) if factor == 1 else EnlargedKernel(weight, bias, factor)
        self.affine_0, self.affine_1 = (_affine(norm.gamma, norm.beta) for norm in norms[:2])
        self.conv_0 = Kernel(plain.conv_0.weight, plain.conv_0.bias)
        self.conv_1 = Kernel(plain.conv_1.weight, plain.conv_1.bias)
        self.has_shortcut = plain.has_shortcut
        if plain.has_shortcut:
            mix = plain.conv_s.weight  # (n_out, n_in, 1, 1)
            self.conv_s = Kernel(mix, None)
            beta = nn.utils.skip_init(nn.Conv2d, self.n_hidden, len(mix), 3)
            beta.weight = nn.Parameter(torch.einsum("oi,ihyx->ohyx", mix[..., 0, 0], plain.norm_s.beta.weight))
            beta.bias = nn.Parameter(mix[..., 0, 0] @ plain.norm_s.beta.bias)
            self.affine_s = _affine(plain.norm_s.gamma, beta)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """(B, n_in, H, W) -> (B, n_out, H, W), or twice the sides."""
        hidden = F.relu_(self.shared(condition)).split(self.n_hidden, 1)
        normed = instance_norm(x)
        if self.factor > 1:
            normed = upsample(normed)
        y = self.conv_0(_modulated(normed, self.affine_0(hidden[0])))
        y = self.conv_1(_modulated(instance_norm(y), self.affine_1(hidden[1])))
        if not self.has_shortcut:
            return y.add_(x)
        gamma, beta = self.affine_s(hidden[2]).tensor_split((normed.shape[1],), 1)
        return y.add_(self.conv_s(gamma * normed)).add_(beta)


def _affine(gamma: nn.Conv2d, beta: nn.Conv2d) -> Kernel:
    weight, bias = joined([gamma, beta])
    bias[: gamma.out_channels] += 1
    return Kernel(weight, bias)


def joined(convs: list[nn.Conv2d]) -> tuple[Tensor, Tensor]:
    """Weight and bias of convolutions of one input, their outputs behind each other."""
    return torch.cat([conv.weight for conv in convs]), torch.cat([conv.bias for conv in convs])


def _modulated(normed: Tensor, affine: Tensor) -> Tensor:
    gamma, beta = affine.chunk(2, 1)
    return F.leaky_relu_(torch.addcmul(beta, normed, gamma), SLOPE)


def instance_norm(x: Tensor) -> Tensor:
    """Each channel of each picture with mean 0 and variance 1; (B, C, H, W), statistics in float32.

    A batch norm of one picture is an instance norm, and reads a picture whose channels are innermost as it lies.
    """
    return torch.cat([F.batch_norm(one, None, None, training=True, eps=EPS) for one in x.split(1)])


def separable_heat(keypoints: Tensor, sides: torch.Size) -> Tensor:
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
    grid = identity_grid(*mask.shape[2:], device=mask.device)
    return mask.sum(1)[..., None] * grid + torch.einsum("bkzyx,bkc->bzyxc", mask[:, 1:], shift)
