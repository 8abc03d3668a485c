"""Convolutions of trained networks in the shape in which they run fastest, equal up to rounding.

A 3-wide convolution of a map enlarged r times by repeating its cells is a transposed convolution of the small map, with
stride r and a kernel r + 2 wide: taps that fall into the same cell are summed. For r = 2 it takes 4 products instead of
9 per output.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from talkhead.systems.sadtalker.fold import fold_conv_bn
from talkhead.systems.sadtalker.model_blocks import ConvUnit, UpUnit, upsample

if TYPE_CHECKING:
    from typing_extensions import Self

Module = TypeVar("Module", bound=nn.Module)

MEMORY_FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}  # by number of axes
_BAND = 1 << 22  # values read and written for one band
# Wider layers sit on maps of a few cells, where reading the larger transposed weights costs more than it saves.
_WIDEST_PHASED = 512


class Kernel(nn.Module):
    """A convolution with constant weights, same size, 2-D or 3-D, channels last in memory.

    Args:
        weight: (n_out, n_in, ...), sides odd but for `convolve`. bias: (n_out,) or None.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.n_out = len(weight)
        self.padding = tuple(n // 2 for n in weight.shape[2:])
        self._keep(weight.detach())
        self.register_buffer("bias", None if bias is None else bias.detach().clone())

    weight: Tensor
    bias: Tensor | None

    @classmethod
    def of(cls, conv: nn.Conv2d | nn.Conv3d) -> Self:
        """The same as a convolution."""
        return cls(conv.weight, conv.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, n_in, ...) -> (B, n_out, ...)."""
        return self.convolve(x, self.padding[0])

    def bands(self, x: Tensor, use: Callable[[slice, Tensor], None], multiple: int = 1) -> None:
        """Call `use(rows, values)` with the output in pieces along its first axis after channels, in order.

        On a CPU they are small enough to be used while they are in the cache; elsewhere there is one. A function and no
        iterator, so that `torch.compile` can look through it.

        Args:
            multiple: of which the numbers of rows are.
        """
        for band, read, padding, kept in self.windows(x, multiple):
            use(band, self.convolve(x[:, :, read], padding)[:, :, kept])

    def windows(self, x: Tensor, multiple: int = 1) -> list[tuple[slice, slice, int, slice]]:
        """Bands of rows of the output, the rows of `x` they need, how to pad those, and what of the result they are.

        At a border both sides are padded, and what is too many on the inner one is not kept.
        """
        n, reach = x.shape[2], self.padding[0]
        found = []
        for band in bands_of(n, x[:, :1].numel() * (x.shape[1] + self.n_out), x.device, multiple):
            low, high = max(band.start - reach, 0), min(band.stop + reach, n)
            is_inner = high - low == band.stop - band.start + 2 * reach
            kept = slice(None) if is_inner else slice(band.start - low, band.stop - low)
            found.append((band, slice(low, high), 0 if is_inner else reach, kept))
        return found

    def convolve(self, x: Tensor, first_padding: int, first_stride: int = 1) -> Tensor:
        """As `forward`, with another padding and stride of the first axis after channels."""
        convolve = F.conv2d if x.ndim == 4 else F.conv3d
        ones = [1] * (x.ndim - 3)
        padding = (first_padding, *self.padding[1:])
        return convolve(x, self.weight, self.bias, stride=(first_stride, *ones), padding=padding)

    @staticmethod
    def columns_of_thirds(factor: int) -> int:
        """How many columns per cell `convolve_thirds` reads."""
        return factor

    def convolve_thirds(self, x: Tensor, factor: int) -> Tensor:
        """Of what `ThirdsMap` makes of a map at `factor` times: every third row, from the top."""
        return self.convolve(x, 0, 3)

    def _keep(self, weight: Tensor) -> None:
        self.register_buffer("weight", channels_last(weight))


class EnlargedKernel(nn.Module):
    """A convolution of side 3 of the map at `factor` times its height and width, from the map as it is.

    Args:
        weight: (n_out, n_in, 3, 3) or (n_out, n_in, 3, 3, 3). bias: (n_out,) or None.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, factor: int = 2) -> None:
        super().__init__()
        self.register_buffer("weight", transposed(weight.detach(), factor))
        self.register_buffer("bias", None if bias is None else bias.detach().clone())
        self.stride = (1, factor, factor)[5 - weight.ndim :]

    weight: Tensor
    bias: Tensor | None

    def forward(self, x: Tensor) -> Tensor:
        """(B, n_in, ..., H, W) -> (B, n_out, ..., factor * H, factor * W)."""
        convolve = F.conv_transpose2d if x.ndim == 4 else F.conv_transpose3d
        return convolve(x, self.weight, self.bias, stride=self.stride, padding=1)


class KernelUnit(nn.Module):
    """A `ConvUnit` or `UpUnit` whose batch norm is folded into its convolution."""

    def __init__(self, unit: ConvUnit, make: type[Kernel]) -> None:
        super().__init__()
        conv = fold_conv_bn(unit.conv, unit.norm)
        self.slope = unit.slope
        self.is_enlarged_first = False
        if not isinstance(unit, UpUnit):
            self.kernel: nn.Module = _kernel(conv, make)
        elif conv.in_channels <= _WIDEST_PHASED:
            self.kernel = EnlargedKernel(conv.weight, conv.bias)
        else:
            self.kernel, self.is_enlarged_first = Kernel.of(conv), True

    def forward(self, x: Tensor) -> Tensor:
        """As the unit."""
        x = self.kernel(upsample(x) if self.is_enlarged_first else x)
        return F.leaky_relu_(x, self.slope) if self.slope else F.relu_(x)


def transposed(weight: Tensor, factor: int) -> Tensor:
    """Weights of the transposed convolution that `EnlargedKernel` is.

    Cell i and tap k of the enlarged map meet in outputs i * factor + (0 .. factor - 1) + 1 - k, so each tap is spread
    over `factor` neighbouring places of the transposed kernel, mirrored.

    Args:
        weight: (n_out, n_in, 3, 3) or (n_out, n_in, 3, 3, 3); the depth of the latter is mirrored only.
    Returns:
        (n_in, n_out, factor + 2, factor + 2) or (n_in, n_out, 3, factor + 2, factor + 2).
    """
    mirrored = weight.transpose(0, 1).flip(tuple(range(2, weight.ndim)))
    n = factor + 2
    spread = weight.new_zeros(*mirrored.shape[:-2], n, n)
    for y in range(factor):
        for x in range(factor):
            spread[..., y : y + 3, x : x + 3] += mirrored
    return spread


def channels_last(x: Tensor) -> Tensor:
    """The same values, channels innermost in memory."""
    return x.contiguous(memory_format=MEMORY_FORMATS[x.ndim])


def bands_of(n: int, n_values: int, device: torch.device, multiple: int = 1) -> list[slice]:
    """`n` rows in pieces for the cache of a CPU, each a multiple of rows; all in one elsewhere.

    Args:
        n_values: read and written for all rows.
    """
    n_bands = -(-n_values // _BAND) if device.type == "cpu" else 1
    step = -(-n // (n_bands * multiple)) * multiple
    return [slice(start, min(start + step, n)) for start in range(0, n, step)]


def use_kernels(module: Module, make: type[Kernel] = Kernel) -> Module:
    """Replace, in place, every `ConvUnit` and every other convolution below `module`; the result only infers.

    Args:
        module: a network. make: what computes convolutions of side 3.
    """
    for name, child in module.named_children():
        if isinstance(child, ConvUnit):
            setattr(module, name, KernelUnit(child, make))
        elif isinstance(child, (nn.Conv2d, nn.Conv3d)):
            setattr(module, name, _kernel(child, make))
        else:
            use_kernels(child, make)
    return module


def _kernel(conv: nn.Conv2d | nn.Conv3d, make: type[Kernel]) -> Kernel:
    return make.of(conv) if set(conv.kernel_size) == {3} else Kernel.of(conv)
