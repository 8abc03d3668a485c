"""The network from mel spectrum to mouth channels, run with numpy alone, in chunks of any long sound.

Three 3 x 3 convolutions over time and frequency, then dilated residual convolutions over time, 80 -> 40 steps per
second; several separately trained members are averaged. Trained on synthetic speech by scripts/train_mouth; weights and
their provenance are in talkhead/data/meshwarp_mouth.safetensors. Input is the log-mel spectrum minus its mean over the
speech of the file, which takes out microphone, room and most of the voice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from talkhead.audio.framing import Speech
from talkhead.audio.mel import LIMIT, N_MELS, mel_blocks

CHANNELS = ("jaw", "close", "pucker", "funnel", "wide", "upper", "lower", "tuck", "tongue", "open")
TARGET_RATE = 40.0
DILATIONS = (1, 2, 4, 8, 1, 2, 4)
STRIDES = ((2, 1), (2, 2), (2, 1))  # of the 2-D convolutions: frequency, time
WEIGHTS_FILE = Path(__file__).parents[2] / "data" / "meshwarp_mouth.safetensors"

_CHUNK, _CONTEXT = 1600, 160  # mel steps (20 s, 2 s), even; the network sees +-0.6 s
_INPUT_SCALE = 0.25
_LEVELS = 160  # classes of loudness between -4 and 4
_SPEECH_RANGE = 2.4  # 30 dB below the loudest steps is silence
_SILENCE_SHARE = 0.25

F32 = npt.NDArray[np.float32]


class SpeechMean:
    """The mean mel spectrum over the speech of a sound of any length, in constant memory.

    Sums are kept per class of loudness; which classes are speech is known only at the end.
    """

    def __init__(self) -> None:
        self._sums = np.zeros((_LEVELS, N_MELS))
        self._counts = np.zeros(_LEVELS)

    def add(self, mel: npt.NDArray[np.float64]) -> None:
        """Take in consecutive rows, (n, 80)."""
        level = np.clip(((mel.mean(1) + LIMIT) * (_LEVELS / (2 * LIMIT))).astype(int), 0, _LEVELS - 1)
        np.add.at(self._sums, level, mel)
        self._counts += np.bincount(level, minlength=_LEVELS)

    def result(self) -> npt.NDArray[np.float64]:
        """Mean over steps within 30 dB of the loudest, and at most a quarter as many silent steps, (80,)."""
        total = self._counts.sum()
        loudest = int(np.clip(0.05 * total, 8, 240))  # 5 % of the sound, 0.1-3 s
        above = np.cumsum(self._counts[::-1])[::-1]
        top = int(np.flatnonzero(above >= min(loudest, total))[-1])
        cut = max(0, top - round(_SPEECH_RANGE * _LEVELS / (2 * LIMIT)))
        n_speech, n_silence = self._counts[cut:].sum(), self._counts[:cut].sum()
        share = min(1.0, _SILENCE_SHARE * n_speech / max(n_silence, 1.0))
        total_sum = self._sums[cut:].sum(0) + share * self._sums[:cut].sum(0)
        mean: npt.NDArray[np.float64] = total_sum / (n_speech + share * n_silence)
        return mean


def mouth_channels(speech: Speech) -> F32:
    """What the network hears in speech.

    Args:
        speech: mono speech, read twice.
    Returns:
        (n, 10) in 0..1, `CHANNELS` in order, 40 steps per second, step k at k / 40 s; the visual lead is inside.
    """
    mean = SpeechMean()
    for mel in mel_blocks(speech):
        mean.add(mel)
    centre, members = mean.result(), load_members()
    out = []
    for mel, skip, keep in _chunks(mel_blocks(speech)):
        x = ((mel - centre) * _INPUT_SCALE).astype(np.float32)
        out.append(np.mean([forward(x, member) for member in members], 0)[skip : skip + keep])
    channels: F32 = np.concatenate(out).astype(np.float32)
    return channels


def _chunks(blocks: Iterator[npt.NDArray[np.float64]]) -> Iterator[tuple[npt.NDArray[np.float64], int, int]]:
    """Pieces of mel on a fixed grid with context, and which of their outputs to keep (first, count)."""
    buffer, n_before, finished = np.zeros((0, N_MELS)), 0, False
    while True:
        while not finished and len(buffer) < n_before + _CHUNK + _CONTEXT:
            block = next(blocks, None)
            finished = block is None
            if block is not None:
                buffer = np.concatenate([buffer, block])
        is_last = len(buffer) <= n_before + _CHUNK
        piece = buffer[: n_before + _CHUNK + _CONTEXT]
        yield piece, n_before // 2, (len(piece) - n_before + 1) // 2 if is_last else _CHUNK // 2
        if is_last:
            return
        cut = n_before + _CHUNK - _CONTEXT
        buffer, n_before = buffer[cut:], _CONTEXT


@lru_cache(maxsize=1)
def load_members() -> tuple[Mapping[str, F32], ...]:
    """The trained members' weights by layer name, batch normalisation folded in."""
    from safetensors.numpy import load_file

    tensors = {name: value.astype(np.float32) for name, value in load_file(WEIGHTS_FILE).items()}
    names = sorted({name.split(".")[0] for name in tensors})
    return tuple(
        {name[len(member) + 1 :]: value for name, value in tensors.items() if name.startswith(member + ".")}
        for member in names
    )


def forward(x: F32, weights: Mapping[str, F32]) -> F32:
    """One member on mel steps.

    Args:
        x: (n, 80), mean removed and scaled. weights: of one member (`load_members`).
    Returns:
        (ceil(n / 2), 10) in 0..1.
    """
    maps = x.T[None]  # (C, M, T)
    for i, stride in enumerate(STRIDES):
        maps = np.maximum(0, _conv2d(maps, weights[f"front{i}.weight"], weights[f"front{i}.bias"], stride))
    h = maps.reshape(-1, maps.shape[2])  # (C * M, T)
    h = weights["join.weight"] @ h + weights["join.bias"][:, None]
    for i, dilation in enumerate(DILATIONS):
        y = np.maximum(0, h * weights[f"block{i}.scale"][:, None] + weights[f"block{i}.shift"][:, None])
        y = np.maximum(0, _conv1d(y, weights[f"block{i}.weight"], weights[f"block{i}.bias"], dilation))
        h = h + weights[f"block{i}.out_weight"] @ y + weights[f"block{i}.out_bias"][:, None]
    h = np.maximum(0, h * weights["last.scale"][:, None] + weights["last.shift"][:, None])
    logits = (weights["head.weight"] @ h + weights["head.bias"][:, None]).T
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(logits, -30, 30))), np.float32)


def _conv1d(x: F32, weight: F32, bias: F32, dilation: int) -> F32:
    """Kernel 3, zeros outside. x (C, T), weight (C_out, C, 3)."""
    padded = np.pad(x, ((0, 0), (dilation, dilation)))
    n = x.shape[1]
    taps = np.concatenate([padded[:, k * dilation : k * dilation + n] for k in range(3)])
    flat = weight.transpose(0, 2, 1).reshape(len(weight), -1)
    return np.asarray(flat @ taps + bias[:, None])


def _conv2d(x: F32, weight: F32, bias: F32, stride: tuple[int, int]) -> F32:
    """Kernel 3 x 3, zeros outside. x (C, M, T), weight (C_out, C, 3, 3); stride over M, T."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    n_rows, n_steps = -(-x.shape[1] // stride[0]), -(-x.shape[2] // stride[1])
    taps = [
        padded[:, i : i + stride[0] * n_rows : stride[0], j : j + stride[1] * n_steps : stride[1]][:, :n_rows, :n_steps]
        for i in range(3)
        for j in range(3)
    ]
    columns = np.stack(taps, 1).reshape(-1, n_rows * n_steps)  # (C * 9, M * T)
    out = weight.reshape(len(weight), -1) @ columns + bias[:, None]
    return np.asarray(out.reshape(-1, n_rows, n_steps))
