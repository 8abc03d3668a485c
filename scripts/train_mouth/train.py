"""Build talkhead/data/meshwarp_mouth.safetensors: synthesise speech, train the mouth network, export it.

Needs espeak-ng, libespeak-ng1 and flite (`apt-get install`), and some minutes on two cores:
    python scripts/train_mouth/train.py --work FOLDER
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors.numpy import save_file
from torch import Tensor
from torch.nn import functional

from scripts.train_mouth.network import MouthNet, exported
from scripts.train_mouth.phonemes import CHANNELS
from talkhead.systems.meshwarp.mouth_net import WEIGHTS_FILE, SpeechMean

CROP = 320  # mel steps, 4 s
MEL_PER_DB, SCALE = 0.08, 0.25
_LOSS_WEIGHTS = {"close": 2.0, "open": 2.0, "tuck": 1.5, "tongue": 0.5}
_OPENING = tuple(CHANNELS.index(c) for c in ("jaw", "upper", "lower", "open"))


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """Training settings; the defaults made the shipped weights."""

    portions: int = 30
    minutes: float = 10.0
    members: int = 3
    steps: int = 2600
    batch: int = 24
    width: int = 64
    rate: float = 2e-3
    effort: float = 0.03


def synthesise(folder: Path, config: TrainConfig, jobs: int) -> list[Path]:
    """Portion files; a portion whose process crashed is left out, existing ones are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    script = Path(__file__).with_name("data.py")

    def make(k: int) -> Path | None:
        out = folder / f"portion{k:03d}.npz"
        if not out.exists():
            command = [sys.executable, str(script), str(out), "--minutes", str(config.minutes), "--seed", str(k)]
            if subprocess.run(command, check=False).returncode:
                print(f"portion {k} lost")
                return None
        return out

    with ThreadPoolExecutor(jobs) as pool:
        return [p for p in pool.map(make, range(config.portions)) if p]


class Corpus:
    """All utterances one after the other; mel with each utterance's speech mean removed."""

    def __init__(self, files: list[Path]) -> None:
        mels, targets, labels = [], [], []
        for file in files:
            with np.load(file) as data:
                mel, target, label = data["mel"].astype(np.float32), data["target"], data["label"]
                a = b = 0
                for n_mel, n_target in data["lengths"]:
                    piece = mel[a : a + n_mel]
                    mean = SpeechMean()
                    mean.add(piece.astype(np.float64))
                    even = 2 * n_target
                    piece = np.pad(piece - mean.result().astype(np.float32), ((0, even - n_mel), (0, 0)), mode="edge")
                    mels.append(piece.astype(np.float16))
                    targets.append(target[b : b + n_target])
                    labels.append(label[b : b + n_target])
                    a, b = a + n_mel, b + n_target
        self.mel, self.target, self.label = (np.concatenate(x) for x in (mels, targets, labels))

    def batch(self, size: int, rng: np.random.Generator, effort: float) -> tuple[Tensor, Tensor, Tensor]:
        """Random augmented crops: mel (B, 80, 320), targets (B, 10, 160), labels (B, 160)."""
        starts = rng.integers(0, len(self.target) - CROP // 2, size)
        mel = np.stack([self.mel[2 * s : 2 * s + CROP] for s in starts]).astype(np.float32).swapaxes(1, 2)
        target = np.stack([self.target[s : s + CROP // 2] for s in starts]).astype(np.float32).swapaxes(1, 2)
        label = np.stack([self.label[s : s + CROP // 2] for s in starts]).astype(np.int64)
        for i in range(size):
            mel[i] = _warped(mel[i], rng)
            if rng.random() < 0.5:
                knots = rng.normal(0, 4, int(rng.integers(5, 15)))
                curve = np.interp(np.linspace(0, 1, CROP), np.linspace(0, 1, len(knots)), knots)
                tilt = 1 + 0.5 * np.linspace(-1, 1, 80)[:, None] * rng.uniform(0, 1)
                mel[i] += MEL_PER_DB * curve * tilt
                target[i][list(_OPENING)] *= np.maximum(0.3, 1 + effort * curve[::2])
        return torch.from_numpy(SCALE * mel), torch.from_numpy(target.clip(0, 1)), torch.from_numpy(label)


def _warped(mel: npt.NDArray[np.float32], rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Other vocal tract, lost bands, gain and noise."""
    if rng.random() < 0.6:
        where = np.arange(80) * rng.normal(1, 0.06) + rng.normal(0, 2)
        low = np.clip(where.astype(int), 0, 78)
        share = np.clip(where - low, 0, 1)[:, None].astype(np.float32)
        mel = mel[low] * (1 - share) + mel[low + 1] * share
    mel = mel * rng.normal(1, 0.06) + rng.normal(0, 0.06) / SCALE
    mel = mel + rng.normal(0, 0.02 / SCALE, mel.shape)
    for _ in range(2):
        if rng.random() < 0.4:
            start, width = rng.integers(0, 72), rng.integers(1, 13)
            mel[start : start + width] = 0.0
    return mel.astype(np.float32)


def loss_of(model: MouthNet, batch: tuple[Tensor, Tensor, Tensor], weights: Tensor) -> Tensor:
    """Weighted squared error of values and of their differences, and a little cross-entropy."""
    mel, target, label = batch
    with torch.autocast("cpu", torch.bfloat16):
        logits, classes = model(mel)
    values = logits.float().sigmoid()
    error = ((values - target) ** 2 * weights).mean()
    change = ((values.diff(dim=2) - target.diff(dim=2)) ** 2 * weights).mean()
    classified = functional.cross_entropy(classes.float(), label, label_smoothing=0.05)
    return error + 2.0 * change + 0.03 * classified


def train(corpus: Corpus, config: TrainConfig, seed: int) -> MouthNet:
    """One member."""
    torch.manual_seed(seed)
    rng = np.random.default_rng([seed, 5])
    model = MouthNet(config.width)
    optimiser = torch.optim.AdamW(model.parameters(), config.rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda s: min(1.0, (s + 1) / 100) * 0.5 * (1 + np.cos(np.pi * min(1.0, s / config.steps)))
    )
    weights = torch.tensor([_LOSS_WEIGHTS.get(c, 1.0) for c in CHANNELS])[None, :, None]
    began, total = time.time(), 0.0
    for step in range(config.steps):
        loss = loss_of(model, corpus.batch(config.batch, rng, config.effort), weights)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        total += loss.item()
        if (step + 1) % 200 == 0:
            print(f"member {seed} step {step + 1} loss {total / 200:.4f} {time.time() - began:.0f} s", flush=True)
            total = 0.0
    return model.eval()


def main() -> None:
    """Everything, from synthesis to the weights file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for the synthetic speech (300 MB)")
    parser.add_argument("--output", type=Path, default=WEIGHTS_FILE)
    parser.add_argument("--jobs", type=int, default=2)
    for name in ("portions", "members", "steps"):
        parser.add_argument(f"--{name}", type=int, default=TrainConfig.__dataclass_fields__[name].default)
    options = parser.parse_args()
    config = TrainConfig(portions=options.portions, members=options.members, steps=options.steps)
    corpus = Corpus(synthesise(options.work, config, options.jobs))
    print(f"{len(corpus.target) / 40 / 3600:.2f} h of synthetic speech")
    tensors: dict[str, npt.NDArray[np.float16]] = {}
    for seed in range(config.members):
        tensors |= {f"member{seed}.{name}": value for name, value in exported(train(corpus, config, seed)).items()}
        provenance = {
            "made_by": "scripts/train_mouth/train.py",
            "speech": "synthetic only: espeak-ng and flite reading our own sentences; no recordings of people",
            "config": json.dumps({name: getattr(config, name) for name in TrainConfig.__dataclass_fields__}),
            "channels": " ".join(CHANNELS),
        }
        save_file(tensors, options.output, metadata=provenance)


if __name__ == "__main__":
    main()
