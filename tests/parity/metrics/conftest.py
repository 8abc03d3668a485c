"""Recorded numbers of every metric (golden.json, golden.npz) and the generator of their inputs."""

from __future__ import annotations

import importlib.util
import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

PARITY = pytest.StashKey[list]()
TESTS = Path(__file__).resolve().parents[2]
GOLDEN = TESTS / "golden" / "metrics"


@cache
def _module(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def golden():
    """golden.json: one block per metric."""
    return json.loads((GOLDEN / "golden.json").read_text())


@pytest.fixture(scope="session")
def arrays():
    """golden.npz: name -> array."""
    with np.load(GOLDEN / "golden.npz") as file:
        return dict(file)


@pytest.fixture(scope="session")
def inputs():
    """The module that makes the inputs."""
    return _module(GOLDEN / "inputs.py")


@pytest.fixture(scope="session")
def recipe():
    """The module that makes stand-in weights."""
    return _module(TESTS / "recipe.py")


@pytest.fixture(scope="session")
def records():
    """state_dicts.json: network -> what its published file holds."""
    return json.loads((GOLDEN / "state_dicts.json").read_text())["networks"]


@pytest.fixture
def assert_close(request):
    """`assert_close(found, recorded, max_abs, metric)`; `--parity-table` lists what it saw."""

    def check(found, recorded, max_abs, metric=""):
        recorded = np.asarray(recorded, np.float64)
        worst = float(np.abs(np.asarray(found, np.float64) - recorded).max())
        request.config.stash[PARITY].append((metric or request.node.name, worst, max_abs))
        assert worst <= max_abs, worst

    return check


def pytest_configure(config):
    config.stash[PARITY] = []


def pytest_terminal_summary(terminalreporter, config):
    if not config.getoption("--parity-table"):
        return
    table: dict = {}
    for name, worst, max_abs in config.stash[PARITY]:
        n, highest = table.get((name, max_abs), (0, 0.0))
        table[name, max_abs] = (n + 1, max(highest, worst))
    terminalreporter.write_line("| metric | values | max abs error | limit |")
    terminalreporter.write_line("|---|---|---|---|")
    for (name, max_abs), (n, worst) in table.items():
        terminalreporter.write_line(f"| {name} | {n} | {worst:.1e} | {max_abs:.0e} |")
