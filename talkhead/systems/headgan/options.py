"""How HeadGAN's renderer draws; the command line reads its defaults from here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Framing = Literal["full", "crop"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RenderOptions:
    """Options of the renderer.

    Attributes:
        size: longer side of the output, pixels. None: with framing `crop` the networks' own, else the photo's.
        framing: the square around the head that the networks draw, or the whole photo with that square put back.
        batch: frames drawn at a time.
    """

    size: int | None = None
    framing: Framing = "crop"
    batch: int = 8
