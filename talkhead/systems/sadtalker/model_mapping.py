"""Mapping net: coefficients around a frame -> motion of the renderer's keypoints (SadTalker, section 3.3)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from talkhead.systems.sadtalker.config import MappingConfig

_KERNEL, _DILATED, _DILATION = 7, 3, 3
_SLOPE = 0.1
_HEADS = ("yaw", "pitch", "roll", "t", "exp")


@dataclass(frozen=True, slots=True)
class MappedMotion:
    """What moves the canonical keypoints of frames.

    Attributes:
        yaw, pitch, roll: logits of the angle, (T, 66), 3 degrees apart. t: translation, (T, 3). exp: offset of each
            keypoint, (T, 45) = 15 x 3.
    """

    yaw: Tensor
    pitch: Tensor
    roll: Tensor
    t: Tensor
    exp: Tensor


class MappingNet(nn.Module):
    """Convolutions over time without padding, then a mean over what is left of a window.

    Args:
        config: sizes. n_in: 70 values per row, or 73 with the alignment of the photo (`full` and `extfull`).
    """

    def __init__(self, config: MappingConfig, n_in: int) -> None:
        super().__init__()
        self.n_in, self.n_rows = n_in, config.n_rows
        self.n_pooled = config.n_rows - (_KERNEL - 1) - config.n_layers * (_DILATED - 1) * _DILATION
        assert self.n_pooled >= 1, config
        width = config.n_descriptor
        self.first = nn.Conv1d(n_in, width, _KERNEL)
        self.layers = nn.ModuleList(
            nn.Conv1d(width, width, _DILATED, dilation=_DILATION) for _ in range(config.n_layers)
        )
        sizes = (config.n_bins, config.n_bins, config.n_bins, 3, 3 * config.n_keypoints)
        self.heads = nn.ModuleDict({name: nn.Linear(width, size) for name, size in zip(_HEADS, sizes, strict=True)})

    def forward(self, windows: Tensor) -> MappedMotion:
        """Motion of each window's middle frame; windows are (B, n_in, 27)."""
        assert windows.shape[1:] == (self.n_in, self.n_rows), windows.shape
        return self._motion(self._described(windows).mean(2))

    def sequence(self, rows: Tensor) -> MappedMotion:
        """Motion of all frames of a sequence in one pass: the same numbers as from windows at a tenth of the cost.

        Args:
            rows: (T + 26, n_in): 13 rows before the first frame, then the frames, then 13 after the last.
        Returns:
            Motion of T frames.
        """
        assert rows.ndim == 2 and rows.shape[1] == self.n_in and len(rows) >= self.n_rows, rows.shape
        described = self._described(rows.T[None])  # (1, 1024, T + 2)
        return self._motion(functional.avg_pool1d(described, self.n_pooled, stride=1)[0].T)

    def _described(self, x: Tensor) -> Tensor:
        x = self.first(x)
        reach = (_DILATED - 1) * _DILATION // 2
        for layer in self.layers:
            x = layer(functional.leaky_relu(x, _SLOPE)) + x[..., reach:-reach]
        return x

    def _motion(self, descriptors: Tensor) -> MappedMotion:
        return MappedMotion(*(self.heads[name](descriptors) for name in _HEADS))
