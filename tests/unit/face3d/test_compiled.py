from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numba
import pytest

import talkhead
from talkhead.face3d import compiled as module

DRAW = """
import numpy as np
import talkhead
from talkhead.face3d.rasterizer import rasterize_map
v = np.array([[0, 0, 0], [8, 0, 0], [0, 8, 0.]])
print(talkhead.__file__, rasterize_map(v, np.array([[0, 1, 2]], np.int32), v, 8, 8)[1].sum())
"""


def test_compiles_without_a_cache_where_none_can_be_kept(monkeypatch):
    real = numba.njit

    def njit(*args, cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return real(*args, **options)

    monkeypatch.setattr("numba.njit", njit)

    @module.compiled()
    def double(x: float) -> float:
        return 2 * x

    assert double(2.0) == 4.0


@pytest.fixture
def without_rights() -> list[str]:
    """How to start a program that may not write: nothing for an ordinary user, `setpriv ...` for root."""
    if os.geteuid() != 0:
        return []
    command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    if shutil.which("setpriv") is None or subprocess.run([*command, sys.executable, "-c", "import numba"]).returncode:
        pytest.skip("root may write everywhere")
    return command


@pytest.mark.slow
def test_works_from_a_package_and_a_home_that_are_read_only(without_rights):
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(Path(talkhead.__file__).parent, place / "talkhead", ignore=ignored)
        for folder, _, files in os.walk(place):
            for file in files:
                Path(folder, file).chmod(0o444)
            Path(folder).chmod(0o555)
        done = subprocess.run(
            [*without_rights, sys.executable, "-B", "-c", DRAW],
            cwd=place,
            env={"PYTHONPATH": name, "HOME": name, "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
        )
        for folder, _, _ in os.walk(place):
            Path(folder).chmod(0o755)
    assert done.returncode == 0, done.stderr
    where, pixels = done.stdout.split()
    assert where.startswith(name) and int(pixels) > 20
