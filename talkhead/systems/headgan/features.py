"""What HeadGAN hears of each frame (section 3.2): 84 low-level numbers and 8 x 27 characters, 300 in all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from talkhead.audio.characters import (
    N_CHARACTERS,
    N_WINDOW,
    CharacterProvider,
    Token,
    no_characters,
    others,
    recognised_characters,
    token_rows,
    windows,
)
from talkhead.audio.framing import BLOCK_S, SAMPLE_RATE, Speech
from talkhead.audio.low84 import N_LOW, low84, low84_compat
from talkhead.errors import ShapeError
from talkhead.systems.headgan.config import FPS, Letters

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

FEATURE = "headgan"
"""Name of the values in `Drive.features` and in training sets, where nobody tells the letters."""
_PROVIDERS: dict[Letters, CharacterProvider] = {"none": no_characters, "recognised": recognised_characters}
N_FEATURES = N_LOW + N_WINDOW * N_CHARACTERS

_SAME = 1e-6  # a column that deviates less says nothing
REACH = 5.0
"""Deviations at which scaled numbers are cut: digital silence is far from all that is recorded."""


def features300(speech: Speech, *, fps: float, n_frames: int, characters: CharacterProvider = no_characters) -> F32:
    """What is heard in each frame, low-level numbers as they are (`AudioScale` standardises them).

    Args:
        speech: mono speech of any length, even none. fps, n_frames: of the video. characters: who tells the letters.
    Returns:
        (n_frames, 300) float32, finite: `low84`, then frames t-4 to t+3 of 27 characters each.
    Raises:
        UsageError: `fps` or `n_frames` is not positive. ShapeError: `characters` gives another number of rows.
    """
    low = low84(speech, fps=fps, n_frames=n_frames)
    letters = characters(speech, fps=fps, n_frames=n_frames)
    if len(letters) != n_frames:
        raise ShapeError("characters", letters.shape, f"({n_frames}, {N_CHARACTERS})")
    return np.concatenate([low, windows(letters)], 1)


def features300_compat(
    samples: npt.NDArray[np.int16], sample_rate: int, fps: float, n_frames: int, tokens: Sequence[Token] = ()
) -> F64:
    """The same as the published code computes it, for its checkpoints; silence makes some columns not-a-number.

    Args:
        samples: (S,) or (S, channels) int16. sample_rate: of them. fps, n_frames: of the video.
        tokens: characters that DeepSpeech decoded, with their times.
    Returns:
        (n_frames, 300) float64.
    Raises:
        ShapeError, UsageError: as of `low84_compat`.
    """
    low = low84_compat(samples, sample_rate, fps)
    low = low[np.minimum(np.arange(n_frames), len(low) - 1)]
    letters = token_rows(tokens, len(samples) / sample_rate, n_frames)
    return np.concatenate([low, windows(letters)], 1)


def feature_name(letters: Letters) -> str:
    """What the values are called; a network is only shown those of the kind that it learned."""
    return FEATURE if letters == "none" else f"{FEATURE}-{letters}"


class HeadGanListener:
    """Speech -> (n_frames, 300) under its `feature_name`; see `talkhead.protocols.Listener`.

    Args:
        letters: who tells the letters; a network understands those it was trained with.
        compat: hear as the published code does (without letters), for its checkpoints; columns that are not a number
            there are 0.
    """

    def __init__(self, letters: Letters = "none", *, compat: bool = False) -> None:
        self._letters, self._compat = letters, compat

    def __call__(self, speech: Speech, *, fps: float, n_frames: int) -> dict[str, F32]:
        """See `features300`."""
        if not self._compat:
            heard = features300(speech, fps=fps, n_frames=n_frames, characters=_PROVIDERS[self._letters])
            return {feature_name(self._letters): heard}
        samples = np.concatenate([np.zeros(0, np.int16), *(_as_int16(block) for block in speech.blocks())])
        # What the published code refuses: a sound shorter than its window.
        samples = np.pad(samples, (0, max(0, round(speech.sample_rate / (2 * fps)) - len(samples))))
        published = features300_compat(samples, speech.sample_rate, fps, n_frames)
        return {FEATURE: np.nan_to_num(published).astype(np.float32)}


@dataclass(frozen=True, slots=True)
class AudioScale:
    """Standardises the low-level numbers by what they were in training; letters stay probabilities.

    Attributes:
        mean, std: (84,) each, of the training set; None: the numbers stay as they are (published checkpoints).
    """

    mean: F32 | None = None
    std: F32 | None = None

    def __post_init__(self) -> None:
        for name in ("mean", "std"):
            values = getattr(self, name)
            if (self.mean is None) != (self.std is None) or (values is not None and values.shape != (N_LOW,)):
                raise ShapeError(name, np.shape(values), f"({N_LOW},), or neither mean nor std")

    @classmethod
    def measured(cls, parts: Iterable[npt.NDArray[np.floating[Any]]]) -> AudioScale:
        """Of a training set's values, (n, 300) or (n, 84) each; of none, no change."""
        count, total, squares = 0, np.zeros(N_LOW), np.zeros(N_LOW)
        for part in parts:
            low = part[:, :N_LOW].astype(np.float64)
            count, total, squares = count + len(low), total + low.sum(0), squares + (low**2).sum(0)
        if not count:
            return cls()
        mean = total / count
        std = np.sqrt(np.maximum(squares / count - mean**2, 0))
        return cls(mean.astype(np.float32), std.astype(np.float32))

    @classmethod
    def from_dict(cls, stored: Mapping[str, Sequence[float]] | None) -> AudioScale:
        """Of what `as_dict` gave; None and empty: no change.

        Raises:
            ShapeError: not 84 numbers each.
        """
        if not stored:
            return cls()
        mean, std = (np.asarray(stored.get(name, ()), np.float32) for name in ("mean", "std"))
        return cls(mean, std)

    def as_dict(self) -> dict[str, list[float]]:
        """As JSON can hold it, in a checkpoint's metadata; empty if nothing is changed."""
        if self.mean is None or self.std is None:
            return {}
        return {"mean": self.mean.tolist(), "std": self.std.tolist()}

    def __call__(self, features: npt.NDArray[np.floating[Any]]) -> F32:
        """Values (..., 300) as the networks were trained on; a new array.

        Columns that did not change in training become 0; all stay within five deviations.

        Raises:
            ShapeError: another number of columns.
        """
        if features.shape[-1:] != (N_FEATURES,):
            raise ShapeError("features", features.shape, f"(..., {N_FEATURES})")
        scaled = np.array(features, np.float32)
        if self.mean is not None and self.std is not None:
            way = (scaled[..., :N_LOW] - self.mean) / np.where(self.std > _SAME, self.std, np.inf)
            scaled[..., :N_LOW] = np.clip(way, -REACH, REACH)
        return scaled

    @staticmethod
    def silence(n_frames: int) -> F32:
        """What is heard while nobody speaks, not standardised: (n_frames, 300)."""
        low = low84(_Silence(), fps=FPS, n_frames=1)
        letters = windows(others(n_frames))
        return np.concatenate([np.repeat(low, n_frames, axis=0), letters], 1)


class _Silence:
    """A second of digital silence, a `Speech`."""

    sample_rate = SAMPLE_RATE

    def blocks(self, seconds: float = BLOCK_S) -> Iterator[F32]:
        """One block."""
        yield np.zeros(SAMPLE_RATE, np.float32)


def _as_int16(block: F32) -> npt.NDArray[np.int16]:
    return np.clip(np.rint(np.nan_to_num(block) * 32768.0), -32768, 32767).astype(np.int16)
