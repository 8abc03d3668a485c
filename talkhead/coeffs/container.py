"""`Coeffs`: the value behind a coefficient file (docs/coefficient-file.md), checked once when it is made."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from talkhead.coeffs.layout import EXTRA_OF, MAYBE_RELATIVE, PER_CLIP, PER_FRAME, TENSORS, is_per_frame
from talkhead.errors import CoeffFileError, UsageError

F32 = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class Coeffs:
    """Motion and shape of one face over time; every track optional, at least one present.

    Attributes:
        space: name and hash of the face model that gives `id` and `exp` a meaning, e.g. `meshwarp-1a2b3c4d`.
        fps: frames per second of all tracks. n_frames: their common length T.
        id: (n_id,). exp: (T, n_exp). rot: (T, 3) radians pitch yaw roll. trans: (T, 3) model units from the
            picture's centre. scale: (T,) pixels per unit. eyelid: (T, 2) closure 0..1 of the subject's left and right
            eye, below 0 when wider open than usual. gaze: (T, 2) radians relative to the head, x to image right, y up.
            tongue: (T,) how far its tip is raised to the upper teeth, 0..1; part of the expression.
        au: (T, n_au), names in `au_names`. landmarks: (T, 68, 2 or 3) source pixels. crop: (6,) affine crop -> source,
            row-major 2 x 3. size: (2,) source width and height.
        extra: tensors this version does not know; kept as they are.
        relative: tracks among `exp rot trans scale gaze` that are offsets from the source's own rest
            (`scale` then multiplies) instead of absolute values. Speech-driven motion is relative. Names of tracks
            that are absent are dropped.
        source_sha256, created_by, params: where it came from (docs/coefficient-file.md).
    Raises:
        CoeffFileError: a tensor has the wrong shape or dtype, is not finite, or there is none at all; `au_names` do not
            count the columns of `au`; an extra tensor has the name of a known one.
    """

    space: str
    fps: float
    n_frames: int
    id: F32 | None = None
    exp: F32 | None = None
    rot: F32 | None = None
    trans: F32 | None = None
    scale: F32 | None = None
    eyelid: F32 | None = None
    gaze: F32 | None = None
    tongue: F32 | None = None
    au: F32 | None = None
    landmarks: F32 | None = None
    crop: F32 | None = None
    size: F32 | None = None
    extra: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    au_names: tuple[str, ...] = ()
    relative: frozenset[str] = frozenset()
    source_sha256: str = ""
    created_by: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (np.isfinite(self.fps) and self.fps > 0):
            raise CoeffFileError(f"fps is {self.fps}, expected a positive number")
        if self.n_frames < 1:
            raise CoeffFileError(f"n_frames is {self.n_frames}, expected at least 1")
        present = self.tensors()
        if not present:
            raise CoeffFileError("a coefficient file needs at least one tensor of " + " ".join(TENSORS))
        for name, value in present.items():
            TENSORS[name].check(name, value, self.n_frames)
        unknown = self.relative - MAYBE_RELATIVE
        if unknown:
            raise CoeffFileError(f"tracks that cannot be relative: {' '.join(sorted(unknown))}")
        # A frozen dataclass sets its own fields this way; without it, dropping a track would need two changes.
        object.__setattr__(self, "relative", frozenset(self.relative & present.keys()))
        if self.au is not None and len(self.au_names) != self.au.shape[1]:
            raise CoeffFileError(f"au has {self.au.shape[1]} columns and au_names {len(self.au_names)} names")
        taken = sorted(TENSORS.keys() & self.extra.keys())
        if taken:
            raise CoeffFileError(f"extra tensors with the names of known ones: {' '.join(taken)}")

    def __len__(self) -> int:
        return self.n_frames

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.n_frames / self.fps

    def tensors(self) -> dict[str, F32]:
        """The known tensors that are present, by name."""
        return {name: value for name in TENSORS if (value := getattr(self, name)) is not None}

    def replace(self, **changes: Any) -> Coeffs:
        """A copy with fields changed, checked again."""
        return dataclasses.replace(self, **changes)

    def at(self, frames: slice | npt.NDArray[np.intp]) -> Coeffs:
        """A copy with only these frames (a slice or an index array); per-clip tensors stay."""
        cut = {name: value[frames] for name, value in self.tensors().items() if name in PER_FRAME}
        extra = {k: v[frames] if is_per_frame(k, v.shape, self.n_frames) else v for k, v in self.extra.items()}
        n_frames = len(range(self.n_frames)[frames]) if isinstance(frames, slice) else len(frames)
        return self.replace(n_frames=n_frames, extra=extra, **cut)

    def merged(self, other: Coeffs) -> Coeffs:
        """These coefficients with the tracks of `other` in place of their own.

        The common length is the longer one's: a shorter track holds its last frame. A single frame has no rate of its
        own and takes the other's. `id` and `exp` need equal spaces. A tongue goes with its expression: an `exp` that
        comes without one takes the old one away; so do other tracks with the extra tensors that belong to them.

        Raises:
            UsageError: rates differ. CoeffFileError: the spaces differ and both carry codes.
        """
        fps = other.fps if self.n_frames == 1 else self.fps
        if fps != other.fps and other.n_frames > 1:
            raise UsageError(
                f"frame rates differ: {self.fps:g} and {other.fps:g}",
                hint=f"talkhead edit --retime {self.fps:g}fps brings the second to the rate of the first",
            )
        coded = [c for c in (self, other) if c.id is not None or c.exp is not None]
        if len({c.space for c in coded}) > 1:
            raise CoeffFileError(f"codes of different spaces cannot be merged: {self.space} and {other.space}")
        n_frames = max(self.n_frames, other.n_frames)
        mine, theirs = self.held(n_frames), other.held(n_frames)
        kept: dict[str, F32 | None] = {**mine.tensors()}
        extra = {k: v for k, v in mine.extra.items() if EXTRA_OF.get(k) not in other.tensors()}
        if other.exp is not None:
            kept["tongue"] = None
        return self.replace(
            space=coded[-1].space if coded else other.space,
            fps=fps,
            n_frames=n_frames,
            relative=(self.relative - other.tensors().keys()) | other.relative,
            extra=extra | dict(theirs.extra),
            au_names=self.au_names if other.au is None else other.au_names,
            source_sha256=self.source_sha256 or other.source_sha256,
            params=dict(self.params) | dict(other.params),
            **(kept | theirs.tensors()),
        )

    def held(self, n_frames: int) -> Coeffs:
        """A copy of this length: cut, or its last frame held."""
        if n_frames == self.n_frames:
            return self
        return self.at(np.minimum(np.arange(n_frames), self.n_frames - 1))


__all__ = ["PER_CLIP", "PER_FRAME", "Coeffs"]
