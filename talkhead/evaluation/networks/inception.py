"""Inception-v3 (Szegedy et al. 2016) as the Frechet inception distance uses it (Heusel et al. 2017).

That is the TensorFlow network of 2015-12-05: its blocks pool differently from the one in the paper and in torchvision.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from talkhead.errors import ShapeError
from talkhead.evaluation.networks.loading import Origin, load_network, tensor_of

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]

ENTRIES = ("inception-fid",)
SIDE = 299
N_FEATURES = 2048

Size = int | tuple[int, int]
Place = tuple[tuple[str, int, Size], ...]
"""Name, channels and kernel of convolutions that are beside each other, usually one."""
Chain = tuple[Place, ...]
Pool = Literal["mean", "max", "reduce"]
Block = tuple[Sequence[Chain], Pool, int]


class Convolution(nn.Module):
    """Convolution without bias, batch norm, ReLU."""

    def __init__(self, n_in: int, n_out: int, kernel: Size, stride: int = 1, padding: Size = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(n_in, n_out, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(n_out, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H', W')."""
        return functional.relu(self.bn(self.conv(x)))


class Mixed(nn.Module):
    """Chains of convolutions and a pooling beside each other, stacked.

    Args:
        n_in: channels. chains: places of each chain; the convolutions of one place are beside each other.
        pool: `mean` and `max` keep the size, the mean leaves padded zeros out (the TensorFlow way); `reduce` takes the
            maximum and, like the last convolution of every chain, halves the size.
        n_pooled: channels of the convolution after the pooling; 0: none.
    """

    def __init__(self, n_in: int, chains: Sequence[Chain], pool: Pool, n_pooled: int = 0) -> None:
        super().__init__()
        self._chains = [[[name for name, _, _ in place] for place in chain] for chain in chains]
        self._pool = pool
        self.n_out = n_pooled or n_in
        for chain in chains:
            before = n_in
            for k, place in enumerate(chain):
                halves = pool == "reduce" and k == len(chain) - 1
                for name, n_out, kernel in place:
                    padding = 0 if halves else _half(kernel)
                    self.add_module(name, Convolution(before, n_out, kernel, 2 if halves else 1, padding))
                before = sum(n_out for _, n_out, _ in place)
            self.n_out += before
        if n_pooled:
            self.branch_pool = Convolution(n_in, n_pooled, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, n_out, H', W')."""
        ends = []
        for chain in self._chains:
            y = x
            for place in chain:
                y = torch.cat([self.get_submodule(name)(y) for name in place], 1)
            ends.append(y)
        return torch.cat([*ends, self._pooled(x)], 1)

    def _pooled(self, x: Tensor) -> Tensor:
        if self._pool == "reduce":
            return functional.max_pool2d(x, 3, 2)
        if self._pool == "max":
            return self.branch_pool(functional.max_pool2d(x, 3, 1, 1))
        return self.branch_pool(functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False))


class InceptionV3(nn.Module):
    """Pictures -> 2048 numbers; names are the published keys. The classes (`fc`) are left out."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Convolution(3, 32, 3, 2)
        self.Conv2d_2a_3x3 = Convolution(32, 32, 3)
        self.Conv2d_2b_3x3 = Convolution(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = Convolution(64, 80, 1)
        self.Conv2d_4a_3x3 = Convolution(80, 192, 3)
        n = 192
        self._blocks: list[str] = []
        for name, chains, pool, n_pooled in _BLOCKS:
            block = Mixed(n, chains, pool, n_pooled)
            self.add_module(name, block)
            self._blocks.append(name)
            n = block.n_out

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W), RGB in [0, 1] -> (B, 2048), the mean of the last maps (pool3)."""
        x = 2 * functional.interpolate(x, (SIDE, SIDE), mode="bilinear", align_corners=False) - 1
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = functional.max_pool2d(x, 3, 2)
        x = functional.max_pool2d(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x)), 3, 2)
        for name in self._blocks:
            x = self.get_submodule(name)(x)
        return x.mean((2, 3))


class InceptionEmbedder:
    """Inception-v3 on whole frames.

    Args:
        path: `pt_inception-2015-12-05-6726825d.pth` or its safetensors. device, dtype: as resolved by
            `talkhead.device`.
    Raises:
        WeightsError: the file holds something else.
    """

    def __init__(self, path: Path, *, device: str = "cpu", dtype: str = "float32") -> None:
        self.origin: Origin
        self._network, self.origin = load_network(
            lambda _: InceptionV3(), path, name="Inception-v3 of FID", entries=ENTRIES, skip=r"fc\..+|AuxLogits\..+",
            device=device, dtype=dtype,
        )  # fmt: skip
        self._device, self._dtype = device, getattr(torch, dtype)

    def run(self, frames: U8) -> F32:
        """Features of frames.

        Args:
            frames: (B, H, W, 3) uint8 RGB, of any size.
        Returns:
            (B, 2048) float32.
        Raises:
            ShapeError: frames of another shape.
        """
        if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8:
            raise ShapeError("frames", frames.shape, "(B, H, W, 3) uint8")
        shown = tensor_of(frames).permute(0, 3, 1, 2).to(self._device, self._dtype) / 255
        with torch.inference_mode():
            return self._network(shown).float().cpu().numpy()


def _half(kernel: Size) -> Size:
    return kernel // 2 if isinstance(kernel, int) else (kernel[0] // 2, kernel[1] // 2)


def _row(name: str, *steps: tuple[int, Size]) -> Chain:
    """A chain without forks, whose convolutions are numbered if they are several."""
    many = len(steps) > 1
    return tuple(((f"{name}_{k + 1}" if many else name, n_out, kernel),) for k, (n_out, kernel) in enumerate(steps))


def _forked(name: str, steps: Chain, place: int) -> Chain:
    """A chain that ends in a 1 x 3 and a 3 x 1 convolution beside each other."""
    return *steps, ((f"{name}_{place}a", 384, (1, 3)), (f"{name}_{place}b", 384, (3, 1)))


def _small(n_pooled: int) -> Block:
    chains = (
        _row("branch1x1", (64, 1)),
        _row("branch5x5", (48, 1), (64, 5)),
        _row("branch3x3dbl", (64, 1), (96, 3), (96, 3)),
    )
    return chains, "mean", n_pooled


def _wide(n: int) -> Block:
    chains = (
        _row("branch1x1", (192, 1)),
        _row("branch7x7", (n, 1), (n, (1, 7)), (192, (7, 1))),
        _row("branch7x7dbl", (n, 1), (n, (7, 1)), (n, (1, 7)), (n, (7, 1)), (192, (1, 7))),
    )
    return chains, "mean", 192


def _last(pool: Pool) -> Block:
    chains = (
        _row("branch1x1", (320, 1)),
        _forked("branch3x3", ((("branch3x3_1", 384, 1),),), 2),
        _forked("branch3x3dbl", _row("branch3x3dbl", (448, 1), (384, 3)), 3),
    )
    return chains, pool, 192


_BLOCKS: tuple[tuple[str, Sequence[Chain], Pool, int], ...] = (
    ("Mixed_5b", *_small(32)),
    ("Mixed_5c", *_small(64)),
    ("Mixed_5d", *_small(64)),
    ("Mixed_6a", (_row("branch3x3", (384, 3)), _row("branch3x3dbl", (64, 1), (96, 3), (96, 3))), "reduce", 0),
    ("Mixed_6b", *_wide(128)),
    ("Mixed_6c", *_wide(160)),
    ("Mixed_6d", *_wide(160)),
    ("Mixed_6e", *_wide(192)),
    (
        "Mixed_7a",
        (
            _row("branch3x3", (192, 1), (320, 3)),
            _row("branch7x7x3", (192, 1), (192, (1, 7)), (192, (7, 1)), (192, 3)),
        ),
        "reduce",
        0,
    ),
    ("Mixed_7b", *_last("mean")),
    ("Mixed_7c", *_last("max")),
)
