"""Convolutions with half the products: Winograd's F(4, 3) along rows (Lavin and Gray 2016).

Four neighbours in a row are computed from six of the input by 6 products instead of 12, each itself a convolution over
the other axes. Sums are of another order only: errors are about twice those of the direct convolution in float32. It
pays where multiplying is what takes the time, which is float32 on a CPU.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from talkhead.systems.sadtalker.kernels import MEMORY_FORMATS, Kernel, channels_last

_TILE = 4
# Points 0, 1, -1, 2, -2 and infinity.
_TAPS = ((6, 0, 0), (-4, -4, -4), (-4, 4, -4), (1, 2, 4), (1, -2, 4), (0, 0, 24))  # of 24


class WinogradKernel(Kernel):
    """A `Kernel` of side 3 for float32.

    Args:
        weight: (n_out, n_in, 3, 3) or (n_out, n_in, 3, 3, 3). bias: (n_out,) or None.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(B, n_in, ..., W) -> (B, n_out, ..., W)."""
        windows = self.windows(x)
        if len(windows) == 1 or x.shape[-1] % _TILE:
            return self.convolve(x, self.padding[0])
        out = torch.empty((len(x), self.n_out, *x.shape[2:]), dtype=x.dtype, memory_format=MEMORY_FORMATS[x.ndim])
        for band, read, padding, kept in windows:
            parts = self._parts(_inner_columns(x[:, :, read]), padding, 1)
            _join([part[:, :, kept] for part in parts], out[:, :, band])
        return out

    def _keep(self, weight: Tensor) -> None:
        _keep_products(self, "weight", weight)

    def convolve(self, x: Tensor, first_padding: int, first_stride: int = 1) -> Tensor:
        """As `forward`, with another padding and stride of the first axis after channels."""
        width = x.shape[-1]
        if width % _TILE:
            x = channels_last(F.pad(x, (0, -width % _TILE)))
        return _joined(self._parts(_inner_columns(x), first_padding, first_stride))[..., :width]

    @staticmethod
    def columns_of_thirds(factor: int) -> int:
        """How many columns per cell `convolve_thirds` reads."""
        return 3 if factor == _TILE else factor

    def convolve_thirds(self, x: Tensor, factor: int) -> Tensor:
        """Of what `ThirdsMap` makes of a map at `factor` times: every third row, from the top."""
        if factor != _TILE:
            return self.convolve(x, 0, 3)
        return _joined(self._parts([x[..., k::3] for k in (0, 1, 1, 2)], 0, 3))

    def _parts(self, inner: list[Tensor], first_padding: int, first_stride: int) -> list[Tensor]:
        # Columns 0 .. 5 of a tile start one before its outputs; 0 and 5 are those of the tiles beside it.
        columns = [inner[3][..., :-1], *inner, inner[0][..., 1:]]
        ones = [1] * (inner[0].ndim - 4)
        stride, padding = (first_stride, *ones, 1), (first_padding, *ones, 0)
        return _products(self, "weight", columns, stride, padding, self.bias)


class WideWinogradKernel(Kernel):
    """A `Kernel` of side 7 for float32: rows of taps are 3 + 3 + 1, so 16 products instead of 28.

    Args:
        weight: (n_out, n_in, [7,] 7, 7). bias: (n_out,) or None.
    """

    def convolve(self, x: Tensor, first_padding: int, first_stride: int = 1) -> Tensor:
        """As `forward`, with another padding and stride of the first axis after channels."""
        width = x.shape[-1]
        n_tiles = -(-width // _TILE)
        x = channels_last(F.pad(x, (3, 3 - width % -_TILE)))
        columns = [x[..., k::_TILE][..., :n_tiles] for k in range(10)]
        stride = (first_stride, *[1] * (x.ndim - 3))
        padding = (first_padding, *self.padding[1:-1], 0)
        left = _products(self, "left", columns[:6], stride, padding, self.bias)
        right = _products(self, "middle", columns[3:9], stride, padding, None)
        y = _joined([a.add_(b) for a, b in zip(left, right, strict=True)])
        convolve = F.conv2d if x.ndim == 4 else F.conv3d
        for k in range(_TILE):
            y[..., k::_TILE] += convolve(columns[6 + k], self.get_buffer("right"), None, stride, padding)
        return y[..., :width]

    def _keep(self, weight: Tensor) -> None:
        _keep_products(self, "left", weight[..., :3])
        _keep_products(self, "middle", weight[..., 3:6])
        self.register_buffer("right", channels_last(weight[..., 6:]))


def _keep_products(module: nn.Module, name: str, weight: Tensor) -> None:
    """Weights of the six products of (n_out, n_in, ..., 3), each (n_out, n_in, ..., 1)."""
    taps = torch.tensor(_TAPS, dtype=torch.float64, device=weight.device) / 24
    for k, part in enumerate(torch.einsum("jk,...k->j...", taps, weight.double())[..., None].float()):
        module.register_buffer(f"{name}_{k}", channels_last(part))


def _products(
    module: nn.Module,
    name: str,
    columns: list[Tensor],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    bias: Tensor | None,
) -> list[Tensor]:
    """The six products of each tile.

    Args:
        columns: six of (B, n_in, ..., n_tiles), each column of all tiles; the first may lack its first tile, the last
            its last one, where the column is zero.
    Returns:
        Six of (B, n_out, ..., n_tiles).
    """
    x0, x1, x2, x3, x4, x5 = columns
    convolve = F.conv2d if x1.ndim == 4 else F.conv3d
    parts: list[Tensor] = []

    def multiply(values: Tensor) -> None:
        k = len(parts)
        # The second product counts once in each of the four neighbours: there goes the bias.
        parts.append(convolve(values, module.get_buffer(f"{name}_{k}"), bias if k == 1 else None, stride, padding))

    v = torch.sub(x4, x2, alpha=5)
    v[..., x4.shape[-1] - x0.shape[-1] :].add_(x0, alpha=4)
    multiply(v)
    even, odd = torch.sub(x4, x2, alpha=4), torch.sub(x3, x1, alpha=4)
    multiply(even + odd)
    multiply(even.sub_(odd))
    even, odd = torch.sub(x4, x2, out=even), torch.sub(x3, x1, out=odd)
    multiply(even.add(odd, alpha=2))
    multiply(even.sub_(odd, alpha=2))
    v = torch.mul(x1, 4, out=v).sub_(x3, alpha=5)
    v[..., : x5.shape[-1]].add_(x5)
    multiply(v)
    return parts


def _inner_columns(x: Tensor) -> list[Tensor]:
    return [x[..., k::_TILE] for k in range(_TILE)]


def _joined(parts: list[Tensor]) -> Tensor:
    """The outputs of all tiles, (B, n_out, ..., 4 n_tiles), of their six products, which are used up."""
    *sides, n_tiles = parts[0].shape
    y = torch.empty((*sides, _TILE * n_tiles), dtype=parts[0].dtype, memory_format=MEMORY_FORMATS[parts[0].ndim])
    return _join(parts, y)


def _join(parts: list[Tensor], y: Tensor) -> Tensor:
    m0, m1, m2, m3, m4, m5 = parts
    near, near_odd, far, far_odd = m1 + m2, m1.sub_(m2), m3 + m4, m3.sub_(m4)
    torch.add(m0, near, out=y[..., 0::_TILE]).add_(far)
    torch.add(near_odd, far_odd, alpha=2, out=y[..., 1::_TILE])
    torch.add(near, far, alpha=4, out=y[..., 2::_TILE])
    torch.add(near_odd, far_odd, alpha=8, out=y[..., 3::_TILE]).add_(m5)
    return y
