"""Shared fixtures: real media where they exist, small made-up media where they do not, and the command line."""

from __future__ import annotations

import hashlib
import http.server
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

REPO = Path(__file__).resolve().parents[1]

# No test fetches weights; those of the fixture `hub` come from this machine. Set before huggingface_hub is imported.
os.environ["HF_HUB_OFFLINE"] = "1"


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


COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """A server on this machine that speaks the Hugging Face Hub's protocol, and is a mirror below /mirror/.

    Attributes:
        url: its address. files: what it holds, by `owner/repository/name`. refusals: by repository, HTTP code and the
            Hub's `X-Error-Code`. cut: break the connection after so many bytes, once per number.
        asked: (method, path, Range header) of every request.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    refusals: dict[str, tuple[int, str]] = field(default_factory=dict)
    cut: list[int] = field(default_factory=list)
    has_ranges: bool = True
    wrong_etag: bool = False
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)

    def bodies(self) -> list[tuple[str, str | None]]:
        """Path and range of every body that was asked for."""
        served = ("/cdn/", "/mirror/")
        return [(path, part) for method, path, part in self.asked if method == "GET" and path.startswith(served)]


class _HubHandler(http.server.BaseHTTPRequestHandler):
    hub: Hub

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that the base class gave it
        pass

    def do_HEAD(self) -> None:  # noqa: N802
        self.do_GET()

    def do_GET(self) -> None:  # noqa: N802
        hub = self.hub
        hub.asked.append((self.command, self.path, self.headers.get("Range")))
        area, _, name = self.path[1:].partition("/")
        if area in ("cdn", "mirror"):
            self._send(hub.files.get(name))
            return
        repository, _, rest = self.path[1:].partition("/resolve/")
        revision, _, file = rest.partition("/")
        content = hub.files.get(f"{repository}/{file}")
        if repository in hub.refusals:
            self._head(hub.refusals[repository][0], {"X-Error-Code": hub.refusals[repository][1]})
        elif revision not in ("main", COMMIT):
            self._head(404, {"X-Error-Code": "RevisionNotFound"})
        elif content is None:
            self._head(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
        else:
            etag = "f" * 64 if hub.wrong_etag else hashlib.sha256(content).hexdigest()
            about = {"X-Repo-Commit": COMMIT, "X-Linked-Etag": f'"{etag}"', "X-Linked-Size": str(len(content))}
            # Another host, as the Hub's storage is: redirects that stay on the Hub are followed for the headers too.
            storage = hub.url.replace("127.0.0.1", "localhost")
            self._head(302, about | {"Location": f"{storage}/cdn/{repository}/{file}"})

    def _send(self, content: bytes | None) -> None:
        if content is None:
            self._head(404, {})
            return
        wanted = self.headers.get("Range")
        start = int(wanted.split("=")[1].split("-")[0]) if wanted and self.hub.has_ranges else 0
        if start >= len(content):
            self._head(416, {})
            return
        about = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if start else {}
        body = content[start:]
        self._head(206 if start else 200, about, len(body))
        if self.command == "GET":
            keep = self.hub.cut.pop(0) if self.hub.cut else len(body)
            self.wfile.write(body[:keep])
            self.close_connection = True

    def _head(self, code: int, headers: dict[str, str], length: int = 0) -> None:
        self.send_response(code)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A Hub of this test alone, which huggingface_hub asks; caches, settings and mirrors are this test's too."""
    import time

    from huggingface_hub import constants, file_download

    from talkhead.weights import fetch

    hub = Hub()
    handler = type("Handler", (_HubHandler,), {"hub": hub})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    template = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
    for module in (constants, file_download):  # versions differ in which of them they ask
        monkeypatch.setattr(module, "HUGGINGFACE_CO_URL_TEMPLATE", template, raising=False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1000)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    monkeypatch.setenv("TALKHEAD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TALKHEAD_CONFIG", str(tmp_path / "config"))
    monkeypatch.delenv("TALKHEAD_ACCEPT_LICENCES", raising=False)
    opened = fetch._opened
    local = f"{hub.url}/mirror"
    monkeypatch.setattr(
        fetch,
        "_opened",
        lambda url, *args, **options: opened(url.replace("https://mirror.test", local), *args, **options),
    )
    yield hub
    server.shutdown()
    server.server_close()


@pytest.fixture
def shelve(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., bytes]]:
    """Put weights on the Hub (`at="hub"`), a mirror (`at="mirror"`) or both, and into the manifest; gives the bytes.

    `shelve("name", content=None, **changes)`: `changes` replace keys of the manifest's entry.
    """
    import yaml

    from talkhead.weights import manifest

    entries: list[dict[str, Any]] = []
    path = tmp_path / "weights_manifest.yaml"

    def add(name: str, content: bytes | None = None, *, at: str = "hub", **changes: Any) -> bytes:
        if content is None:
            content = hashlib.shake_256(name.encode()).digest(5000)
        file = f"{name}.safetensors"
        entry: dict[str, Any] = {
            "name": name,
            "filename": file,
            "size": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "licence": {"code": "MIT", "weights": "Apache-2.0"},
            "commercial": "yes",
            "systems": ["painter"],
            "format": "safetensors",
        }
        if "hub" in at:
            hub.files[f"someone/painter/{file}"] = content
            entry |= {"repo_id": "someone/painter", "revision": COMMIT}
        if "mirror" in at:
            hub.files[file] = content
            entry |= {"mirrors": [f"https://mirror.test/{file}"]}
        entries.append(entry | changes)
        path.write_text(yaml.safe_dump({"format_version": 1, "files": entries}))
        manifest.load_manifest.cache_clear()
        return content

    monkeypatch.setattr(manifest, "manifest_path", lambda: path)
    yield add
    manifest.load_manifest.cache_clear()


@pytest.fixture(scope="session")
def tiny_weights_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with stand-in weights of small networks for all learned systems, in the published layout."""
    from scripts.stand_in_weights import write

    folder = tmp_path_factory.mktemp("tiny")
    write(folder, tiny=True)
    return folder


@pytest.fixture
def tiny_weights(tiny_weights_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Small stand-in weights that are here, as far as this test can tell; the folder their files came from."""
    from talkhead.weights import catalogue, manifest

    monkeypatch.setenv("TALKHEAD_WEIGHTS_MANIFEST", str(tiny_weights_folder / "weights_manifest.yaml"))
    monkeypatch.setenv("TALKHEAD_CACHE", str(tiny_weights_folder / "cache"))
    monkeypatch.setenv("TALKHEAD_CONFIG", str(tmp_path / "config"))
    manifest.load_manifest.cache_clear()
    if not (tiny_weights_folder / "cache").is_dir():
        catalogue.import_files([tiny_weights_folder / "files"])
    yield tiny_weights_folder / "files"
    manifest.load_manifest.cache_clear()


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--rewrite-golden` stores what golden tests see as the truth; `--parity-table` prints what parity tests saw."""
    parser.addoption("--rewrite-golden", action="store_true", help="store the golden pictures anew")
    parser.addoption("--parity-table", action="store_true", help="list the errors of the parity tests")
