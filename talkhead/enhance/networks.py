"""Published enhancement networks, loaded by spandrel from their checkpoints, behind two small classes.

spandrel is maintained, recognises a network by its checkpoint and holds the code of GFPGAN, RestoreFormer and
Real-ESRGAN; CodeFormer's, which is for non-commercial use, comes with the separate package spandrel-extra-arches.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from talkhead.device import resolve_dtype
from talkhead.enhance.align import FACE_SIZE
from talkhead.errors import EnvironmentProblem, ShapeError, WeightsError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]

ARCHITECTURES = {"gfpgan": "GFPGAN", "restoreformer": "RestoreFormer", "codeformer": "CodeFormer"}
"""spandrel's names for the networks of `EnhanceConfig.faces`."""

CODEFORMER_FIDELITY = 0.5
"""CodeFormer's own dial between quality (0) and likeness (1): its default. How much of the result is used is the
strength, as for every network."""

TILE = 400
TILE_MARGIN = 10
"""Largest side of the tiles that an enlarging network does at a time, and how far it sees beyond; pixels."""


class FaceRestorer:
    """A face restoration network.

    Args:
        network: faces (B, 3, 512, 512), RGB in [-1, 1] -> the same. device: where it lies. dtype: of its arithmetic,
            `float32`, `bfloat16` or `float16`.
    """

    def __init__(self, network: Callable[[Tensor], Tensor], *, device: str = "cpu", dtype: str = "float32") -> None:
        self._network = network
        self._device = device
        self._dtype = dtype

    def start(self, faces: Sequence[F32]) -> Tensor:
        """Begin to restore faces, (512, 512, 3) float32 RGB, 0..255; on a card this returns before it is done."""
        import torch

        stacked = torch.from_numpy(np.stack(faces)).to(self._device)
        with torch.inference_mode(), _memory_told(self._device), _computing(self._device, self._dtype):
            result = self._network(stacked.permute(0, 3, 1, 2).contiguous() / 127.5 - 1)  # (B, 3, 512, 512)
        if result.shape[1:] != (3, FACE_SIZE, FACE_SIZE):
            raise ShapeError("restored faces", tuple(result.shape), f"(B, 3, {FACE_SIZE}, {FACE_SIZE})")
        return result

    def finish(self, started: Tensor) -> list[F32]:
        """The faces that `start` began, (512, 512, 3) float32 RGB, 0..255."""
        with _memory_told(self._device):
            shown = ((started.float().clamp(-1, 1) + 1) * 127.5).permute(0, 2, 3, 1).cpu()
        return list(shown.numpy())


class Upscaler:
    """A network that enlarges whole pictures, tile by tile; tiles that have not changed since the last are not redone.

    Args:
        network: picture (1, 3, H, W), RGB in [0, 1] -> (1, 3, scale H, scale W). scale: its factor.
        device, dtype: as in `FaceRestorer`. tile, margin: pixels.
    """

    def __init__(
        self,
        network: Callable[[Tensor], Tensor],
        *,
        scale: int,
        device: str = "cpu",
        dtype: str = "float32",
        tile: int = TILE,
        margin: int = TILE_MARGIN,
    ) -> None:
        self.scale = scale
        self._network = network
        self._device = device
        self._dtype = dtype
        self._tile = tile
        self._margin = margin
        self._last: tuple[U8, U8] | None = None

    def enlarge(self, frame: U8) -> U8:
        """(H, W, 3) uint8 RGB -> (scale H, scale W, 3) uint8 RGB."""
        height, width = frame.shape[:2]
        out = np.empty((height * self.scale, width * self.scale, 3), np.uint8)
        last = self._last if self._last is not None and self._last[0].shape == frame.shape else None
        for y0, y1 in _spans(height, self._tile):
            for x0, x1 in _spans(width, self._tile):
                top, left = max(0, y0 - self._margin), max(0, x0 - self._margin)
                seen = np.s_[top : y1 + self._margin, left : x1 + self._margin]
                place = np.s_[y0 * self.scale : y1 * self.scale, x0 * self.scale : x1 * self.scale]
                if last is not None and np.array_equal(frame[seen], last[0][seen]):
                    out[place] = last[1][place]
                    continue
                dy, dx = (y0 - top) * self.scale, (x0 - left) * self.scale
                made = self._run(frame[seen])
                out[place] = made[dy : dy + (y1 - y0) * self.scale, dx : dx + (x1 - x0) * self.scale]
        self._last = frame.copy(), out.copy()
        return out

    def _run(self, part: U8) -> U8:
        import torch

        picture = torch.from_numpy(np.ascontiguousarray(part)).to(self._device)
        with torch.inference_mode(), _memory_told(self._device), _computing(self._device, self._dtype):
            made = self._network(picture.permute(2, 0, 1)[None].float() / 255)  # (1, 3, scale H, scale W)
            shown = (made.float().clamp(0, 1)[0] * 255).round().to(torch.uint8).permute(1, 2, 0)
        return shown.cpu().numpy()


def open_restorer(name: str, path: Path, *, device: str, dtype: str) -> FaceRestorer:
    """Load a face restoration network.

    Args:
        name: as in `EnhanceConfig.faces`. path: its weights, safetensors. device, dtype: as resolved by
            `talkhead.device`.
    Raises:
        WeightsError: the file holds another network, or parts of one. EnvironmentProblem: CodeFormer without the
            package that holds it.
    """
    expected = ARCHITECTURES[name]
    found = _loaded(path, expected, with_extras=name == "codeformer")
    if found.architecture.id != expected:
        raise WeightsError(f"{path} holds {found.architecture.name}, not {expected}")
    model = found.model.to(device)

    def restore(faces: Tensor) -> Tensor:
        # Not spandrel's own call: it hands GFPGAN pictures in [0, 1] and cuts its answer, which is in [-1, 1].
        if name == "gfpgan":
            # The stored noise: fresh noise for every frame, which is the default, makes skin flicker.
            image = model(faces, return_rgb=False, randomize_noise=False)[0]
        elif name == "codeformer":
            image = model(faces, weight=CODEFORMER_FIDELITY)[0]
        else:
            image = model(faces)[0]
        return image

    return FaceRestorer(restore, device=device, dtype=_fitting(found, dtype, device))


def open_upscaler(path: Path, *, device: str, dtype: str) -> Upscaler:
    """Load a network that enlarges pictures: any that spandrel knows.

    Args:
        path: its weights, safetensors. device, dtype: as resolved by `talkhead.device`.
    Raises:
        WeightsError: the file holds something else.
    """
    found = _loaded(path, "a network that enlarges pictures")
    if found.purpose not in ("SR", "Restoration") or found.input_channels != 3 or found.output_channels != 3:
        raise WeightsError(f"{path} holds {found.architecture.name} for {found.purpose}: it enlarges no RGB pictures")
    return Upscaler(found.to(device), scale=found.scale, device=device, dtype=_fitting(found, dtype, device))


def _loaded(path: Path, expected: str, *, with_extras: bool = False) -> Any:
    """What spandrel makes of the network in a file, every key used, ready to compute."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file
    from spandrel import MAIN_REGISTRY, UnsupportedModelError

    registry = _extra_registry() if with_extras else MAIN_REGISTRY
    try:
        found = registry.load(_unwrapped(load_file(path)))
    except UnsupportedModelError as error:
        raise WeightsError(f"{path} is not {expected}: none of the networks known to spandrel fits it") from error
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"cannot read {path}: {error}") from error
    except (RuntimeError, KeyError, IndexError, ValueError, AssertionError) as error:
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise WeightsError(f"{path} is not {expected}, or damaged: {' '.join(said)[:200]}") from error
    found.eval()
    found.model.requires_grad_(False)
    return found


def _extra_registry() -> Any:
    """The registry that knows CodeFormer."""
    try:
        from spandrel_extra_arches import EXTRA_REGISTRY
    except ImportError as error:
        raise EnvironmentProblem(
            "CodeFormer's network is not part of spandrel: its licence forbids commercial use",
            hint='if that is fine: pip install "talkhead[codeformer]"; or use --enhance gfpgan',
        ) from error
    return EXTRA_REGISTRY


def _spans(length: int, tile: int) -> list[tuple[int, int]]:
    """Starts and ends of the fewest nearly equal parts of a side that are no longer than a tile."""
    n_parts = -(-length // tile)
    edges = [round(i * length / n_parts) for i in range(n_parts + 1)]
    return list(zip(edges[:-1], edges[1:], strict=True))


def _unwrapped(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state of the network in a checkpoint that may hold several: the averaged one (`params_ema`) if there is."""
    for prefix in ("params_ema.", "params."):
        inside = {key[len(prefix) :]: value for key, value in tensors.items() if key.startswith(prefix)}
        if inside:
            return inside
    return tensors


def _fitting(found: Any, dtype: str, device: str) -> str:
    """The number format asked for, or one that the network bears: face networks overflow in float16."""
    if dtype == "float16" and not found.supports_half:
        dtype = resolve_dtype("auto", device)
    return dtype if dtype != "bfloat16" or found.supports_bfloat16 else "float32"


def _computing(device: str, dtype: str) -> torch.autocast:
    """Mixed precision: weights stay float32, matrix products are done in `dtype`."""
    import torch

    kind = torch.device(device).type
    if dtype == "float32":
        return torch.autocast(kind, enabled=False)
    return torch.autocast(kind, dtype=getattr(torch, dtype))


@contextlib.contextmanager
def _memory_told(device: str) -> Iterator[None]:
    """Turn a card's lack of memory into a message."""
    import torch

    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        raise EnvironmentProblem(
            f"{device} has too little free memory to enhance frames", hint="close other programs, or use --device cpu"
        ) from error
