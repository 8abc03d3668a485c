import numpy as np
import pytest

from talkhead.audio.phonemes import Phone, PhoneTiming
from talkhead.errors import InputError
from talkhead.systems.meshwarp.mouth_net import CHANNELS, TARGET_RATE
from talkhead.systems.meshwarp.visemes import (
    CLASSES,
    VISUAL_LEAD_S,
    Segment,
    arpabet_classes,
    blend,
    fuse,
    ipa_classes,
    is_plosive,
    segments,
    viseme_segments,
)

COLUMN = {name: i for i, name in enumerate(CHANNELS)}


def timed(alphabet, *names):
    phones = tuple(Phone(name, 0.1 * i, 0.1 * (i + 1)) for i, name in enumerate(names))
    return PhoneTiming(phones=phones, alphabet=alphabet, source="x.lab")


def classes(alphabet, *names):
    return [segment.name for segment in viseme_segments(timed(alphabet, *names))]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("p", ["P"]),
        ("\u02c8a\u026a", ["A", "IH"]),
        ("t\u0283", ["SH"]),
        ("d\u0361\u0292", ["SH"]),
        ("ts", ["S"]),
        ("i\u02d0", ["I"]),
        ("n\u0329", ["T"]),
        ("", ["SIL"]),
        ("(en)", ["SIL"]),
        ("\u02b2", []),
    ],
)
def test_ipa(name, expected):
    assert ipa_classes(name) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("M", ["P"]),
        ("EY1", ["E", "IH"]),
        ("AH0", ["AX"]),
        ("AH1", ["AH"]),
        ("ow", ["O", "UH"]),
        ("bcl", ["P"]),
        ("Q9", []),
    ],
)
def test_arpabet(name, expected):
    assert arpabet_classes(name) == expected


def test_every_arpabet_phone_has_a_class():
    phones = "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z ZH"
    assert all(arpabet_classes(phone) for phone in phones.split())
    assert {name for phone in phones.split() for name in arpabet_classes(phone)} < set(CLASSES)


def test_phones_become_segments():
    assert classes("arpabet", "sil", "HH", "AY1") == ["SIL", "H", "A", "IH"]
    # Diphthongs and lengthening as the Montreal aligner writes them.
    assert classes("ipa", "h", "aj", "\u02d0", "k\u02b7", "") == ["H", "A", "IH", "K", "W", "SIL"]
    assert viseme_segments(timed("ipa", "a", "\u02d0")) == [Segment("A", 0.0, 0.2)]


def test_unknown_phones_are_listed_once():
    with pytest.raises(InputError) as caught:
        viseme_segments(timed("arpabet", "AH", "XX", "7", "XX"))
    assert caught.value.message == "x.lab: not ARPAbet phones: 'XX' (0.10 s), '7' (0.20 s)"
    assert "--phoneme-set" in caught.value.hint


def test_events_become_segments():
    events = [(["SIL"], 0.0), (["A", "IH"], 0.1), ([], 0.3), (["P"], 0.4), (["T"], 0.4)]
    assert segments(events, 0.5) == [
        Segment("SIL", 0.0, 0.1),
        Segment("A", 0.1, pytest.approx(0.21)),
        Segment("IH", pytest.approx(0.21), 0.4),
        Segment("T", 0.4, 0.5),
    ]
    assert [is_plosive(name) for name in ("\u02c8p", "s", "", "\u0261")] == [True, False, False, True]


def test_lips_close_for_p_before_it_sounds_and_open_for_a():
    sounds = [Segment("A", 0.0, 0.3), Segment("P", 0.3, 0.4), Segment("A", 0.4, 0.8)]
    told, labels = blend(sounds, 80, 100.0)
    close, opening = told[:, COLUMN["close"]], told[:, COLUMN["open"]]
    assert close.max() > 0.9
    assert abs(close.argmax() / 100 - (0.335 - VISUAL_LEAD_S)) < 0.03
    assert opening[close.argmax()] < 0.05
    assert opening[10] == pytest.approx(0.8, abs=0.05)
    assert [CLASSES[k] for k in labels[[10, 31, 60]]] == ["A", "P", "A"]


def test_a_short_pause_keeps_the_posture():
    def opening(pause):
        sounds = [Segment("A", 0.0, 0.3), Segment("SIL", 0.3, 0.3 + pause), Segment("A", 0.3 + pause, 0.8)]
        return blend(sounds, 80, 100.0)[0][:, COLUMN["open"]].min()

    assert opening(0.1) > 0.5
    assert opening(0.4) < 0.2


@pytest.fixture
def heard():
    """Two seconds of a network that hears something unlike what was said, and moves little."""
    rng = np.random.default_rng(0)
    return np.clip(0.4 + 0.1 * rng.standard_normal((80, len(CHANNELS))), 0, 1)


SAID = [
    Segment(name, 0.1 * i, 0.1 * (i + 1))
    for i, name in enumerate(["A", "P", "I", "U", "T", "A", "F", "O", "S", "E"] * 2)
]


def test_joined_channels_follow_both_in_the_scale_of_the_network(heard):
    told = blend(SAID, len(heard), TARGET_RATE)[0]
    joined = fuse(heard, SAID)
    for name in ("open", "jaw", "wide", "pucker"):
        k = COLUMN[name]
        assert joined[:, k].mean() == pytest.approx(heard[:, k].mean(), abs=0.01), name
        assert joined[:, k].std() == pytest.approx(heard[:, k].std(), rel=0.1), name
        assert 0.5 < np.corrcoef(joined[:, k], told[:, k])[0, 1] < 0.95, name
        assert 0.5 < np.corrcoef(joined[:, k], heard[:, k])[0, 1] < 0.95, name
    k = COLUMN["close"]
    np.testing.assert_allclose(joined[:-3, k], (0.2 * heard + 0.8 * told)[:-3, k], atol=1e-6)


def test_where_nobody_says_anything_the_network_stays_alone(heard):
    joined = fuse(heard, [sound for sound in SAID if sound.end <= 0.75])
    np.testing.assert_array_equal(joined[34:], heard[34:])
    assert np.abs(joined[:26] - heard[:26]).max() > 0.1
    np.testing.assert_array_equal(fuse(heard, []), heard)


def test_silence_and_single_steps_do_not_break_it(heard):
    assert np.isfinite(fuse(heard, [Segment("SIL", 0.0, 2.0)])).all()
    assert fuse(heard[:1], SAID).shape == (1, len(CHANNELS))
    assert np.isfinite(fuse(np.zeros((80, len(CHANNELS))), SAID)).all()
