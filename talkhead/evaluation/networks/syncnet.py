"""SyncNet (Chung and Zisserman 2016), second version: five frames, or 0.2 s of sound -> 1024 numbers.

Those of pictures and sound that belong together lie near each other.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from talkhead.audio.mfcc import N_COEFFS
from talkhead.errors import ShapeError
from talkhead.evaluation.face_tracks import CROP_SIDE
from talkhead.evaluation.lip_sync import N_FRAMES, N_ROWS, ROW_STEP
from talkhead.evaluation.networks.loading import Origin, load_network

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]

ENTRIES = ("syncnet-v2",)
N_FEATURES = 1024

_RENAME = (
    (r"^netcnnaud\.", "sound.convolutions."),
    (r"^netfcaud\.", "sound.head."),
    (r"^netcnnlip\.", "pictures.convolutions."),
    (r"^netfclip\.", "pictures.head."),
)
_HIDDEN = 512


class Stream(nn.Module):
    """Convolutions down to a line of 512 numbers, then two linear layers; the published numbering is kept."""

    def __init__(self, convolutions: nn.Sequential) -> None:
        super().__init__()
        self.convolutions = convolutions
        self.head = nn.Sequential(
            nn.Linear(_HIDDEN, _HIDDEN), nn.BatchNorm1d(_HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, N_FEATURES)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, ...) -> (B * windows, 1024)."""
        return self.head(self.hidden(x))

    def hidden(self, x: Tensor) -> Tensor:
        """(B, C, ...) -> (B * windows, 512), before the linear layers."""
        maps = self.convolutions(x).flatten(2)  # (B, 512, windows)
        return maps.transpose(1, 2).reshape(-1, _HIDDEN)


class SyncNet(nn.Module):
    """Both streams."""

    def __init__(self) -> None:
        super().__init__()
        self.sound = Stream(_sound_convolutions())
        self.pictures = Stream(_picture_convolutions())


def _sound_convolutions() -> nn.Sequential:
    def unit(n_in: int, n_out: int, kernel: tuple[int, int] = (3, 3), padding: int = 1) -> list[nn.Module]:
        return [nn.Conv2d(n_in, n_out, kernel, padding=padding), nn.BatchNorm2d(n_out), nn.ReLU()]

    return nn.Sequential(  # (B, 1, 13, 20)
        *unit(1, 64), nn.Identity(),
        *unit(64, 192), nn.MaxPool2d(3, (1, 2)),  # (B, 192, 11, 9)
        *unit(192, 384), *unit(384, 256), *unit(256, 256), nn.MaxPool2d(3, 2),  # (B, 256, 5, 4)
        *unit(256, _HIDDEN, (5, 4), 0),
    )  # fmt: skip


def _picture_convolutions() -> nn.Sequential:
    def unit(n_in: int, n_out: int, side: int, stride: int, padding: int, frames: int = 1) -> list[nn.Module]:
        convolution = nn.Conv3d(n_in, n_out, (frames, side, side), (1, stride, stride), (0, padding, padding))
        return [convolution, nn.BatchNorm3d(n_out), nn.ReLU()]

    def pool(padding: int) -> nn.Module:
        return nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, padding, padding))

    return nn.Sequential(  # (B, 3, T, 224, 224); only the first layer looks along time
        *unit(3, 96, 7, 2, 0, N_FRAMES), pool(0),  # (B, 96, T - 4, 54, 54)
        *unit(96, 256, 5, 2, 1), pool(1),  # (B, 256, T - 4, 13, 13)
        *unit(256, 256, 3, 1, 1), *unit(256, 256, 3, 1, 1), *unit(256, 256, 3, 1, 1), pool(0),
        *unit(256, _HIDDEN, 6, 1, 0),
    )  # fmt: skip


class SyncEmbedder:
    """SyncNet on crops and MFCC.

    Args:
        path: `syncnet_v2.model` or its safetensors. device, dtype: as resolved by `talkhead.device`; inputs reach 255,
            so published numbers need float32.
    Raises:
        WeightsError: the file holds something else.
    """

    def __init__(self, path: Path, *, device: str = "cpu", dtype: str = "float32") -> None:
        self.origin: Origin
        self._network, self.origin = load_network(
            lambda _: SyncNet(), path, name="SyncNet", entries=ENTRIES, rename=_RENAME, device=device, dtype=dtype
        )
        self._device, self._dtype = device, getattr(torch, dtype)

    def pictures(self, crops: U8) -> F32:
        """Features of every five consecutive crops.

        Args:
            crops: (T, 224, 224, 3) uint8 RGB, T >= 5, at 25 per second.
        Returns:
            (T - 4, 1024) float32; row i is of frames i to i + 4.
        Raises:
            ShapeError: crops of another shape.
        """
        if crops.shape[1:] != (CROP_SIDE, CROP_SIDE, 3) or crops.dtype != np.uint8 or len(crops) < N_FRAMES:
            raise ShapeError("crops", crops.shape, f"({N_FRAMES} or more, {CROP_SIDE}, {CROP_SIDE}, 3) uint8")
        shown = torch.from_numpy(np.ascontiguousarray(crops[..., ::-1])).to(self._device)  # trained on BGR, 0..255
        with torch.inference_mode():
            return self._given(self._network.pictures(shown.permute(3, 0, 1, 2)[None].to(self._dtype)))

    def sounds(self, rows: npt.NDArray[np.floating[Any]]) -> F32:
        """Features of windows of 20 rows, 4 apart.

        Args:
            rows: (R, 13) MFCC (`talkhead.audio.mfcc`), R >= 20.
        Returns:
            ((R - 20) // 4 + 1, 1024) float32; row i is of rows 4 i to 4 i + 19.
        Raises:
            ShapeError: rows of another shape.
        """
        if rows.ndim != 2 or rows.shape[1] != N_COEFFS or len(rows) < N_ROWS:
            raise ShapeError("rows", rows.shape, f"({N_ROWS} or more, {N_COEFFS})")
        windows = np.lib.stride_tricks.sliding_window_view(rows, N_ROWS, axis=0)[::ROW_STEP]  # (n, 13, 20)
        given = torch.from_numpy(np.array(windows, np.float32)).to(self._device, self._dtype)
        with torch.inference_mode():
            return self._given(self._network.sound(given[:, None]))

    @staticmethod
    def _given(features: Tensor) -> F32:
        return features.float().cpu().numpy()
