"""Terms that generators and discriminators minimise; means everywhere, over scales too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from talkhead.errors import ShapeError

Adversarial = Literal["hinge", "bce", "lsgan"]
"""Hinge (Lim and Ye 2017), non-saturating cross entropy on logits (Goodfellow et al. 2014), least squares (Mao et al.
2017)."""

Maps = Sequence[Sequence[Tensor]]
"""Of each scale of a discriminator, the maps of its layers; the last is the score (`nn.discriminators`)."""


def real_loss(maps: Maps, kind: Adversarial = "hinge") -> Tensor:
    """What a discriminator minimises on real pictures: hinge mean relu(1 - D), softplus(-D) or (D - 1)^2; scalar."""
    return _over_scales(maps, lambda score: _judged(score, kind, real=True))


def made_loss(maps: Maps, kind: Adversarial = "hinge") -> Tensor:
    """What a discriminator minimises on made pictures: hinge mean relu(1 + D), softplus(D) or D^2; scalar."""
    return _over_scales(maps, lambda score: _judged(score, kind, real=False))


def fooling_loss(maps: Maps, kind: Adversarial = "hinge") -> Tensor:
    """What a generator minimises on its pictures: hinge -mean D, softplus(-D) or (D - 1)^2; scalar."""
    if kind == "hinge":
        return _over_scales(maps, lambda score: -score.mean())
    return _over_scales(maps, lambda score: _judged(score, kind, real=True))


def feature_matching(made: Maps, real: Maps, *, layer_weight: float | None = None) -> Tensor:
    """L1 distance of a discriminator's maps of made and real pictures, without the score (Wang et al. 2018).

    Args:
        made, real: maps of the same pictures, made and real; no gradient goes into the real ones. layer_weight: factor
            of each layer's mean; None: the mean over layers.
    Returns:
        Scalar, mean over scales.
    """
    terms = []
    for made_scale, real_scale in zip(made, real, strict=True):
        weight = 1.0 / (len(made_scale) - 1) if layer_weight is None else layer_weight
        pairs = list(zip(made_scale, real_scale, strict=True))[:-1]
        terms.append(weight * torch.stack([functional.l1_loss(a, b.detach()) for a, b in pairs]).sum())
    return torch.stack(terms).mean()


def masked_l1(made: Tensor, real: Tensor, mask: Tensor) -> Tensor:
    """L1 where a mask is one, over the number of *all* values; pictures (B, C, H, W), mask (B, 1, H, W); scalar.

    Raises:
        ShapeError: sizes differ.
    """
    if made.shape != real.shape:
        raise ShapeError("made", tuple(made.shape), str(tuple(real.shape)))
    if mask.shape != (len(real), 1, *real.shape[2:]):
        raise ShapeError("mask", tuple(mask.shape), str((len(real), 1, *real.shape[2:])))
    return ((made - real).abs() * mask).mean()


def _judged(score: Tensor, kind: Adversarial, *, real: bool) -> Tensor:
    if kind == "hinge":
        return functional.relu(1.0 - score if real else 1.0 + score).mean()
    if kind == "bce":
        return functional.softplus(-score if real else score).mean()
    return (score - 1.0 if real else score).square().mean()


def _over_scales(maps: Maps, term: Callable[[Tensor], Tensor]) -> Tensor:
    return torch.stack([term(scale[-1].float()) for scale in maps]).mean()
