"""Which syllables of a voice get a gesture: the strongest of their surroundings, the first of a phrase before others.

Head beats and brow raises both fall on accented syllables (Hadar et al. 1983; Graf et al. 2002), brows most readily
where something new begins (Flecha-Garcia 2010).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from talkhead.audio.prosody import STEPS_PER_SECOND, Prosody, syllable_nuclei

_AROUND_S = 6.0  # to either side: a quiet passage has accents too
_FEWEST = 4  # neighbours from which a usual strength can be told
_OPENING_S, _OPENING_BONUS = 1.0, 0.5  # the first second of a phrase
_PAUSE_S = 0.3

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Accent:
    """A stressed syllable: the vowel's centre in seconds, and how strong it is, 0.4 weak to 1.4 strong."""

    when_s: float
    size: float


def accents(
    prosody: Prosody, rng: np.random.Generator, *, share: float, apart_s: float, skipped: float
) -> list[Accent]:
    """The syllables that get a gesture, in order.

    Args:
        prosody: of the voice. rng: decides which are passed over.
        share: of all syllables that may get one, the strongest first. apart_s: least time between two.
        skipped: share of those passed over.
    """
    nuclei, stress = syllable_nuclei(prosody)
    if len(nuclei) < 2:
        return []
    strength = _standing_out(nuclei / STEPS_PER_SECOND, stress) + _OPENING_BONUS * _opens_a_phrase(prosody, nuclei)
    taken = np.zeros(len(prosody.is_speech), bool)
    reach, chosen = round(apart_s * STEPS_PER_SECOND), []
    for i in np.argsort(-strength, kind="stable")[: max(1, round(share * len(nuclei)))]:
        around = slice(max(0, nuclei[i] - reach + 1), nuclei[i] + reach)
        if rng.random() < skipped or taken[around].any():
            continue
        taken[nuclei[i]] = True
        chosen.append(
            Accent(when_s=nuclei[i] / STEPS_PER_SECOND, size=float(np.clip(0.5 + 0.5 * strength[i], 0.4, 1.4)))
        )
    return sorted(chosen, key=lambda accent: accent.when_s)


def _standing_out(when_s: F64, stress: F64) -> F64:
    """Stress against the median of the syllables around, in their standard deviations, (k,)."""
    first, last = (np.searchsorted(when_s, when_s + shift) for shift in (-_AROUND_S, _AROUND_S))
    out = np.zeros(len(stress))
    for i, (a, b) in enumerate(zip(first, last, strict=True)):
        near = stress[a:b] if b - a >= _FEWEST else stress
        out[i] = (stress[i] - np.median(near)) / (near.std() + 0.5)
    return out


def _opens_a_phrase(prosody: Prosody, nuclei: npt.NDArray[np.intp]) -> npt.NDArray[np.bool_]:
    """Which syllables lie in the first second after a pause, (k,)."""
    spoken = np.concatenate([[0], np.cumsum(prosody.is_speech)])
    pause, opening = round(_PAUSE_S * STEPS_PER_SECOND), round(_OPENING_S * STEPS_PER_SECOND)
    quiet = spoken[pause:] == spoken[:-pause] if len(spoken) > pause else np.zeros(0, bool)
    ends = np.flatnonzero(quiet) + pause
    before = np.searchsorted(ends, nuclei, "right") - 1
    last = np.where(before >= 0, ends[np.maximum(before, 0)], 0) if len(ends) else np.zeros(len(nuclei), int)
    return np.asarray(nuclei - last <= opening)
