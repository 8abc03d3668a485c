"""Two convolutions in a row on a map enlarged 3 times or more by repeating its cells, without making the map.

The first sees, within a cell, the same numbers on all inner rows and on all inner columns, and so does the second. So
three rows of each cell are made, the first, one inner and the last, and the taps that read equal rows are summed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from talkhead.systems.sadtalker.kernels import Kernel, bands_of, channels_last


class ThirdsMap(nn.Module):
    """A convolution of side 3 and a rectifier, of the map at `factor` times; what is equal is computed once.

    Whatever the factor, from 3 on, a cell's first row sees the row of cells above and its own, the last its own and the
    one below, all others its own alone; so do columns. Nine combinations of taps say everything.

    Args:
        weight: (n_out, n_in, 3, 3). bias: (n_out,). factor: 3 or more. n_columns: per cell of the result, 3 or
            `factor`.
    """

    def __init__(self, weight: Tensor, bias: Tensor, factor: int, n_columns: int) -> None:
        super().__init__()
        self.n_out, self.factor, self.n_columns = len(weight), factor, n_columns
        self.register_buffer("bias", bias.detach().clone())
        above, below = _pair(weight.detach(), 2), _pair(weight.detach().flip(2), 2).flip(2)
        own = weight.detach().sum(2, keepdim=True)
        # Those that see two cells along an axis share a convolution, read one place earlier or later.
        corners = [half for rows in (above, below) for half in (_pair(rows, 3), _pair(rows.flip(3), 3).flip(3))]
        self.register_buffer("corners", channels_last(torch.cat(corners)))  # (4 n_out, n_in, 2, 2)
        self.register_buffer("edges", channels_last(torch.cat((above, below)).sum(3, keepdim=True)))
        self.register_buffer("sides", channels_last(torch.cat((_pair(own, 3), _pair(own.flip(3), 3).flip(3)))))
        self.register_buffer("middle", channels_last(own.sum(3, keepdim=True)))

    bias: Tensor
    corners: Tensor
    edges: Tensor
    sides: Tensor
    middle: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """(B, n_in, H, W) -> (B, n_out, 3 H + 2, n_columns * W), the first and last row zero."""
        b, _, h, w = x.shape
        out = torch.empty(
            (b, self.n_out, 3 * h + 2, w * self.n_columns),
            dtype=x.dtype, device=x.device, memory_format=torch.channels_last,
        )  # fmt: skip
        out[:, :, :: 3 * h + 1] = 0
        cells = out[:, :, 1:-1].view(b, self.n_out, h, 3, w, self.n_columns)
        inner = slice(1, -1)
        corners = F.relu_(F.conv2d(x, self.corners, self.bias.repeat(4), padding=1)).chunk(4, 1)
        for part, row, column in zip(corners, (0, 0, 2, 2), (0, -1, 0, -1), strict=True):
            cells[:, :, :, row, :, column] = part[:, :, bool(row) :, bool(column) :][:, :, :h, :w]
        edges = F.relu_(F.conv2d(x, self.edges, self.bias.repeat(2), padding=(1, 0))).chunk(2, 1)
        for part, row in zip(edges, (0, 2), strict=True):
            cells[:, :, :, row, :, inner] = part[:, :, bool(row) :][:, :, :h, :, None]
        sides = F.relu_(F.conv2d(x, self.sides, self.bias.repeat(2), padding=(0, 1))).chunk(2, 1)
        for part, column in zip(sides, (0, -1), strict=True):
            cells[:, :, :, 1, :, column] = part[..., bool(column) :][..., :w]
        cells[:, :, :, 1, :, inner] = F.relu_(F.conv2d(x, self.middle, self.bias))[..., None]
        return out


class ThirdsKernel(nn.Module):
    """A convolution of side 3 of what `ThirdsMap` makes; taps that fall on equal rows are summed.

    Args:
        weight: (n_out, n_in, 3, 3). bias: (n_out,). factor: 3 or more. make: what convolves.
    """

    def __init__(self, weight: Tensor, bias: Tensor, factor: int, make: type[Kernel]) -> None:
        super().__init__()
        self.factor, self.n_out = factor, len(weight)
        self.n_columns = make.columns_of_thirds(factor)
        self.starts: list[int] = []
        self.phases = nn.ModuleList()
        for phase in range(factor):
            rows = [_third(phase + k, factor) for k in (-1, 0, 1)]
            summed = weight.new_zeros(*weight.shape[:2], rows[-1] - rows[0] + 1, 3)
            for row, tap in zip(rows, weight.detach().unbind(2), strict=True):
                summed[:, :, row - rows[0]] += tap
            self.starts.append(rows[0] + 1)
            self.phases.append(make(summed, bias))

    def bands(self, x: Tensor, use: Callable[[slice, Tensor], None]) -> None:
        """Call `use(rows, values)` with the output in sets of rows, equally far apart.

        Args:
            x: (B, n_in, 3 H + 2, ...), of a `ThirdsMap` with as many columns as the kernels read.
            use: takes rows of the map at `factor` times, and (B, n_out, rows, factor * W).
        """
        n_cells = x.shape[2] // 3
        for cells in bands_of(n_cells, x[:, :1].numel() // 3 * (x.shape[1] + self.n_out), x.device):
            for phase, (kernel, start) in enumerate(zip(self.phases, self.starts, strict=True)):
                # As many rows as a kernel of side 3 reads; a smaller one leaves the last of them.
                read = x[:, :, 3 * cells.start + start : min(3 * cells.stop + start, x.shape[2])]
                rows = slice(cells.start * self.factor + phase, cells.stop * self.factor, self.factor)
                use(rows, cast(Kernel, kernel).convolve_thirds(read, self.factor))


def _pair(weight: Tensor, dim: int) -> Tensor:
    """Taps of a place that sees the cell before and its own: the first, and the sum of the others."""
    return torch.cat((weight.narrow(dim, 0, 1), weight.narrow(dim, 1, 2).sum(dim, keepdim=True)), dim)


def _third(place: int, factor: int) -> int:
    """Where rows -1 .. factor of a cell's neighbourhood lie in the map at 3 times."""
    if place <= 0:
        return place
    return 1 if place < factor - 1 else place - factor + 3
