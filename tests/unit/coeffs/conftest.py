from __future__ import annotations

import numpy as np
import pytest

from talkhead.coeffs.container import Coeffs
from talkhead.coeffs.layout import Space

N_EXP = 6


@pytest.fixture
def space() -> Space:
    """Six components: opening, jaw, width, a left/right pair of cheeks, brows."""
    eye = np.eye(N_EXP, dtype=np.float32)
    mirror = eye[[0, 1, 2, 4, 3, 5]]
    return Space(
        name="toy-00000001",
        id_std=np.ones(3, np.float32),
        exp_std=np.array([4, 3, 2, 1, 1, 0.5], np.float32),
        controls={
            "lip-open": eye[0],
            "jaw-open": eye[0] + 2 * eye[1],
            "mouth-wide": eye[2],
            "brow-raise": 0.5 * eye[5],
            "smile": eye[2] + eye[3] + eye[4],
        },
        mirror=mirror,
    )


@pytest.fixture
def motion(space: Space) -> Coeffs:
    """Two seconds of absolute motion at 25 fps with every per-frame track but landmarks."""
    rng = np.random.default_rng(3)
    n = 50
    t = np.arange(n) / 25

    def noise(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float32)

    return Coeffs(
        space=space.name,
        fps=25.0,
        n_frames=n,
        id=noise(3),
        exp=noise(n, N_EXP),
        rot=(np.stack([np.sin(3 * t), np.cos(2 * t), np.sin(5 * t)], 1) * 0.2).astype(np.float32),
        trans=0.1 * noise(n, 3),
        scale=(100 + noise(n)).astype(np.float32),
        eyelid=rng.uniform(0, 1, (n, 2)).astype(np.float32),
        gaze=0.1 * noise(n, 2),
        tongue=rng.uniform(0, 1, n).astype(np.float32),
        size=np.array([512, 512], np.float32),
    )
