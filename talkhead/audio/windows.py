"""Sound against video frames: how many frames a sound has, and which features belong to which frame.

Frame i belongs to the moment i / fps, its timestamp, as in a camera's recording: tracked lips of real clips agree best
with sound read there. No other module aligns audio to fps.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from talkhead.audio.mel import STEPS_PER_SECOND
from talkhead.errors import UsageError

MEL_WINDOW = 16  # mel steps per window of lip-sync networks = 0.2 s


def count_frames(duration_s: float, fps: float) -> int:
    """Frames of a video as long as the sound, to the nearest frame, at least 1.

    Raises:
        UsageError: fps is not a positive number up to 1000.
    """
    if not (np.isfinite(fps) and 0 < fps <= 1000):
        raise UsageError(f"fps is {fps}, expected more than 0 and at most 1000")
    return max(1, round(duration_s * fps))


def frame_times(n_frames: int, fps: float) -> npt.NDArray[np.float64]:
    """The moment of each frame in seconds, (n_frames,)."""
    return np.arange(n_frames) / fps


def sample_track(
    track: npt.NDArray[np.floating[Any]], rate: float, n_frames: int, fps: float, *, lead_s: float = 0.0
) -> npt.NDArray[np.float64]:
    """A feature track read at the moments of video frames, linearly between its steps.

    A frame longer than a step takes the mean over itself, so that nothing between two frames is lost.

    Args:
        track: (n_steps,) or (n_steps, C); step k lies at k / rate seconds. rate: steps per second.
        n_frames, fps: of the video. lead_s: how much earlier than the sound the picture is.
    Returns:
        (n_frames,) or (n_frames, C) float64; the ends are held.
    """
    values = np.asarray(track, np.float64)
    columns = values.reshape(len(values), -1)
    steps = np.arange(len(values)) / rate
    n_taps = max(1, int(np.ceil(rate / fps)))
    taps = (np.arange(n_taps) + 0.5) / n_taps - 0.5
    moments = frame_times(n_frames, fps)[:, None] + lead_s + taps[None, :] / fps
    out = np.stack([np.interp(moments.ravel(), steps, c).reshape(moments.shape).mean(1) for c in columns.T], -1)
    shaped: npt.NDArray[np.float64] = out.reshape((n_frames, *values.shape[1:]))
    return shaped


def mel_windows(
    mel: npt.NDArray[np.floating[Any]], n_frames: int, fps: float, *, first_frame: int = 0, width: int = MEL_WINDOW
) -> npt.NDArray[np.float32]:
    """One mel window per video frame, as lip-sync networks read it.

    The window of frame i starts at `trunc(80 / fps * (i + first_frame))`, toward zero; steps outside the sound repeat
    its ends. `first_frame` 0 is Wav2Lip's alignment, -2 SadTalker's.

    Args:
        mel: (n_steps, 80). n_frames, fps: of the video. width: steps per window.
    Returns:
        (n_frames, 80, width) float32.
    """
    starts = np.trunc(STEPS_PER_SECOND * (np.arange(n_frames) + first_frame) / fps).astype(int)
    index = np.clip(starts[:, None] + np.arange(width), 0, len(mel) - 1)
    return np.ascontiguousarray(np.swapaxes(np.asarray(mel, np.float32)[index], 1, 2))
