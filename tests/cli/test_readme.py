"""The README's own examples, run as they stand in a folder with the files they name."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import wave
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
README = (REPO / "README.md").read_text(encoding="utf-8")
PROGRAM = Path(sys.executable).with_name("talkhead")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    path = f"{PROGRAM.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command, cwd=folder, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """face.jpg (small), speech.wav (1 s) and driving.mp4 (8 frames of the face itself)."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("readme")
    with Image.open(REPO / "examples" / "face.jpg") as face:
        face.resize((256, 256)).save(folder / "face.jpg", quality=95)
    with (
        wave.open(str(REPO / "examples" / "speech.wav")) as sound,
        wave.open(str(folder / "speech.wav"), "wb") as short,
    ):
        short.setparams(sound.getparams())
        short.writeframes(sound.readframes(sound.getframerate()))
    run([str(PROGRAM), "animate", "face.jpg", "speech.wav", "-o", "driving.mp4", "--size", "128"], folder)
    return folder


@pytest.mark.skipif(not PROGRAM.exists() or not shutil.which("bash"), reason="talkhead is not installed as a program")
@pytest.mark.slow
def test_shell_examples_run(folder):
    text = "\n".join(block for block in blocks("sh") if "make " not in block)
    assert text.count("talkhead") >= 3
    run(["bash", "-euo", "pipefail", "-c", text], folder)
    assert (folder / "out.mp4").stat().st_size > 1000
    assert (folder / "smile.mp4").stat().st_size > 1000


@pytest.mark.skipif(not PROGRAM.exists(), reason="talkhead is not installed as a program")
@pytest.mark.slow
def test_python_examples_run(folder):
    (program,) = blocks("python")
    said = run([sys.executable, "-c", program], folder).stdout
    assert said.split()[:2] == ["25", "25.0"]
    assert (folder / "lively.mp4").stat().st_size > 1000
