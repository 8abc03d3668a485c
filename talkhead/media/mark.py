"""The provenance mark."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

U8 = npt.NDArray[np.uint8]
NOTE = "talkhead; synthetic media"


class Mark:
    def __init__(self, size: tuple[int, int]) -> None: ...
    def apply_luma(self, y: U8) -> None: ...
    def apply_rgb(self, f: U8) -> U8:
        return f


class Label:
    def __init__(self, size: tuple[int, int], text: str) -> None: ...
    def draw(self, f: U8) -> None: ...
