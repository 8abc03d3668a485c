"""Fitted tracks of a face before they become coefficients: gaps filled, noise taken out without blunting plosives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from talkhead.face3d.pose import Poses
from talkhead.geometry import matrix_to_rotvec, mean_rotation, rotvec_to_matrix

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

# Standard deviation of the frame-to-frame noise in faces that hold still (sample clips with real encoding noise):
# expression codes; rotation in radians, log scale, shift in model units; openness in eye distances; gaze in radians.
EXP_NOISE = 0.005
POSE_NOISE = (0.0025, 0.0025, 0.0025, 0.0006, 0.0008, 0.0008, 0.002)
OPENNESS_NOISE = 0.001
GAZE_NOISE = 0.02


@dataclass(frozen=True, slots=True)
class FaceTracks:
    """Raw tracks of T frames.

    Attributes:
        exp: (T, n_exp). poses: of T frames. openness: (T, 2) lids, eye distances. gaze: (T, 2) radians.
        landmarks: (T, 68, 3) pixels or None.
    """

    exp: F64
    poses: Poses
    openness: F64
    gaze: F64
    landmarks: F32 | None = None

    @staticmethod
    def joined(parts: list[FaceTracks]) -> FaceTracks:
        """Consecutive pieces as one."""
        poses = Poses(
            np.concatenate([p.poses.scale for p in parts]),
            np.concatenate([p.poses.rotation for p in parts]),
            np.concatenate([p.poses.shift for p in parts]),
        )
        kept = [p.landmarks for p in parts if p.landmarks is not None]
        return FaceTracks(
            np.concatenate([p.exp for p in parts]),
            poses,
            np.concatenate([p.openness for p in parts]),
            np.concatenate([p.gaze for p in parts]),
            np.concatenate(kept) if kept else None,
        )

    def spread(self, found: npt.NDArray[np.bool_]) -> FaceTracks:
        """Tracks of the found frames laid over all frames, (len(found), ...); gaps are filled linearly."""
        times, known = np.arange(len(found)), np.flatnonzero(found)

        def fill(track: npt.NDArray[np.floating[Any]]) -> F64:
            return np.stack([np.interp(times, known, column) for column in track.T], -1)

        landmarks = None
        if self.landmarks is not None:
            shape = self.landmarks.shape[1:]
            landmarks = fill(self.landmarks.reshape(len(known), -1)).reshape(-1, *shape).astype(np.float32)
        return FaceTracks(fill(self.exp), self._moved(fill), fill(self.openness), fill(self.gaze), landmarks)

    def steadied(self, strength: float = 1.0) -> FaceTracks:
        """Noise taken out of everything but the landmarks; `strength` scales the assumed noise, 0 changes nothing."""
        if strength <= 0 or len(self.exp) < 3:
            return self
        return FaceTracks(
            steadied(self.exp, EXP_NOISE * strength, 1.0),
            self._moved(lambda track: steadied(track, np.array(POSE_NOISE) * strength, 2.0)),
            # Shorter, so that a blink of three frames stays shut.
            steadied(self.openness, OPENNESS_NOISE * strength, 0.7),
            steadied(self._steady_gaze(), GAZE_NOISE * strength, 1.0),
            self.landmarks,
        )

    def _moved(self, change: Callable[[F64], F64]) -> Poses:
        """Poses changed as tracks (T, 7): rotation vector about the mean rotation, log scale, shift in model units."""
        middle = mean_rotation(self.poses.rotation)
        turns = matrix_to_rotvec(middle.T @ self.poses.rotation)
        shift = self.poses.shift / self.poses.scale[:, None]
        motion = change(np.concatenate([turns, np.log(self.poses.scale)[:, None], shift], axis=1))
        scale = np.exp(motion[:, 3])
        return Poses(scale, middle @ rotvec_to_matrix(motion[:, :3]), motion[:, 4:] * scale[:, None])

    def _steady_gaze(self) -> F64:
        """Gaze with the stretches bridged in which lids hide the irises (openness below 0.02 eye distances)."""
        hidden = self.openness.mean(-1) < 0.02
        if not hidden.any() or hidden.all():
            return self.gaze
        times, known = np.arange(len(hidden)), np.flatnonzero(~hidden)
        return np.stack([np.interp(times, known, column[known]) for column in self.gaze.T], -1)


def steadied(track: F64, noise: float | F64, sigma: float) -> F64:
    """Take noise out of a track and keep its fast moves (a Wiener filter of what a Gaussian would remove).

    Args:
        track: (T, n). noise: standard deviation of the noise, one or (n,). sigma: of the Gaussian, in frames.
    Returns:
        (T, n): the Gaussian's result where the rest looks like noise, the track itself where the rest is larger.
    """
    smooth = gaussian(track, sigma)
    rest = track - smooth
    energy = gaussian(rest**2, 1.0)
    share = np.maximum(0.0, 1.0 - np.asarray(noise) ** 2 / np.maximum(energy, 1e-30))
    return smooth + share * rest


def gaussian(track: F64, sigma: float) -> F64:
    """A track (T, n) smoothed along time, ends held."""
    radius = max(1, round(4 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    padded = np.pad(track, ((radius, radius), (0, 0)), mode="edge")
    return np.stack([np.convolve(column, kernel, mode="valid") for column in padded.T], -1)
