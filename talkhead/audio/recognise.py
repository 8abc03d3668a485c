"""Speech -> words, by pocketsphinx with its own English models. No network.

Good enough to know which sounds lips make and when, not to read: many words of real talk come out wrong, but wrong
words sound like the right ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from talkhead.audio.align import LevelledPcm, decoder_with
from talkhead.audio.framing import SAMPLE_RATE, Speech
from talkhead.audio.prosody import STEPS_PER_SECOND, runs
from talkhead.errors import InputError

_SETTINGS = {"beam": 1e-80, "wbeam": 1e-60, "pbeam": 1e-80}
_STRETCH_S, _LONGEST_STRETCH_S = 8.0, 30.0  # the decoder keeps every hypothesis of a stretch


def recognise(speech: Speech, source: str = "the sound") -> str:
    """The English words that are heard, as good or bad as they are.

    Args:
        speech: mono speech, read twice, a stretch of 8-30 s held at a time. source: what to call it in messages.
    Returns:
        Small letters, one blank between words.
    Raises:
        EnvironmentProblem: pocketsphinx is not installed.
        InputError: no speech, or no word was recognised.
    """
    decoder = decoder_with(**_SETTINGS)
    pcm = LevelledPcm(speech, source)
    words = [word for stretch in _stretches(pcm) for word in _words(decoder, stretch)]
    if not words:
        raise InputError(f"no English words were recognised in {source}", hint="give the words with --transcript TEXT")
    return " ".join(words)


def _words(decoder: Any, samples: npt.NDArray[np.int16]) -> list[str]:
    decoder.start_utt()
    decoder.process_raw(samples.tobytes(), full_utt=True)
    decoder.end_utt()
    return str(decoder.hyp().hypstr).split() if decoder.hyp() else []


def _stretches(pcm: LevelledPcm) -> Iterator[npt.NDArray[np.int16]]:
    """The sound, cut in the middle of pauses where there are any."""
    hop = int(SAMPLE_RATE / STEPS_PER_SECOND)
    pauses = [int(start + end) // 2 * hop for start, end in runs(~pcm.is_speech)]
    cuts, last = [], 0
    for pause in [*pauses, pcm.n_samples]:
        while pause - last > _LONGEST_STRETCH_S * SAMPLE_RATE:
            last += int(_LONGEST_STRETCH_S * SAMPLE_RATE)
            cuts.append(last)
        if pause - last >= _STRETCH_S * SAMPLE_RATE and pause < pcm.n_samples:
            cuts.append(last := pause)
    buffer, first, blocks = np.zeros(0, np.int16), 0, pcm.blocks()
    for end in [*cuts, pcm.n_samples]:
        while first + len(buffer) < end and (block := next(blocks, None)) is not None:
            buffer = np.concatenate([buffer, block])
        yield buffer[: end - first]
        buffer, first = buffer[end - first :], end
