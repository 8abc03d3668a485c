"""The trainable twin of talkhead.systems.meshwarp.mouth_net, and the export that folds batch normalisation."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from talkhead.audio.mel import N_MELS
from talkhead.systems.meshwarp.mouth_net import CHANNELS, DILATIONS, STRIDES
from talkhead.systems.meshwarp.visemes import CLASSES


class Residual(nn.Module):
    """Normalise, ReLU, dilated convolution, normalise, ReLU, 1 x 1 convolution, added to the input."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm1d(width), nn.BatchNorm1d(width)
        self.conv = nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation)
        self.out = nn.Conv1d(width, width, 1)
        self.drop = nn.Dropout(0.1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) -> (B, C, T)."""
        return x + self.out(self.drop(self.norm2(self.conv(self.norm1(x).relu())).relu()))


class MouthNet(nn.Module):
    """Mel (B, 80, T), mean removed and scaled -> channel logits (B, 10, T / 2), class logits (B, 28, T / 2)."""

    def __init__(self, width: int = 64, maps: tuple[int, ...] = (16, 32, 32)) -> None:
        super().__init__()
        channels = (1, *maps)
        self.front = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 3, stride, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU())
            for a, b, stride in zip(channels, channels[1:], STRIDES, strict=False)
        )
        rows = N_MELS
        for stride in STRIDES:
            rows = -(-rows // stride[0])
        self.join = nn.Conv1d(maps[-1] * rows, width, 1)
        self.blocks = nn.ModuleList(Residual(width, d) for d in DILATIONS)
        self.last = nn.BatchNorm1d(width)
        self.head = nn.Conv1d(width, len(CHANNELS) + len(CLASSES), 1)

    def forward(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        """Both kinds of logits."""
        x = mel[:, None]
        for layer in self.front:
            x = layer(x)
        x = self.join(x.flatten(1, 2))
        for block in self.blocks:
            x = block(x)
        out = self.head(self.last(x).relu())
        return out[:, : len(CHANNELS)], out[:, len(CHANNELS) :]


def _scale_shift(norm: Any) -> tuple[Tensor, Tensor]:
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return scale, norm.bias - norm.running_mean * scale


@torch.no_grad()
def exported(model: Any) -> dict[str, npt.NDArray[np.float16]]:
    """float16 arrays under the names `mouth_net.forward` reads."""
    out: dict[str, Tensor] = {}
    for i, layer in enumerate(model.front):
        scale, shift = _scale_shift(layer[1])
        out[f"front{i}.weight"] = layer[0].weight * scale[:, None, None, None]
        out[f"front{i}.bias"] = shift
    out["join.weight"], out["join.bias"] = model.join.weight[:, :, 0], model.join.bias
    for i, block in enumerate(model.blocks):
        out[f"block{i}.scale"], out[f"block{i}.shift"] = _scale_shift(block.norm1)
        scale, shift = _scale_shift(block.norm2)
        out[f"block{i}.weight"] = block.conv.weight * scale[:, None, None]
        out[f"block{i}.bias"] = block.conv.bias * scale + shift
        out[f"block{i}.out_weight"], out[f"block{i}.out_bias"] = block.out.weight[:, :, 0], block.out.bias
    out["last.scale"], out["last.shift"] = _scale_shift(model.last)
    out["head.weight"] = model.head.weight[: len(CHANNELS), :, 0]
    out["head.bias"] = model.head.bias[: len(CHANNELS)]
    return {name: value.detach().numpy().astype(np.float16) for name, value in out.items()}
