"""Distance of pictures in the layers of a VGG (Simonyan and Zisserman 2015; Johnson et al. 2016).

Users: HeadGAN and rhythmic (VGG19, L1), tcsan (VGG19, equal weights), pir (VGG16, squared L2).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from talkhead.weights.load import fill

log = logging.getLogger(__name__)

Kind = Literal["vgg16", "vgg19"]

# Convolutions of each stage; a stage begins with 2 x 2 max pooling, but for the first.
_STAGES: Mapping[Kind, tuple[int, ...]] = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
_WIDTHS = (64, 128, 256, 512, 512)
# ImageNet's mean and deviation, of [0, 1].
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_SEED = 2021  # of the random stand-in


@dataclass(frozen=True, kw_only=True, slots=True)
class PerceptualConfig:
    """Which layers are compared, and how.

    Attributes:
        kind: which VGG. layers: (stage, convolution) counted from 1: (5, 1) is relu5_1. weights: of their terms.
            distance: mean absolute (`l1`) or mean squared (`l2`) difference. imagenet: whether pictures are brought
            from [-1, 1] to ImageNet's mean and deviation; else they enter as they are.
    """

    kind: Kind = "vgg19"
    layers: tuple[tuple[int, int], ...] = ((1, 1), (2, 1), (3, 1), (4, 1), (5, 1))
    weights: tuple[float, ...] = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)
    distance: Literal["l1", "l2"] = "l1"
    imagenet: bool = True


HEADGAN = PerceptualConfig()  # weights and layers of the release, as pix2pixHD's
TCSAN = PerceptualConfig(weights=(0.2,) * 5)
PIR = PerceptualConfig(kind="vgg16", layers=((1, 2), (2, 2), (3, 3), (4, 3)), weights=(1.0,) * 4, distance="l2")


class PerceptualLoss(nn.Module):
    """Weighted distances in a VGG's layers; made by `published` or `random`, always in eval mode and without gradients.

    Attributes:
        config: layers and weights. is_random: whether the network has learned nothing: distances still fall with those
            of the pictures, but do not weigh what people see.
    """

    def __init__(self, config: PerceptualConfig | None = None) -> None:
        super().__init__()
        self.config = config or HEADGAN
        self.is_random = True
        assert len(self.config.layers) == len(self.config.weights), self.config
        self.features = nn.ModuleDict()  # keys are those of torchvision's `features`
        self._taken: list[str] = []
        self._order: list[str] = []
        deepest = max(self.config.layers)
        number, n_in = 0, 3
        for stage, (count, width) in enumerate(zip(_STAGES[self.config.kind], _WIDTHS, strict=True), 1):
            if stage > 1:
                self._order.append("pool")
                number += 1
            for k in range(1, count + 1):
                if (stage, k) > deepest:
                    break
                self.features[str(number)] = nn.Conv2d(n_in, width, 3, padding=1)
                self._order.append(str(number))
                if (stage, k) in self.config.layers:
                    self._taken.append(str(number))
                n_in, number = width, number + 2  # a ReLU follows
        self.eval().requires_grad_(False)

    @classmethod
    def published(cls, tensors: Mapping[str, Tensor], config: PerceptualConfig | None = None) -> PerceptualLoss:
        """With torchvision's weights.

        Args:
            tensors: of `vgg19-dcbb9e9d.pth` or `vgg16-397923af.pth`, by published key.
        Raises:
            WeightsError: they do not fit.
        """
        made = cls(config)
        known = made.state_dict().keys()
        deeper = "|".join(
            key.replace(".", r"\.") for key in tensors if key.startswith("features.") and key not in known
        )
        fill(made, tensors, skip=rf"classifier\..+|{deeper}" if deeper else r"classifier\..+", name=made.config.kind)
        made.is_random = False
        return made

    @classmethod
    def random(cls, config: PerceptualConfig | None = None) -> PerceptualLoss:
        """With random weights, always the same ones: for where the published ones are not at hand."""
        made = cls(config)
        generator = torch.Generator().manual_seed(_SEED)
        for conv in made.features.values():
            assert isinstance(conv, nn.Conv2d) and conv.bias is not None
            fan_in = conv.weight[0].numel()
            conv.weight.copy_(torch.randn(conv.weight.shape, generator=generator) * (2.0 / fan_in) ** 0.5)
            nn.init.zeros_(conv.bias)
        log.warning("the perceptual loss uses random weights instead of %s's", made.config.kind)
        return made

    def maps(self, image: Tensor) -> list[Tensor]:
        """The layers that are compared, after their ReLU; (B, 3, H, W), RGB in [-1, 1] -> (B, C, h, w) each."""
        if self.config.imagenet:
            mean, deviation = (image.new_tensor(values)[:, None, None] for values in (_MEAN, _DEVIATION))
            image = ((image + 1.0) * 0.5 - mean) / deviation
        found, x = [], image
        for name in self._order:
            if name == "pool":
                x = functional.max_pool2d(x, 2)
                continue
            x = functional.relu(self.features[name](x), inplace=True)
            if name in self._taken:
                found.append(x)
            if len(found) == len(self._taken):
                break
        return found

    def distance(self, made: Sequence[Tensor], real: Sequence[Tensor]) -> list[Tensor]:
        """Of each layer, without its weight; maps of equal shapes, no gradient goes into the real ones."""
        measure = functional.l1_loss if self.config.distance == "l1" else functional.mse_loss
        return [measure(a, b.detach()) for a, b in zip(made, real, strict=True)]

    def between(self, made: Sequence[Tensor], real: Sequence[Tensor]) -> Tensor:
        """The weighted sum of `distance`; scalar."""
        terms = self.distance(made, real)
        return torch.stack([w * term for w, term in zip(self.config.weights, terms, strict=True)]).sum()

    def forward(self, made: Tensor, real: Tensor) -> Tensor:
        """Distance of pictures, (B, 3, H, W), RGB in [-1, 1]; scalar; no gradient goes into the real ones."""
        with torch.no_grad():
            real_maps = self.maps(real)
        return self.between(self.maps(made), real_maps)
