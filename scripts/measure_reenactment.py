"""Self-reenactment of real clips: first frame + extracted coefficients -> video, compared with the clip itself.

    python scripts/measure_reenactment.py CLIP... [--model-for DIR] [--frames N] [--sheet OUT.png]

Prints one row per clip: landmark errors in percent of the eye distance, mouth-opening correlation, its lag and gain,
eyelid gain, pose errors in degrees, PSNR and SSIM in the face box beside those of the first frame held still, and
render frames/s. `--model-for DIR` holds `<clip stem>.safetensors` face models that were not learnt from that clip
(scripts/build_face_model.py --leave-out writes them).
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from talkhead.coeffs.container import Coeffs
from talkhead.face.landmarks import Landmarks
from talkhead.face.mesh import FaceTracker, choose_face
from talkhead.face.topology import (
    INNER_LIP_LOWER,
    INNER_LIP_PAIRS,
    INNER_LIP_UPPER,
    OUTER_LIP_LOWER,
    OUTER_LIP_UPPER,
    RIGID,
)
from talkhead.face3d.eyes import eye_openness
from talkhead.face3d.fit import fit_video
from talkhead.face3d.morphable import FaceModel, load_builtin, read_model
from talkhead.geometry import fit_similarity, matrix_to_euler
from talkhead.media.video import open_clip
from talkhead.protocols import Drive, Source
from talkhead.systems.meshwarp.config import RenderConfig
from talkhead.systems.meshwarp.render import MeshwarpRenderer

U8 = npt.NDArray[np.uint8]
F64 = npt.NDArray[np.float64]
LIPS = sorted({*INNER_LIP_UPPER, *INNER_LIP_LOWER, *OUTER_LIP_UPPER, *OUTER_LIP_LOWER})
COLUMNS = (
    "clip", "frames", "all %", "lips %", "open r", "lag", "gain", "lid gain", "pitch", "yaw", "roll",
    "PSNR", "still", "SSIM", "still", "fps",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Tracked:
    """Landmarks of every frame (T, 478, 3) pixels, NaN where no face was found, and the fitted coefficients."""

    points: F64
    coeffs: Coeffs


def track(frames: list[U8], fps: float, model: FaceModel) -> Tracked:
    """Follow the face through frames and fit it."""
    height, width = frames[0].shape[:2]
    found: list[Landmarks | None] = list(FaceTracker().track_clip(frames))
    points = np.stack([np.full((478, 3), np.nan) if f is None else f.points for f in found])
    return Tracked(points=points, coeffs=fit_video(found, (width, height), fps, model))


def measure(path: Path, model: FaceModel, n_frames: int) -> tuple[list[object], list[U8], list[U8]]:
    """One row of the table, the clip's frames and the rendered ones."""
    with open_clip(path) as clip:
        fps = clip.fps
        real = [f for f, _ in zip(clip, range(n_frames), strict=False)]
    driver = track(real, fps, model)
    source = Source(image=real[0], landmarks=choose_face(real[0], name=path.name), name=path.name)
    renderer = MeshwarpRenderer(source, RenderConfig(), model)
    drive = Drive(coeffs=driver.coeffs.replace(relative=frozenset()))
    next(renderer.render(drive))
    start = time.perf_counter()
    made = list(renderer.render(drive))
    speed = len(made) / (time.perf_counter() - start)
    again = track(made, fps, model)
    return [path.stem[:22], len(made), *_errors(driver, again, real, made), speed], real, made


def _errors(driver: Tracked, again: Tracked, real: list[U8], made: list[U8]) -> list[object]:
    ok = ~(np.isnan(driver.points[:, 0, 0]) | np.isnan(again.points[:, 0, 0]))
    a, b = driver.points[ok], again.points[ok]
    unit = np.linalg.norm(a[:, 33] - a[:, 263], axis=1)
    distance = np.linalg.norm(a[..., :2] - b[..., :2], axis=2) / unit[:, None]
    open_a, open_b = _opening(a), _opening(b)
    best = max(range(-4, 5), key=lambda lag: _lagged(open_a, open_b, lag))
    lid_a, lid_b = eye_openness(_head(a)).mean(1), eye_openness(_head(b)).mean(1)
    # the turn between both sets of rigid points: free of what two fits make of the person
    turns = [fit_similarity(_head(p)[list(RIGID)], _head(q)[list(RIGID)])[1] for p, q in zip(a, b, strict=True)]
    pose = np.degrees(np.abs(matrix_to_euler(np.stack(turns)))).mean(0).tolist()
    boxes = [_face_box(p, real[0].shape) for p in a]
    frames = np.flatnonzero(ok)
    sample = list(zip(frames[5::5], boxes[5::5], strict=True))  # frame 0 held still would score infinity
    psnr, ssim = np.mean([_image_scores(real[t], made[t], box) for t, box in sample], 0)
    still_psnr, still_ssim = np.mean([_image_scores(real[t], real[0], box) for t, box in sample], 0)
    return [
        100 * distance[:, :468].mean(), 100 * distance[:, LIPS].mean(), np.corrcoef(open_a, open_b)[0, 1], best,
        np.polyfit(open_a, open_b, 1)[0], np.polyfit(lid_a, lid_b, 1)[0], *pose, psnr, still_psnr, ssim, still_ssim,
    ]  # fmt: skip


def _opening(points: F64) -> F64:
    gap = np.mean([np.linalg.norm(points[:, i, :2] - points[:, j, :2], axis=1) for i, j in INNER_LIP_PAIRS], 0)
    result: F64 = gap / np.linalg.norm(points[:, 33] - points[:, 263], axis=1)
    return result


def _lagged(a: F64, b: F64, lag: int) -> float:
    x, y = (a[: len(a) - lag], b[lag:]) if lag >= 0 else (a[-lag:], b[:lag])
    return float(np.corrcoef(x, y)[0, 1])


def _head(points: F64) -> F64:
    return points * np.array([1.0, -1.0, -1.0])


def _face_box(points: F64, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    low, high = points[:468, :2].min(0), points[:468, :2].max(0)
    x0, y0 = np.maximum(low, 0).astype(int)
    x1, y1 = np.minimum(high, [shape[1], shape[0]]).astype(int)
    return x0, y0, x1, y1


def _image_scores(a: U8, b: U8, box: tuple[int, int, int, int]) -> tuple[float, float]:
    from skimage.metrics import structural_similarity

    x0, y0, x1, y1 = box
    p, q = a[y0:y1, x0:x1], b[y0:y1, x0:x1]
    error = float(((p.astype(float) - q) ** 2).mean())
    gray = [cv2.cvtColor(v, cv2.COLOR_RGB2GRAY) for v in (p, q)]
    return 10 * float(np.log10(255**2 / max(error, 1e-9))), float(structural_similarity(*gray, data_range=255))


def _sheet(real: list[U8], made: list[U8]) -> U8:
    picks = np.linspace(0, len(real) - 1, 8).astype(int)
    rows = [
        np.hstack([cv2.resize(v[t], (240, 240), interpolation=cv2.INTER_AREA) for t in picks]) for v in (real, made)
    ]
    return np.vstack(rows)


def main() -> int:
    """Measure the clips given on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--model-for", type=Path)
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--sheet", type=Path)
    args = parser.parse_args()
    out = sys.stdout
    out.write("  ".join(f"{c:>8}" for c in COLUMNS) + "\n")
    sheets = []
    for path in args.clips:
        model = load_builtin() if args.model_for is None else read_model(args.model_for / f"{path.stem}.safetensors")
        row, real, made = measure(path, model, args.frames)
        out.write("  ".join(f"{v:>8.3f}" if isinstance(v, float) else f"{v:>8}" for v in row) + "\n")
        out.flush()
        sheets.append(_sheet(real, made))
    if args.sheet is not None:
        cv2.imwrite(str(args.sheet), cv2.cvtColor(np.vstack(sheets), cv2.COLOR_RGB2BGR))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
