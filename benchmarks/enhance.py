"""Time and memory of the enhancer, per frame: `python -m benchmarks.enhance --help`.

Published weights are used where they are here; otherwise the same networks with made-up ones, which take as long.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.machine import facts
from talkhead.device import resolve_device, resolve_dtype
from talkhead.enhance.config import BACKGROUND_WEIGHTS, EnhanceConfig, FaceEnhancer
from talkhead.enhance.enhancer import Enhancer, open_enhancer
from talkhead.enhance.networks import FaceRestorer
from talkhead.errors import WeightsError
from talkhead.weights import catalogue

U8 = npt.NDArray[np.uint8]
EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def stand_in(name: str, folder: Path) -> Path:
    """A checkpoint of the published shape, as a safetensors file."""
    from safetensors.torch import save_file
    from spandrel.architectures.Compact import Compact
    from spandrel.architectures.ESRGAN import ESRGAN
    from spandrel.architectures.GFPGAN import GFPGAN
    from spandrel.architectures.RestoreFormer import RestoreFormer

    def codeformer() -> Any:
        from spandrel_extra_arches.architectures.CodeFormer import CodeFormer

        return CodeFormer()

    build: dict[str, Any] = {
        "gfpgan-v1.4": GFPGAN,
        "restoreformer": RestoreFormer,
        "codeformer": codeformer,
        "realesrgan-x2plus": lambda: ESRGAN(in_nc=12, num_blocks=23, scale=4, shuffle_factor=2),
        "realesr-general-x4v3": lambda: Compact(num_feat=64, num_conv=32, upscale=4),
    }
    path = folder / f"{name}.safetensors"
    save_file({key: value.contiguous() for key, value in build[name]().state_dict().items()}, path)
    return path


def turning_head(face: Path, size: int, n_frames: int) -> Iterator[U8]:
    """The photo, moving a little from frame to frame, (size, size, 3) uint8 RGB."""
    image = cv2.imread(str(face))[:, :, ::-1]
    height, width = image.shape[:2]
    for i in range(n_frames):
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), 3 * np.sin(i / 5), size / max(height, width))
        turn[:, 2] += (size - width) / 2, (size - height) / 2
        yield np.ascontiguousarray(cv2.warpAffine(image, turn, (size, size), flags=cv2.INTER_AREA))


def milliseconds(enhancer: Enhancer, frames: list[U8]) -> float:
    """Per frame, after a first pass over a few."""
    for _ in enhancer.frames(itertools.islice(itertools.cycle(frames), 2), 25.0):
        pass
    start = time.perf_counter()
    n_frames = sum(1 for _ in enhancer.frames(frames, 25.0))
    return 1000 * (time.perf_counter() - start) / n_frames


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.enhance", description=__doc__)
    parser.add_argument("--face", type=Path, default=EXAMPLES / "face.jpg", help="photo with one face")
    parser.add_argument("--size", type=int, default=256, help="side of the frames in pixels")
    parser.add_argument("--frames", type=int, default=4, help="how many")
    parser.add_argument("--faces", nargs="*", default=["gfpgan"], choices=get_args(FaceEnhancer))
    parser.add_argument("--backgrounds", nargs="*", default=[], choices=tuple(BACKGROUND_WEIGHTS))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto")
    chosen = parser.parse_args()
    device = resolve_device(chosen.device)
    dtype = resolve_dtype(chosen.dtype, device)
    for key, value in facts().items():
        print(f"{key}: {value}")
    frames = list(turning_head(chosen.face, chosen.size, chosen.frames))
    around = Enhancer(EnhanceConfig(faces="gfpgan"), restorer=FaceRestorer(lambda faces: faces))
    width, height = around.size(chosen.size, chosen.size)
    print(f"\n{chosen.size} x {chosen.size} -> {width} x {height}, {device}, {dtype}: milliseconds a frame")
    print(f"{'finding, cutting and pasting the face':<42}{milliseconds(around, frames):10.1f}")
    configs = [EnhanceConfig(faces=name) for name in chosen.faces]
    configs += [EnhanceConfig(background=name) for name in chosen.backgrounds]
    for config in configs:
        with tempfile.TemporaryDirectory() as folder:

            def weights(name: str, folder: str = folder) -> Path:
                try:
                    return catalogue.tensors(name, download=False)
                except WeightsError:
                    return stand_in(name, Path(folder))

            enhancer = open_enhancer(config, weights=weights, device=device, dtype=dtype)
        name = f"all of it with {config.faces}" if config.faces else f"enlarging with {config.background}"
        print(f"{name:<42}{milliseconds(enhancer, frames):10.1f}")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GiB", end="")
    if device.startswith("cuda"):
        import torch

        print(f", on the card {torch.cuda.max_memory_allocated(device) / 2**30:.1f} GiB", end="")
    print()


if __name__ == "__main__":
    main()
