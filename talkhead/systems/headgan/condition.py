"""What the networks are shown of a driving face: PNCC, or in the ablation `landmarks` the edges between 68 points."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from talkhead.coeffs.container import Coeffs
from talkhead.errors import ShapeError
from talkhead.face3d.morphable import FaceModel
from talkhead.face3d.pncc import PnccDrawer, posed_vertices
from talkhead.systems.headgan.config import Condition
from talkhead.systems.headgan.sketch import draw_sketch

F64 = npt.NDArray[np.float64]


class ConditionDrawer:
    """Draws faces for the networks.

    Args:
        condition: what of them (`NetworkConfig.condition`). model: face model of the coefficients. side: of the
            pictures, pixels. device: where PNCC is made and stays.
    """

    def __init__(self, condition: Condition, model: FaceModel, side: int, device: str | torch.device = "cpu") -> None:
        self.condition, self.model, self.side = condition, model, side
        self._drawer = PnccDrawer(model, side, device)

    def vertices(self, coeffs: Coeffs, size: tuple[int, int]) -> F64:
        """Where the face is in pictures of `side` pixels, (T, V, 3); x right, y down, depth.

        Args:
            coeffs: absolute tracks. size: width and height of the pictures they were measured in, equal.
        Raises:
            ShapeError: pictures that are not square. CoeffFileError: as `posed_vertices`.
        """
        if size[0] != size[1]:
            raise ShapeError("picture", (size[1], size[0]), "a square")
        return posed_vertices(coeffs, self.model, size) * (self.side / size[0])

    def draw(self, vertices: npt.NDArray[np.floating[Any]]) -> torch.Tensor:
        """(T, V, 3) pixels -> (T, 3, side, side) float32 in [0, 1], background 0."""
        if self.condition == "pncc":
            return self._drawer.draw(vertices)
        points = vertices[:, self.model.landmarks68, :2]
        lines = np.stack([draw_sketch(frame, self.side) for frame in points])  # (T, S, S)
        drawn = torch.from_numpy(np.ascontiguousarray(lines)).to(self._drawer.device).float()
        return drawn[:, None].expand(-1, 3, -1, -1).contiguous()
