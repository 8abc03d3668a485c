"""LPIPS, version 0.1 (Zhang et al. 2018): how far two pictures are from each other in the layers of a classifier."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from talkhead.errors import ShapeError, UsageError
from talkhead.evaluation.measurement import Grade
from talkhead.evaluation.networks.loading import Origin, load_network, tensor_of

U8 = npt.NDArray[np.uint8]
F64 = npt.NDArray[np.float64]

Backbone = Literal["alex", "vgg"]
ENTRIES: dict[Backbone, tuple[str, str]] = {
    "alex": ("lpips-alexnet", "lpips-heads-alex"),
    "vgg": ("lpips-vgg16", "lpips-heads-vgg"),
}
"""Entries of the manifest: the classifier, and the weights of its layers in the distance."""
LEAST_SIDE: dict[Backbone, int] = {"alex": 31, "vgg": 16}

# What the classifiers' mean and deviation (0.485.. and 0.229.. of [0, 1]) are in [-1, 1], as published: rounded.
_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
_EPS = 1e-10
# After which layer of torchvision's `features` each of the five maps is taken: the last ReLU before each pooling, and
# for AlexNet every ReLU.
_TAPS: dict[Backbone, tuple[int, ...]] = {"alex": (1, 4, 7, 9, 11), "vgg": (3, 8, 15, 22, 29)}
_WIDTHS: dict[Backbone, tuple[int, ...]] = {"alex": (64, 192, 384, 256, 256), "vgg": (64, 128, 256, 512, 512)}


class Features(nn.Module):
    """The convolutions of torchvision's AlexNet or VGG16, which hand out five maps."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        from torchvision import models

        whole = models.alexnet(weights=None) if backbone == "alex" else models.vgg16(weights=None)
        self._taps = _TAPS[backbone]
        self.features = whole.features[: self._taps[-1] + 1]

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 3, H, W), RGB in [-1, 1] -> five maps (B, C, H', W')."""
        shift, scale = (x.new_tensor(values)[:, None, None] for values in (_SHIFT, _SCALE))
        x = (x - shift) / scale
        maps = []
        for k, layer in enumerate(self.features):
            x = layer(x)
            if k in self._taps:
                maps.append(x)
        return maps


class Heads(nn.Module):
    """One non-negative weight per channel of each map; names are the published keys."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        for k, width in enumerate(_WIDTHS[backbone]):
            # The published heads begin with dropout, which is what makes the key `model.1`.
            head = nn.ModuleDict({"model": nn.Sequential(nn.Identity(), nn.Conv2d(width, 1, 1, bias=False))})
            self.add_module(f"lin{k}", head)

    def forward(self, a: list[Tensor], b: list[Tensor]) -> Tensor:
        """Maps of pictures and of their counterparts -> distances by layer, (B, 5)."""
        layers = []
        for head, x, y in zip(self.children(), a, b, strict=True):
            model = head["model"]  # type: ignore[index]
            layers.append(model((_unit(x) - _unit(y)) ** 2).mean((1, 2, 3)))
        return torch.stack(layers, 1)


class Lpips:
    """LPIPS of pairs of frames.

    Args:
        backbone: `alex` (what the package's default is) or `vgg`. classifier, heads: the two files: torchvision's
            classifier, and `lpips/weights/v0.1/*.pth`; or their safetensors. device, dtype: as resolved by
            `talkhead.device`.
    Raises:
        UsageError: another backbone. WeightsError: a file holds something else.
    """

    def __init__(
        self, backbone: Backbone, classifier: Path, heads: Path, *, device: str = "cpu", dtype: str = "float32"
    ) -> None:
        if backbone not in get_args(Backbone):
            raise UsageError(f"unknown LPIPS backbone {backbone!r}", hint=f"use {' or '.join(get_args(Backbone))}")
        self.backbone = backbone
        self.origins: tuple[Origin, Origin]
        self._features, first = load_network(
            lambda _: Features(backbone), classifier, name=f"LPIPS's classifier ({backbone})",
            entries=ENTRIES[backbone][:1], skip=r"classifier\..+", device=device, dtype=dtype,
        )  # fmt: skip
        self._heads, second = load_network(
            lambda _: Heads(backbone), heads, name=f"LPIPS's heads ({backbone})", entries=ENTRIES[backbone][1:],
            device=device, dtype=dtype,
        )  # fmt: skip
        self.origins = first, second
        self._device, self._dtype = device, getattr(torch, dtype)

    @property
    def grade(self) -> Grade:
        """Of both files together."""
        return "paper" if all(origin.is_published for origin in self.origins) else "unverified"

    def layers(self, a: U8, b: U8) -> F64:
        """Distances by layer.

        Args:
            a, b: (B, H, W, 3) uint8 RGB, of one shape.
        Returns:
            (B, 5).
        Raises:
            ShapeError: the shapes differ, or the frames are too small for the network.
        """
        least = LEAST_SIDE[self.backbone]
        if a.ndim != 4 or a.shape[3] != 3 or a.dtype != np.uint8 or min(a.shape[1:3]) < least:
            raise ShapeError("frames", a.shape, f"(B, H, W, 3) uint8, at least {least} pixels each way")
        if b.shape != a.shape or b.dtype != np.uint8:
            raise ShapeError("frames to compare with", b.shape, f"{a.shape} uint8")
        with torch.inference_mode():
            maps = [self._features(self._shown(frames)) for frames in (a, b)]
            return self._heads(*maps).double().cpu().numpy()

    def run(self, a: U8, b: U8) -> F64:
        """Distances of pairs of frames, (B,): the sum over the layers; see `layers`."""
        return self.layers(a, b).sum(1)

    def _shown(self, frames: U8) -> Tensor:
        return tensor_of(frames).permute(0, 3, 1, 2).to(self._device, self._dtype) / 127.5 - 1


def open_lpips(
    backbone: Backbone, weights: Callable[[str], Path], *, device: str = "cpu", dtype: str = "float32"
) -> Lpips:
    """LPIPS with the published weights.

    Args:
        backbone: `alex` or `vgg`. weights: the safetensors file of an entry of the manifest. device, dtype: as in
            `Lpips`.
    Raises:
        UsageError: another backbone. WeightsError: from `weights`, or a file holds something else.
    """
    if backbone not in ENTRIES:
        raise UsageError(f"unknown LPIPS backbone {backbone!r}", hint=f"use {' or '.join(ENTRIES)}")
    classifier, heads = (weights(name) for name in ENTRIES[backbone])
    return Lpips(backbone, classifier, heads, device=device, dtype=dtype)


def _unit(maps: Tensor) -> Tensor:
    """Maps whose channels have length 1 at every pixel."""
    return maps / (maps.square().sum(1, keepdim=True).sqrt() + _EPS)
