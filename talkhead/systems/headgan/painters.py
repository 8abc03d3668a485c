"""Who turns placed faces into pictures: the networks, and two stand-ins that need no weights.

A painter looks at one source picture, then paints frames of it from the vertices of the face. `NetworkPainter` is
HeadGAN; `WarpPainter` bends the source by the flow of the mesh (what F should learn, before training); `PnccPainter`
shows what the networks are shown.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from talkhead.device import repeatable
from talkhead.face3d.morphable import FaceModel
from talkhead.face3d.pncc import PnccDrawer
from talkhead.systems.headgan.condition import ConditionDrawer
from talkhead.systems.headgan.config import N_STACK
from talkhead.systems.headgan.fallback import MeshWarp
from talkhead.systems.headgan.features import AudioScale, feature_name
from talkhead.systems.headgan.model import Generator
from talkhead.systems.headgan.pictures import to_uint8

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

N_BEFORE = N_STACK - 1
"""Frames before the first that a painter is shown too."""


class Painter(Protocol):
    """Paints squares of one source.

    `side` is their side in pixels, `hears` the names of the features that `paint` wants as `audio`.
    """

    side: int
    hears: tuple[str, ...]

    def look(self, picture: U8, vertices: F64) -> None:
        """Take a source: its square, (side, side, 3) uint8 RGB, and the vertices of its face in it, (V, 3) pixels."""
        ...

    def paint(self, vertices: F64, audio: F32 | None) -> U8:
        """Paint consecutive frames.

        Args:
            vertices: (2 + n, V, 3) pixels, those of the two frames before the first in front. audio: (n, n_audio) of
                a painter that hears; None: nobody speaks.
        Returns:
            (n, side, side, 3) uint8 RGB.
        """
        ...


class NetworkPainter:
    """HeadGAN's generator; see `Painter`.

    Args:
        generator: for use only (`convert.for_use`). model: face model of the vertices. side: of the pictures it was
            trained on. scale: of what it hears. device: where the generator is.
    """

    def __init__(
        self, generator: Generator, model: FaceModel, side: int, *, scale: AudioScale | None = None, device: str = "cpu"
    ) -> None:
        self.side = side
        self.hears: tuple[str, ...] = (feature_name(generator.config.letters),) if generator.config.audio else ()
        self._generator, self._scale, self._device = generator, scale or AudioScale(), device
        self._dtype = next(generator.parameters()).dtype
        self._drawer = ConditionDrawer(generator.config.condition, model, side, device)

    def look(self, picture: U8, vertices: F64) -> None:
        """See `Painter`; what the networks see of the source is computed here, once."""
        pixels = torch.from_numpy(np.ascontiguousarray(picture)).to(self._device).permute(2, 0, 1)[None]
        reference = (pixels.to(self._dtype) / 127.5 - 1).contiguous(memory_format=torch.channels_last)
        with repeatable(self._device), torch.inference_mode():
            self._features = self._generator.encode(self._faces(vertices[None]), reference)

    def paint(self, vertices: F64, audio: F32 | None) -> U8:
        """See `Painter`."""
        n = len(vertices) - N_BEFORE
        with repeatable(self._device), torch.inference_mode():
            faces = self._faces(vertices)
            stack = torch.cat([faces[i : i + n] for i in range(N_STACK)], 1)
            drawn = self._generator.draw(stack, self._features, self._heard(audio, n))
            return np.ascontiguousarray(to_uint8(drawn.image).permute(0, 2, 3, 1).cpu().numpy())

    def _faces(self, vertices: F64) -> Tensor:
        drawn = self._drawer.draw(vertices).to(self._dtype)
        return drawn.contiguous(memory_format=torch.channels_last)

    def _heard(self, audio: F32 | None, n: int) -> Tensor | None:
        if not self.hears:
            return None
        heard = self._scale.silence(n) if audio is None else audio
        return torch.from_numpy(self._scale(heard)).to(self._device, self._dtype)


class WarpPainter:
    """The source bent by the mesh; see `Painter`.

    Args:
        model: face model of the vertices. side: of the pictures.
    """

    hears: tuple[str, ...] = ()

    def __init__(self, model: FaceModel, side: int) -> None:
        self.side, self._model = side, model

    def look(self, picture: U8, vertices: F64) -> None:
        """See `Painter`."""
        self._warp = MeshWarp(picture, vertices, self._model.triangles)

    def paint(self, vertices: F64, audio: F32 | None) -> U8:
        """See `Painter`."""
        return np.stack([self._warp(frame) for frame in vertices[N_BEFORE:]])


class PnccPainter:
    """What the networks are shown; see `Painter`.

    Args:
        model: face model of the vertices. side: of the pictures.
    """

    hears: tuple[str, ...] = ()

    def __init__(self, model: FaceModel, side: int) -> None:
        self.side, self._drawer = side, PnccDrawer(model, side)

    def look(self, picture: U8, vertices: F64) -> None:
        """See `Painter`; the source does not matter."""

    def paint(self, vertices: F64, audio: F32 | None) -> U8:
        """See `Painter`."""
        drawn = self._drawer.draw(vertices[N_BEFORE:]).mul(255).round().byte()
        return np.ascontiguousarray(drawn.permute(0, 2, 3, 1).numpy())
