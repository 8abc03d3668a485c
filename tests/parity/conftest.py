"""Recorded numbers of published networks, and these networks with the recording's stand-in weights (tests/recipe.py).

The tests of a folder read the recordings of tests/golden/ of the same name.
"""

from __future__ import annotations

import importlib.util
import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

PARITY = pytest.StashKey[list]()
TESTS = Path(__file__).resolve().parents[1]


@cache
def _recipe():
    spec = importlib.util.spec_from_file_location("recipe", TESTS / "recipe.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def _records(folder):
    return json.loads((folder / "state_dicts.json").read_text())["networks"]


@cache
def _stand_in(folder, network):
    import torch

    record = _records(folder)[network]
    arrays = _recipe().build_network(record)
    assert _recipe().checksum(arrays, record["entries"]) == record["crc32"], "the random stream has changed"
    return {key[len(record["prefix"]) :]: torch.from_numpy(np.asarray(value)) for key, value in arrays.items()}


@cache
def _recorded(file):
    from safetensors.numpy import load_file

    return load_file(file)


@pytest.fixture(scope="session")
def recipe():
    """The module that makes stand-in tensors."""
    return _recipe()


@pytest.fixture(scope="module")
def stand_in(request):
    """`stand_in(network)` -> tensors by published key without the network's prefix; checks the recipe's checksum."""
    return lambda network: _stand_in(TESTS / "golden" / request.path.parent.name, network)


@pytest.fixture(scope="module")
def golden(request):
    """`golden(name)` -> recorded tensors by name."""
    return lambda name: _recorded(TESTS / "golden" / request.path.parent.name / f"{name}.safetensors")


@pytest.fixture
def assert_close(request):
    """`assert_close(found, recorded, max_abs, rms)`; `--parity-table` lists what it saw."""

    def check(found, recorded, max_abs, rms=None):
        recorded = np.asarray(recorded, np.float64)
        assert np.shape(found) == recorded.shape, np.shape(found)
        difference = np.asarray(found, np.float64) - recorded
        worst, mean = np.abs(difference).max(), np.sqrt((difference**2).mean())
        peak = np.abs(recorded).max()
        request.config.stash[PARITY].append((request.node.name, peak, worst, max_abs, mean, rms))
        assert worst <= max_abs, worst
        assert rms is None or mean <= rms, mean

    return check


def pytest_configure(config):
    config.stash[PARITY] = []


def pytest_terminal_summary(terminalreporter, config):
    if not config.getoption("--parity-table"):
        return
    table: dict = {}
    for name, peak, worst, max_abs, mean, rms in config.stash[PARITY]:
        n, *highest = table.get((name, max_abs, rms), (0, 0.0, 0.0, 0.0))
        table[name, max_abs, rms] = (n + 1, *np.maximum(highest, (peak, worst, mean)))
    terminalreporter.write_line("| test | arrays | peak | max abs error | limit | rms error | limit |")
    terminalreporter.write_line("|---|---|---|---|---|---|---|")
    for (name, max_abs, rms), (n, peak, worst, mean) in table.items():
        limit = "-" if rms is None else f"{rms:.0e}"
        row = f"| {name} | {n} | {peak:.3g} | {worst:.1e} | {max_abs:.0e} | {mean:.1e} | {limit} |"
        terminalreporter.write_line(row)
