"""Networks with the deterministic stand-in weights of the recorded numbers (tests/recipe.py)."""

from __future__ import annotations

import importlib.util
import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

TESTS = Path(__file__).resolve().parents[2]
GOLDEN = TESTS / "golden" / "sadtalker"


@cache
def _recipe():
    spec = importlib.util.spec_from_file_location("recipe", TESTS / "recipe.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def _records():
    return json.loads((GOLDEN / "state_dicts.json").read_text())["networks"]


@pytest.fixture(scope="session")
def stand_in():
    """`stand_in(network)` -> tensors by published key without the network's prefix; checks the recipe's checksum."""

    def make(network):
        record = _records()[network]
        arrays = _recipe().build_network(record)
        assert _recipe().checksum(arrays, record["entries"]) == record["crc32"], "the random stream has changed"
        return {key[len(record["prefix"]) :]: torch.from_numpy(np.asarray(value)) for key, value in arrays.items()}

    return make


@pytest.fixture(scope="session")
def golden():
    """`golden(name)` -> recorded tensors by name."""
    from safetensors.numpy import load_file

    return cache(lambda name: load_file(GOLDEN / f"{name}.safetensors"))


@pytest.fixture(scope="session")
def assert_close():
    """`assert_close(found, recorded, max_abs, rms)`."""

    def check(found, recorded, max_abs, rms=None):
        difference = np.asarray(found, np.float64) - np.asarray(recorded, np.float64)
        assert np.abs(difference).max() <= max_abs, np.abs(difference).max()
        if rms is not None:
            assert np.sqrt((difference**2).mean()) <= rms, np.sqrt((difference**2).mean())

    return check


@pytest.fixture(autouse=True)
def without_gradients():
    with torch.no_grad():
        yield
