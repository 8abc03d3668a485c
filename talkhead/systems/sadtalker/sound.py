"""Speech -> the mel windows that SadTalker's networks hear, 25 a second, piece by piece for sound of any length."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from talkhead.audio.framing import BLOCK_S, SAMPLE_RATE, Speech, speech_samples
from talkhead.audio.mel import N_MELS, STEPS_PER_SECOND, mel_blocks
from talkhead.audio.prosody import STEPS_PER_SECOND as LEVELS_PER_SECOND
from talkhead.audio.prosody import find_speech
from talkhead.audio.windows import MEL_WINDOW, mel_windows
from talkhead.errors import InputError, UsageError
from talkhead.systems.sadtalker.config import FPS

log = logging.getLogger(__name__)
F32 = npt.NDArray[np.float32]

SAMPLES_PER_FRAME = round(SAMPLE_RATE / FPS)
CHUNK = 40  # frames heard at a time; what they become inside the encoder fits a CPU's cache
FIRST_FRAME = -2  # the window of frame i starts where frame i - 2 does
_PERIOD_FRAMES, _PERIOD_STEPS = 5, 16  # frames and mel steps meet every 0.2 s


@dataclass(frozen=True, slots=True)
class Heard:
    """Speech seen from the networks' frame rate; without speech, idleness.

    Attributes:
        speech: read anew by each call of `windows`; None: nothing is heard. n_frames: whole frames in it, at least 1.
        duration_s: its length.
    """

    speech: Speech | None
    n_frames: int
    duration_s: float

    @classmethod
    def of(cls, speech: Speech | None, duration_s: float | None = None) -> Heard:
        """Read through the speech once to know its length; a warning is logged when nothing sounds like speech.

        Args:
            speech: mono speech of any rate. duration_s: of idleness, when there is none.
        Raises:
            InputError: the sound has no samples. UsageError: neither speech nor a duration.
        """
        if speech is None:
            if duration_s is None or not 0 < duration_s < np.inf:
                raise UsageError("motion needs speech, or a duration above 0 without it")
            return cls(None, max(1, int(FPS * duration_s)), duration_s)
        n_samples, rate, levels = 0, int(speech.sample_rate), []
        for block in speech.blocks():
            n_samples += len(block)
            levels.append(_levels_db(block, rate))
        if not n_samples:
            raise InputError("the sound has no samples")
        if not find_speech(np.concatenate(levels))[0].any():
            log.warning("no speech found in %.3g s of sound: face and head idle", n_samples / rate)
        n_resampled = -(-n_samples * SAMPLE_RATE // rate)
        return cls(speech, max(1, n_resampled // SAMPLES_PER_FRAME), n_samples / rate)

    def windows(self, chunk: int = CHUNK) -> Iterator[F32]:
        """Mel windows of consecutive frames, (n, 80, 16) in -4..4, zeros where nothing is heard.

        Args:
            chunk: frames at a time, a multiple of 5; the numbers do not depend on it.
        """
        if self.speech is None:
            for start in range(0, self.n_frames, chunk):
                yield np.zeros((min(chunk, self.n_frames - start), N_MELS, MEL_WINDOW), np.float32)
            return
        whole = _WholeFrames(self.speech, self.n_frames * SAMPLES_PER_FRAME)
        yield from _windows(mel_blocks(whole), self.n_frames, chunk)


def _levels_db(block: npt.NDArray[np.floating[Any]], rate: int) -> F32:
    """Level of each whole hundredth of a second, at least one, full scale 0."""
    step = max(1, min(round(rate / LEVELS_PER_SECOND), len(block)))
    whole = np.nan_to_num(np.asarray(block[: len(block) // step * step], np.float64)).reshape(-1, step)
    levels: F32 = (10 * np.log10(np.mean(whole**2, axis=1) + 1e-14)).astype(np.float32)
    return levels


@dataclass(frozen=True, slots=True)
class _WholeFrames:
    """Speech at 16 kHz cut, or filled up with silence, to whole frames: a `Speech` of its own."""

    speech: Speech
    n_samples: int

    @property
    def sample_rate(self) -> int:
        return SAMPLE_RATE

    def blocks(self, seconds: float = BLOCK_S) -> Iterator[F32]:
        left = self.n_samples
        for block in speech_samples(self.speech, seconds):
            yield block[:left].astype(np.float32)
            left -= min(len(block), left)
        if left:
            yield np.zeros(left, np.float32)


def _windows(blocks: Iterable[npt.NDArray[np.float64]], n_frames: int, chunk: int) -> Iterator[F32]:
    """`audio.windows.mel_windows` of a spectrum that comes in pieces; only a chunk's own steps are held."""
    assert chunk % _PERIOD_FRAMES == 0, chunk
    rest = iter(blocks)
    kept, first_step = np.zeros((0, N_MELS), np.float32), 0
    for start in range(0, n_frames, chunk):
        count = min(chunk, n_frames - start)
        # A chunk looks back two frames; one period earlier, steps and frames meet.
        base = max(0, start - _PERIOD_FRAMES)
        base_step = base // _PERIOD_FRAMES * _PERIOD_STEPS
        pieces, n_steps = [kept[base_step - first_step :]], first_step + len(kept)
        end = int(STEPS_PER_SECOND / FPS * (start + count - 1 + FIRST_FRAME)) + MEL_WINDOW
        while n_steps < end and (block := next(rest, None)) is not None:
            pieces.append(block.astype(np.float32))
            n_steps += len(block)
        kept, first_step = np.concatenate(pieces), base_step
        yield mel_windows(kept, count, FPS, first_frame=FIRST_FRAME + start - base)
