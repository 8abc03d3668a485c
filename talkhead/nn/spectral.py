"""Convolutions whose largest singular value is kept at one (Miyato et al. 2018, "Spectral normalization")."""

from __future__ import annotations

import copy
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

Module = TypeVar("Module", bound=nn.Module)

_EPS = 1e-12  # keeps a zero weight's vectors finite


class SpectralConv2d(nn.Conv2d):
    """A convolution with `weight / sigma`, sigma = u . W v, where W is the weight viewed as (out, rest).

    In training mode every call makes one step of power iteration first; in eval mode the stored `u` and `v` are used as
    they are, so that a loaded checkpoint computes what it was saved with. Takes the arguments of `nn.Conv2d`; zero
    padding only.
    """

    u: Tensor
    v: Tensor

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        assert self.padding_mode == "zeros", self.padding_mode
        n_out, n_rest = self.weight.shape[0], self.weight[0].numel()
        # Of length 1 in the mean, soon exactly. Not `randn`, which takes seconds on the meta device.
        for name, n in (("u", n_out), ("v", n_rest)):
            self.register_buffer(name, nn.init.uniform_(torch.empty(n), -((3 / n) ** 0.5), (3 / n) ** 0.5))

    def normalised_weight(self) -> Tensor:
        """The weight that is convolved with, (out, in / groups, kh, kw)."""
        if self.training:
            self._iterate()
        # Clones: the next call's iteration writes in place while this call's graph still needs them.
        u, v = (self.u.clone(), self.v.clone()) if self.training else (self.u, self.v)
        return self.weight / torch.dot(u, torch.mv(self.weight.flatten(1), v))

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) -> (B, out, H', W')."""
        return self._conv_forward(x, self.normalised_weight(), self.bias)

    @torch.no_grad()
    def _iterate(self) -> None:
        matrix = self.weight.flatten(1)
        self.v.copy_(functional.normalize(torch.mv(matrix.t(), self.u), dim=0, eps=_EPS))
        self.u.copy_(functional.normalize(torch.mv(matrix, self.v), dim=0, eps=_EPS))

    def plain(self) -> nn.Conv2d:
        """An ordinary convolution with the weight as it is now divided by its stored sigma."""
        conv = nn.Conv2d(
            self.in_channels,
            self.out_channels,
            self.kernel_size,  # type: ignore[arg-type]
            self.stride,  # type: ignore[arg-type]
            self.padding,  # type: ignore[arg-type]
            self.dilation,  # type: ignore[arg-type]
            self.groups,
            self.bias is not None,
            device=self.weight.device,
            dtype=self.weight.dtype,
        )
        with torch.no_grad():
            sigma = torch.dot(self.u, torch.mv(self.weight.flatten(1), self.v))
            conv.weight.copy_(self.weight / sigma)
            if conv.bias is not None and self.bias is not None:
                conv.bias.copy_(self.bias)
        return conv


def folded(network: Module) -> Module:
    """A copy of a network for inference: in eval mode, spectral norms divided into plain weights, no gradients."""
    made = copy.deepcopy(network).eval().requires_grad_(False)
    for parent in list(made.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, SpectralConv2d):
                setattr(parent, name, child.plain().eval().requires_grad_(False))
    return made
