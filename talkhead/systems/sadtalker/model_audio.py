"""Audio encoder and ExpNet: mel windows -> expression codes (SadTalker, section 3.2 and supplement B.2, figure B11)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from talkhead.systems.sadtalker.config import AudioConfig


class _Step(NamedTuple):
    """One unit of the encoder: input and output channels in units of `AudioConfig.width` (0: one channel)."""

    n_in: int
    n_out: int
    stride: int | tuple[int, int] = 1
    kernel: int = 3
    pad: int = 1

    @property
    def is_residual(self) -> bool:
        return self.n_in == self.n_out and self.stride == 1 and self.kernel == 3


# 80 mel bands x 16 steps -> 27 x 16 -> 9 x 6 -> 3 x 3 -> 1 x 1.
_STEPS = (
    _Step(0, 1), _Step(1, 1), _Step(1, 1),
    _Step(1, 2, (3, 1)), _Step(2, 2), _Step(2, 2),
    _Step(2, 4, 3), _Step(4, 4), _Step(4, 4),
    _Step(4, 8, (3, 2)), _Step(8, 8),
    _Step(8, 16, pad=0), _Step(16, 16, kernel=1, pad=0),
)  # fmt: skip


class AudioUnit(nn.Module):
    """Convolution, batch norm, ReLU; residual units add their input before the ReLU. Shapes (B, C, M, 16)."""

    def __init__(self, step: _Step, width: int) -> None:
        super().__init__()
        n_in, n_out = step.n_in * width or 1, step.n_out * width
        self.conv = nn.Conv2d(n_in, n_out, step.kernel, step.stride, step.pad)
        self.norm: nn.Module = nn.BatchNorm2d(n_out)
        self.is_residual = step.is_residual

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H', W')."""
        y = self.norm(self.conv(x))
        return functional.relu(y + x if self.is_residual else y)


class AudioEncoder(nn.Module):
    """Residual network that embeds 0.2 s of sound; ExpNet and PoseVAE have one each (section 3.2)."""

    def __init__(self, config: AudioConfig) -> None:
        super().__init__()
        self.units = nn.Sequential(*(AudioUnit(step, config.width) for step in _STEPS))

    def forward(self, windows: Tensor) -> Tensor:
        """Mel windows (B, 1, 80, 16), -4..4 -> embeddings (B, n_embedding)."""
        x = self.units(windows)  # (B, n_embedding, 1, 1)
        assert x.shape[2:] == (1, 1), x.shape
        return torch.flatten(x, 1)


class ExpNet(nn.Module):
    """Expression codes from sound, the face's own codes and a blink signal (section 3.2, equation 2)."""

    def __init__(self, config: AudioConfig) -> None:
        super().__init__()
        self.audio_encoder = AudioEncoder(config)
        self.head = nn.Linear(config.n_embedding + config.n_exp + 1, config.n_exp)

    def forward(self, windows: Tensor, reference: Tensor, blink: Tensor) -> Tensor:
        """One expression per frame.

        Args:
            windows: mel, (B, 1, 80, 16), -4..4. reference: codes of the face that will speak, (B, 64). blink: closure
                of the eyes, (B, 1), 0..1.
        Returns:
            Absolute codes, (B, 64).
        """
        return self.head(torch.cat([self.audio_encoder(windows), reference, blink], 1))
