"""Shared fixtures: real media where they exist, small made-up media where they do not, and the command line."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

REPO = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class CliResult:
    code: int
    stdout: str
    stderr: str


def _media_folder() -> Path | None:
    named = os.environ.get("TALKHEAD_TEST_MEDIA")
    folder = Path(named) if named else REPO.parent / "shared" / "media"
    return folder if (folder / "faces").is_dir() else None


@pytest.fixture(scope="session")
def repo() -> Path:
    """The checkout."""
    return REPO


@pytest.fixture(scope="session")
def media() -> Path:
    """Folder of real faces, speech and talking video; tests that ask for it skip where it is absent."""
    folder = _media_folder()
    if folder is None:
        pytest.skip("no test media: set TALKHEAD_TEST_MEDIA to a folder with faces/, speech/ and video/")
    return folder


@pytest.fixture(scope="session")
def example_face() -> Path:
    """The photograph of examples/."""
    return REPO / "examples" / "face.jpg"


@pytest.fixture(scope="session")
def example_speech() -> Path:
    """The speech of examples/."""
    return REPO / "examples" / "speech.wav"


@pytest.fixture
def run_cli(capfd: pytest.CaptureFixture[str]) -> Callable[..., CliResult]:
    """Run `talkhead ARGS` in this process, through `main`: exit code, stdout and stderr as text."""

    def run(*args: object) -> CliResult:
        from talkhead.cli.app import main

        capfd.readouterr()
        code = main([str(arg) for arg in args])
        captured = capfd.readouterr()
        return CliResult(code, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def ffmpeg() -> str:
    """Path of the bundled ffmpeg, for tests that make their own media."""
    import imageio_ffmpeg

    path: str = imageio_ffmpeg.get_ffmpeg_exe()
    return path


@pytest.fixture(scope="session")
def make_clip(ffmpeg: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Make a small test video: `make_clip(n_frames=10, size=(64, 48), fps=25, audio=True, suffix=".mp4")`."""

    def make(
        n_frames: int = 10,
        size: tuple[int, int] = (64, 48),
        fps: float = 25,
        audio: bool = True,
        suffix: str = ".mp4",
    ) -> Path:
        path = tmp_path_factory.mktemp("clip") / f"clip{suffix}"
        argv = [ffmpeg, "-v", "error", "-f", "lavfi", "-i", f"testsrc=size={size[0]}x{size[1]}:rate={fps}"]
        if audio:
            argv += ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=16000"]
        argv += ["-t", str(n_frames / fps), "-frames:v", str(n_frames), "-pix_fmt", "yuv420p", str(path)]
        subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)
        return path

    return make


@pytest.fixture(scope="session")
def clip(make_clip: Callable[..., Path]) -> Path:
    """A 10-frame video with sound: 64 x 48, 25 fps, no face."""
    return make_clip()


@pytest.fixture(scope="session")
def chirp() -> np.ndarray:
    """One second of a rising tone, 200 to 2000 Hz, (16000,) float32 at 16 kHz."""
    t = np.arange(16000) / 16000
    return (0.4 * np.sin(2 * np.pi * (200 * t + 900 * t**2))).astype(np.float32)


@pytest.fixture(scope="session")
def write_wav() -> Callable[..., Path]:
    """Write mono 16-bit sound: `write_wav(path, samples, sample_rate=16000)` -> path."""
    import wave

    def write(path: Path, samples: np.ndarray, sample_rate: int = 16000) -> Path:
        with wave.open(str(path), "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(sample_rate)
            out.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
        return path

    return write


@pytest.fixture
def chirp_wav(tmp_path: Path, chirp: np.ndarray, write_wav: Callable[..., Path]) -> Path:
    """The chirp as a sound file."""
    return write_wav(tmp_path / "chirp.wav", chirp)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--rewrite-golden` stores what golden tests see as the new truth."""
    parser.addoption("--rewrite-golden", action="store_true", help="store the golden pictures anew")
