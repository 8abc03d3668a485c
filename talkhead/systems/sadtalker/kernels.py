"""Convolutions of trained networks in the shape in which they run fastest, equal up to rounding.

A 3-wide convolution of a map enlarged r times by repeating its cells is a transposed convolution of the small map, with
stride r and a kernel r + 2 wide: taps that fall into the same cell are summed. For r = 2 it takes 4 products instead of
9 per output.
"""

from __future__ import annotations

from collections.abc import Iterator
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
        weight: (n_out, n_in, ...), odd sides. bias: (n_out,) or None.
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
        return self._convolve(x, self.padding[0])

    def bands(self, x: Tensor, multiple: int = 1) -> Iterator[tuple[slice, Tensor]]:
        """The output in pieces along its first axis after channels, from first to last, each a multiple of rows.

        On a CPU they are small enough to be used while they are in the cache; elsewhere there is one.
        """
        n, reach = x.shape[2], self.padding[0]
        n_values = x[:, 0].numel() * (x.shape[1] + self.n_out)
        n_bands = -(-n_values // _BAND) if x.device.type == "cpu" else 1
        step = -(-n // (n_bands * multiple)) * multiple
        for start in range(0, n, step):
            stop = min(start + step, n)
            low, high = max(start - reach, 0), min(stop + reach, n)
            if high - low == stop - start + 2 * reach:
                yield slice(start, stop), self._convolve(x[:, :, low:high], 0)
            else:  # at a border: padded on both sides, and what is too many on the inner one is cut off
                yield slice(start, stop), self._convolve(x[:, :, low:high], reach)[:, :, start - low : stop - low]

    def _keep(self, weight: Tensor) -> None:
        self.register_buffer("weight", channels_last(weight))

    def _convolve(self, x: Tensor, first_padding: int) -> Tensor:
        convolve = F.conv2d if x.ndim == 4 else F.conv3d
        return convolve(x, self.weight, self.bias, padding=(first_padding, *self.padding[1:]))


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
