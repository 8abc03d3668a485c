import numpy as np
import pytest

from talkhead.audio.prosody import analyse
from talkhead.media.audio import Waveform
from talkhead.systems.meshwarp.accents import accents


def voice(levels, seed=0):
    """Syllables of 0.25 s at these levels (0 is a pause of 0.5 s), vowel-like noise, one after the other."""
    rng, parts = np.random.default_rng(seed), []
    for level in levels:
        t = np.arange(4000 if level else 8000) / 16000
        swell = np.sin(np.pi * t / 0.25) ** 2 if level else np.zeros_like(t)
        tone = sum(np.sin(2 * np.pi * f * t) for f in (150, 450, 600, 1050, 1500))
        parts.append(level * swell * tone * 0.1 + 1e-4 * rng.normal(size=len(t)))
    return analyse(Waveform(np.concatenate(parts).astype(np.float32)))


def chosen(prosody, **options):
    defaults = {"share": 0.25, "apart_s": 0.6, "skipped": 0.0}
    return accents(prosody, np.random.default_rng(0), **(defaults | options))


def test_the_strongest_syllables_are_chosen():
    levels = [0.3, 0.3, 0.3, 1.0, 0.3, 0.3, 0.3, 1.0, 0.3, 0.3, 0.3, 1.0] * 3
    found = np.array([a.when_s for a in chosen(voice([0, *levels]))])
    middles = 0.5 + 0.25 * (np.flatnonzero(np.array(levels) == 1.0) + 0.5)
    hits = [np.abs(middles - when).min() < 0.1 for when in found]
    assert len(found) >= 6
    assert np.mean(hits) >= 0.8


def test_quiet_passages_have_accents_too():
    loud = [1.0, 0.3, 0.3, 0.3] * 16
    found = np.array([a.when_s for a in chosen(voice(loud + [0.15 * level for level in loud]))])
    assert (found > 17.0).sum() >= 4


def test_gestures_keep_their_distance_and_order():
    found = [a.when_s for a in chosen(voice([1.0, 0.8, 0.9, 0.7] * 20), share=1.0, apart_s=0.6)]
    assert min(np.diff(found)) >= 0.6
    assert all(0.4 <= a.size <= 1.4 for a in chosen(voice([1.0, 0.5] * 20)))


def test_phrases_open_with_one_more_often_than_by_chance():
    found = [a.when_s % 4.5 for a in chosen(voice(([0] + [0.5] * 16) * 12), share=0.15)]
    assert np.mean([0.5 < when < 1.6 for when in found]) > 0.4, "a quarter of the syllables"


@pytest.mark.parametrize("levels", [[0], [0, 0.5, 0], [0.5]])
def test_next_to_nothing_is_no_error(levels):
    assert len(chosen(voice(levels))) <= 1
