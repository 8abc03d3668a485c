"""The source bent by its mesh: what can be drawn without a checkpoint, and what the flow network F should find.

Where the face is seen, each pixel looks where the same point of the same triangle is in the source: the exact flow.
Around it the flow is continued by Laplace's equation on a coarse grid that rests at the picture's border (our choice).
"""

from __future__ import annotations

import functools
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from talkhead.errors import ShapeError
from talkhead.face3d.rasterizer import interpolate, rasterize

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]

GRID = 64
"""Cells along each side of the grid on which the flow around the face is found."""
_FULL = 0.5  # share of a cell that the face has to cover for its flow to count there


class MeshWarp:
    """Bends one picture.

    Args:
        picture: square or not, (H, W, 3) uint8. vertices: of its face, (V, 3) pixels, depth away from the camera.
        triangles: (F, 3).
    Raises:
        ShapeError: an array has another shape.
    """

    def __init__(self, picture: U8, vertices: npt.NDArray[np.floating[Any]], triangles: I32) -> None:
        if picture.ndim != 3 or picture.dtype != np.uint8:
            raise ShapeError("picture", picture.shape, "(H, W, 3) uint8")
        if vertices.ndim != 2 or vertices.shape[1] != 3:
            raise ShapeError("vertices", vertices.shape, "(V, 3)")
        self._picture, self._source, self._triangles = picture, np.asarray(vertices, np.float64), triangles

    def __call__(self, vertices: npt.NDArray[np.floating[Any]]) -> U8:
        """The picture with its face at other vertices (V, 3): (H, W, 3) uint8; at its own it is unchanged."""
        flow, _ = self.flow(vertices)
        height, width = self._picture.shape[:2]
        xs, ys = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
        bent = cv2.remap(
            self._picture, xs + flow[..., 0], ys + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        return np.asarray(bent, np.uint8)

    def flow(self, vertices: npt.NDArray[np.floating[Any]]) -> tuple[F32, npt.NDArray[np.bool_]]:
        """Where each pixel of a frame looks in the picture.

        Args:
            vertices: of the frame's face, (V, 3) pixels.
        Returns:
            (H, W, 2) pixels x y, relative to the pixel, as F gives it; which pixels show the face, (H, W).
        Raises:
            ShapeError: `vertices` has another shape than those of the picture.
        """
        if vertices.shape != self._source.shape:
            raise ShapeError("vertices", vertices.shape, f"{self._source.shape}")
        height, width = self._picture.shape[:2]
        flow, face = face_flow(self._source, vertices, self._triangles, (height, width))
        if not face.any():
            return flow, face
        around = _continued(flow, face)
        return np.where(face[..., None], flow, around).astype(np.float32), face


def face_flow(
    source: npt.NDArray[np.floating[Any]],
    vertices: npt.NDArray[np.floating[Any]],
    triangles: I32,
    size: tuple[int, int],
) -> tuple[F32, npt.NDArray[np.bool_]]:
    """Where the pixels that show a face look in the source: the same point of the same triangle.

    Args:
        source, vertices: of the source's face and the frame's, (V, 3) pixels. triangles: (F, 3). size: height and width
            of the frame.
    Returns:
        (H, W, 2) pixels x y, relative to the pixel, 0 where there is no face; which pixels show it, (H, W).
    """
    raster = rasterize(vertices, triangles, *size)
    moved = np.asarray(source, np.float64)[:, :2] - np.asarray(vertices, np.float64)[:, :2]
    return interpolate(moved, triangles, raster)[0], raster.tri_id[0] >= 0


def _continued(flow: F32, known: npt.NDArray[np.bool_]) -> F32:
    """The flow (H, W, 2) of known pixels (H, W) continued over all of them."""
    height, width = known.shape
    share = cv2.resize(known.astype(np.float32), (GRID, GRID), interpolation=cv2.INTER_AREA)
    mean = cv2.resize(np.where(known[..., None], flow, np.float32(0)), (GRID, GRID), interpolation=cv2.INTER_AREA)
    fixed = share > _FULL
    # A face of less than a cell has its densest cells instead.
    fixed = fixed if fixed.any() else share >= share.max()
    coarse = np.where(fixed[..., None], mean / np.maximum(share, 1e-6)[..., None], 0).astype(np.float64)
    rim = np.ones_like(fixed)
    rim[1:-1, 1:-1] = False
    solved = _laplace(coarse, fixed | rim)
    return np.asarray(
        cv2.resize(solved.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR), np.float32
    )


def _laplace(values: F64, fixed: npt.NDArray[np.bool_]) -> F64:
    """Values (n, n, 2) that are smooth between those that are fixed (n, n), to which the outermost cells belong.

    Every free cell is the mean of its four neighbours; the sparse system is solved directly.
    """
    from scipy.sparse.linalg import splu

    n = len(fixed)
    free = ~fixed.ravel()
    if not free.any():
        return values
    matrix = _mean_of_neighbours(n)
    flat = values.reshape(-1, values.shape[-1])
    solution = flat.copy()
    solution[free] = splu(matrix[free][:, free].tocsc()).solve(-(matrix[free][:, ~free] @ flat[~free]))
    return solution.reshape(values.shape)


@functools.lru_cache(maxsize=2)
def _mean_of_neighbours(n: int) -> Any:
    """Four times each cell of an n x n grid minus its neighbours, sparse (n^2, n^2)."""
    from scipy.sparse import diags, identity, kron

    line = diags([-np.ones(n - 1), 2 * np.ones(n), -np.ones(n - 1)], [-1, 0, 1])
    return (kron(line, identity(n)) + kron(identity(n), line)).tocsr()
