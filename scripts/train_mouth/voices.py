"""What is said, and by which engine and voice: synthetic speech with known phoneme times."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType

import numpy as np

from scripts.train_mouth import flite
from scripts.train_mouth.espeak import Espeak, Utterance
from scripts.train_mouth.festival import VOICES as FESTIVAL_VOICES
from scripts.train_mouth.festival import Festival
from scripts.train_mouth.sentences import SENTENCES, SPELLED, lines, words

ENGLISH = ("en-us", "en", "en-gb-scotland", "en-029")
_ENGLISH_SHARES = (0.6, 0.2, 0.1, 0.1)
_ESPEAK_SHARE, _FLITE_SHARE = 0.4, 0.3  # festival has the rest
_FESTIVAL_ONLY = ("ca", "mr", "te")


class Engines:
    """The three synthesisers together; a context manager, since festival runs beside."""

    def __init__(self) -> None:
        self._espeak, self._festival = Espeak(), Festival()

    def __enter__(self) -> Engines:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._festival.close()

    def utterances(self, rng: np.random.Generator) -> Iterator[Utterance]:
        """Random utterances without end: 40 % espeak-ng (45 % of it English), 30 % flite, 30 % festival."""
        while True:
            spoken = self._spoken(rng)
            if spoken is not None and len(spoken[0]) >= spoken[1]:
                yield spoken

    def _spoken(self, rng: np.random.Generator) -> Utterance | None:
        engine = rng.random()
        if engine < _ESPEAK_SHARE:
            voices = sorted(set(SENTENCES) - set(_FESTIVAL_ONLY))
            language = "en-us" if rng.random() < 0.45 else voices[rng.integers(len(voices))]
            text = random_text(language, rng)
            accent = str(rng.choice(ENGLISH, p=_ENGLISH_SHARES)) if language == "en-us" else language
            return self._espeak.say(text, accent, rng)
        if engine < _ESPEAK_SHARE + _FLITE_SHARE:
            return flite.say(random_text("en-us", rng).replace("-", " "), rng)
        voice = list(FESTIVAL_VOICES)[rng.integers(len(FESTIVAL_VOICES))]
        return self._festival.say(random_text(FESTIVAL_VOICES[voice], rng).replace("-", " "), voice, rng)


def random_text(language: str, rng: np.random.Generator) -> str:
    """A sentence (25 %) or 3-14 shuffled words, some of them spliced from two."""
    if rng.random() < 0.25:
        return str(rng.choice(lines(language)))
    chosen = [str(w) for w in rng.choice(words(language), int(rng.integers(3, 15)))]
    if language in SPELLED:
        chosen = [_spliced(w, chosen, rng) for w in chosen]
    if len(chosen) > 6 and rng.random() < 0.5:
        chosen[len(chosen) // 2] += ","
    return " ".join(chosen) + str(rng.choice([".", ".", "?", "!"]))


def _spliced(word: str, others: list[str], rng: np.random.Generator) -> str:
    """The head of one word with the tail of another (40 %): sequences of sounds that our few sentences lack."""
    other = others[int(rng.integers(len(others)))]
    if rng.random() >= 0.4 or len(word) < 4 or len(other) < 4:
        return word
    return word[: int(rng.integers(2, len(word)))] + other[int(rng.integers(1, len(other) - 1)) :]
