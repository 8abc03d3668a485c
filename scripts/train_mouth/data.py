"""One portion of training data: random synthetic utterances as mel spectra with mouth targets, in one npz file.

Run as a process of its own by train.py, because the speech library may crash.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from scripts.train_mouth.augment import RATE, recorded
from scripts.train_mouth.phonemes import blend
from scripts.train_mouth.voices import Espeak, random_utterance
from talkhead.audio.mel import mel_spectrogram
from talkhead.systems.meshwarp.mouth_net import TARGET_RATE


class _Sound:
    sample_rate = RATE

    def __init__(self, samples: npt.NDArray[np.float32]) -> None:
        self.samples = samples

    def blocks(self, seconds: float = 20.0) -> Iterator[npt.NDArray[np.float32]]:
        yield self.samples


def main() -> None:
    """Write the portion."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = np.random.default_rng([options.seed, 11])
    espeak = Espeak()
    babble: list[npt.NDArray[np.float32]] = []
    mels, targets, labels, seconds = [], [], [], 0.0
    while seconds < 60 * options.minutes:
        spoken = random_utterance(espeak, rng)
        if spoken is None or len(spoken[0]) < spoken[1]:
            continue
        sound, sounds = recorded(*spoken, rng, babble)
        babble = [*babble[-30:], sound]
        mel = mel_spectrogram(_Sound(sound))
        n = (len(mel) + 1) // 2
        target, label = blend(sounds, n, TARGET_RATE)
        mels.append(mel.astype(np.float16))
        targets.append(target.astype(np.float16))
        labels.append(label)
        seconds += len(sound) / RATE
    lengths = np.array([[len(m), len(t)] for m, t in zip(mels, targets, strict=True)])
    np.savez(options.output, mel=np.concatenate(mels), target=np.concatenate(targets), label=np.concatenate(labels),
             lengths=lengths)  # fmt: skip


if __name__ == "__main__":
    main()
