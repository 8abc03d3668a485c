"""Build talkhead/data/meshwarp_mouth.safetensors: synthesise speech, train the mouth network, export it.

Needs espeak-ng, libespeak-ng1, flite and festival with its voices (docs/mouth-model.md lists the packages), and
less than an hour on two cores:
    python scripts/train_mouth/train.py --work FOLDER
An interrupted run goes on where it was: portions of speech and finished members stay in FOLDER.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors.numpy import load_file, save_file
from torch import Tensor
from torch.nn import functional

from scripts.train_mouth.network import MouthNet, exported
from talkhead.systems.meshwarp.mouth_net import CHANNELS, WEIGHTS_FILE, SpeechMean

CROP = 320  # mel steps, 4 s
MEL_PER_DB, SCALE = 0.08, 0.25
_LOSS_WEIGHTS = {"close": 2.0, "open": 2.0, "tuck": 1.5, "tongue": 0.5}
_OPENING = tuple(CHANNELS.index(c) for c in ("jaw", "upper", "lower", "open"))


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """Training settings; the defaults made the shipped weights.

    Attributes:
        seed: of everything. portions, minutes: of synthetic speech. members: networks that are averaged in use.
        steps, batch, rate: of AdamW with a cosine schedule. width: channels of the network.
        effort: how much wider a decibel opens the mouth. rhythm: standard deviation of the logarithm of local tempo.
    """

    seed: int = 0
    portions: int = 60
    minutes: float = 10.0
    members: int = 8
    steps: int = 5000
    batch: int = 24
    width: int = 64
    rate: float = 3e-3
    effort: float = 0.03
    rhythm: float = 0.2


def synthesise(folder: Path, seeds: Iterable[int], minutes: float, jobs: int) -> list[Path]:
    """Portion files; a portion whose process crashed is left out, existing ones are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    script = Path(__file__).with_name("data.py")

    def make(seed: int) -> Path | None:
        out = folder / f"portion{seed:04d}.npz"
        if not out.exists():
            command = [sys.executable, str(script), str(out), "--minutes", str(minutes), "--seed", str(seed)]
            if subprocess.run(command, check=False).returncode:
                print(f"portion {seed} lost", flush=True)
                return None
        return out

    with ThreadPoolExecutor(jobs) as pool:
        return [p for p in pool.map(make, seeds) if p]


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

    def batch(self, config: TrainConfig, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Random augmented crops: mel (B, 80, 320), targets (B, 10, 160), labels (B, 160)."""
        starts = rng.integers(0, len(self.target) - CROP // 2, config.batch)
        mel = np.stack([self.mel[2 * s : 2 * s + CROP] for s in starts]).astype(np.float32).swapaxes(1, 2)
        target = np.stack([self.target[s : s + CROP // 2] for s in starts]).astype(np.float32).swapaxes(1, 2)
        label = np.stack([self.label[s : s + CROP // 2] for s in starts]).astype(np.int64)
        for i in range(config.batch):
            if rng.random() < 0.5:
                mel[i], target[i], label[i] = _retimed(mel[i], target[i], label[i], config.rhythm, rng)
            mel[i] = _warped(mel[i], rng)
            if rng.random() < 0.5:
                knots = rng.normal(0, 4, int(rng.integers(5, 15)))
                curve = np.interp(np.linspace(0, 1, CROP), np.linspace(0, 1, len(knots)), knots)
                tilt = 1 + 0.5 * np.linspace(-1, 1, 80)[:, None] * rng.uniform(0, 1)
                mel[i] += MEL_PER_DB * curve * tilt
                target[i][list(_OPENING)] *= np.maximum(0.3, 1 + config.effort * curve[::2])
        return torch.from_numpy(SCALE * mel), torch.from_numpy(target.clip(0, 1)), torch.from_numpy(label)


def _retimed(
    mel: npt.NDArray[np.float32],
    target: npt.NDArray[np.float32],
    label: npt.NDArray[np.int64],
    spread: float,
    rng: np.random.Generator,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """The crop with another rhythm: hurried here, drawn out there, as long as before."""
    n = target.shape[1]
    pace = np.interp(np.linspace(0, 8, n), np.arange(9), np.exp(rng.normal(0, spread, 9)))
    where: npt.NDArray[np.float64] = np.concatenate([[0.0], np.cumsum(0.5 * (pace[1:] + pace[:-1]))])
    where *= (n - 1) / where[-1]

    def at(rows: npt.NDArray[np.float32], steps: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
        low = np.minimum(steps.astype(int), rows.shape[1] - 2)
        share = (steps - low).astype(np.float32)
        return rows[:, low] * (1 - share) + rows[:, low + 1] * share

    return (
        at(mel, 2 * np.interp(np.arange(2 * n) / 2, np.arange(n), where).astype(np.float64)),
        at(target, where),
        label[np.rint(where).astype(int)],
    )


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


def train(files: list[Path], held_out: list[Path], config: TrainConfig, member: int, threads: int) -> MouthNet:
    """One member: its own start, order and augmentation of the same speech."""
    torch.set_num_threads(threads)
    torch.manual_seed(1000 * config.seed + member)
    rng = np.random.default_rng([config.seed, member, 5])
    corpus = Corpus(files)
    model = MouthNet(config.width)
    optimiser = torch.optim.AdamW(model.parameters(), config.rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda s: min(1.0, (s + 1) / 100) * 0.5 * (1 + np.cos(np.pi * min(1.0, s / config.steps)))
    )
    weights = torch.tensor([_LOSS_WEIGHTS.get(c, 1.0) for c in CHANNELS])[None, :, None]
    began, total = time.time(), 0.0
    for step in range(1, config.steps + 1):
        loss = loss_of(model, corpus.batch(config, rng), weights)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        total += loss.item()
        if step % 500 == 0:
            print(f"member {member} step {step} loss {total / 500:.4f} {time.time() - began:.0f} s", flush=True)
            total = 0.0
    print(f"member {member} r on unheard synthetic speech: {_agreement(model.eval(), Corpus(held_out))}", flush=True)
    return model


@torch.no_grad()
def _agreement(model: MouthNet, corpus: Corpus) -> str:
    """Correlation with the targets for each channel."""
    mel = torch.from_numpy(SCALE * corpus.mel.astype(np.float32)).T[None]
    made = model(mel)[0].sigmoid()[0].numpy()
    return " ".join(
        f"{name} {np.corrcoef(made[i], corpus.target[:, i].astype(np.float64))[0, 1]:.2f}"
        for i, name in enumerate(CHANNELS)
    )


def _trained_member(work: Path, files: list[Path], held_out: list[Path], config: TrainConfig, member: int,
                    threads: int) -> Path:  # fmt: skip
    out = work / f"member{member}.safetensors"
    if not out.exists():
        save_file(exported(train(files, held_out, config, member, threads)), out)
    return out


def provenance(config: TrainConfig, hours: float) -> dict[str, str]:
    """What the weights file says about itself; scores are added by score.py."""

    def said(*command: str) -> str:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    def version(program: str) -> str:
        found = re.search(r"\d+\.\d+(\.\d+)?", said(program, "--version"))
        return f"{program} {found.group() if found else 'unknown'}"

    here = Path(__file__).parent
    return {
        "made_by": "scripts/train_mouth/train.py",
        "commit": said("git", "-C", str(here), "rev-parse", "HEAD").strip(),
        "data": f"{hours:.1f} h of synthetic speech reading our own sentences; no recordings were trained on",
        "engines": "; ".join(version(program) for program in ("espeak-ng", "flite", "festival")),
        "seed": str(config.seed),
        "config": json.dumps(asdict(config)),
        "channels": " ".join(CHANNELS),
        "licence": "Apache-2.0",
    }


def main() -> None:
    """Everything, from synthesis to the weights file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for the synthetic speech (400 MB)")
    parser.add_argument("--output", type=Path, default=WEIGHTS_FILE)
    parser.add_argument("--jobs", type=int, default=2, help="processes; the result does not depend on it")
    default = TrainConfig()
    for name in ("seed", "portions", "members", "steps", "batch"):
        parser.add_argument(f"--{name}", type=int, default=getattr(default, name))
    parser.add_argument("--minutes", type=float, default=default.minutes, help="of speech in a portion")
    options = vars(parser.parse_args())
    work, output, jobs = (options.pop(name) for name in ("work", "output", "jobs"))
    config, began = TrainConfig(**options), time.time()
    first = 10_000 * config.seed
    files = synthesise(work, range(first, first + config.portions), config.minutes, jobs)
    held_out = synthesise(work, [first + 9_999], config.minutes, 1)
    hours = sum(int(np.load(f)["lengths"][:, 1].sum()) for f in files) / 40 / 3600
    print(f"{hours:.2f} h of synthetic speech after {time.time() - began:.0f} s", flush=True)
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        running = [pool.submit(_trained_member, work, files, held_out, config, k, 1) for k in range(config.members)]
        members = [r.result() for r in running]
    tensors: dict[str, npt.NDArray[np.float16]] = {}
    for k, member in enumerate(members):
        tensors |= {f"member{k}.{name}": value for name, value in load_file(member).items()}
    save_file(tensors, output, metadata=provenance(config, hours))
    print(f"{output.name} after {time.time() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
