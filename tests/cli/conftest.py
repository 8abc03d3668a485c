"""Inputs for commands: the example photo made small, a second of the example speech, coefficients made from it."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

REPO = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def face(tmp_path_factory) -> Path:
    """The example photo at 192 px."""
    from PIL import Image

    path = tmp_path_factory.mktemp("face") / "face.png"
    with Image.open(REPO / "examples" / "face.jpg") as photo:
        photo.resize((192, 192)).save(path)
    return path


@pytest.fixture(scope="session")
def speech(tmp_path_factory) -> Path:
    """0.6 s of the example speech."""
    path = tmp_path_factory.mktemp("speech") / "speech.wav"
    with wave.open(str(REPO / "examples" / "speech.wav")) as sound, wave.open(str(path), "wb") as short:
        rate = sound.getframerate()
        sound.readframes(rate // 2)
        short.setparams(sound.getparams())
        short.writeframes(sound.readframes(round(0.6 * rate)))
    return path


@pytest.fixture(scope="session")
def motion(tmp_path_factory):
    """A coefficient file of 5 frames of head motion, relative."""
    import talkhead

    path = tmp_path_factory.mktemp("motion") / "motion.safetensors"
    rot = np.zeros((5, 3), np.float32)
    rot[:, 1] = np.linspace(0, 0.1, 5)
    coeffs = talkhead.Coeffs(space="pose", fps=25.0, n_frames=5, rot=rot, relative=frozenset({"rot"}))
    talkhead.write_coeffs(path, coeffs)
    return path


@pytest.fixture(scope="session")
def talking(tmp_path_factory, face, speech) -> Path:
    """A talking video of 192 px and 0.6 s, 15 frames."""
    import talkhead

    path = tmp_path_factory.mktemp("talking") / "talking.mp4"
    talkhead.animate(face, speech, path, pose_style="lively", mark=False, system="meshwarp")
    return path
