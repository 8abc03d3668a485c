"""Coefficients -> the projected normalised coordinate code of every frame: what HeadGAN (section 3.1, 4.1) looks at.

`posed_vertices` gives the source's shape with the driver's expression and camera, `PnccDrawer` paints each visible
triangle in the colour of where its centre lies on the mean face. Eyes and mouth are holes of the mesh: open ones show
the background, closed ones the lids and lips that meet there.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from talkhead.coeffs.container import Coeffs
from talkhead.errors import CoeffFileError, ShapeError, UsageError
from talkhead.face3d import rasterizer
from talkhead.face3d.compiled import compiled
from talkhead.face3d.eyes import close_eyelids
from talkhead.face3d.morphable import FaceModel, ShapeModel
from talkhead.face3d.weak_camera import pose_tracks
from talkhead.geometry import euler_to_matrix, project

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
Colouring = Literal["flat", "smooth"]

_SLICE = 8
"""Frames a thread takes at a time."""


def posed_vertices(coeffs: Coeffs, model: ShapeModel, size: tuple[int, int]) -> F64:
    """Vertices of every frame in the picture: `s_t = mean + U_id id + U_exp exp_t` (HeadGAN, eq. 1), then the camera.

    Lids are closed where there is an `eyelid` track and the model has lids (`FaceModel`): over the person's own
    eyeballs, from as open as the shape has them. This is our addition; the paper's shapes have no such track.

    Args:
        coeffs: absolute tracks `rot trans scale`, `exp` and `id` if they are not zero. model: of their space.
        size: width and height of the picture, pixels; `scale` and `trans` are of this picture.
    Returns:
        (T, V, 3) float64: x right, y down, depth away from the camera, pixels.
    Raises:
        CoeffFileError: a track of the pose is absent or relative, or the codes are of another space.
        ShapeError: codes of another length.
    """
    vertices = shapes(coeffs, model)
    rot, trans, scale = pose_tracks(coeffs)
    return project(vertices, euler_to_matrix(rot), trans, scale, size)


def shapes(coeffs: Coeffs, model: ShapeModel) -> F64:
    """The face of every frame before its pose, (T, V, 3), model units, head frame; args, errors: `posed_vertices`."""
    if (coeffs.id is not None or coeffs.exp is not None) and coeffs.space != model.space.name:
        raise CoeffFileError(f"codes of space {coeffs.space} do not belong to the face model {model.space.name}")
    if "exp" in coeffs.relative:
        raise CoeffFileError("exp is relative to a photo's own; add the photo's coefficients first")
    neutral = model.shape(coeffs.id)
    if coeffs.exp is None:
        vertices = np.repeat(neutral[None], len(coeffs), axis=0)
    else:
        vertices = neutral + model.offset(coeffs.exp)
    if coeffs.eyelid is not None and isinstance(model, FaceModel):
        vertices = close_eyelids(vertices, coeffs.eyelid)
    return vertices


class PnccDrawer:
    """Paints projected normalised coordinate codes of one face model, many frames at a time.

    On the CPU by the compiled rasteriser, as many threads as PyTorch may use; on CUDA by the Triton kernel, or where
    Triton does not load, and on other devices, by PyTorch. All find the same triangles (`rasterizer`'s contract).

    Args:
        model: its mean shape gives the colours, its triangles the mesh. side: of the square pictures, pixels.
        device: where pictures are made and stay. colouring: `flat`, one colour a triangle (the paper), or `smooth`.
    Raises:
        UsageError: `side` is not positive or there is no such colouring.
    """

    def __init__(
        self, model: ShapeModel, side: int, device: str | torch.device = "cpu", *, colouring: Colouring = "flat"
    ) -> None:
        if side < 1:
            raise UsageError(f"a picture of {side} pixels is empty")
        if colouring not in ("flat", "smooth"):
            raise UsageError(f"no colouring {colouring!r}", hint="flat or smooth")
        self.side, self.device, self.colouring = side, torch.device(device), colouring
        self._triangles = np.ascontiguousarray(model.triangles, np.int32)
        colors = rasterizer.pncc_colors(model.mean)
        self._flat = np.ascontiguousarray(colors[self._triangles].mean(1), np.float32)
        self._on_device = torch.from_numpy(self._triangles.astype(np.int64)).to(self.device)
        self._corner_colors = torch.from_numpy(colors).to(self.device)
        # Row 0 is the background: triangle numbers are looked up one later.
        table = torch.from_numpy(np.concatenate([np.zeros((1, 3), np.float32), self._flat]))
        self._table = table.to(self.device)

    def draw(self, vertices: npt.NDArray[np.floating[Any]] | torch.Tensor) -> torch.Tensor:
        """Paint frames.

        Args:
            vertices: (T, V, 3) pixels of the square picture, as `posed_vertices` gives them.
        Returns:
            (T, 3, side, side) float32 in [0, 1] on the drawer's device; background exactly 0.
        Raises:
            ShapeError: `vertices` has another shape.
        """
        if self.device.type == "cpu" and self.colouring == "flat":
            v = _array(vertices)
            pictures = np.empty((len(v), 3, self.side, self.side), np.float32)
            self._on_threads(v, None, pictures)
            return torch.from_numpy(pictures)
        ids = self.triangle_ids(vertices)
        if self.colouring == "flat":
            return self._table[(ids + 1).long()].permute(0, 3, 1, 2).contiguous()
        placed = torch.as_tensor(vertices, device=self.device).float()
        smooth = rasterizer.interpolate_differentiable(self._corner_colors, placed, self._on_device, ids)
        return smooth.clamp(0, 1).permute(0, 3, 1, 2).contiguous()

    def triangle_ids(self, vertices: npt.NDArray[np.floating[Any]] | torch.Tensor) -> torch.Tensor:
        """Which triangle each pixel shows.

        Args, errors: as of `draw`.
        Returns:
            (T, side, side) int32, -1 where empty.
        """
        if self.device.type == "cpu":
            v = _array(vertices)
            ids = np.empty((len(v), self.side, self.side), np.int32)
            self._on_threads(v, ids, None)
            return torch.from_numpy(ids)
        placed = torch.as_tensor(vertices, device=self.device)
        return device_rasterizer(self.device)(placed, self._on_device, self.side, self.side)

    def _on_threads(self, v: F64, ids: I32 | None, pictures: F32 | None) -> None:
        if v.size and self._triangles.max() >= v.shape[1]:
            raise ShapeError("vertices", v.shape, f"(T, {self._triangles.max() + 1} or more, 3)")

        def work(start: int) -> None:
            part = slice(start, start + _SLICE)
            found = rasterizer.rasterize_ids(v[part], self._triangles, self.side, self.side)
            if ids is not None:
                ids[part] = found
            if pictures is not None:
                _paint(found, self._flat, pictures[part])

        starts = range(0, len(v), _SLICE)
        n_threads = min(len(starts), torch.get_num_threads())
        if n_threads <= 1:
            for start in starts:
                work(start)
            return
        with ThreadPoolExecutor(n_threads) as pool:
            list(pool.map(work, starts))


def device_rasterizer(device: torch.device) -> Any:
    """`rasterize_ids` for a device other than the CPU: Triton's where it loads, else PyTorch's."""
    if device.type == "cuda":
        try:
            from talkhead.face3d.rasterizer_triton import rasterize_ids as by_triton
        except ImportError:  # Triton comes with PyTorch on Linux only
            pass
        else:
            return by_triton
    from talkhead.face3d.rasterizer_torch import rasterize_ids as by_torch

    return by_torch


def _array(vertices: npt.NDArray[np.floating[Any]] | torch.Tensor) -> F64:
    v = vertices.detach().cpu().numpy() if isinstance(vertices, torch.Tensor) else vertices
    v = np.ascontiguousarray(v, np.float64)
    if v.ndim != 3 or v.shape[2] != 3:
        raise ShapeError("vertices", v.shape, "(T, V, 3)")
    return v


@compiled()
def _paint(tri_id: I32, colors: F32, pictures: F32) -> None:
    """Triangle numbers (N, H, W) -> pictures (N, 3, H, W) of the triangles' colours (F, 3)."""
    for frame in range(tri_id.shape[0]):
        for y in range(tri_id.shape[1]):
            for x in range(tri_id.shape[2]):
                f = tri_id[frame, y, x]
                for c in range(3):
                    pictures[frame, c, y, x] = colors[f, c] if f >= 0 else np.float32(0)


def mirror_codes(pictures: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Codes of drawn faces whose pixels were mirrored: the mean face is its own mirror image, so x becomes 1 - x.

    Args:
        pictures: (..., 3, H, W) uint8, background 0 in all channels.
    """
    changed = pictures.copy()
    face = pictures.any(-3)
    changed[..., 0, :, :] = np.where(face, 255 - pictures[..., 0, :, :], 0)
    return changed
