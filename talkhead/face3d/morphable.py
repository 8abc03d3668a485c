"""A mean face with identity and expression bases: any (`ShapeModel`), the built-in one (docs/face-model.md).

Axes after loading: x image right (the subject's left), y up, z to the camera; recentred on the vertex centroid; 1 unit
is 100 mm and the mean's outer eye corners are 0.9 units apart.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from talkhead.coeffs.layout import Space
from talkhead.errors import InputError, ShapeError
from talkhead.face.topology import INNER_LIP_LOWER, INNER_LIP_UPPER, LANDMARKS_68, OUTER_EYE_CORNERS, TRIANGLES

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
M = TypeVar("M", bound="ShapeModel")

FORMAT = "talkhead.face_model"
FORMAT_VERSION = 1
UNIT_MM = 100.0
_TENSORS = ("mean", "id_basis", "exp_basis", "id_std", "exp_std", "exp_mirror", "controls", "uv", "pose_weights")


@dataclass(frozen=True, kw_only=True, slots=True)
class ShapeModel:
    """A morphable shape of any topology: `shape = mean + id @ id_basis + exp @ exp_basis`.

    Attributes:
        space: name of its codes and their standard deviations.
        mean: (V, 3). id_basis: (n_id, V, 3). exp_basis: (n_exp, V, 3).
        triangles: (F, 3) int32, counter-clockwise seen from the camera. landmarks68: (68,) vertices of the iBUG points.
        unit_mm: millimetres of one unit.
    """

    space: Space
    mean: F32
    id_basis: F32
    exp_basis: F32
    triangles: npt.NDArray[np.int32]
    landmarks68: npt.NDArray[np.int32]
    unit_mm: float = UNIT_MM

    @property
    def n_id(self) -> int:
        """Number of identity components."""
        return len(self.id_basis)

    @property
    def n_exp(self) -> int:
        """Number of expression components."""
        return len(self.exp_basis)

    def shape(self, id_coeffs: npt.ArrayLike | None = None, exp: npt.ArrayLike | None = None) -> F64:
        """Vertices of a face.

        Args:
            id_coeffs: (..., n_id), default the mean identity. exp: (..., n_exp), default neutral.
        Returns:
            (..., V, 3), model units, head frame.
        Raises:
            ShapeError: a code has another length.
        """
        vertices = self.mean.astype(np.float64)
        if id_coeffs is not None:
            vertices = vertices + _combine("id", id_coeffs, self.id_basis)
        if exp is not None:
            vertices = vertices + self.offset(exp)
        return vertices

    def offset(self, exp: npt.ArrayLike) -> F64:
        """What an expression adds to a face: (..., n_exp) -> (..., V, 3), model units."""
        return _combine("exp", exp, self.exp_basis)

    def as_view(self: M, n_id: int, n_exp: int) -> M:
        """The same model with other code lengths: components are cut from the end, or padded with exact zeros.

        A network that wants 80 + 64 numbers gets them; a code cut by a view is shorter, a padded column does nothing.
        """
        space = dataclasses.replace(
            self.space,
            id_std=_resized(self.space.id_std, n_id),
            exp_std=_resized(self.space.exp_std, n_exp),
            controls={name: _resized(code, n_exp) for name, code in self.space.controls.items()},
            mirror=None if self.space.mirror is None else _resized_square(self.space.mirror, n_exp),
            opening=None if self.space.opening is None else _resized(self.space.opening, n_exp),
        )
        return dataclasses.replace(
            self, space=space, id_basis=_resized(self.id_basis, n_id), exp_basis=_resized(self.exp_basis, n_exp)
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class FaceModel(ShapeModel):
    """A morphable model of the 478 mesh points, with lids and irises that `face3d.eyes` moves.

    Attributes:
        space, mean, id_basis, exp_basis, triangles, landmarks68, unit_mm: as in `ShapeModel`; the bases are orthonormal
            as rows of 3 V numbers, and free of rigid motion and scale as seen by `pose_weights`.
        uv: (V, 2) in [0, 1], v down.
        pose_weights: (V,) how much each vertex says about the head's pose.
        provenance: what the statistics came from.
    """

    uv: F32
    pose_weights: F32
    provenance: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@functools.lru_cache(maxsize=1)
def load_builtin() -> FaceModel:
    """The face model that comes with talkhead (space `meshwarp-...`), loaded once per process."""
    source = resources.files("talkhead") / "data" / "meshwarp_face.safetensors"
    return parse_model(source.read_bytes(), "meshwarp_face.safetensors")


def read_model(path: Path) -> FaceModel:
    """Read a face model file.

    Raises:
        InputError: the file is missing or is not a talkhead face model.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read the face model {path}: {error.strerror}") from error
    return parse_model(content, str(path))


def parse_model(content: bytes, name: str) -> FaceModel:
    """A face model from the bytes of its file; `name` is used in messages.

    Raises:
        InputError: the bytes are not a talkhead face model.
    """
    try:
        tensors = load(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        about = json.loads(header["__metadata__"]["talkhead"])
    except (SafetensorError, KeyError, ValueError) as error:
        raise InputError(f"{name} is not a talkhead face model") from error
    if about.get("format") != FORMAT or about.get("format_version") != FORMAT_VERSION:
        raise InputError(f"{name} has face model format {about.get('format')!r} {about.get('format_version')!r}")
    missing = [key for key in _TENSORS if key not in tensors]
    if missing:
        raise InputError(f"{name} lacks {' '.join(missing)}")
    space = Space(
        name=about["space"],
        id_std=tensors["id_std"],
        exp_std=tensors["exp_std"],
        controls=dict(zip(about["controls"], tensors["controls"], strict=True)),
        mirror=tensors["exp_mirror"],
        opening=_opening(tensors["mean"], tensors["exp_basis"]),
    )
    return FaceModel(
        space=space,
        mean=tensors["mean"],
        id_basis=tensors["id_basis"],
        exp_basis=tensors["exp_basis"],
        triangles=TRIANGLES,
        uv=tensors["uv"],
        landmarks68=np.array(LANDMARKS_68, np.int32),
        pose_weights=tensors["pose_weights"],
        unit_mm=about["unit_mm"],
        provenance=about["provenance"],
    )


def _opening(mean: F32, exp_basis: F32) -> F32:
    """What each expression code adds to the inner lips' distance, in eye distances, (n_exp,)."""
    middle = len(INNER_LIP_UPPER) // 2
    upper, lower = exp_basis[:, INNER_LIP_UPPER[middle], 1], exp_basis[:, INNER_LIP_LOWER[middle], 1]
    left, right = mean[list(OUTER_EYE_CORNERS)]
    opening: F32 = ((upper - lower) / np.linalg.norm(left - right)).astype(np.float32)
    return opening


def encode_model(tensors: Mapping[str, F32], controls: list[str], prefix: str, provenance: Mapping[str, Any]) -> bytes:
    """The bytes of a face model file; equal input gives equal bytes.

    Args:
        tensors: mean, bases, deviations, controls, ... as `FaceModel` names them. controls: names of the control rows.
        prefix: first part of the space's name; a hash of the tensors follows. provenance: kept in the metadata.
    """
    digest = hashlib.sha256()
    for key in sorted(tensors):
        digest.update(key.encode() + np.ascontiguousarray(tensors[key]).tobytes())
    about = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "space": f"{prefix}-{digest.hexdigest()[:8]}",
        "unit_mm": UNIT_MM,
        "controls": controls,
        "provenance": dict(provenance),
    }
    # One metadata key: the library writes several in no fixed order.
    arrays = {key: np.ascontiguousarray(value, np.float32) for key, value in tensors.items()}
    return save(arrays, {"talkhead": json.dumps(about, sort_keys=True)})


def similarity_tangent(vertices: npt.NDArray[np.floating[Any]]) -> F64:
    """Directions in which scale, rotation and translation move a shape (V, 3): (7, V, 3), not normalised."""
    v = np.asarray(vertices, np.float64)
    turns = [np.cross(axis, v) for axis in np.eye(3)]
    shifts = [np.broadcast_to(axis, v.shape) for axis in np.eye(3)]
    return np.stack([v, *turns, *shifts])


def remove_similarity(fields: F64, vertices: F64, weights: F64) -> F64:
    """Take the rigid motion and scale out of deformation fields, as a pose fit with these weights sees them.

    With the same weights a pose fit then does not notice the deformation (to first order), so codes and pose do not
    trade off. Weights that rest on the skull keep the skull still when the jaw moves; equal weights would push the
    forehead up whenever the chin goes down.

    Args:
        fields: (N, V, 3). vertices: the mean, (V, 3). weights: of squared residuals, (V, 3).
    Returns:
        (N, V, 3).
    Raises:
        ShapeError: `weights` has another shape than `vertices`.
    """
    if np.shape(weights) != vertices.shape:
        raise ShapeError("weights", np.shape(weights), f"{vertices.shape}")
    tangent = similarity_tangent(vertices)
    weighted = tangent * weights
    gram = np.einsum("avi,bvi->ab", weighted, tangent)
    seen = np.einsum("avi,nvi->an", weighted, fields)
    cleaned: F64 = fields - np.einsum("an,avi->nvi", np.linalg.solve(gram, seen), tangent)
    return cleaned


def _combine(name: str, code: npt.ArrayLike, basis: F32) -> F64:
    c = np.asarray(code, np.float64)
    if c.shape[-1:] != (len(basis),):
        raise ShapeError(name, c.shape, f"(..., {len(basis)})")
    flat = c @ basis.reshape(len(basis), -1).astype(np.float64)
    combined: F64 = flat.reshape(*c.shape[:-1], *basis.shape[1:])
    return combined


def _resized(rows: F32, n: int) -> F32:
    resized = np.zeros((n, *rows.shape[1:]), np.float32)
    resized[: len(rows)] = rows[:n]
    return resized


def _resized_square(matrix: F32, n: int) -> F32:
    resized = np.zeros((n, n), np.float32)
    m = min(n, len(matrix))
    resized[:m, :m] = matrix[:m, :m]
    return resized
