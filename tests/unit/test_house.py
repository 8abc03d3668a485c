"""Rules of the house that no linter knows."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import talkhead

PACKAGE = Path(talkhead.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
HEAVY = ("torch", "cv2", "mediapipe", "numba", "scipy", "matplotlib", "huggingface_hub")


def imported_names(path: Path) -> set[str]:
    """Top-level names of everything a file imports, also inside functions."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize(
    "statement", ["import talkhead", "import talkhead.cli.app", "import talkhead.systems.meshwarp"]
)
def test_doors_open_without_the_heavy_packages(statement):
    code = f"import sys\n{statement}\nprint(*(name for name in {HEAVY!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_help_does_not_load_the_heavy_packages():
    code = (
        "import sys\nfrom talkhead.cli.app import main\ncode = main(['--help'])\n"
        f"print(code, *(name for name in {HEAVY!r} if name in sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.split() == ["0"]
    assert "animate" in done.stdout


def test_only_media_starts_processes():
    allowed = {"media", "batch"}
    guilty = [
        str(path.relative_to(PACKAGE))
        for path in MODULES
        if path.relative_to(PACKAGE).parts[0] not in allowed and imported_names(path) & {"subprocess", "imageio_ffmpeg"}
    ]
    assert guilty == []


def test_nobody_reads_code_from_data():
    guilty = [
        str(path.relative_to(PACKAGE))
        for path in MODULES
        if imported_names(path) & {"pickle", "marshal", "shelve", "dill"}
    ]
    assert guilty == []


def test_no_drawer_for_leftovers():
    assert [
        path.name for path in MODULES if path.stem in ("utils", "util", "misc", "helper", "helpers", "common")
    ] == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_file_says_what_it_is_for(path):
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
