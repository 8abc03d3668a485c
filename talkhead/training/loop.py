"""The loop that trains any system: forward, backward, move; log, look, validate, save; go on, or end in order.

Built on Lightning Fabric for device, precision and processes. What a step minimises is the system's
(`talkhead.protocols.TrainSpec`); a step's batches, gradients, averages and files are the loop's.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import signal
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from talkhead import __version__
from talkhead.errors import DivergedError, UsageError
from talkhead.nn.steps import TrainStep
from talkhead.progress import Progress
from talkhead.protocols import TrainSpec
from talkhead.training.checkpoint import State, load_state, save_state, write_weights
from talkhead.training.config import LoopConfig
from talkhead.training.data import Batches, Examples, load, stacked
from talkhead.training.logs import RunLog
from talkhead.training.optim import Averages, average_gradients, rate_factor, set_rate

if TYPE_CHECKING:
    from lightning_fabric import Fabric

log = logging.getLogger(__name__)
Batch = dict[str, Tensor]
Values = dict[str, float]

N_SHOWN = 4
"""Examples on a sheet of pictures."""
HELD_OUT = "held_out"


@dataclass(frozen=True, kw_only=True, slots=True)
class RunFiles:
    """Where a run writes.

    Attributes:
        folder: of the run. weights: the file that the system's stages load. about: what is written into it.
    """

    folder: Path
    weights: Path
    about: Mapping[str, Any]


class Trainer:
    """Trains one system.

    Args:
        fabric: launched. spec: what is learned. config: how. files: where to.
    """

    def __init__(self, fabric: Fabric, spec: TrainSpec, config: LoopConfig, files: RunFiles) -> None:
        self.fabric, self.spec, self.config, self.files = fabric, spec, config, files
        for network in spec.networks.values():
            network.to(fabric.device).train()
        if fabric.world_size > 1:
            _equalise(spec.networks.values())
        self._parameters = {group: _parameters(spec, group) for group in spec.groups}
        self._optimisers = {group: spec.optimiser(group, found) for group, found in self._parameters.items()}
        self._rates = {
            group: [config.lr if config.lr is not None else float(part["lr"]) for part in optimiser.param_groups]
            for group, optimiser in self._optimisers.items()
        }
        self.averages = Averages(spec.networks, spec.averaged, config.ema)
        self.step = 0
        """Steps that were done."""
        self._best: float | None = None
        _seed_noise(config.seed, fabric.global_rank)

    def resume(self, folder: Path) -> None:
        """Go on from a checkpoint.

        Raises:
            InputError: it is damaged, or of other networks.
        """
        state = load_state(folder, self._state(torch.empty(0)))
        self.step, self._best = state.step, state.best
        if self.fabric.global_rank < len(state.noise):
            _set_noise(state.noise[self.fabric.global_rank], self.fabric.device)
        else:  # more processes than before
            _seed_noise(self.config.seed + self.step, self.fabric.global_rank)

    def fit(self, examples: Examples, held: Examples | None, progress: Progress) -> Values:
        """Train to the last step.

        Args:
            examples: to learn from. held: to validate with. progress: is told of steps.
        Returns:
            The values of the last step, as the log names them.
        Raises:
            DivergedError: a term or a gradient is no longer finite; it is named. KeyboardInterrupt, SystemExit: the
                process was asked to end; the step under way is finished and saved before.
        """
        config, is_main = self.config, self.fabric.is_global_zero
        if self.step >= config.steps:
            log.info("all %d steps were done before", self.step)
            return {}
        order = Batches(self.step, config.batch, config.accumulate, self.fabric.global_rank, self.fabric.world_size)
        shown = _numbered(held or examples, min(N_SHOWN, config.batch))
        values: Values = {}
        started = time.monotonic()
        with contextlib.ExitStack() as stack:
            written = stack.enter_context(contextlib.closing(self._log())) if is_main else None
            batches = stack.enter_context(
                contextlib.closing(load(examples, order, config.workers, self.fabric.device.type == "cuda"))
            )
            advance = stack.enter_context(progress.stage("train", config.steps - self.step, "steps"))
            asked = stack.enter_context(_deferred_signals())
            while self.step < config.steps:
                values = self._step([self._moved(next(batches)) for _ in range(config.accumulate)], bool(asked))
                # Several processes end after the same step: that in which all know that one was asked.
                stops = bool(values.pop("stop")) or (bool(asked) and self.fabric.world_size == 1)
                ends = stops or self.step == config.steps
                if written is not None:
                    self._report(written, values, time.monotonic() - started, held, shown, ends)
                if ends or _is_due(self.step, config.save_every):
                    self._save()
                advance(1)
                if ends:
                    break
        if self.step < config.steps:
            log.warning("stopped after step %d of %d; --resume goes on", self.step, config.steps)
            number = asked[0] if asked else signal.SIGTERM  # or another process was asked
            raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)
        return values

    def _step(self, batches: Sequence[Batch], is_asked: bool) -> Values:
        """One step: every group moves once for each time that the system names it."""
        factor = rate_factor(self.step, self.config)
        values: Values = {"rate": factor, "stop": 0.0}
        parts = [self.spec.steps(batch, self.step) for batch in batches]
        while True:
            found = self._gathered(parts)
            if found is None:
                break
            group, losses = found
            values |= self._moved_by(group, losses, factor, is_asked)
        self.averages.update(self.step)
        self.step += 1
        return values

    def _gathered(self, parts: Sequence[Iterator[tuple[str, TrainStep]]]) -> tuple[str, dict[str, Tensor]] | None:
        """Gradients of what the system minimises next, over all batches of a step; its group and mean terms."""
        names: list[str | None] = []
        sums: dict[str, Tensor] = {}
        share = 1 / len(parts)
        for part in parts:
            with self.fabric.autocast():
                found = next(part, None)
            names.append(None if found is None else found[0])
            if found is None:
                continue
            group, step = found
            if len(names) == 1:
                for parameter in self._parameters[group]:
                    parameter.grad = None
            self.fabric.backward(step.total * share)
            for name, value in {**step.losses, "total": step.total}.items():
                sums[name] = sums.get(name, 0) + value.detach().float() * share
        if len(set(names)) != 1:
            raise RuntimeError(f"the batches of step {self.step} move different groups: {names}")
        return None if names[0] is None else (names[0], sums)

    def _moved_by(self, group: str, losses: Mapping[str, Tensor], factor: float, is_asked: bool) -> Values:
        """Move a group by its gradients, if all is finite."""
        names = list(losses)
        numbers = torch.stack([losses[name] for name in names])
        parameters = self._parameters[group]
        stop = float(is_asked)
        if self.fabric.world_size > 1:
            shared = self.fabric.all_reduce(torch.cat([numbers, numbers.new_tensor([stop])]), reduce_op="mean")
            assert isinstance(shared, Tensor)
            numbers, stop = shared[:-1], float(shared[-1])
            average_gradients(parameters, self.fabric.world_size)
        limit = self.config.grad_clip or math.inf
        length = nn.utils.clip_grad_norm_(parameters, limit)
        *found, norm = torch.cat([numbers, length.detach().float().reshape(1)]).tolist()
        values = {f"{group}.{name}": value for name, value in zip(names, found, strict=True)}
        values[f"{group}.gradient"] = norm
        # Terms first: a gradient fails because of one of them.
        for name, value in sorted(values.items(), key=lambda item: item[0].endswith((".total", ".gradient"))):
            if not math.isfinite(value):
                last = f"the last checkpoint is that of step {self._saved}" if self._saved else "nothing was saved yet"
                raise DivergedError(
                    f"{name} is {value:g} in step {self.step + 1}",
                    hint=f"{last}; go on from it with a lower --lr, or loop.grad_clip",
                )
        set_rate(self._optimisers[group], self._rates[group], factor)
        self._optimisers[group].step()
        return {**values, "stop": stop}

    def _report(
        self, written: RunLog, values: Values, seconds: float, held: Examples | None, shown: Batch, ends: bool
    ) -> None:
        config = self.config
        if held is not None and (_is_due(self.step, config.validate_every) or (ends and config.validate_every)):
            values |= self._validated(held)
            self._keep_best(values)
        if _is_due(self.step, config.log_every) or ends or any(name.startswith(HELD_OUT) for name in values):
            written.write(self.step, {**values, "seconds": round(seconds, 3)})
        if _is_due(self.step, config.sample_every) or (ends and config.sample_every):
            with self._aside():
                written.pictures(self.step, self.spec.pictures(self._moved(shown)))

    def _validated(self, held: Examples) -> Values:
        """Mean terms of held-out examples, drawn with the averaged networks, which nothing moves."""
        sums: Values = {}
        n = min(self.config.n_validate, len(held))
        with self._aside():
            for start in range(0, n, self.config.batch):
                numbers = range(start, min(start + self.config.batch, n))
                batch = self._moved(stacked([held[number] for number in numbers]))
                parts = self.spec.steps(batch, 0)
                while True:
                    with self.fabric.autocast():
                        found = next(parts, None)
                    if found is None:
                        break
                    group, step = found
                    for name, value in {**step.losses, "total": step.total}.items():
                        key = f"{HELD_OUT}.{group}.{name}"
                        sums[key] = sums.get(key, 0.0) + float(value.detach()) * len(numbers) / n
        return sums

    @contextlib.contextmanager
    def _aside(self) -> Iterator[None]:
        """Inside, nothing that happens changes how training goes on."""
        device = self.fabric.device
        cards = [device.index or 0] if device.type == "cuda" else []
        with torch.random.fork_rng(devices=cards), self.averages.judged():
            torch.manual_seed(self.config.seed)
            yield

    def _keep_best(self, values: Values) -> None:
        if not self.config.best:
            return
        found = values.get(f"{HELD_OUT}.{self.config.best}")
        if found is None:
            known = ", ".join(n[len(HELD_OUT) + 1 :] for n in values if n.startswith(HELD_OUT))
            raise UsageError(f"loop.best is {self.config.best!r}, which is no term", hint=f"terms: {known}")
        if self._best is None or found < self._best:
            self._best = found
            path = self.files.weights.with_name(f"{self.files.weights.stem}-best{self.files.weights.suffix}")
            self._write_weights(path)

    def _save(self) -> None:
        noise = self.fabric.all_gather(_noise(self.fabric.device).to(self.fabric.device))
        assert isinstance(noise, Tensor)
        if self.fabric.is_global_zero:
            rows = noise.reshape(self.fabric.world_size, -1).cpu()
            save_state(self.files.folder, self._state(rows), self.config.keep)
            self._write_weights(self.files.weights)
        self.fabric.barrier()
        self._saved = self.step

    _saved: int = 0

    def _write_weights(self, path: Path) -> None:
        about = {"version": __version__, "steps": self.step, **self.files.about}
        found = self.spec.checkpoint(self.averages.final())
        write_weights(path, found, {"talkhead.training": json.dumps(about)})

    def _state(self, noise: Tensor) -> State:
        return State(self.step, self.spec.networks, self.averages.networks, self._optimisers, noise, self._best)

    def _log(self) -> RunLog:
        return RunLog(self.files.folder, self.step + 1, tensorboard=self.config.tensorboard)

    def _moved(self, batch: Batch) -> Batch:
        return {name: value.to(self.fabric.device, non_blocking=True) for name, value in batch.items()}


def _parameters(spec: TrainSpec, group: str) -> list[nn.Parameter]:
    return [p for name in spec.groups[group] for p in spec.networks[name].parameters() if p.requires_grad]


def _numbered(examples: Examples, n: int) -> Batch:
    """Examples 0 to n."""
    return stacked([examples[number] for number in range(n)])


def _is_due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0


def _equalise(networks: Iterable[nn.Module]) -> None:
    """Give all processes the numbers of the first."""
    for network in networks:
        for value in network.state_dict().values():
            contiguous = value.contiguous()
            torch.distributed.broadcast(contiguous, 0)
            value.copy_(contiguous)


def _seed_noise(seed: int, rank: int) -> None:
    torch.manual_seed((seed * 1_000_003 + rank) % 2**63)


def _noise(device: torch.device) -> Tensor:
    """State of the random numbers of this process, bytes."""
    parts = [torch.get_rng_state()]
    if device.type == "cuda":
        parts.append(torch.cuda.get_rng_state(device))
    return torch.cat(parts)


def _set_noise(state: Tensor, device: torch.device) -> None:
    length = len(torch.get_rng_state())
    torch.set_rng_state(state[:length].clone())
    if device.type == "cuda" and len(state) > length:
        torch.cuda.set_rng_state(state[length:].clone(), device)


@contextlib.contextmanager
def _deferred_signals() -> Iterator[list[int]]:
    """Inside, Ctrl-C and SIGTERM are noted, so that the step under way can be finished; a second one acts at once."""
    asked: list[int] = []
    before: dict[int, Any] = {}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def note(number: int, frame: FrameType | None) -> None:
        asked.append(number)
        restore()

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, note)
    try:
        yield asked
    finally:
        restore()
