"""The mouth made from the sound of a real talking clip against the tracked mouth of the same clip."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from talkhead.audio.prosody import analyse
from talkhead.face.mesh import FaceTracker
from talkhead.media.audio import read_waveform
from talkhead.media.video import open_clip
from talkhead.systems.meshwarp.articulation import mouth_tracks

INNER_LIPS, CORNERS, EYE_CORNERS = (13, 14), (61, 291), (33, 263)


def tracked(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Inner-lip distance and mouth width of every frame, in eye distances."""
    with open_clip(path, fps=25, max_size=400) as clip:
        faces = [face.points for face in FaceTracker().track_clip(clip) if face is not None]
    points = np.stack(faces)
    gap, width, scale = (
        np.linalg.norm(points[:, a] - points[:, b], axis=-1) for a, b in (INNER_LIPS, CORNERS, EYE_CORNERS)
    )
    return gap / scale, width / scale


# Frames the picture lags its own sound, found once with several predictors; correlations reached, minus 0.1.
@pytest.mark.parametrize(
    ("name", "lag", "least_open", "least_width"),
    [("driving_expressions", -6.5, 0.6, 0.7), ("talk_sync_b", 1.9, 0.39, 0.5)],
)
def test_lips_follow_speech(media, name, lag, least_open, least_width):
    path = media / "video" / f"{name}.mp4"
    gap, width = tracked(path)
    speech = read_waveform(path)
    mouth = mouth_tracks(speech)
    n = min(len(gap), len(mouth.open))
    moments = np.arange(n) + lag
    inside = (moments >= 0) & (moments <= n - 1)
    spoken = analyse(speech).is_speech[np.minimum(np.arange(n) * 4, len(speech.samples) // 160)] & inside
    for true, heard, least in (
        (gap, mouth.open, least_open),
        (width, mouth.wide - mouth.pucker - 0.5 * mouth.funnel, least_width),
    ):
        true = np.interp(moments, np.arange(len(true)), true)
        r = np.corrcoef(true[spoken], heard[:n][spoken])[0, 1]
        assert r > least
