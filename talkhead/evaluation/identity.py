"""Whether it is still the same person: cosines of identity embeddings (ArcFace), and a companion by face shape alone.

What papers compare differs, and so do the numbers: each driving frame with its generated one (`csim/paired`, HeadGAN's
reconstruction), the photo with every generated frame (`csim/source`, HeadGAN's reenactment, SadTalker), every real
frame with every generated one (`csim/all_pairs`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from talkhead.errors import InputError, ShapeError
from talkhead.evaluation.head_pose import RIGID_POINTS
from talkhead.evaluation.measurement import Grade, Measurement, measurement_of
from talkhead.face.topology import N_POINTS, OUTER_EYE_CORNERS
from talkhead.geometry import fit_similarity

F64 = npt.NDArray[np.float64]
Embeddings = npt.NDArray[np.floating[Any]]
Params = dict[str, float | int | str]


def unit(embeddings: Embeddings) -> F64:
    """Embeddings (n, D) or (D,) of length 1; a row of NaN stands for a frame without a face and stays.

    Raises:
        InputError: an embedding is zero.
    """
    values = np.asarray(embeddings, np.float64)
    lengths = np.linalg.norm(values, axis=-1, keepdims=True)
    if (lengths == 0).any():
        raise InputError("an embedding is zero", hint="give NaN where there is no face")
    return values / lengths


def paired_cosines(generated: Embeddings, real: Embeddings) -> F64:
    """Cosine of each generated frame and its real one, (T,); NaN where either has no face.

    Args:
        generated, real: (T, D).
    Raises:
        ShapeError: they differ in shape.
    """
    if np.shape(generated) != np.shape(real):
        raise ShapeError("generated", np.shape(generated), f"{np.shape(real)}, as the real embeddings")
    return np.einsum("td,td->t", unit(generated), unit(real))


def source_cosines(generated: Embeddings, source: Embeddings) -> F64:
    """Cosine of each generated frame (T, D) and the photo (D,), (T,)."""
    return np.asarray(unit(generated) @ unit(np.asarray(source).reshape(-1)))


def all_pairs_cosine(generated: Embeddings, real: Embeddings) -> float:
    """Mean cosine over every pair of a generated (T, D) and a real (U, D) frame; NaN if either side has no face."""
    means = [_mean_of_found(unit(side)) for side in (generated, real)]
    return float(means[0] @ means[1])


def first_cosines(generated: Embeddings) -> F64:
    """Cosine of each frame (T, D) and the first one that shows a face, (T,)."""
    directions = unit(generated)
    found = np.flatnonzero(np.isfinite(directions).all(-1))
    return directions @ directions[found[0]] if len(found) else np.full(len(directions), np.nan)


def step_cosines(generated: Embeddings) -> F64:
    """Cosine of neighbouring frames (T, D), (T - 1,)."""
    directions = unit(generated)
    return np.einsum("td,td->t", directions[:-1], directions[1:])


def slope_per_s(values: F64, fps: float) -> float:
    """Slope of the least-squares line through values (T,), per second; NaN with fewer than two finite ones."""
    found = np.flatnonzero(np.isfinite(values))
    return float(np.polyfit(found / fps, values[found], 1)[0]) if len(found) > 1 else float("nan")


def csim_measurements(
    generated: Embeddings,
    *,
    real: Embeddings | None = None,
    source: Embeddings | None = None,
    grade: Grade,
    params: Params | None = None,
) -> list[Measurement]:
    """CSIM in the readings that what is given allows: `csim_paired`, `csim_source`, `csim_all_pairs`.

    Args:
        generated: (T, D), NaN where there is no face. real: (T, D) of the real frames. source: (D,) of the photo.
        grade: of the network. params: its name and hash.
    """
    rows: list[tuple[str, F64]] = []
    if real is not None:
        rows.append(("paired", paired_cosines(generated, real)))
    if source is not None:
        rows.append(("source", source_cosines(generated, source)))
    found = [_row(f"csim_{reading}", f"csim/{reading}", cosines, grade, params) for reading, cosines in rows]
    if real is not None:
        shown = np.isfinite(np.asarray(generated)).all(-1)
        found.append(
            measurement_of(
                all_pairs_cosine(generated, real),
                "no frame shows a face",
                name="csim_all_pairs",
                definition="csim/all_pairs",
                grade=grade,
                n_frames=int(shown.sum()),
                frames_dropped=int((~shown).sum()),
                params=params or {},
            )
        )
    return found


def drift_measurements(
    generated: Embeddings, fps: float, *, grade: Grade, params: Params | None = None
) -> list[Measurement]:
    """Drift of the identity: mean cosine to the first frame, its slope per second, and mean cosine of neighbours.

    Args:
        generated: (T, D), NaN where there is no face. fps: frames per second. grade, params: as `csim_measurements`.
    """
    to_first = first_cosines(generated)
    first = _row("identity_drift", "drift/first", to_first, grade, params)
    return [
        first,
        measurement_of(
            slope_per_s(to_first, fps),
            "fewer than two frames show a face",
            name="identity_drift_slope",
            definition="drift/first-slope",
            grade=grade,
            unit="per s",
            n_frames=first.n_frames,
            frames_dropped=first.frames_dropped,
            params={**(params or {}), "fps": fps},
        ),
        _row("identity_step", "drift/step", step_cosines(generated), grade, params),
    ]


class IdentityShape:
    """How much a clip keeps the shape of the photo's face, by the rigid points of the mesh; streamed.

    1 minus the mean distance of the points, moved, turned and scaled onto the photo's, over its outer eye distance. It
    tells another bone structure, weakly (four clips against their own first frame gave 0.981 to 0.991, three other
    people against the first of them 0.957 to 0.977), and no other trait of a person.

    Args:
        source: mesh of the photo, (478, 3), x right, y down, z away in one scale.
    Raises:
        ShapeError: another shape.
    """

    def __init__(self, source: Embeddings) -> None:
        _check_mesh("source", source)
        self._rigid = np.asarray(source[list(RIGID_POINTS)], np.float64)
        self._eyes = float(np.linalg.norm(np.subtract(*source[list(OUTER_EYE_CORNERS)])))
        self.values: list[float] = []
        self._n_dropped = 0

    def add(self, points: Embeddings | None) -> None:
        """Take in the mesh of the next frame, (478, 3); None where no face was seen.

        Raises:
            ShapeError: another shape.
        """
        if points is None:
            self._n_dropped += 1
            return
        _check_mesh("points", points)
        rigid = np.asarray(points[list(RIGID_POINTS)], np.float64)
        scale, rotation, shift = fit_similarity(rigid, self._rigid)
        apart = np.linalg.norm(scale * rigid @ rotation.T + shift - self._rigid, axis=1).mean()
        self.values.append(1 - float(apart) / self._eyes)

    def measurement(self) -> Measurement:
        """The mean over frames."""
        return measurement_of(
            float(np.mean(self.values)) if self.values else float("nan"),
            "no frame shows a face",
            name="identity_shape~mesh",
            definition="identity_shape/rigid30",
            grade="proxy",
            n_frames=len(self.values),
            frames_dropped=self._n_dropped,
        )


def _check_mesh(name: str, points: Embeddings) -> None:
    if points.shape != (N_POINTS, 3):
        raise ShapeError(name, points.shape, f"({N_POINTS}, 3)")


def _row(name: str, definition: str, cosines: F64, grade: Grade, params: Params | None) -> Measurement:
    found = np.isfinite(cosines)
    return measurement_of(
        float(cosines[found].mean()) if found.any() else float("nan"),
        "no frame shows a face" if len(cosines) else "too few frames",
        name=name,
        definition=definition,
        grade=grade,
        n_frames=int(found.sum()),
        frames_dropped=int((~found).sum()),
        params=params or {},
    )


def _mean_of_found(directions: F64) -> F64:
    found = np.isfinite(directions).all(-1)
    return directions[found].mean(0) if found.any() else np.full(directions.shape[-1], np.nan)
