"""flite: English voices made from recordings of their speakers, with the time of every phone.

A tool of training only, like espeak.py.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt

from scripts.train_mouth.espeak import Utterance
from talkhead.systems.meshwarp.visemes import flite_classes, segments

VOICES = {"slt": (0.3, 175), "rms": (0.25, 100), "awb": (0.25, 120), "kal16": (0.15, 105), "kal": (0.05, 105)}
"""Name: share, mean pitch in Hz."""


def say(text: str, rng: np.random.Generator) -> Utterance | None:
    """Samples, rate and segments of an English text in a random manner; None if the program refuses."""
    voice = str(rng.choice(list(VOICES), p=[share for share, _ in VOICES.values()]))
    pitch = VOICES[voice][1] * float(np.exp(rng.normal(0, 0.18)))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "f.wav"
        command = ["flite", "-voice", voice, "-psdur", "--setf", f"duration_stretch={rng.uniform(0.75, 1.35):.2f}",
                   "--setf", f"int_f0_target_mean={pitch:.0f}", "-t", text, "-o", str(out)]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode or not out.exists():
            return None
        sound, rate = read_wave(out)
    pairs = re.findall(r"([a-z]+):([0-9.]+)", done.stdout)
    starts = [0.0, *(float(end) for _, end in pairs[:-1])]
    events = [(flite_classes(name), start) for (name, _), start in zip(pairs, starts, strict=True)]
    return (sound, rate, segments(events, len(sound) / rate)) if len(events) > 2 else None


def read_wave(path: Path) -> tuple[npt.NDArray[np.float32], int]:
    """Mono 16-bit samples in -1..1, and their rate."""
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
        return samples.astype(np.float32) / 32768, file.getframerate()
