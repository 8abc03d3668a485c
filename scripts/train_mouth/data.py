"""One portion of training data: random synthetic utterances as mel spectra with mouth targets, in one npz file.

Run as a process of its own by train.py, because the speech library may crash. The same seed gives the same portion.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from scripts.train_mouth.augment import RATE, recorded, revoiced
from scripts.train_mouth.voices import Engines
from talkhead.audio.mel import mel_spectrogram
from talkhead.systems.meshwarp.mouth_net import TARGET_RATE
from talkhead.systems.meshwarp.visemes import blend

_REVOICED_SHARE = 0.35
_BABBLE = 30  # earlier utterances kept to be talked over


class Example(NamedTuple):
    """mel (n, 80) at 80 steps per second; target (ceil(n / 2), 10) and class label (ceil(n / 2),) at 40."""

    mel: npt.NDArray[np.float16]
    target: npt.NDArray[np.float16]
    label: npt.NDArray[np.int8]


class _Sound:
    sample_rate = RATE

    def __init__(self, samples: npt.NDArray[np.float32]) -> None:
        self.samples = samples

    def blocks(self, seconds: float = 20.0) -> Iterator[npt.NDArray[np.float32]]:
        yield self.samples


def examples(engines: Engines, seed: int) -> Iterator[Example]:
    """Training examples without end, the same for the same seed; the last 30 utterances are all that is held."""
    rng = np.random.default_rng([seed, 11])
    babble: list[npt.NDArray[np.float32]] = []
    for sound, rate, sounds in engines.utterances(rng):
        if rng.random() < _REVOICED_SHARE:
            sound = revoiced(sound, rate, rng)
        heard, moved = recorded(sound, rate, sounds, rng, babble)
        babble = [*babble[-_BABBLE:], heard]
        mel = mel_spectrogram(_Sound(heard))
        target, label = blend(moved, (len(mel) + 1) // 2, TARGET_RATE)
        yield Example(mel.astype(np.float16), target.astype(np.float16), label)


def main() -> None:
    """Write the portion."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    taken: list[Example] = []
    steps = 0
    with Engines() as engines:
        for example in examples(engines, options.seed):
            taken.append(example)
            steps += len(example.label)
            if steps >= 60 * options.minutes * TARGET_RATE:
                break
    lengths = np.array([[len(e.mel), len(e.label)] for e in taken])
    mel, target, label = (np.concatenate(part) for part in zip(*taken, strict=True))
    unfinished = options.output.with_suffix(".part.npz")
    np.savez(unfinished, mel=mel, target=target, label=label, lengths=lengths)
    unfinished.replace(options.output)


if __name__ == "__main__":
    main()
