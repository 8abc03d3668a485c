"""Around coefficient rows: windows of them, blinks, camera tracks, smoothing, and the keypoints they move.

SadTalker, sections 3.2 and 3.3; what the paper leaves open follows the published code (OpenTalker/SadTalker cd4c046).
A row is 64 expression codes, 3 angles in radians, 3 translations in units, and in `full` modes 3 alignment numbers.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from talkhead.systems.sadtalker.model_mapping import MappedMotion

F32 = npt.NDArray[np.float32]

_BLINK = (0.5, 0.9, 1.0, 0.9, 0.5)
_BLINK_MIN_FRAMES = 22  # below, the published code finds no room, or fails
_BLINK_GAP = (10, 70)  # frames without a blink: at least, less than
_SMOOTHING_FRAMES, _SMOOTHING_ORDER = 13, 2
_BIN_DEG = 3.0
_PI = 3.14  # as the networks were trained


def surrounded(rows: F32, start: int, stop: int, n_rows: int) -> F32:
    """Frames `start`..`stop` with the rows around them that windows need; the ends are held.

    The window of one frame f is that of `start` f and `stop` f + 1: rows f - 13 .. f + 13 of 27.

    Args:
        rows: (T, C). n_rows: of a window, odd.
    Returns:
        (stop - start + n_rows - 1, C).
    """
    radius = n_rows // 2
    return rows[np.clip(np.arange(start - radius, stop + radius), 0, len(rows) - 1)]


def source_window(row: F32, n_rows: int) -> F32:
    """The photo's row as a window in which nothing moves, (C, n_rows)."""
    return np.repeat(row[:, None], n_rows, 1)


def camera_track(values: Sequence[float], n_frames: int) -> F32:
    """Through several angles at constant speed, (n_frames,).

    The steps are as the published code's: each leg starts at its angle and stops short of the next one; the last value
    is held. One value is a constant.
    """
    angles = np.asarray(values, np.float64)
    step = np.abs(np.diff(angles)).sum() / max(n_frames - 1, 1)
    pairs = zip(angles[:-1], angles[1:], strict=True)
    legs = [np.arange(a, b, np.copysign(step, b - a)) for a, b in pairs if a != b] or [angles[:1]]
    track = np.concatenate(legs)[:n_frames]
    return np.pad(track, (0, n_frames - len(track)), mode="edge").astype(np.float32)


def smoothed_pose(pose: npt.NDArray[np.floating[Any]]) -> F32:
    """Savitzky-Golay smoothing of a pose track, (T, 6): order 2 over 13 frames, or over what there is.

    Tracks of one and two frames come back as they are.
    """
    from scipy.signal import savgol_filter

    track = np.asarray(pose, np.float32)
    n_frames = len(track)
    if n_frames <= _SMOOTHING_ORDER:
        return track.copy()
    window = _SMOOTHING_FRAMES if n_frames >= _SMOOTHING_FRAMES else 2 * ((n_frames - 1) // 2) + 1
    return np.asarray(savgol_filter(track, window, _SMOOTHING_ORDER, axis=0), np.float32)


def blink_track(n_frames: int, rng: random.Random) -> F32:
    """When the eyes close: 5 frames each, 10 to 69 frames between, (n_frames,) in 0..1; none in under 22 frames."""
    track = np.zeros(n_frames, np.float32)
    if n_frames < _BLINK_MIN_FRAMES:
        return track
    gaps = range(min(_BLINK_GAP[0], n_frames), min(n_frames // 2, _BLINK_GAP[1]))
    end = rng.choice(gaps) + len(_BLINK)
    while end <= n_frames - 1:
        track[end - len(_BLINK) : end] = _BLINK
        end += rng.choice(gaps) + len(_BLINK)
    return track


def degrees_of(logits: Tensor) -> Tensor:
    """Expected angle of logits over bins of 3 degrees, (B, 66) -> (B,), about -99..99."""
    n_bins = logits.shape[1]
    bins = torch.arange(n_bins, dtype=torch.float32, device=logits.device)
    return _BIN_DEG * (torch.softmax(logits.float(), 1) * bins).sum(1) - _BIN_DEG * n_bins / 2


def rotation(pitch: Tensor, yaw: Tensor, roll: Tensor) -> Tensor:
    """Rotation Rx(pitch) Ry(yaw) Rz(roll) of angles in degrees, (B,) each -> (B, 3, 3)."""
    x, y, z = (angle / 180.0 * _PI for angle in (pitch, yaw, roll))
    zero, one = torch.zeros_like(x), torch.ones_like(x)

    def matrix(*cells: Tensor) -> Tensor:
        return torch.stack(cells, 1).view(-1, 3, 3)

    about_x = matrix(one, zero, zero, zero, x.cos(), -x.sin(), zero, x.sin(), x.cos())
    about_y = matrix(y.cos(), zero, y.sin(), zero, one, zero, -y.sin(), zero, y.cos())
    about_z = matrix(z.cos(), -z.sin(), zero, z.sin(), z.cos(), zero, zero, zero, one)
    return about_x @ about_y @ about_z


def keypoints(
    canonical: Tensor,
    motion: MappedMotion,
    *,
    yaw: Tensor | None = None,
    pitch: Tensor | None = None,
    roll: Tensor | None = None,
) -> Tensor:
    """Where the motion takes the canonical keypoints (section 3.3; Wang et al. 2021).

    Of the translation only the vertical part is used, as the renderer was trained.

    Args:
        canonical: (15, 3) or (B, 15, 3). motion: of B frames. yaw, pitch, roll: angles in degrees, (B,), instead of
            the motion's.
    Returns:
        (B, 15, 3) float32.
    """
    turn = rotation(
        degrees_of(motion.pitch) if pitch is None else pitch,
        degrees_of(motion.yaw) if yaw is None else yaw,
        degrees_of(motion.roll) if roll is None else roll,
    )
    up = torch.tensor([0.0, 1.0, 0.0], device=motion.t.device)
    offset = motion.exp.float().view(len(turn), -1, 3)
    return canonical.float() @ turn.transpose(1, 2) + (motion.t.float() * up)[:, None] + offset
