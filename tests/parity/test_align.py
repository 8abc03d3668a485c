"""Phone times of an aligned transcript against those of the program that spoke it."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from talkhead.audio.align import align
from talkhead.audio.phonemes import is_pause
from talkhead.errors import InputError
from talkhead.media.audio import Waveform, read_waveform

# Starts that `flite -voice slt -psdur` prints for the example speech.
STARTS = {"DH": 0.197, "F": 0.572, "OW": 0.697, "G": 0.921, "K": 1.605, "M": 1.792}
TEXT = (
    "This is a photograph. A computer program reads these words aloud, and moves the lips, the eyes and the head to "
    "match them."
)


@pytest.fixture(scope="module")
def speech(example_speech):
    pytest.importorskip("pocketsphinx", reason="needs talkhead[align]")
    return read_waveform(example_speech)


@pytest.fixture(scope="module")
def aligned(speech):
    return align(speech, TEXT)


def first(timing, name):
    return next(phone.start_s for phone in timing.phones if phone.name == name)


def test_phones_are_where_they_were_spoken(aligned, speech):
    errors = [first(aligned, name) - start for name, start in STARTS.items()]
    assert np.abs(errors).max() < 0.04
    assert abs(np.mean(errors)) < 0.015
    assert aligned.alphabet == "arpabet"
    assert 6.5 < aligned.end_s <= speech.duration_s + 0.02
    assert sum(not is_pause(phone.name) for phone in aligned.phones) == 78


def test_level_rate_and_blocks_do_not_matter(aligned, speech):
    class Small(Waveform):
        def blocks(self, seconds=20.0):
            return super().blocks(0.37)

    soft = align(Small(speech.samples * np.float32(0.05)), TEXT)
    assert [p.name for p in soft.phones] == [p.name for p in aligned.phones]
    moved = [a.start_s - b.start_s for a, b in zip(soft.phones, aligned.phones, strict=True)]
    assert np.percentile(np.abs(moved), 90) < 0.011


def test_a_long_sound_is_aligned_in_stretches(aligned, speech):
    thrice = align(Waveform(np.tile(speech.samples, 3)), " ".join([TEXT] * 3))
    spoken = [p for p in thrice.phones if not is_pause(p.name)]
    assert len(spoken) == 3 * 78
    once = [p for p in aligned.phones if not is_pause(p.name)]
    expected = [p.start_s + k * speech.duration_s for k in range(3) for p in once]
    assert np.percentile(np.abs(np.subtract([p.start_s for p in spoken], expected)), 90) < 0.03


def test_words_without_pronunciation_leave_a_gap(aligned, speech, caplog):
    timing = align(speech, TEXT.replace("photograph", "foodlegraph"))
    assert "foodlegraph" in caplog.text
    assert not any(0.7 < p.start_s < 1.3 for p in timing.phones)
    assert first(timing, "M") == pytest.approx(first(aligned, "M"), abs=0.03)


def test_words_nobody_says_are_named_and_left_out(speech, caplog):
    with caplog.at_level(logging.WARNING):
        align(speech, TEXT.replace("aloud,", "aloud, very often,"))
    assert "very" in caplog.text
    assert "often" in caplog.text
    assert "photograph" not in caplog.text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hello my name is peter and i live in a house far away from here thank you", "does not fit the sound"),
        ("hello", "does not fit the sound"),
        (TEXT * 4, "does not fit the sound"),
        ("dies ist ein Foto, das wir gemacht haben", "most words are in no English dictionary: .*gemacht"),
        ("\u4f60\u597d", "no words in Latin letters"),
        ("", "no words"),
    ],
)
def test_what_does_not_fit_is_refused(speech, text, message):
    with pytest.raises(InputError, match=f"notes.txt.* {message}|notes.txt: {message}"):
        align(speech, text, "notes.txt")


def test_silence_has_no_words(speech):
    with pytest.raises(InputError, match="no speech in the sound"):
        align(Waveform(np.zeros(16000, np.float32)), "hello")
