"""Names, shapes and units of the tensors of a coefficient file, and what a space says about its codes.

Only this module knows how many values a track has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from talkhead.errors import CoeffFileError

FORMAT = "talkhead.coeffs"
FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Shape rule of one tensor: `T` is the frame count, a number is exact, a name is free, a tuple lists choices."""

    shape: tuple[int | str | tuple[int, ...], ...]
    unit: str
    non_negative: bool = False

    def check_shape(self, name: str, shape: tuple[int, ...], n_frames: int) -> None:
        """Raise CoeffFileError, naming the tensor, unless the shape fits."""
        expected = "(" + ", ".join(str(n_frames) if d == "T" else str(d) for d in self.shape) + ")"
        fits = len(shape) == len(self.shape) and all(
            (d == "T" and n == n_frames) or (isinstance(d, str) and d != "T" and n > 0) or d == n
            or (isinstance(d, tuple) and n in d)
            for d, n in zip(self.shape, shape, strict=True)
        )  # fmt: skip
        if not fits:
            raise CoeffFileError(f"{name} has shape {shape}, expected {expected}")

    def check(self, name: str, value: npt.NDArray[Any], n_frames: int) -> None:
        """Raise CoeffFileError, naming the tensor, unless dtype, shape and values fit."""
        if not isinstance(value, np.ndarray) or value.dtype != np.float32:
            raise CoeffFileError(f"{name} has dtype {getattr(value, 'dtype', type(value).__name__)}, expected float32")
        self.check_shape(name, value.shape, n_frames)
        bad = ~np.isfinite(value)
        if bad.any():
            where = tuple(int(i) for i in np.argwhere(bad)[0])
            raise CoeffFileError(f"{name} has {int(bad.sum())} values that are not finite, the first at {where}")
        if self.non_negative and (value < 0).any():
            raise CoeffFileError(f"{name} has negative values, the lowest {float(value.min()):g}")


TENSORS: Mapping[str, TensorSpec] = {
    "id": TensorSpec(("n_id",), "codes"),
    "exp": TensorSpec(("T", "n_exp"), "codes"),
    "rot": TensorSpec(("T", 3), "radians: pitch yaw roll"),
    "trans": TensorSpec(("T", 3), "model units (100 mm)"),
    "scale": TensorSpec(("T",), "pixels per unit", non_negative=True),
    "eyelid": TensorSpec(("T", 2), "closure 0..1: subject's left, right"),
    "gaze": TensorSpec(("T", 2), "radians: x to image right, y up"),
    "tongue": TensorSpec(("T",), "raise of its tip 0..1"),
    "au": TensorSpec(("T", "n_au"), "probability or 0..5 intensity"),
    "landmarks": TensorSpec(("T", 68, (2, 3)), "source pixels"),
    "crop": TensorSpec((6,), "affine crop -> source"),
    "size": TensorSpec((2,), "source pixels: width height"),
}
PER_FRAME = frozenset(name for name, spec in TENSORS.items() if spec.shape[0] == "T")
PER_CLIP = frozenset(TENSORS) - PER_FRAME
# Extra tensors that files of the space `bfm` carry (docs/coefficient-file.md): (64,) and (6,) of the face that relative
# tracks were made for; (T, 3) of the picture that each frame was measured in; (80,) and (27,) of the photo's look.
REFERENCE_EXP, REFERENCE_POSE, ALIGNMENT = "reference_exp", "reference_pose", "alignment"
EXTRA_OF: Mapping[str, str] = {
    REFERENCE_EXP: "exp", REFERENCE_POSE: "rot", ALIGNMENT: "trans", "tex": "id", "gamma": "id",
}  # fmt: skip
"""Known extra tensor -> the track it belongs to: another file's track takes it away."""
CLIP_EXTRAS = frozenset(EXTRA_OF) - {ALIGNMENT}
"""Those with one value for the whole clip, however long they are."""
# Tracks that may be offsets from the source's own rest; closed lids and a raised tongue are always absolute.
MAYBE_RELATIVE = frozenset({"exp", "rot", "trans", "scale", "gaze"})


def is_per_frame(name: str, shape: tuple[int, ...], n_frames: int) -> bool:
    """Whether the first axis of a tensor, known or not, counts frames."""
    return name in PER_FRAME or (name not in PER_CLIP | CLIP_EXTRAS and shape[:1] == (n_frames,))


@dataclass(frozen=True, kw_only=True, slots=True)
class Space:
    """What the codes of a face model mean to an editor that has no model at hand.

    Attributes:
        name: name and hash, as stored in files. id_std: (n_id,), exp_std: (n_exp,): standard deviation per component.
        controls: named control -> code direction (n_exp,) of its value 1, e.g. `jaw-open`.
        mirror: (n_exp, n_exp), takes the codes of an expression to those of its mirror image; None if unknown.
        opening: (n_exp,), what each code adds to the distance of the inner lips, in eye distances; None if unknown.
    """

    name: str
    id_std: npt.NDArray[np.float32]
    exp_std: npt.NDArray[np.float32]
    controls: Mapping[str, npt.NDArray[np.float32]]
    mirror: npt.NDArray[np.float32] | None = None
    opening: npt.NDArray[np.float32] | None = None

    @property
    def family(self) -> str:
        """The name without its hash: `meshwarp` of `meshwarp-1a2b3c4d`."""
        return space_family(self.name)


def space_family(name: str) -> str:
    """The name of a space without its hash: what a person types."""
    return name.partition("-")[0]
