"""Keypoints -> frames: batches, number formats and copies from the device, for videos of any length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from talkhead.device import repeatable
from talkhead.errors import ShapeError
from talkhead.systems.sadtalker.model_renderer_fast import FastRenderer

Frame = npt.NDArray[np.uint8]

_BYTES_PER_PIXEL = 12_000  # of a card's memory while a float32 frame is drawn, rounded up
_MOST = 16  # frames at a time: a card is busy with fewer


class Drawer:
    """Draws one picture with its keypoints moved.

    Args:
        renderer: of `load_renderer`; its device and number format are those of the drawing.
        image: the picture, (S, S, 3) uint8 RGB, S as the renderer was trained for.
        kp_source: its keypoints, (1, K, 3) or (K, 3).
        batch: frames at a time; None: 1 on a CPU, where more are not faster, else by the card's memory.
        compiled: let `torch.compile` fuse the decoder: a minute at first, then faster; for CUDA.
    Raises:
        ShapeError: a picture that is not square, or whose side the renderer's halvings do not divide.
    """

    def __init__(
        self,
        renderer: FastRenderer,
        image: Frame,
        kp_source: Tensor,
        *,
        batch: int | None = None,
        compiled: bool = False,
    ) -> None:
        side = image.shape[0]
        if image.shape != (side, side, 3) or side % renderer.multiple:
            raise ShapeError("image", image.shape, f"(S, S, 3), S a multiple of {renderer.multiple}")
        self.size = side
        self.device = renderer.device
        self.batch = batch or best_batch(side, self.device, renderer.dtype)
        self._renderer = renderer
        self._paint = torch.compile(renderer.decoder, dynamic=False) if compiled else renderer.decoder
        self._needs_full = compiled  # another batch size would be compiled anew
        kp_source = kp_source.reshape(1, *kp_source.shape[-2:])
        with repeatable(str(self.device)):
            self._source = renderer.encode(to_network(image).to(self.device), kp_source.to(self.device))

    def draw(self, keypoints: Iterable[Tensor]) -> Iterator[Frame]:
        """Frames of keypoints.

        Args:
            keypoints: pieces (n, K, 3) of any lengths, on any device; read as they are needed.
        Yields:
            (S, S, 3) uint8 RGB, an array of its own each, as many as there are keypoints.
        """
        batches = rebatch(keypoints, self.batch)
        drawn = ((self._pixels(some), len(some)) for some in batches)
        if self.device.type == "cuda":
            yield from _overlapped(drawn, self.device)
            return
        for pixels, n in drawn:
            for frame in pixels[:n].cpu():
                yield frame.clone().numpy()

    def _pixels(self, keypoints: Tensor) -> Tensor:
        # (n, K, 3) -> (n or more, S, S, 3) uint8 on the device
        missing = self.batch - len(keypoints)
        if self._needs_full and missing:
            keypoints = torch.cat((keypoints, keypoints[-1:].expand(missing, -1, -1)))
        keypoints = keypoints.to(self.device, non_blocking=True)
        with repeatable(str(self.device)), torch.inference_mode():
            drawn = self._paint(self._renderer.condition(self._source, keypoints))
            return to_pixels(drawn)


def to_network(image: Frame) -> Tensor:
    """(H, W, 3) uint8 -> (1, 3, H, W) float32 in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float() / 255


def to_pixels(drawn: Tensor) -> Tensor:
    """(B, 3, H, W) in [0, 1] -> (B, H, W, 3) uint8, rounded half to even as published."""
    return (drawn.permute(0, 2, 3, 1) * 255).round_().to(torch.uint8).contiguous()


def rebatch(pieces: Iterable[Tensor], n: int) -> Iterator[Tensor]:
    """The rows of all pieces in order, `n` at a time; the last may be fewer."""
    kept: list[Tensor] = []
    n_kept = 0
    for piece in pieces:
        kept.append(piece)
        n_kept += len(piece)
        while n_kept >= n:
            rows = torch.cat(kept)
            yield rows[:n]
            kept, n_kept = [rows[n:]], n_kept - n
    if n_kept:
        yield torch.cat(kept)


def best_batch(side: int, device: torch.device, dtype: torch.dtype) -> int:
    """Frames to draw at a time."""
    if device.type != "cuda":
        return 1
    # Of all its memory, not of what happens to be free: how many are drawn together may change their last bits.
    memory = torch.cuda.get_device_properties(device).total_memory
    per_frame = _BYTES_PER_PIXEL * side**2 * dtype.itemsize // 4
    return max(1, min(_MOST, memory // 4 // per_frame))


def _overlapped(drawn: Iterator[tuple[Tensor, int]], device: torch.device) -> Iterator[Frame]:
    # While the frames of one batch are taken, the card draws the next: two page-locked buffers, a stream for copies.
    copies = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    buffers: list[Tensor] = []
    waiting: tuple[Tensor, torch.cuda.Event] | None = None
    for k, (pixels, n) in enumerate(drawn):
        if len(buffers) < 2:
            buffers.append(torch.empty(pixels.shape, dtype=torch.uint8, pin_memory=True))
        target = buffers[k % 2][:n]
        copies.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(copies):
            target.copy_(pixels[:n], non_blocking=True)
            pixels.record_stream(copies)
            copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
            copied.record(copies)
        if waiting:
            yield from _taken(*waiting)
        waiting = target, copied
    if waiting:
        yield from _taken(*waiting)


def _taken(frames: Tensor, copied: torch.cuda.Event) -> Iterator[Frame]:
    copied.synchronize()
    for frame in frames:
        yield frame.clone().numpy()
