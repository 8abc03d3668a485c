"""LPIPS of paired frames, and what FID and FVD are called here: distances in the layers of classifiers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from talkhead.errors import ShapeError
from talkhead.evaluation.columns import Columns
from talkhead.evaluation.measurement import Grade, Measurement

U8 = npt.NDArray[np.uint8]
F64 = npt.NDArray[np.float64]

BATCH = 8
"""Pairs per pass."""
FID_DEFINITION = "fid/inception-2015-12-05-pool3"
"""All frames of all clips, RGB, bilinear to 299 without antialiasing (Heusel et al. 2017, its PyTorch port)."""
FVD_DEFINITION = "fvd/i3d-kinetics400-logits-16x1"
"""Windows of 16 consecutive frames that do not overlap, 224 x 224 (Unterthiner et al. 2019; clip length is ours)."""


class PairNetwork(Protocol):
    """LPIPS: see `talkhead.evaluation.networks.lpips.Lpips`."""

    @property
    def backbone(self) -> str:
        """`alex` or `vgg`."""
        ...

    def run(self, a: U8, b: U8) -> F64:
        """(B, H, W, 3) uint8 RGB twice -> (B,)."""
        ...


class LpipsMeter:
    """LPIPS of every frame of a clip and its counterpart, whole frames at their own size; holds 4 bytes a frame.

    Args:
        network: LPIPS. batch: pairs per pass.
    """

    def __init__(self, network: PairNetwork, *, batch: int = BATCH) -> None:
        self._network, self._batch = network, batch
        self._pairs: list[tuple[U8, U8]] = []
        self._values = Columns()

    def add(self, generated: U8, real: U8) -> None:
        """Take the next pair, (H, W, 3) uint8 RGB each.

        Raises:
            ShapeError: they differ in size.
        """
        if generated.shape != real.shape:
            raise ShapeError("real", real.shape, f"{generated.shape} as the generated frame")
        if self._pairs and generated.shape != self._pairs[0][0].shape:
            self._flush()
        self._pairs.append((generated, real))
        if len(self._pairs) == self._batch:
            self._flush()

    def finish(self) -> F64:
        """(T,) of all pairs."""
        self._flush()
        return self._values.column().astype(np.float64)

    def _flush(self) -> None:
        if self._pairs:
            a, b = (np.stack(side) for side in zip(*self._pairs, strict=True))
            self._values.add_rows(self._network.run(a, b))
            self._pairs = []


def lpips_measurement(values: F64, *, backbone: str, grade: Grade, size: Sequence[int] = ()) -> Measurement:
    """LPIPS of one clip: the mean over its frames (Zhang et al. 2018, version 0.1).

    Args:
        values: (T,) of its frames. backbone: `alex` or `vgg`: numbers of different ones cannot be compared.
        grade: of the weights of both files. size: width and height of the frames, which the number depends on.
    """
    has_frames = len(values) > 0
    return Measurement(
        name="lpips" if backbone == "alex" else f"lpips_{backbone}",
        definition=f"lpips/v0.1-{backbone}",
        grade=grade,
        value=float(values.mean()) if has_frames else None,
        reason="" if has_frames else "no pairs of frames",
        n_frames=len(values),
        params={"backbone": backbone, **({"size": f"{size[0]}x{size[1]}"} if len(size) == 2 else {})},
    )
