"""Whether it is still the same person: cosines of identity embeddings (ArcFace), and a companion by face shape alone.

What papers compare differs, and so do the numbers: each driving frame with its generated one (`csim/paired`, HeadGAN's
reconstruction), the photo with every generated frame (`csim/source`, HeadGAN's reenactment, SadTalker), every real
frame with every generated one (`csim/all_pairs`).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from talkhead.errors import InputError, ShapeError
from talkhead.evaluation.columns import Mean
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


class IdentityCosines:
    """Cosines of a clip's embeddings that come some frames at a time; nothing is held of a frame.

    Args:
        source: (D,) of the photo; None: there is none to compare with.
    """

    def __init__(self, source: Embeddings | None = None) -> None:
        self._source = None if source is None else np.asarray(source).reshape(-1)
        self._cosines = {name: Cosines() for name in ("paired", "source", "first", "step")}
        self._sums = [DirectionSum(), DirectionSum()]
        self._first: F64 | None = None
        self._last: F64 | None = None
        self._width = self._n = 0
        self._has_real = False

    def add(self, generated: Embeddings, real: Embeddings | None = None) -> None:
        """Take the next frames.

        Args:
            generated, real: (n, D), NaN where there is no face; (n, 0) while none was seen on that side.
        Raises:
            ShapeError: they differ in shape. InputError: an embedding is zero.
        """
        self._width = max(self._width, generated.shape[1], 0 if real is None else real.shape[1])
        ours = unit(_as_wide(generated, self._width))
        if real is not None:
            theirs = unit(_as_wide(real, self._width))
            self._has_real = True
            self._cosines["paired"].add(paired_cosines(ours, theirs))
            self._sums[1].add(theirs)
        self._sums[0].add(ours)
        if self._source is not None:
            is_known = ours.shape[1] == len(self._source)
            self._cosines["source"].add(source_cosines(ours, self._source) if is_known else np.full(len(ours), np.nan))
        if self._first is None and (found := np.isfinite(ours).all(-1)).any():
            self._first = ours[np.flatnonzero(found)[0]]
        self._cosines["first"].add(np.full(len(ours), np.nan) if self._first is None else ours @ self._first)
        is_same = self._last is not None and len(self._last) == ours.shape[1]
        before = self._last if is_same and self._last is not None else np.full(ours.shape[1], np.nan)
        steps = step_cosines(np.concatenate([before[None], ours]))
        self._cosines["step"].add(steps if self._n else steps[1:])
        self._n += len(ours)
        self._last = ours[-1] if len(ours) else self._last

    def csim_measurements(self, *, grade: Grade, params: Params | None = None) -> list[Measurement]:
        """Rows of `csim_measurements` for what was added."""
        found = [
            self._cosines[name].measurement(f"csim_{name}", f"csim/{name}", grade, params)
            for name, is_there in (("paired", self._has_real), ("source", self._source is not None))
            if is_there
        ]
        if self._has_real:
            ours, theirs = self._sums
            found.append(
                measurement_of(
                    float(ours.mean @ theirs.mean) if ours.n and theirs.n else float("nan"),
                    "no frame shows a face",
                    name="csim_all_pairs",
                    definition="csim/all_pairs",
                    grade=grade,
                    n_frames=ours.n,
                    frames_dropped=self._n - ours.n,
                    params=params or {},
                )
            )
        return found

    def drift_measurements(self, fps: float, *, grade: Grade, params: Params | None = None) -> list[Measurement]:
        """Rows of `drift_measurements` for what was added."""
        to_first = self._cosines["first"]
        first = to_first.measurement("identity_drift", "drift/first", grade, params)
        return [
            first,
            measurement_of(
                to_first.slope * fps,
                "fewer than two frames show a face",
                name="identity_drift_slope",
                definition="drift/first-slope",
                grade=grade,
                unit="per s",
                n_frames=first.n_frames,
                frames_dropped=first.frames_dropped,
                params={**(params or {}), "fps": fps},
            ),
            self._cosines["step"].measurement("identity_step", "drift/step", grade, params),
        ]


class Cosines:
    """The mean of cosines over frames and the slope of the line through them, in running moments.

    Attributes:
        n_found, n_dropped: frames with and without a value.
    """

    def __init__(self) -> None:
        self.n_found = self.n_dropped = 0
        self._time, self._value, self._spread, self._joint = 0.0, 0.0, 0.0, 0.0

    def add(self, cosines: F64) -> None:
        """Take the next frames, (n,); NaN is none."""
        for cosine in cosines.tolist():
            if math.isnan(cosine):
                self.n_dropped += 1
                continue
            at = self.n_found + self.n_dropped
            self.n_found += 1
            apart = at - self._time
            self._time += apart / self.n_found
            self._value += (cosine - self._value) / self.n_found
            self._spread += apart * (at - self._time)
            self._joint += apart * (cosine - self._value)

    @property
    def slope(self) -> float:
        """Slope of the least-squares line, per frame; NaN with fewer than two values."""
        return self._joint / self._spread if self.n_found > 1 else float("nan")

    def measurement(self, name: str, definition: str, grade: Grade, params: Params | None) -> Measurement:
        """The mean as a row."""
        return measurement_of(
            self._value if self.n_found else float("nan"),
            "no frame shows a face" if self.n_dropped else "too few frames",
            name=name,
            definition=definition,
            grade=grade,
            n_frames=self.n_found,
            frames_dropped=self.n_dropped,
            params=params or {},
        )


class DirectionSum:
    """The mean direction of embeddings, without those of frames that show no face; `n` were there."""

    def __init__(self) -> None:
        self.n = 0
        self._total: F64 = np.zeros(1)

    def add(self, directions: F64) -> None:
        """Take directions, (n, D)."""
        found = np.isfinite(directions).all(-1)
        if found.any():
            self._total = self._total + directions[found].sum(0)
            self.n += int(found.sum())

    @property
    def mean(self) -> F64:
        """(D,)."""
        return self._total / self.n


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
    found = IdentityCosines(source)
    found.add(generated, real)
    return found.csim_measurements(grade=grade, params=params)


def drift_measurements(
    generated: Embeddings, fps: float, *, grade: Grade, params: Params | None = None
) -> list[Measurement]:
    """Drift of the identity: mean cosine to the first frame, its slope per second, and mean cosine of neighbours.

    Args:
        generated: (T, D), NaN where there is no face. fps: frames per second. grade, params: as `csim_measurements`.
    """
    found = IdentityCosines()
    found.add(generated)
    return found.drift_measurements(fps, grade=grade, params=params)


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
        self._mean = Mean()
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
        self._mean.add(1 - float(apart) / self._eyes)

    def measurement(self) -> Measurement:
        """The mean over frames."""
        return measurement_of(
            self._mean.value,
            "no frame shows a face",
            name="identity_shape~mesh",
            definition="identity_shape/rigid30",
            grade="proxy",
            n_frames=self._mean.n,
            frames_dropped=self._n_dropped,
        )


def _check_mesh(name: str, points: Embeddings) -> None:
    if points.shape != (N_POINTS, 3):
        raise ShapeError(name, points.shape, f"({N_POINTS}, 3)")


def _as_wide(embeddings: Embeddings, width: int) -> Embeddings:
    """Embeddings (n, width), of which none is there where there were (n, 0)."""
    return embeddings if embeddings.shape[1] else np.full((len(embeddings), max(width, 1)), np.nan)


def _mean_of_found(directions: F64) -> F64:
    found = np.isfinite(directions).all(-1)
    return directions[found].mean(0) if found.any() else np.full(directions.shape[-1], np.nan)
