import math

import pytest

from talkhead.audio.phonemes import Phone, PhoneTiming, Row, is_pause, phone_timing
from talkhead.errors import InputError, UsageError


def timing_of(*names, phoneme_set="auto"):
    return phone_timing(
        [Row(0.1 * i, 0.1 * (i + 1), name, i + 1) for i, name in enumerate(names)], "x.lab", phoneme_set
    )


@pytest.mark.parametrize("name", ["", "sil", "SIL", "sp", "pau", "<eps>", "h#"])
def test_silence_has_many_names(name):
    assert is_pause(name)


@pytest.mark.parametrize(
    ("names", "alphabet"),
    [
        (["sil", "HH", "AH0", "L", "OW1"], "arpabet"),
        (["pau", "hh", "ax", "l", "ow"], "arpabet"),
        (["sil", "h", "ə", "l", "oʊ"], "ipa"),
        (["k", "a", "s", "a"], "ipa"),
        (["K", "AE1", "T", "QQ"], "arpabet"),
        ([""], "ipa"),
    ],
)
def test_alphabet_is_told_by_the_names(names, alphabet):
    assert timing_of(*names).alphabet == alphabet
    assert timing_of(*names, phoneme_set="ipa").alphabet == "ipa"


def test_unknown_stretches_are_left_out_and_positions_in_words_dropped():
    timing = timing_of("sil", "K_B", "AE1_I", "spn", "T_E")
    assert [phone.name for phone in timing.phones] == ["sil", "K", "AE1", "T"]
    assert timing.phones[-1] == Phone("T", pytest.approx(0.4), pytest.approx(0.5))


def test_small_overlaps_are_rounding_and_empty_phones_vanish():
    rows = [Row(0, 0.11, "a", 1), Row(0.1, 0.2, "b", 2), Row(0.2, 0.2, "c", 3)]
    assert phone_timing(rows, "x").phones == (Phone("a", 0, 0.11), Phone("b", 0.11, 0.2))


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (Row(0.5, 0.4, "b", 7), ["line 7", "'b'", "0.4", "0.5"]),
        (Row(0.1, 0.4, "b", 7), ["line 7", "0.1", "'a'", "0.2"]),
        (Row(-0.1, 0.4, "b", 7), ["line 7", "-0.1"]),
        (Row(0.2, math.nan, "b", 7), ["line 7", "nan"]),
        (Row(0.2, math.inf, "b", 0), ["x.lab: 'b'", "inf"]),
    ],
)
def test_impossible_times_are_named(row, words):
    with pytest.raises(InputError) as caught:
        phone_timing([Row(0.0, 0.2, "a", 1), row], "x.lab")
    for word in ["x.lab", *words]:
        assert word in caught.value.message


def test_no_phones_and_no_such_set():
    with pytest.raises(InputError, match="holds no phones"):
        phone_timing([], "x.lab")
    with pytest.raises(UsageError, match="sampa"):
        timing_of("a", phoneme_set="sampa")


def test_timing_of_another_sound_is_refused():
    timing = PhoneTiming(phones=tuple(Phone("a", i, i + 1) for i in range(10)), alphabet="ipa", source="other.TextGrid")
    timing.check_fits(8.0)
    with pytest.raises(InputError, match=r"other.TextGrid: 7 of 10 phones .* lasts 3.00 s"):
        timing.check_fits(3.0)
