"""Looks at the machine: is everything here that talkhead needs?"""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from talkhead import __version__
from talkhead.errors import TalkheadError

State = Literal["ok", "note", "missing"]

PACKAGES = (
    "numpy",
    "scipy",
    "numba",
    "torch",
    "mediapipe",
    "safetensors",
    "huggingface-hub",
    "pillow",
    "typer",
    "rich",
)
LIBGL_HINT = "install the system libraries of OpenCV: apt-get install libgl1 libglib2.0-0"
FREE_MB = 200  # a minute of video, and the files in between


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing looked at; `state` is `missing` when talkhead cannot work without it."""

    name: str
    state: State
    found: str
    hint: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def examine() -> list[Finding]:
    """Look at everything; a check that fails becomes a finding, never an exception."""
    checks: tuple[Callable[[], Finding], ...] = (
        _python,
        *(_package_check(name) for name in PACKAGES),
        _opencv,
        _ffmpeg,
        _face_detector,
        _face_model,
        _aligner,
        _device,
        _numba_cache,
        _temporary_space,
        _weights,
        _weights_folder,
    )
    return [_guarded(check) for check in checks]


def _guarded(check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except TalkheadError as error:
        return Finding(name=_name_of(check), state="missing", found=error.message, hint=error.hint or "")
    except Exception as error:  # noqa: BLE001 - whatever is wrong with a machine is a finding here
        return Finding(name=_name_of(check), state="missing", found=f"{type(error).__name__}: {error}")


def _name_of(check: Callable[[], Finding]) -> str:
    return check.__name__.strip("_").replace("_", " ")


def _python() -> Finding:
    system = f"{platform.python_version()} on {platform.platform()}, {os.cpu_count()} cores; talkhead {__version__}"
    return Finding(name="python", state="ok", found=system)


def _package_check(name: str) -> Callable[[], Finding]:
    def check() -> Finding:
        try:
            return Finding(name=name, state="ok", found=importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            return Finding(name=name, state="missing", found="not installed", hint=f"pip install {name}")

    return check


def _opencv() -> Finding:
    try:
        cv2 = importlib.import_module("cv2")
    except ImportError as error:
        is_library = "libGL" in str(error) or ".so" in str(error)
        hint = LIBGL_HINT if is_library else "pip install opencv-contrib-python"
        return Finding(name="opencv", state="missing", found=str(error), hint=hint)
    return Finding(name="opencv", state="ok", found=str(cv2.__version__))


def _ffmpeg() -> Finding:
    from talkhead.media.ffmpeg import ffmpeg_exe, run

    said = run(["-version"], failure="ffmpeg does not run")
    first = said.splitlines()[0] if said else ""
    return Finding(name="ffmpeg", state="ok", found=f"{first} ({ffmpeg_exe()})".strip())


def _face_detector() -> Finding:
    import numpy as np

    from talkhead.face.detect import detect_faces

    detect_faces(np.zeros((64, 64, 3), np.uint8))
    return Finding(name="face detector", state="ok", found="runs")


def _face_model() -> Finding:
    from talkhead.face3d.morphable import load_builtin

    return Finding(name="face model", state="ok", found=load_builtin().space.name)


def _aligner() -> Finding:
    try:
        found = f"pocketsphinx {importlib.metadata.version('pocketsphinx')}"
    except importlib.metadata.PackageNotFoundError:
        hint = "only --transcript needs it: pip install 'talkhead[align]'"
        return Finding(name="aligner", state="note", found="not installed", hint=hint)
    return Finding(name="aligner", state="ok", found=found)


def _device() -> Finding:
    from talkhead.device import resolve_device

    device = resolve_device("auto")
    if device.startswith("cuda"):
        import torch

        return Finding(name="device", state="ok", found=f"{device}: {torch.cuda.get_device_name(device)}")
    return Finding(name="device", state="note", found=f"{device}; no CUDA device", hint="meshwarp does not need one")


def _numba_cache() -> Finding:
    """Kernels are compiled once and kept, beside the package or in the user's cache folder."""
    package = Path(__file__).resolve().parents[1]
    named = os.environ.get("NUMBA_CACHE_DIR")
    folder = Path(named) if named else package
    if os.access(folder, os.W_OK):
        return Finding(name="numba cache", state="ok", found=str(folder))
    fallback = Path.home() / ".cache"
    if os.access(fallback if fallback.exists() else Path.home(), os.W_OK):
        return Finding(name="numba cache", state="ok", found=f"{fallback} ({folder} is read-only)")
    hint = "every run compiles for some seconds; set NUMBA_CACHE_DIR to a writable folder"
    return Finding(name="numba cache", state="note", found="no writable folder", hint=hint)


def _temporary_space() -> Finding:
    folder = tempfile.gettempdir()
    free_mb = shutil.disk_usage(folder).free // 2**20
    if not os.access(folder, os.W_OK):
        return Finding(name="temporary folder", state="missing", found=f"{folder} is read-only", hint="set TMPDIR")
    state: State = "ok" if free_mb >= FREE_MB else "note"
    hint = "" if free_mb >= FREE_MB else "free some space, or set TMPDIR"
    return Finding(name="temporary folder", state=state, found=f"{folder}, {free_mb} MB free", hint=hint)


def _weights() -> Finding:
    from talkhead.weights.catalogue import status
    from talkhead.weights.manifest import load_manifest

    manifest = load_manifest()
    for bundled in manifest.bundled:
        bundled.verify()
    downloads = status()
    here = sum(one.is_here for one in downloads)
    damaged = [one.entry.name for one in downloads if one.state == "damaged"]
    found = f"{len(manifest.bundled)} bundled files intact, {here} of {len(downloads)} downloads here"
    if damaged:
        hint = f"talkhead weights pull {' '.join(damaged)}"
        return Finding(name="weights", state="note", found=f"{found}; damaged: {', '.join(damaged)}", hint=hint)
    return Finding(name="weights", state="ok", found=found)


def _weights_folder() -> Finding:
    """Where downloads go."""
    from huggingface_hub import constants

    from talkhead.weights.store import cache_folder

    own = cache_folder()
    existing = next(folder for folder in (own, *own.parents) if folder.exists())
    offline = "; offline (HF_HUB_OFFLINE)" if constants.HF_HUB_OFFLINE else ""
    found = f"{constants.HF_HUB_CACHE} (from the Hub), {own} (from elsewhere){offline}"
    if not os.access(existing, os.W_OK):
        hint = "set TALKHEAD_CACHE to a writable folder"
        return Finding(name="weights folder", state="note", found=f"{own} is read-only", hint=hint)
    return Finding(name="weights folder", state="ok", found=found)
