"""Rate and distortion of compressed motion: bits a second against landmark errors, per clip and setting.

    python benchmarks/compress.py CLIP|COEFFS... [--hour]

Prints the table of docs/compressed-stream.md: kbit/s of the motion, and how far the decoded mesh points are from those
of the coefficients as they were measured, percent of the eye distance: mean, 95th percentile, 95th percentile of the
lips, mean of the worst frame. `--hour` repeats the first clip to an hour, and prints seconds and memory.
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

import talkhead
from talkhead.coeffs.codec import chunks
from talkhead.coeffs.container import Coeffs
from talkhead.coeffs.stream import StreamInfo, StreamReader, write_stream
from talkhead.face.topology import INNER_LIP_LOWER, INNER_LIP_UPPER, OUTER_LIP_LOWER, OUTER_LIP_UPPER
from talkhead.face3d.leverage import landmark_errors
from talkhead.face3d.morphable import load_builtin
from talkhead.pipelines.compress import STEPS, stream_tracks
from talkhead.pipelines.config import MotionFormat

F64 = npt.NDArray[np.float64]
LIPS = sorted({*INNER_LIP_UPPER, *INNER_LIP_LOWER, *OUTER_LIP_UPPER, *OUTER_LIP_LOWER})
SETTINGS: tuple[tuple[str, MotionFormat, float | None], ...] = (
    *((f"compact {word}", "compact", step) for word, step in STEPS.items()),
    ("float16", "float16", None),
    ("float32", "float32", None),
)  # fmt: skip


def read(path: Path) -> Coeffs:
    """Coefficients of a clip at its own rate, or of a file of them."""
    if path.suffix == ".safetensors":
        return talkhead.read_coeffs(path)
    return talkhead.extract(path, fps=None, system="meshwarp")


def info_of(coeffs: Coeffs, form: MotionFormat, step: float | None) -> StreamInfo:
    """A stream of this motion whose picture is its middle frame."""
    middle = len(coeffs) // 2
    reference = coeffs.at(slice(middle, middle + 1))
    tracks = stream_tracks(coeffs, reference, step=step, with_eyes=form == "compact")
    return StreamInfo(
        format=form, space=coeffs.space, fps=coeffs.fps, n_frames=len(coeffs), size=(512, 512), tracks=tracks,
        id=coeffs.id,
    )  # fmt: skip


def measure(coeffs: Coeffs, form: MotionFormat, step: float | None) -> tuple[float, F64]:
    """kbit/s of the motion, and its errors (T, 478) in percent of the eye distance."""
    info = info_of(coeffs, form, step)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.thc"
        with path.open("wb") as out:
            sizes = write_stream(out, info, chunks(coeffs, info.chunk_frames), picture=b"x", picture_kind="png")
        with StreamReader(path) as reader:
            decoded = reader.coeffs()
    kept = {name: None for name in ("eyelid", "gaze", "tongue") if getattr(decoded, name) is None}
    errors = 100 * landmark_errors(coeffs.replace(**kept), decoded, load_builtin())
    return 8 * sizes.motion / coeffs.duration_s / 1000, errors


def row(name: str, coeffs: Coeffs) -> Iterator[str]:
    """Lines of the table for one clip."""
    for setting, form, step in SETTINGS:
        rate, errors = measure(coeffs, form, step)
        values = (
            errors.mean(), np.percentile(errors, 95), np.percentile(errors[:, LIPS], 95), errors.mean(1).max()
        )  # fmt: skip
        yield f"| {name} | {setting} | {rate:.2f} | " + " | ".join(f"{v:.2f}" for v in values) + " |"


def hour(coeffs: Coeffs) -> str:
    """Coding and decoding an hour: seconds, and memory beyond the motion itself."""
    n_frames = round(3600 * coeffs.fps)
    there_and_back = np.concatenate([np.arange(len(coeffs)), np.arange(len(coeffs) - 1, -1, -1)])
    long = coeffs.at(np.resize(there_and_back, n_frames))
    info = info_of(long, "compact", STEPS["high"])
    out = io.BytesIO()
    tracemalloc.start()
    start = time.perf_counter()
    sizes = write_stream(out, info, chunks(long, info.chunk_frames), picture=b"x", picture_kind="png")
    coded = time.perf_counter() - start
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.thc"
        path.write_bytes(out.getvalue())
        start = time.perf_counter()
        with StreamReader(path) as reader:
            opened = time.perf_counter() - start
            for _ in reader.motion():
                pass
        decoded = time.perf_counter() - start
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return (
        f"1 h ({n_frames} frames): {sizes.motion / 1e3:.0f} kB, coded in {coded:.1f} s, checked in {opened:.2f} s,"
        f" decoded in {decoded:.1f} s, at most {peak:.1f} MB (of them the stream {sizes.total / 1e6:.1f})"
    )


def main() -> int:
    """Measure the clips given on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--hour", action="store_true")
    options = parser.parse_args()
    print("| clip | setting | kbit/s | mean % | 95 % | lips 95 % | worst frame % |\n|" + " --- |" * 7)
    found = [(path.stem, read(path)) for path in options.clips]
    for name, coeffs in found:
        print("\n".join(row(name, coeffs)), flush=True)
    if options.hour:
        print(hour(found[0][1]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
