"""Published weights -> a network ready for use, and the record of which file they came from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

from talkhead.errors import WeightsError
from talkhead.evaluation.measurement import Grade
from talkhead.weights.load import fill, read_tensors
from talkhead.weights.manifest import load_manifest

if TYPE_CHECKING:
    from torch import Tensor, nn

Network = TypeVar("Network", bound="nn.Module")

COUNTER = "num_batches_tracked"  # of batch norms; unused at inference, and absent from files older than PyTorch 0.4.1


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """Which file a network's weights came from.

    Attributes:
        name: of the manifest's entry with this sha256, else the file's own. sha256: of the published file.
        is_published: whether the manifest lists this sha256 for this network.
    """

    name: str
    sha256: str
    is_published: bool

    @property
    def grade(self) -> Grade:
        """`paper` with the published weights, else `unverified`."""
        return "paper" if self.is_published else "unverified"


def origin_of(path: Path, sha256: str, entries: Sequence[str]) -> Origin:
    """Whether a file is one of these entries of the manifest.

    Args:
        path: the file. sha256: of what was published. entries: names; those that the manifest lacks do not count.
    """
    listed = {entry.sha256: entry.name for entry in load_manifest().files if entry.name in entries}
    return Origin(name=listed.get(sha256, path.name), sha256=sha256, is_published=sha256 in listed)


def tensor_of(pictures: npt.NDArray[np.uint8]) -> Tensor:
    """Pictures as a tensor: their own memory, or a copy where it is read-only or turned round."""
    import torch

    return torch.from_numpy(np.require(pictures, requirements=["C", "W"]))


def load_network(
    make: Callable[[Mapping[str, Tensor]], Network],
    path: Path,
    *,
    name: str,
    entries: Sequence[str],
    rename: Sequence[tuple[str, str]] = (),
    skip: str = "",
    device: str = "cpu",
    dtype: str = "float32",
) -> tuple[Network, Origin]:
    """A network for use only, filled strictly by published keys.

    Args:
        make: the network for these tensors. path: safetensors or a pickled archive of plain tensors. name: for
            messages. entries: of the manifest that hold it. rename, skip: as in `fill`.
        device, dtype: as resolved by `talkhead.device`.
    Raises:
        WeightsError: no such file, it is damaged, or it holds another network.
    """
    import torch

    tensors, sha256 = read_tensors(path)
    if not tensors:
        raise WeightsError(f"{path} holds no tensors: is it {name}?")
    try:
        with torch.device("meta"):  # no time goes into random numbers that are overwritten
            network = make(tensors)
        given = {key: value for key, value in tensors.items() if not key.endswith(COUNTER)}
        given |= {key: torch.zeros((), dtype=torch.int64) for key in network.state_dict() if key.endswith(COUNTER)}
        fill(network, given, rename=rename, skip=skip, name=name)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error.message}", hint=error.hint) from error
    network.eval().requires_grad_(False).to(device, getattr(torch, dtype))
    return network, origin_of(path, sha256, entries)
