"""What a run writes down: every term of every step as JSON lines, the same for TensorBoard, sheets of pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

LOG, BOARD, SAMPLES = "log.jsonl", "tensorboard", "samples"


class RunLog:
    """The log of one run; only one process writes.

    Args:
        run: its folder. step: the step that comes first; what an earlier, interrupted run wrote from there on is
            dropped. tensorboard: whether its log is written.
    """

    def __init__(self, run: Path, step: int, *, tensorboard: bool) -> None:
        self._run = run
        path = run / LOG
        kept = _lines_before(path, step)
        self._stream = path.open("w", encoding="utf-8")
        self._stream.writelines(kept)
        self._board: SummaryWriter | None = None
        if tensorboard:
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(run / BOARD), purge_step=step)

    def write(self, step: int, values: Mapping[str, float | int | str]) -> None:
        """One line; numbers go to TensorBoard too."""
        self._stream.write(json.dumps({"step": step, **values}) + "\n")
        self._stream.flush()
        if self._board is not None:
            for name, value in values.items():
                if not isinstance(value, str):
                    self._board.add_scalar(name.replace(".", "/", 1), value, step)

    def pictures(self, step: int, sheets: Mapping[str, npt.NDArray[np.uint8]]) -> None:
        """Sheets as `samples/STEP-NAME.png`; (H, W, 3) uint8 RGB."""
        from talkhead.media.image import write_image

        folder = self._run / SAMPLES
        folder.mkdir(exist_ok=True)
        for name, sheet in sheets.items():
            write_image(folder / f"{step:08d}-{name}.png", sheet, overwrite=True)
            if self._board is not None:
                self._board.add_image(name, sheet, step, dataformats="HWC")

    def close(self) -> None:
        """End the files."""
        self._stream.close()
        if self._board is not None:
            self._board.close()


def read_log(run: str | Path) -> list[dict[str, Any]]:
    """The lines of a run's log; one that was cut by a crash is left out."""
    return [json.loads(line) for line in _lines_before(Path(run) / LOG, 2**63)]


def _lines_before(path: Path, step: int) -> list[str]:
    kept = []
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
            try:
                if line.endswith("\n") and json.loads(line)["step"] < step:
                    kept.append(line)
            except ValueError:
                continue
    return kept
