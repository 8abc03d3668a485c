"""What the numbers were measured on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

PACKAGES = ("numpy", "numba", "scipy", "opencv-contrib-python", "mediapipe", "torch", "imageio-ffmpeg")


def facts() -> dict[str, str]:
    """Processor, memory, load, versions; one line each."""
    load = os.getloadavg()
    found = {
        "cpu": _cpu_name(),
        "cores": f"{len(os.sched_getaffinity(0))} usable of {os.cpu_count()}",
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB",
        "load at start": f"{load[0]:.1f} (idle is 0; other work slows the figures)",
        "system": platform.platform(),
        "python": platform.python_version(),
        "talkhead": _revision(),
    }
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _revision() -> str:
    from talkhead import __version__

    here = Path(__file__).resolve().parent
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=here, capture_output=True, text=True, check=False
    )
    return f"{__version__} {done.stdout.strip()}".strip()
