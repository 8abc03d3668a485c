"""Build talkhead/data/meshwarp_face.safetensors: mean face, identity and expression bases, named controls.

    python scripts/build_face_model.py POINTS_FOLDER [--media MEDIA_FOLDER] [-o OUT] [--leave-out CLIP]

With `--media` the pictures of MEDIA_FOLDER/faces and the clips of MEDIA_FOLDER/video are tracked first and their mesh
points stored in POINTS_FOLDER. The method is described in docs/face-model.md. The model depends on the stored points
only: two runs give the same bytes. Afterwards run scripts/stamp_manifest.py.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter1d
from skimage import data

from talkhead.face.mesh import FaceTracker, choose_face
from talkhead.face.topology import (
    EYE_A_LOWER,
    EYE_A_UPPER,
    EYE_B_LOWER,
    EYE_B_UPPER,
    INNER_LIP_LOWER,
    INNER_LIP_UPPER,
    MIRROR,
    N_POINTS,
    OUTER_LIP_LOWER,
    OUTER_LIP_UPPER,
    RIGID,
)
from talkhead.face3d import eyes
from talkhead.face3d.morphable import F64, encode_model, remove_similarity
from talkhead.face3d.pose import Z_WEIGHT, solve_poses
from talkhead.geometry import euler_to_matrix
from talkhead.media.image import read_image
from talkhead.media.video import open_clip

# Faces to take from a still, from the left, where not one.
N_FACES = {"two_people": 2, "no_human_face": 0}
N_ID = 14
N_EXP = 28
EYE_DISTANCE = 0.9  # units of 100 mm between the outer eye corners of the mean: the scale convention
# Zero pitch: people of the sample who look into the camera do so with this lean of the chin-forehead line, on average.
FORWARD_LEAN = np.radians(3.5)
MIRROR_AXES = np.array([-1.0, 1.0, 1.0])
LIPS = sorted({*INNER_LIP_UPPER, *INNER_LIP_LOWER, *OUTER_LIP_UPPER, *OUTER_LIP_LOWER})
# Rigid points that brows or a wrinkling nose still pull along; they count less in the pose.
FOREHEAD = (151, 9, 8, 68, 298, 104, 333, 69, 299, 108, 337)
NOSE_WINGS = (48, 278, 64, 294)
# Squared errors of lips count more when the expression subspace is chosen: they are what viewers read.
LIP_METRIC = 4.0
LIDS = sorted({*EYE_A_UPPER, *EYE_A_LOWER, *EYE_B_UPPER, *EYE_B_LOWER})
IRISES = eyes.IRIS.ravel()


@dataclass(frozen=True, slots=True)
class Person:
    """One clip or still: `points` (T, 478, 3), pixels in model axes (y up, z to the camera)."""

    name: str
    points: F64

    @property
    def is_clip(self) -> bool:
        """Whether there is motion to learn from."""
        return len(self.points) > 1


@dataclass(frozen=True, slots=True)
class Aligned:
    """A person in the head frame: `neutral` (478, 3) and `motion` (T, 478, 3) about it, lids and irises at rest."""

    name: str
    neutral: F64
    motion: F64
    frames: F64


def mirrored(shape: F64) -> F64:
    """Mirror image of points (..., 478, 3)."""
    image: F64 = shape[..., MIRROR, :] * MIRROR_AXES
    return image


def mouth_opening(frames: F64) -> F64:
    """Inner lip distance in eye distances, (...)."""
    opening: F64 = np.linalg.norm(frames[..., 13, :] - frames[..., 14, :], axis=-1) / eyes.eye_distance(frames)
    return opening


def align(person: Person, mean: F64, weights: F64) -> Aligned:
    """Undo the head pose of every frame, find the neutral face, and take lids and irises out of the motion."""
    shape = mean
    for _ in range(3):
        poses = solve_poses(shape, person.points, weights)
        frames = poses.undo(person.points)
        if not person.is_clip:
            break
        shape = rescaled(np.median(frames, axis=0), mean, weights)
    if not person.is_clip:
        return Aligned(person.name, frames[0], np.zeros((1, N_POINTS, 3)), frames)
    openness = eyes.eye_openness(frames).mean(-1)
    opening = mouth_opening(frames)
    calm = (opening <= np.percentile(opening, 30)) & (openness >= np.percentile(openness, 40))
    neutral = np.median(frames[calm], axis=0)
    wide = np.abs(openness - np.percentile(openness, 80)) <= np.ptp(openness) / 10
    neutral = eyes.set_lid_gaps(neutral, np.median(eyes.lid_gaps(frames[wide]), axis=0))
    still_lids = eyes.set_lid_gaps(frames, eyes.lid_gaps(neutral))
    motion = still_lids - neutral
    motion[:, IRISES] = 0.0
    motion = gaussian_filter1d(motion, 0.7, axis=0)
    return Aligned(person.name, neutral, motion, frames)


def rescaled(shape: F64, mean: F64, weights: F64) -> F64:
    """The shape moved to the mean's place, size and attitude."""
    poses = solve_poses(mean, shape[None], weights)
    moved: F64 = poses.undo(shape[None])[0]
    return moved


def symmetric_mean(shapes: list[F64], mean: F64, weights: F64) -> F64:
    """Mean of shapes and their mirror images after alignment, at the convention's scale."""
    placed = [rescaled(shape, mean, weights) for shape in shapes]
    average = np.mean([*placed, *(mirrored(shape) for shape in placed)], axis=0)
    average -= average.mean(0)
    return frontal(average) * (EYE_DISTANCE / float(eyes.eye_distance(average)))


def frontal(mean: F64) -> F64:
    """Turn the mean so that the line from chin to forehead leans to the camera by `FORWARD_LEAN`."""
    up, forward = mean[10, 1] - mean[152, 1], mean[10, 2] - mean[152, 2]
    turn = FORWARD_LEAN - np.arctan2(forward, up)
    turned: F64 = mean @ euler_to_matrix([turn, 0.0, 0.0]).T
    return turned


def principal(fields: F64, n: int, metric: F64) -> tuple[F64, F64]:
    """First n orthonormal components of deformation fields, their subspace chosen in a weighted metric.

    Symmetric and antisymmetric parts are analysed apart, so that a mirrored expression is the same code with signs.

    Args:
        fields: (N, V, 3), zero is rest (not centred). n: how many. metric: (V,) weights of squared errors.
    Returns:
        components (n, V, 3) by falling variance, and their parity (n,), +1 or -1.
    """
    flip = mirrored(fields)
    root = np.sqrt(metric)[:, None]
    found: list[tuple[float, F64, int]] = []
    for parity in (1, -1):
        part = 0.5 * (fields + parity * flip) * root
        flat = part.reshape(len(part), -1)
        values, vectors = np.linalg.eigh(flat.T @ flat)
        for k in range(1, n + 1):
            found.append((float(values[-k]), (vectors[:, -k].reshape(-1, 3) / root), parity))
    found.sort(key=lambda item: -item[0])
    chosen = found[:n]
    components: list[tuple[float, F64, int]] = []
    for parity in (1, -1):
        span = np.array([v.ravel() for _, v, p in chosen if p == parity])
        q = np.linalg.qr(span.T)[0]
        part = (0.5 * (fields + parity * flip)).reshape(len(fields), -1) @ q
        values, turn = np.linalg.eigh(part.T @ part)
        components += [(float(value), q @ turn[:, k], parity) for k, value in enumerate(values)]
    components.sort(key=lambda item: -item[0])
    basis = np.array([_signed(c).reshape(-1, 3) for _, c, _ in components])
    return basis, np.array([p for *_, p in components], np.float64)


def _signed(component: F64) -> F64:
    """The sign under which a component opens the mouth, or else its largest number is positive."""
    field = component.reshape(-1, 3)
    opening = field[13, 1] - field[14, 1]
    decides = opening if abs(opening) > 0.02 else component[np.argmax(np.abs(component))]
    return component if decides > 0 else -component


@dataclass(frozen=True, slots=True)
class Statistics:
    """What `learn` finds: everything of the model but the controls."""

    mean: F64
    weights: F64
    exp_basis: F64
    exp_parity: F64
    exp_std: F64
    id_basis: F64
    id_std: F64
    aligned: list[Aligned]


def learn(people: list[Person]) -> Statistics:
    """Mean and bases of a set of people."""
    weights = pose_weights()
    mean = people[0].points[0] - people[0].points[0].mean(0)
    mean *= EYE_DISTANCE / float(eyes.eye_distance(mean))
    for _ in range(5):
        aligned = [align(person, mean, weights) for person in people]
        mean = symmetric_mean([a.neutral for a in aligned], mean, weights)
    # Stills become neutral by an expression basis, which needs the mean, which needs the neutral stills.
    for _ in range(3):
        exp_basis, exp_std, parity = expressions(aligned, mean, weights)
        neutrals = [calmed(a, mean, exp_basis, exp_std, weights) for a in aligned]
        mean = closed_lips(symmetric_mean(neutrals, mean, weights), exp_basis, exp_std)
        aligned = [align(person, mean, weights) for person in people]
    exp_basis, exp_std, parity = expressions(aligned, mean, weights)
    neutrals = [calmed(a, mean, exp_basis, exp_std, weights) for a in aligned]
    offsets = np.array([rescaled(shape, mean, weights) for shape in neutrals]) - mean
    offsets = remove_similarity(offsets, mean, residual_weights(weights)) / np.sqrt(len(offsets))
    id_basis, _ = principal(offsets, N_ID, np.ones(N_POINTS))
    id_std = np.sqrt(((offsets.reshape(len(offsets), -1) @ id_basis.reshape(N_ID, -1).T) ** 2).sum(0))
    return Statistics(mean, weights, exp_basis, parity, exp_std, id_basis, id_std, aligned)


def expressions(aligned: list[Aligned], mean: F64, weights: F64) -> tuple[F64, F64, F64]:
    """Expression components, their standard deviations, their parity."""
    metric = np.ones(N_POINTS)
    metric[LIPS] = LIP_METRIC
    fields = remove_similarity(weighted_motion(aligned), mean, residual_weights(weights))
    # Exactly no expression opens or closes the eyes: that is the eyelid track's.
    fields = eyes.set_lid_gaps(fields, np.zeros((2, 7, 3)))
    basis, parity = principal(fields, N_EXP, metric)
    codes = fields.reshape(len(fields), -1) @ basis.reshape(N_EXP, -1).T
    return basis, np.sqrt((codes**2).sum(0)), parity


def pose_weights() -> F64:
    """How much each point says about the pose: those that rest on the skull."""
    weights = np.zeros(N_POINTS)
    weights[list(RIGID)] = 1.0
    weights[list(FOREHEAD)] = 0.3
    weights[list(NOSE_WINGS)] = 0.5
    return weights


def residual_weights(weights: F64) -> F64:
    """Weights (V, 3) of the squared residuals of a pose fit."""
    return weights[:, None] * np.array([1.0, 1.0, Z_WEIGHT])


def weighted_motion(aligned: list[Aligned]) -> F64:
    """All clips' motion fields (N, 478, 3), scaled so that every clip counts the same and sums are mean squares."""
    clips = [a for a in aligned if len(a.motion) > 1]
    return np.concatenate([a.motion / np.sqrt(len(a.motion) * len(clips)) for a in clips])


def calmed(person: Aligned, mean: F64, exp_basis: F64, exp_std: F64, weights: F64) -> F64:
    """A neutral face: a still's expression is estimated and taken off."""
    if len(person.motion) > 1:
        return person.neutral
    spread = 0.02  # how far people differ from the mean in a coordinate, units: 3 % of the eye distance in space
    flat = exp_basis.reshape(len(exp_basis), -1)
    code = flat @ (rescaled(person.neutral, mean, weights) - mean).ravel() * exp_std**2 / (exp_std**2 + spread**2)
    return person.neutral - (code @ flat).reshape(-1, 3)


def closed_lips(mean: F64, exp_basis: F64, exp_std: F64) -> F64:
    """The mean with its inner lips 0.4 % of the eye distance apart, where detectors put closed lips."""
    flat = (exp_basis * exp_std[:, None, None]).reshape(len(exp_basis), -1)
    upper, lower = np.array(INNER_LIP_UPPER[3:8]), np.array(INNER_LIP_LOWER[3:8])
    field = exp_basis * exp_std[:, None, None]
    opening = (field[:, upper, 1] - field[:, lower, 1]).mean(1)
    excess = (mean[upper, 1] - mean[lower, 1]).mean() - 0.004 * EYE_DISTANCE
    # The smallest whitened code with that effect on the opening.
    code = -excess * opening / (opening @ opening)
    closed = mean + (code @ flat).reshape(-1, 3)
    closed -= closed.mean(0)
    return frontal(closed) * (EYE_DISTANCE / float(eyes.eye_distance(closed)))


def scalars(frames: F64) -> dict[str, F64]:
    """Measured scalars of faces (..., 478, 3) in the head frame, eye distances: what the controls are defined by."""
    f = frames / eyes.eye_distance(frames)[..., None, None]

    def y(*points: int) -> F64:
        height: F64 = f[..., points, 1].mean(-1)
        return height

    def z(*points: int) -> F64:
        depth: F64 = f[..., points, 2].mean(-1)
        return depth

    def distance(i: int, j: int) -> F64:
        d: F64 = np.linalg.norm(f[..., i, :] - f[..., j, :], axis=-1)
        return d

    skull_depth = z(168, 6, 33, 263)
    return {
        "open": y(13, 82, 312) - y(14, 87, 317),
        "jaw": y(1) - y(152),
        "width": distance(61, 291),
        "corner": y(61, 291) - y(1),
        "upper": y(0, 37, 267) - y(1),
        "upper-thick": y(0, 37, 267) - y(13, 82, 312),
        "lower-thick": y(14, 87, 317) - y(17, 84, 314),
        "protrusion": z(0, 17, 37, 267, 84, 314) - skull_depth,
        "corner-depth": z(61, 291) - skull_depth,
        "chin-depth": z(152, 148, 377) - skull_depth,
        "tuck-depth": z(14, 87, 317) - skull_depth,
        # Heights in the head frame, not over the eyes: else lowering the eyes would count as raising the brows.
        "brow-inner": y(107, 336, 55, 285),
        "brow-outer": y(105, 334, 63, 293),
        "eye-height": y(33, 133, 362, 263),
        "lid-height": y(145, 159, 374, 386),
        "forehead": y(10, 109, 338, 127, 356),
        "furrow": distance(55, 285),
        "cheek": y(50, 280, 205, 425),
        "nose": y(48, 278, 64, 294),
    }


SKULL = {"eye-height": 0.0, "lid-height": 0.0, "forehead": 0.0}
BROWS = SKULL | {"brow-inner": 0.0, "brow-outer": 0.0, "furrow": 0.0}
MOUTH = SKULL | {"open": 0.0, "jaw": 0.0, "width": 0.0, "corner": 0.0, "upper": 0.0, "protrusion": 0.0}
LIP_THICKNESS = {"upper-thick": 0.0, "lower-thick": 0.0}
# Value 1 of each control as changes of scalars ("as strong as a person naturally does it"): what is not named follows
# as it usually does in the sample.
CONTROLS: dict[str, dict[str, float]] = {
    "jaw-open": BROWS | {"open": 0.25, "jaw": 0.20},
    "lip-open": BROWS | {"open": 0.14},
    "lip-close": BROWS | {"open": -0.14, "jaw": 0.0, "width": 0.0},
    "pucker": BROWS | {"width": -0.13, "protrusion": 0.05, "open": 0.0, "jaw": 0.0, "corner": -0.01, "upper": 0.0},
    "funnel": BROWS | {"width": -0.08, "protrusion": 0.04, "open": 0.07},
    "mouth-wide": BROWS | {"width": 0.12, "open": 0.0, "corner": 0.0},
    "smile": BROWS | {"width": 0.10, "corner": 0.06, "cheek": 0.025, "open": 0.0, "jaw": 0.0},
    "frown": SKULL | {"corner": -0.06, "open": 0.0, "brow-outer": 0.0, "jaw": 0.0, "width": -0.02, "upper": 0.0},
    "lip-press": BROWS | {"upper-thick": -0.025, "lower-thick": -0.03, "open": 0.0, "width": 0.0, "jaw": 0.0},
    "lip-tuck": BROWS
    | {
        "open": 0.0,
        "lower-thick": -0.03,
        "tuck-depth": -0.035,
        "chin-depth": 0.0,
        "jaw": 0.0,
        "width": 0.0,
        "corner": 0.0,
    },
    "upper-lip-raise": BROWS | {"upper": 0.05, "open": 0.06, "jaw": 0.0, "width": 0.015},
    "lower-lip-depress": BROWS | {"open": 0.08, "jaw": 0.0, "upper": 0.0, "width": 0.0},
    "brow-raise": MOUTH | LIP_THICKNESS | {"brow-inner": 0.05, "brow-outer": 0.055},
    "brow-furrow": MOUTH | LIP_THICKNESS | {"furrow": -0.03, "brow-inner": -0.025},
    "cheek-raise": SKULL | {"cheek": 0.03, "open": 0.0, "jaw": 0.0, "width": 0.0, "corner": 0.015, "upper": 0.01},
    "nose-wrinkle": SKULL
    | {"nose": 0.03, "upper": 0.02, "corner": 0.01, "brow-inner": -0.015, "jaw": 0.0, "open": 0.01, "width": 0.0},
}


def control_codes(found: Statistics) -> F64:
    """The most probable expression with each control's scalars: (n_controls, n_exp)."""
    step = 0.05
    base = scalars(found.mean)
    moved = scalars(found.mean + step * found.exp_std[:, None, None] * found.exp_basis)
    # Scalars of a whitened code, (n_scalars, n_exp).
    # All controls are symmetric; what an antisymmetric component does to a scalar is of second order.
    jacobian = {name: (moved[name] - base[name]) / step * (found.exp_parity > 0) for name in base}
    codes = []
    for wanted in CONTROLS.values():
        j = np.array([jacobian[name] for name in wanted])
        noise = 1e-3  # eye distances: a control may miss a scalar by this much to stay natural
        whitened = j.T @ np.linalg.solve(j @ j.T + noise**2 * np.eye(len(j)), np.array(list(wanted.values())))
        codes.append(whitened * found.exp_std)
    return np.array(codes)


def texture_coordinates(mean: F64) -> F64:
    """Cylindrical unwrapping about the head's vertical axis, (V, 2) in [0, 1], v down."""
    axis_depth = float(mean[:, 2].min())
    angle = np.arctan2(mean[:, 0], mean[:, 2] - axis_depth + 0.5)
    u = 0.5 + 0.5 * angle / np.abs(angle).max()
    v = (mean[:, 1].max() - mean[:, 1]) / np.ptp(mean[:, 1])
    return np.stack([u, v], -1)


def model_bytes(found: Statistics, people: list[Person]) -> bytes:
    """The file."""
    tensors = {
        "mean": found.mean,
        "id_basis": found.id_basis,
        "exp_basis": found.exp_basis,
        "id_std": found.id_std,
        "exp_std": found.exp_std,
        "exp_mirror": np.diag(found.exp_parity),
        "controls": control_codes(found),
        "uv": texture_coordinates(found.mean),
        "pose_weights": found.weights,
    }
    provenance = {
        "script": "scripts/build_face_model.py",
        "method": "docs/face-model.md",
        "people": {person.name: len(person.points) for person in people},
        "content": "statistics of tracked mesh points; no picture, sound or video",
    }
    arrays = {name: np.ascontiguousarray(value, np.float32) for name, value in tensors.items()}
    return encode_model(arrays, list(CONTROLS), "meshwarp", provenance)


def track_media(media: Path, folder: Path) -> None:
    """Track every clip and every face of the stills; store `NAME.npz`: points (T, 478, 3) pixels, size, fps."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted((media / "video").glob("*.mp4")):
        with open_clip(path) as clip:
            tracker = FaceTracker(clip.fps, name=path.name)
            points = [found.points for found in tracker.track_clip(clip) if found is not None]
            np.savez(folder / f"{path.stem}.npz", points=np.array(points), size=clip.size, fps=clip.fps)
    stills = {path.stem: read_image(path).pixels for path in sorted((media / "faces").iterdir())}
    stills["astronaut"] = data.astronaut()
    for name, pixels in stills.items():
        for index in range(N_FACES.get(name, 1)):
            found = choose_face(pixels, index, name=name)
            np.savez(folder / f"{name}-{index}.npz", points=found.points[None], size=pixels.shape[1::-1], fps=1.0)


def read_points(folder: Path) -> list[Person]:
    """What `track_media` stored, clips first."""
    people = []
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as stored:
            people.append(Person(path.stem, stored["points"].astype(np.float64) * [1, -1, -1]))
    return sorted(people, key=lambda person: (not person.is_clip, person.name))


def main() -> None:
    """Build and write the model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("points", type=Path)
    parser.add_argument("--media", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("talkhead/data/meshwarp_face.safetensors"))
    parser.add_argument("--leave-out", action="append", default=[])
    options = parser.parse_args()
    if options.media:
        track_media(options.media, options.points)
    people = [person for person in read_points(options.points) if person.name not in options.leave_out]
    found = learn(people)
    options.output.write_bytes(model_bytes(found, people))


if __name__ == "__main__":
    main()
