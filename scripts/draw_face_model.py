"""Draw docs/img/face-model.png: the mean face and every named control at value 1, shaded.

python scripts/draw_face_model.py [-o OUT] [--model FILE]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from talkhead.face3d.eyes import IRIS, close_eyelids
from talkhead.face3d.morphable import F64, FaceModel, load_builtin, read_model
from talkhead.face3d.rasterizer import rasterize
from talkhead.geometry import euler_to_matrix, project

TILE = 200
COLUMNS = 7
OVERSAMPLING = 2
LIGHT = np.array([0.3, 0.4, 0.85])


def shaded(vertices: F64, model: FaceModel, rot: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Image.Image:
    """One face, flat-shaded, with its irises as dots."""
    side = TILE * OVERSAMPLING
    rotation = euler_to_matrix(rot)
    pixels = project(vertices, rotation, np.zeros(3), side / 2.1, (side, side))
    raster = rasterize(pixels, model.triangles, side, side)
    a, b, c = np.moveaxis((vertices @ rotation.T)[model.triangles], 1, 0)
    normals = np.cross(b - a, c - a)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    tone = 40 + 200 * np.clip(normals @ LIGHT, 0, 1)
    grey: npt.NDArray[np.uint8] = np.where(raster.tri_id[0] >= 0, tone[raster.tri_id[0]], 255).astype(np.uint8)
    picture = Image.fromarray(grey).convert("RGB")
    draw = ImageDraw.Draw(picture)
    for x, y in pixels[IRIS[:, 0], :2]:
        if raster.tri_id[0, int(y), int(x)] >= 0:
            continue  # behind a lid
        draw.ellipse((x - 4, y - 4, x + 4, y + 4), fill=(40, 90, 160))
    return picture.resize((TILE, TILE), Image.Resampling.LANCZOS)


def tiles(model: FaceModel) -> list[tuple[str, Image.Image]]:
    """Names and pictures."""
    mean = model.shape()
    found = [("mean", shaded(mean, model)), ("yaw 35 degrees", shaded(mean, model, (0.0, np.radians(35), 0.0)))]
    found += [(name, shaded(model.shape(exp=code), model)) for name, code in model.space.controls.items()]
    found += [(f"eyelid {c}", shaded(close_eyelids(mean, (c, c)), model)) for c in (0.4, 1)]
    first = np.zeros(model.n_exp)
    first[0] = 2 * model.space.exp_std[0]
    found.append(("exp-pc1 2.0", shaded(model.shape(exp=first), model)))
    return found


def main() -> None:
    """Draw the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/img/face-model.png"))
    parser.add_argument("--model", type=Path)
    options = parser.parse_args()
    drawn = tiles(read_model(options.model) if options.model else load_builtin())
    rows = -(-len(drawn) // COLUMNS)
    sheet = Image.new("L", (COLUMNS * TILE, rows * (TILE + 16)), 255)
    draw = ImageDraw.Draw(sheet)
    for index, (name, picture) in enumerate(drawn):
        x, y = index % COLUMNS * TILE, index // COLUMNS * (TILE + 16)
        sheet.paste(picture.convert("L"), (x, y + 16))
        draw.text((x + 8, y + 2), name, fill=0)
    sheet.quantize(24).save(options.output, optimize=True)


if __name__ == "__main__":
    main()
