"""Constant parts of trained networks computed once: batch norms folded into the convolutions before them."""

from __future__ import annotations

from typing import TypeVar

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils.fusion import fuse_conv_bn_eval

Conv = TypeVar("Conv", bound=_ConvNd)
Module = TypeVar("Module", bound=nn.Module)


def fold_conv_bn(conv: Conv, norm: _BatchNorm) -> Conv:
    """A new convolution that does what `conv` and then `norm`, with its running statistics, do."""
    return fuse_conv_bn_eval(conv.eval(), norm.eval())


def fold_norms(module: Module) -> Module:
    """Fold, in place, every batch norm that a submodule has as `norm` into the convolution it has as `conv`."""
    for unit in module.modules():
        conv, norm = getattr(unit, "conv", None), getattr(unit, "norm", None)
        if isinstance(conv, _ConvNd) and isinstance(norm, _BatchNorm):
            unit.conv, unit.norm = fold_conv_bn(conv, norm), nn.Identity()
    return module
