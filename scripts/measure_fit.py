"""Leave-one-clip-out accuracy of the face model and its fit: the table of docs/face-model.md.

    python scripts/measure_fit.py POINTS_FOLDER

POINTS_FOLDER is what scripts/build_face_model.py --media stored. For each clip a model is learnt from everything else,
the clip is fitted, and its first frame, taken as the photo, is moved by the coefficients; the mesh points predicted so
are compared with the tracked ones, in percent of the eye distance.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from scripts.build_face_model import Person, learn, model_bytes, read_points
from talkhead.face.landmarks import Landmarks
from talkhead.face.topology import N_SKIN
from talkhead.face3d import eyes
from talkhead.face3d.codes import LIPS
from talkhead.face3d.fit import fit_photo, fit_video, image_to_model_axes
from talkhead.face3d.morphable import F64, FaceModel, parse_model
from talkhead.face3d.posed import predict_landmarks

EYES = sorted({*eyes.UPPER.ravel().tolist(), *eyes.LOWER.ravel().tolist(), *eyes.CORNERS.ravel().tolist()})
HEADER = (
    "| clip | all | lips | eyes | opening r | gain | eyelid gain | same eye opening | exp, photo - video | frames/s |"
)


def gain(real: F64, predicted: F64) -> float:
    """Slope of the regression of predicted on real."""
    centred = real - real.mean()
    return float(centred @ predicted / (centred @ centred))


def compare(real: F64, predicted: F64, size: tuple[int, int]) -> list[float]:
    """Errors in percent of the eye distance (all, lips, eyes), opening correlation and gain, eyelid gain."""
    distance = np.linalg.norm(real[:, 33] - real[:, 263], axis=1)
    error = 100 * np.linalg.norm((predicted - real)[..., :2], axis=-1) / distance[:, None]
    opening = [np.linalg.norm(p[:, 13, :2] - p[:, 14, :2], axis=1) / distance for p in (real, predicted)]
    lids = [eyes.eye_openness(image_to_model_axes(p, size)) for p in (real, predicted)]
    lid_gain = float(np.mean([gain(lids[0][:, k], lids[1][:, k]) for k in (0, 1)]))
    correlation = float(np.corrcoef(*opening)[0, 1])
    return [
        error[:, :N_SKIN].mean(),
        error[:, LIPS].mean(),
        error[:, EYES].mean(),
        correlation,
        gain(*opening),
        lid_gain,
    ]


def measure(name: str, folder: Path, model: FaceModel) -> list[float]:
    """One row of the table."""
    with np.load(folder / f"{name}.npz") as stored:
        points, fps = stored["points"], float(stored["fps"])
        size = (int(stored["size"][0]), int(stored["size"][1]))
    frames = [Landmarks(p) for p in points]
    started = time.perf_counter()
    coeffs = fit_video(frames, size, fps, model)
    rate = len(points) / (time.perf_counter() - started)
    photo = fit_photo(frames[0], size, model, id_codes=coeffs.id)
    row = compare(points, predict_landmarks(coeffs, photo, model), size)
    told = fit_photo(frames[0], size, model, id_codes=coeffs.id, eye_open=coeffs.params["eye_open"])
    same_eyes = compare(points, predict_landmarks(coeffs, told, model), size)[-1]
    assert coeffs.exp is not None and photo.coeffs.exp is not None
    apart = float(np.abs((photo.coeffs.exp[0] - coeffs.exp[0]) / model.space.exp_std).mean())
    return [*row, same_eyes, apart, rate]


def main() -> None:
    """Print the table."""
    folder = Path(sys.argv[1])
    people: list[Person] = read_points(folder)
    rows = []
    print(HEADER)
    print("|---|" + "---|" * (HEADER.count("|") - 2))
    for person in (p for p in people if p.is_clip):
        others = [other for other in people if other is not person]
        model = parse_model(model_bytes(learn(others), others), person.name)
        rows.append(measure(person.name, folder, model))
        print_row(person.name, rows[-1])
    print_row("mean", np.mean(rows, axis=0).tolist())


def print_row(name: str, row: list[float]) -> None:
    """One line of the table."""
    print(f"| {name} | " + " | ".join(f"{v:.2f}" for v in row[:3]) + f" | {row[3]:.3f} | ", end="")
    print(" | ".join(f"{v:.2f}" for v in row[4:8]) + f" | {row[8]:.0f} |", flush=True)


if __name__ == "__main__":
    main()
