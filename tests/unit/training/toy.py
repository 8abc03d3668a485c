"""A system that learns in milliseconds: a painter gives pictures back, a judge tells them from real ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from talkhead.nn.steps import TrainStep, frozen
from talkhead.protocols import SystemInfo, TrainingClip
from talkhead.weights.load import fill, read_tensors

SYSTEM = SystemInfo(name="toy", paper="", licence="", stages=("train",), spaces=(), module=__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class ToyNetwork:
    width_mult: float = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ToyConfig:
    """`noise`: put on what is painted. `break_at`: the step whose l1 is not a number."""

    network: ToyNetwork = field(default_factory=ToyNetwork)
    learning_rate: float = 1e-2
    side: int = 16
    noise: float = 0.0
    break_at: int = -1
    judge: bool = True
    adam: bool = True
    hook: str = ""


HOOKS: dict[str, Any] = {}
"""What a step calls first, by `ToyConfig.hook`; given the step's number."""


class ToyTraining:
    def __init__(self, config: ToyConfig, device: str) -> None:
        self.config, self.device = config, device
        width = max(1, round(8 * config.network.width_mult))
        self.painter = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.Tanh(), nn.Conv2d(width, 3, 1))
        self.judge = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, affine=False), nn.Conv2d(4, 1, 1))
        self.networks = {"painter": self.painter, "judge": self.judge}
        self.groups = {"painter": ("painter",), "judge": ("judge",)}
        self.averaged = ("painter",)
        self.seen: list[int] = []

    def begin(self, path: Path) -> None:
        fill(self.painter, read_tensors(path)[0], name="the painter")

    def optimiser(self, group: str, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        kind = torch.optim.Adam if self.config.adam else torch.optim.SGD
        return kind(parameters, lr=self.config.learning_rate)

    def sample(self, clip: TrainingClip, rng: np.random.Generator) -> dict[str, np.ndarray]:
        t = int(rng.integers(len(clip.images)))
        scale = np.float32(rng.uniform(0.5, 1.0))
        image = clip.images[t].transpose(2, 0, 1).astype(np.float32) / 255 * scale
        return {"image": image, "frame": np.int64(clip.start + t), "video": clip.images[t][0, 0, 0].astype(np.int64)}

    def steps(self, batch: Mapping[str, Tensor], number: int) -> Iterator[tuple[str, TrainStep]]:
        if self.config.hook:
            HOOKS[self.config.hook](number)
        image = batch["image"]
        made = self.painter(image)
        if self.config.noise:
            made = made + self.config.noise * torch.randn_like(made)
        l1 = (made - image).abs().mean()
        if number == self.config.break_at:
            l1 = l1 * float("nan")
        with frozen(self.judge):
            adversarial = -self._score(made)
        yield "painter", TrainStep.of({"l1": l1, "gan": adversarial}, {"l1": 10.0, "gan": 0.1})
        if self.config.judge:
            losses = {"real": (1 - self._score(image)).square(), "made": self._score(made.detach()).square()}
            yield "judge", TrainStep.of(losses, {"real": 1.0, "made": 1.0})

    def _score(self, image: Tensor) -> Tensor:
        # Its statistics stay as they are, so that a mean of halves is the mean of the whole.
        self.judge[1].eval()
        return self.judge(image).mean()

    def pictures(self, batch: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
        with torch.no_grad():
            made = self.painter(batch["image"])[0].clamp(0, 1)
        return {"sheet": (made.permute(1, 2, 0).cpu().numpy() * 255).astype(np.uint8)}

    def checkpoint(self, networks: Mapping[str, nn.Module]) -> tuple[dict[str, Tensor], dict[str, str]]:
        return dict(networks["painter"].state_dict()), {"toy": repr(sorted(asdict(self.config)))}


def build_train(config: ToyConfig, device: str = "cpu") -> ToyTraining:
    return ToyTraining(config, device)


def register(patch: Any = setattr) -> None:
    """Make `toy` a system; `patch` as `monkeypatch.setattr`."""
    from talkhead import systems

    known = systems.info
    patch(systems, "info", lambda name: SYSTEM if name == "toy" else known(name))
    patch(systems, "NAMES", (*systems.NAMES, "toy"))
