from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest

from talkhead.device import repeatable, resolve_device, resolve_dtype
from talkhead.errors import EnvironmentProblem, UsageError


@pytest.fixture
def machine(monkeypatch):
    """Put a made-up PyTorch in place: `machine(cards=2, capability=(8, 0), mps=False)`."""

    def build(cards: int = 0, capability: tuple[int, int] = (8, 0), mps: bool = False) -> None:
        cuda = SimpleNamespace(
            is_available=lambda: cards > 0,
            device_count=lambda: cards,
            get_device_capability=lambda _device: capability,
        )
        backends = SimpleNamespace(mps=SimpleNamespace(is_available=lambda: mps))
        fake = SimpleNamespace(cuda=cuda, backends=backends, device=str, __version__="0")
        monkeypatch.setitem(sys.modules, "torch", fake)

    return build


@pytest.mark.parametrize(
    ("cards", "mps", "asked", "given"),
    [
        (2, False, "auto", "cuda:0"),
        (0, True, "auto", "mps"),
        (0, False, "auto", "cpu"),
        (1, False, "cpu", "cpu"),
        (1, False, "cuda", "cuda:0"),
        (2, False, "cuda:1", "cuda:1"),
        (0, True, "mps", "mps"),
    ],
)
def test_resolves_what_is_there(machine, cards, mps, asked, given):
    machine(cards=cards, mps=mps)
    assert resolve_device(asked) == given


@pytest.mark.parametrize("asked", ["gpu", "cuda:", "cuda:x", "CPU", ""])
def test_unknown_devices_are_a_usage_error(asked):
    with pytest.raises(UsageError, match="unknown device"):
        resolve_device(asked)


@pytest.mark.parametrize(("cards", "asked"), [(0, "cuda"), (2, "cuda:2"), (0, "mps")])
def test_absent_devices_are_an_environment_problem(machine, cards, asked):
    machine(cards=cards)
    with pytest.raises(EnvironmentProblem, match=asked) as caught:
        resolve_device(asked)
    assert caught.value.hint


def test_dtype_follows_the_device(machine):
    machine(cards=1, capability=(9, 0))
    assert resolve_dtype("auto", "cuda:0") == "bfloat16"
    assert resolve_dtype("auto", "cpu") == "float32"
    machine(cards=1, capability=(7, 5))
    assert resolve_dtype("auto", "cuda:0") == "float32"
    assert resolve_dtype("float16", "cuda:0") == "float16"
    with pytest.raises(EnvironmentProblem, match="bfloat16"):
        resolve_dtype("bfloat16", "cuda:0")
    with pytest.raises(EnvironmentProblem, match="float16"):
        resolve_dtype("float16", "cpu")
    with pytest.raises(UsageError, match="int8"):
        resolve_dtype("int8", "cpu")


def test_the_cpu_needs_no_torch():
    code = "import sys, talkhead.device as d; d.resolve_device('cpu'); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_repeatable_leaves_the_process_as_it_was():
    import torch

    before = torch.backends.cudnn.deterministic, torch.backends.cudnn.allow_tf32
    with repeatable("cuda:0"):
        assert (torch.backends.cudnn.deterministic, torch.backends.cudnn.allow_tf32) == (True, False)
    assert (torch.backends.cudnn.deterministic, torch.backends.cudnn.allow_tf32) == before
    with repeatable("cpu"):
        assert (torch.backends.cudnn.deterministic, torch.backends.cudnn.allow_tf32) == before
