"""Aligned faces -> coefficient rows: what the 3DMM regressor says, in the order the other networks read it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from talkhead.coeffs.bfm import SIDE, SPACE, scale_of_depth
from talkhead.coeffs.container import Coeffs
from talkhead.coeffs.layout import ALIGNMENT
from talkhead.device import repeatable
from talkhead.systems.sadtalker.config import N_EXP, N_POSE

if TYPE_CHECKING:
    import torch
    from torch import Tensor

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
Regress = Callable[["Tensor"], "Tensor"]
"""The regressor: pictures (B, 3, 224, 224) in [0, 1] -> (B, 257)."""

_POSE, _TRANS, _ALIGN = N_EXP, N_EXP + 3, N_EXP + N_POSE


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """Coefficients of aligned faces.

    Attributes:
        rows: (T, 73): expression 64, angles 3, translation 3, and s, t.x, t.y of the alignment.
        identity: (T, 80), of each picture by itself.
    """

    rows: F32
    identity: F32

    @staticmethod
    def joined(parts: Sequence[Measured]) -> Measured:
        """One after the other."""
        return Measured(
            rows=np.concatenate([part.rows for part in parts]),
            identity=np.concatenate([part.identity for part in parts]),
        )


class Measurer:
    """Runs the regressor where it lives.

    Args:
        regressor: the network. device, dtype: where and in what it computes, names or PyTorch's own; None asks the
            network.
    """

    def __init__(self, regressor: Regress, device: Any = None, dtype: Any = None) -> None:
        import torch

        sample = _first_weight(regressor)
        self._regressor = regressor
        self._device = torch.device(device or (sample.device if sample is not None else "cpu"))
        chosen = dtype or (sample.dtype if sample is not None else torch.float32)
        self._dtype: torch.dtype = getattr(torch, chosen) if isinstance(chosen, str) else chosen

    @property
    def device(self) -> str:
        """Name of the device it computes on."""
        return str(self._device)

    def __call__(self, pictures: Sequence[U8], alignments: Sequence[F64]) -> Measured:
        """Measure a batch.

        Args:
            pictures: (224, 224, 3) uint8 RGB each. alignments: `trans_params` of `aligned_face`, (5,) each.
        """
        import torch

        from talkhead.systems.sadtalker.model_recon import split_coeffs

        with repeatable(self.device), torch.inference_mode():
            batch = torch.from_numpy(np.stack(pictures)).to(self._device).permute(0, 3, 1, 2)  # (B, 3, 224, 224)
            found = split_coeffs(self._regressor(batch.to(self._dtype) / 255))
            parts = [found.exp, found.angles, found.trans]
            rows = torch.cat([part.float() for part in parts], 1).cpu().numpy()  # (B, 70)
            identity = found.id.float().cpu().numpy()
        place = np.array(alignments, np.float32)[:, 2:]
        return Measured(rows=np.concatenate([rows, place], 1), identity=identity)


def coeffs_of(measured: Measured, fps: float, landmarks: F32 | None = None, **params: Any) -> Coeffs:
    """Rows as coefficients of space `bfm`, absolute.

    `rot`, `trans` and `scale` are those in the aligned picture of 224 pixels, as in SadTalker's own files
    (`talkhead.coeffs.deep3d_mat`); `extra["alignment"]`, (T, 3), says where each lies in the square of the networks.
    `id` is the median over the frames.

    Args:
        measured: T frames. fps: their rate. landmarks: (T, 68, 2), pixels of the picture. params: to note.
    """
    rows = measured.rows
    return Coeffs(
        space=SPACE,
        fps=fps,
        n_frames=len(rows),
        id=np.median(measured.identity, axis=0).astype(np.float32),
        exp=rows[:, :_POSE].copy(),
        rot=rows[:, _POSE:_TRANS].copy(),
        trans=rows[:, _TRANS:_ALIGN].copy(),
        scale=scale_of_depth(rows[:, _ALIGN - 1]),
        size=np.array([SIDE, SIDE], np.float32),
        landmarks=landmarks,
        extra={ALIGNMENT: rows[:, _ALIGN:].copy()},
        params=params,
    )


def _first_weight(network: Any) -> torch.Tensor | None:
    if not hasattr(network, "parameters"):
        return None
    return next(iter(chain(network.parameters(), network.buffers())), None)
