"""SadTalker's SPADE decoder for use, folded; pictures differ from the trained one's by rounding only.

Where the arithmetic is saved:

- spectral norms and the 1 of SPADE's 1 + gamma are part of the weights;
- gamma and beta are one convolution, made and used band by band while they are in the cache;
- the condition is never enlarged: convolutions of enlarged maps read the small one (`kernels`, `thirds`);
- a block normalises its input once, before it is enlarged;
- beta of a shortcut passes through the shortcut's own 1 x 1 weights beforehand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from talkhead.systems.sadtalker.kernels import EnlargedKernel, Kernel
from talkhead.systems.sadtalker.model_renderer import EPS, SLOPE, Decoder, Spade, SpadeBlock
from talkhead.systems.sadtalker.thirds import ThirdsKernel, ThirdsMap


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
        plain: the block. make: what convolves. factor: side of its map over that of the condition; from 2 on the block
            doubles its input.
    """

    def __init__(self, plain: SpadeBlock, make: type[Kernel], factor: int = 1) -> None:
        super().__init__()
        self.repeats = min(factor, 2)
        self.norm_0, self.norm_1 = (FastSpade(norm, make, factor) for norm in (plain.norm_0, plain.norm_1))
        self.conv_0 = make(plain.conv_0.weight, plain.conv_0.bias)
        self.conv_1 = make(plain.conv_1.weight, plain.conv_1.bias)
        self.has_shortcut = plain.has_shortcut
        if plain.has_shortcut:
            mix = plain.conv_s.weight  # (n_out, n_in, 1, 1)
            self.conv_s = Kernel(mix, None)
            self.norm_s = FastSpade(plain.norm_s, make, factor, mix[..., 0, 0])

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """(B, n_in, H, W) -> (B, n_out, H, W), or twice the sides."""
        normed = instance_norm(x)
        y = self.conv_0(_modulated(normed, self.norm_0, condition, self.repeats))
        y = self.conv_1(_modulated(instance_norm(y), self.norm_1, condition))
        if not self.has_shortcut:
            return y.add_(x)

        def add(rows: slice, gamma: Tensor, beta: Tensor) -> None:
            scaled = _beside(gamma, self.repeats) * _spread(normed, rows, self.repeats)
            y[:, :, rows] += self.conv_s(scaled.flatten(3)).add_(beta)

        self.norm_s.pieces(condition, add, self.repeats)
        return y


class FastSpade(nn.Module):
    """The scale and offset of a `Spade`, without the norm.

    Args:
        plain: the norm. make: what convolves. factor: side of its map over that of the condition. mix: the 1 x 1
            convolution that comes next, (n_out, n_in), for beta to pass through it beforehand.
    """

    def __init__(self, plain: Spade, make: type[Kernel], factor: int, mix: Tensor | None = None) -> None:
        super().__init__()
        self.n_channels = plain.gamma.out_channels
        gamma, shift = plain.gamma.weight, 1 + _bias(plain.gamma)
        beta, offset = plain.beta.weight, _bias(plain.beta)
        if mix is not None:
            beta, offset = torch.einsum("oi,ihyx->ohyx", mix, beta), mix @ offset
        weight, bias = torch.cat((gamma, beta)), torch.cat((shift, offset))
        shared = plain.shared.weight, _bias(plain.shared)
        if factor > 2:
            thirds = ThirdsKernel(weight, bias, factor, make)
            self.shared: nn.Module = ThirdsMap(*shared, factor, thirds.n_columns)
            self.affine: Kernel | ThirdsKernel = thirds
        else:
            self.shared = nn.Sequential(
                EnlargedKernel(*shared) if factor == 2 else make(*shared), nn.ReLU(inplace=True)
            )
            self.affine = make(weight, bias)

    def pieces(self, condition: Tensor, use: Callable[[slice, Tensor, Tensor], None], repeats: int) -> None:
        """Call `use(rows, gamma, beta)` until all rows of the map are used.

        Args:
            repeats: the rows are equally far apart, by a multiple of this.
        """
        hidden = self.shared(condition)

        def split(rows: slice, both: Tensor) -> None:
            use(rows, both[:, : self.n_channels], both[:, self.n_channels :])

        def split_rows(band: slice, both: Tensor) -> None:
            for k in range(repeats):
                split(slice(band.start + k, band.stop, repeats), both[:, :, k::repeats])

        if isinstance(self.affine, ThirdsKernel):
            self.affine.bands(hidden, split)
        else:
            self.affine.bands(hidden, split_rows, repeats)


def _bias(conv: nn.Conv2d) -> Tensor:
    assert conv.bias is not None
    return conv.bias


def _modulated(normed: Tensor, norm: FastSpade, condition: Tensor, repeats: int = 1) -> Tensor:
    # Scaled, moved and rectified; each cell of `normed` counts for repeats x repeats of the result.
    b, c, h, w = normed.shape
    out = torch.empty(
        (b, c, repeats * h, repeats * w),
        dtype=normed.dtype, device=normed.device, memory_format=torch.channels_last,
    )  # fmt: skip

    def put(rows: slice, gamma: Tensor, beta: Tensor) -> None:
        scaled = torch.addcmul(_beside(beta, repeats), _spread(normed, rows, repeats), _beside(gamma, repeats))
        out[:, :, rows] = F.leaky_relu_(scaled, SLOPE).flatten(3)

    norm.pieces(condition, put, repeats)
    return out


def _beside(x: Tensor, n: int) -> Tensor:
    # (B, C, H, n * W) -> (B, C, H, W, n), the same memory.
    b, c, h, w = x.shape
    return x.view(b, c, h, w // n, n)


def _spread(x: Tensor, rows: slice, n: int) -> Tensor:
    # The cells of an enlarged map's rows, to be spread over the last axis of `_beside` of them.
    return x[:, :, rows.start // n : -(-rows.stop // n) : max(rows.step // n, 1), :, None]


def instance_norm(x: Tensor) -> Tensor:
    """Each channel of each picture with mean 0 and variance 1; (B, C, H, W), statistics in float32.

    A batch norm of one picture is an instance norm, and reads a picture whose channels are innermost as it lies.
    """
    normed = [F.batch_norm(one, None, None, training=True, eps=EPS) for one in x[:, None]]
    return normed[0] if len(normed) == 1 else torch.cat(normed)
