"""The learning rate over the steps, gradients of several processes, and the moving average of networks."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from talkhead.training.config import LoopConfig

_BUCKET = 25_000_000  # values that processes exchange at a time: 100 MB


def rate_factor(step: int, config: LoopConfig) -> float:
    """Factor of the learning rate in a step, counted from 0: up from 0, constant, then down in a line to 0.

    The last step still moves: the line ends one step behind it.
    """
    rising = min(1.0, (step + 1) / config.warmup) if config.warmup else 1.0
    start = config.decay_from * config.steps
    falling = 1.0 if step < start else (config.steps - step) / (config.steps - start)
    return min(rising, max(falling, 0.0))


def set_rate(optimiser: torch.optim.Optimizer, base: Sequence[float], factor: float) -> None:
    """Set the learning rates of an optimiser's groups to `factor` times their first values."""
    for group, rate in zip(optimiser.param_groups, base, strict=True):
        group["lr"] = rate * factor


def average_gradients(parameters: Iterable[nn.Parameter], world: int) -> None:
    """Replace gradients by their mean over all processes, which have gradients of the same parameters.

    By hand rather than by wrapping networks: a training step may use several networks in any order and go backward
    more than once, which `DistributedDataParallel` does not allow.
    """
    from torch import distributed

    gathered = [parameter.grad for parameter in parameters if parameter.grad is not None]
    bucket: list[Tensor] = []

    def exchange() -> None:
        flat = torch.cat([gradient.reshape(-1) for gradient in bucket])
        distributed.all_reduce(flat)
        flat /= world
        begin = 0
        for gradient in bucket:
            gradient.copy_(flat[begin : begin + gradient.numel()].view_as(gradient))
            begin += gradient.numel()
        bucket.clear()

    for gradient in gathered:
        bucket.append(gradient)
        if sum(g.numel() for g in bucket) >= _BUCKET:
            exchange()
    if bucket:
        exchange()


class Averages:
    """Moving averages of networks: what is drawn with in the end (exponential; early steps count more).

    Args:
        networks: by name. names: those of which an average is kept. decay: of the average, per step; 0: there is none,
            and the networks stand for themselves.
    """

    def __init__(self, networks: Mapping[str, nn.Module], names: Sequence[str], decay: float) -> None:
        self._raw = dict(networks)
        self._decay = decay
        self.networks: dict[str, nn.Module] = {}
        """The averaged networks, by name."""
        for name in names if decay else ():
            self.networks[name] = copy.deepcopy(networks[name]).requires_grad_(False).eval()

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the networks after step `step`, counted from 0."""
        decay = min(self._decay, (1 + step) / (10 + step))
        for name, averaged in self.networks.items():
            mine: list[Tensor] = list(averaged.parameters())
            theirs: list[Tensor] = list(self._raw[name].parameters())
            torch._foreach_lerp_(mine, theirs, 1 - decay)
            for buffer, latest in zip(averaged.buffers(), self._raw[name].buffers(), strict=True):
                buffer.copy_(latest)

    def final(self) -> dict[str, nn.Module]:
        """All networks by name, the averaged ones where there are such."""
        return self._raw | self.networks

    @contextlib.contextmanager
    def judged(self) -> Iterator[None]:
        """Inside, all networks are in evaluation mode and have the averages' numbers; afterwards their own again."""
        modes = {name: network.training for name, network in self._raw.items()}
        for network in self._raw.values():
            network.eval()
        self._swap()
        try:
            yield
        finally:
            self._swap()
            for name, network in self._raw.items():
                network.train(modes[name])

    @torch.no_grad()
    def _swap(self) -> None:
        for name, averaged in self.networks.items():
            raw = self._raw[name]
            pairs = [*zip(averaged.parameters(), raw.parameters(), strict=True)]
            pairs += zip(averaged.buffers(), raw.buffers(), strict=True)  # type: ignore[arg-type]
            for mine, theirs in pairs:
                kept = mine.clone()
                mine.copy_(theirs)
                theirs.copy_(kept)
