"""Which device and number format to compute with, resolved once. PyTorch is imported only when the answer needs it."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Literal, get_args

from talkhead.errors import EnvironmentProblem, UsageError

DtypeName = Literal["float32", "bfloat16", "float16"]


def resolve_device(device: str = "auto") -> str:
    """The device to compute on.

    Args:
        device: `auto` (a CUDA card, else Apple's `mps`, else the CPU), `cpu`, `cuda`, `cuda:N` or `mps`.
    Returns:
        `cpu`, `cuda:N` or `mps`: a name that `torch.device` takes.
    Raises:
        UsageError: no such kind of device. EnvironmentProblem: it is not there.
    """
    if device == "cpu":
        return device
    cuda = re.fullmatch(r"cuda(?::(\d+))?", device)
    if device not in ("auto", "mps") and not cuda:
        raise UsageError(f"unknown device {device!r}", hint="use auto, cpu, cuda, cuda:N or mps")
    import torch

    n_cards = torch.cuda.device_count() if torch.cuda.is_available() else 0
    has_mps = torch.backends.mps.is_available()
    if device == "auto":
        return "cuda:0" if n_cards else "mps" if has_mps else "cpu"
    if device == "mps":
        if not has_mps:
            raise EnvironmentProblem("device mps: PyTorch finds no Apple GPU here", hint="use --device cpu")
        return device
    index = int(cuda.group(1) or 0) if cuda else 0
    if index >= n_cards:
        found = f"PyTorch {torch.__version__} finds {n_cards or 'no'} CUDA device{'s' if n_cards != 1 else ''}"
        raise EnvironmentProblem(f"device {device}: {found}", hint="use --device auto or --device cpu")
    return f"cuda:{index}"


def resolve_dtype(dtype: str = "auto", device: str = "cpu") -> DtypeName:
    """The number format of the networks on a device.

    Args:
        dtype: `auto`, `float32`, `bfloat16` or `float16`. device: as `resolve_device` returned it.
    Returns:
        The format's name in PyTorch. `auto` is float32 on a CPU or Apple GPU, bfloat16 on a card that has it.
    Raises:
        UsageError: no such format. EnvironmentProblem: the device cannot use it.
    """
    if dtype == "auto":
        return "bfloat16" if _has_bfloat16(device) else "float32"
    if dtype not in get_args(DtypeName):
        raise UsageError(f"unknown dtype {dtype!r}", hint="use auto, float32, bfloat16 or float16")
    if dtype == "float16" and device == "cpu":
        raise EnvironmentProblem(
            "float16 is storage only on a CPU: sums overflow and run slowly", hint="use float32 or bfloat16"
        )
    if dtype == "bfloat16" and device.startswith("cuda") and not _has_bfloat16(device):
        raise EnvironmentProblem(f"{device} has no bfloat16", hint="use float16 or float32")
    return dtype  # type: ignore[return-value]


@contextlib.contextmanager
def repeatable(device: str) -> Iterator[None]:
    """Convolutions inside the block give the same bits run after run, and float32 ones are float32, not TF32.

    Matters on CUDA cards only. PyTorch's settings for the whole process are put back afterwards.

    Args:
        device: as `resolve_device` returned it.
    """
    if not device.startswith("cuda"):
        yield
        return
    import torch

    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        yield


def _has_bfloat16(device: str) -> bool:
    if not device.startswith("cuda"):
        return False
    import torch

    # 8.0 is Ampere; older cards only emulate it.
    return torch.cuda.get_device_capability(torch.device(device)) >= (8, 0)
