"""Checkpoints: a folder a step, whole or not there; weights as safetensors, the optimisers' state beside them.

`RUN/checkpoints/step-00001000/networks.safetensors` holds every network and average by prefix, `state.pt` what
else a run needs to go on (read with `weights_only=True`: numbers, no code), `RUN/NAME.safetensors` what stages load.
"""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from talkhead.errors import InputError
from talkhead.files import atomic_output
from talkhead.protocols import TrainSpec

log = logging.getLogger(__name__)

FOLDER, NETWORKS, STATE = "checkpoints", "networks.safetensors", "state.pt"
AVERAGE = "averaged:"
_NAME = re.compile(r"step-(\d+)")


@dataclass(frozen=True, slots=True)
class State:
    """What a run needs to go on.

    Attributes:
        step: steps that were done. networks, averages: by name. optimisers: by group. noise: state of the random
            numbers of every process. best: lowest term of the validation so far, None if there is none.
    """

    step: int
    networks: Mapping[str, nn.Module]
    averages: Mapping[str, nn.Module]
    optimisers: Mapping[str, torch.optim.Optimizer]
    noise: Tensor
    best: float | None


def save_state(run: Path, state: State, keep: int) -> Path:
    """Write the checkpoint of a step, and remove all but the last `keep`; returns its folder."""
    from safetensors.torch import save_file

    folder = run / FOLDER
    final = folder / f"step-{state.step:08d}"
    temporary = folder / f".{final.name}.partial"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    save_file(_tensors(state), temporary / NETWORKS, metadata={"step": str(state.step)})
    optimisers = {name: optimiser.state_dict() for name, optimiser in state.optimisers.items()}
    rest = {"step": state.step, "optimisers": optimisers, "noise": state.noise, "best": state.best}
    torch.save(rest, temporary / STATE)
    shutil.rmtree(final, ignore_errors=True)
    temporary.replace(final)
    for old in all_checkpoints(run)[:-keep]:
        shutil.rmtree(old)
    return final


def load_state(folder: Path, state: State) -> State:
    """Put a checkpoint's numbers into networks, averages and optimisers.

    Args:
        folder: of the checkpoint. state: holds what is filled; its other fields do not matter.
    Returns:
        The state with the checkpoint's step, noise and best.
    Raises:
        InputError: the checkpoint is damaged, or of other networks or groups.
    """
    found, rest = _read(folder)
    wanted = _tensors(state)
    different = sorted(found.keys() ^ wanted.keys()) or [k for k in wanted if wanted[k].shape != found[k].shape]
    if different or rest["optimisers"].keys() != state.optimisers.keys():
        what = f"tensor {different[0]}" if different else "optimisers"
        raise InputError(f"{folder} is of other networks: {what}", hint="resume with the sizes it was begun with")
    for prefix, networks in ((AVERAGE, state.averages), ("", state.networks)):
        for name, network in networks.items():
            start = f"{prefix}{name}."
            own = {key[len(start) :]: value for key, value in found.items() if key.startswith(start)}
            network.load_state_dict(own)
    for name, optimiser in state.optimisers.items():
        optimiser.load_state_dict(rest["optimisers"][name])
    return State(
        step=int(rest["step"]),
        networks=state.networks,
        averages=state.averages,
        optimisers=state.optimisers,
        noise=rest["noise"],
        best=rest["best"],
    )


def begin_from(path: Path, spec: TrainSpec) -> None:
    """Give a system's networks the weights of others, before it is trained.

    Args:
        path: a file that the system's stages load, or the folder of a run: the networks of its last checkpoint,
            averages where there are, as far as the system has such networks. spec: of the system.
    Raises:
        InputError: there is no checkpoint, it is damaged, or networks have other sizes. WeightsError: the file holds
            something else.
    """
    if not path.is_dir():
        spec.begin(path)
        return
    checkpoints = all_checkpoints(path)
    if not checkpoints:
        raise InputError(f"{path} has no checkpoint to begin with", hint="a run's folder, or a file of weights")
    found, _ = _read(checkpoints[-1])
    for name, network in spec.networks.items():
        for start in (f"{AVERAGE}{name}.", f"{name}."):
            own = {key[len(start) :]: value for key, value in found.items() if key.startswith(start)}
            if own:
                break
        else:
            log.info("%s has no network %s; that begins anew", path, name)
            continue
        wanted = network.state_dict()
        different = sorted(own.keys() ^ wanted.keys()) or [k for k in wanted if wanted[k].shape != own[k].shape]
        if different:
            raise InputError(
                f"{path} has another network {name}: tensor {different[0]}", hint="begin with the sizes that it has"
            )
        network.load_state_dict(own)


def _read(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    from safetensors.torch import load_file

    name = NETWORKS
    try:
        tensors = load_file(folder / NETWORKS)
        name = STATE
        return tensors, torch.load(folder / STATE, weights_only=True, map_location="cpu")
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - both raise what their many readers raise
        # PyTorch's own words speak of settings that would run code of the file.
        hint = f"remove {folder.name}; the checkpoint before it is taken then"
        raise InputError(f"{folder / name} is missing or damaged", hint=hint) from error


def all_checkpoints(run: Path) -> list[Path]:
    """The folders of a run's checkpoints, the earliest first."""
    found = [path for path in (run / FOLDER).glob("step-*") if _NAME.fullmatch(path.name)]
    return sorted(found, key=lambda path: int(path.name[len("step-") :]))


def write_weights(path: Path, found: tuple[dict[str, Tensor], dict[str, str]], about: Mapping[str, Any]) -> None:
    """Write the file that a system's stages load: tensors, the system's metadata, and `about` as text beside it."""
    from safetensors.torch import save_file

    tensors, metadata = found
    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    with atomic_output(path, overwrite=True) as temporary:
        save_file(plain, temporary, metadata={**{key: str(value) for key, value in about.items()}, **metadata})


def _tensors(state: State) -> dict[str, Tensor]:
    tensors = {}
    for prefix, networks in ((AVERAGE, state.averages), ("", state.networks)):
        for name, network in networks.items():
            for key, value in network.state_dict().items():
                tensors[f"{prefix}{name}.{key}"] = value.detach().cpu().contiguous().clone()
    return tensors
