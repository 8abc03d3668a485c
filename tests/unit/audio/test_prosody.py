import numpy as np
import pytest

from talkhead.audio.prosody import analyse, find_speech, phrase_ends, runs, speech_activity, syllable_nuclei
from talkhead.errors import InputError
from talkhead.media.audio import Waveform

RNG = np.random.default_rng(0)
RATE = 16000


def voiced(seconds, formants, pitch=120.0, amplitude=0.2):
    """A vowel-like sound: harmonics under formant peaks, swelling and fading."""
    t = np.arange(int(seconds * RATE)) / RATE
    harmonics = np.arange(1, int(5000 / pitch)) * pitch
    gains = sum(1 / (1 + ((harmonics - f) / 90) ** 2) for f in formants)
    sound = (gains[:, None] * np.sin(2 * np.pi * harmonics[:, None] * t)).sum(0) * np.hanning(len(t)) ** 0.5
    return amplitude * sound / np.abs(sound).max()


def phrase(n_syllables=6):
    """Syllables of 0.15 s with closures of 0.06 s between them, a second of faint noise around."""
    gap, hush = np.zeros(int(0.06 * RATE)), np.random.default_rng(1).normal(0, 1e-4, RATE)
    parts = [hush]
    for k in range(n_syllables):
        parts += [voiced(0.15, (800, 1300) if k % 2 else (300, 2200)), gap]
    return np.concatenate([*parts, hush]).astype(np.float32)


def test_speech_is_told_from_its_pauses():
    prosody = analyse(Waveform(phrase(), RATE))
    assert prosody.n_samples == len(phrase())
    (start, end), *more = runs(prosody.is_speech)
    assert not more, "closures inside words are not pauses"
    assert start == pytest.approx(100, abs=4)
    assert end == pytest.approx(100 + 6 * 21 - 6, abs=5)
    assert phrase_ends(prosody) == pytest.approx([end / 100])


def test_syllables_are_counted_where_they_are():
    nuclei, stress = syllable_nuclei(analyse(Waveform(phrase(), RATE)))
    assert len(nuclei) == len(stress) == 6
    np.testing.assert_allclose(nuclei, 100 + 21 * np.arange(6) + 7.5, atol=5)


def test_regions_follow_the_formants():
    open_front = analyse(Waveform(voiced(0.5, (800, 1300)).astype(np.float32), RATE))
    close_front = analyse(Waveform(voiced(0.5, (300, 2200)).astype(np.float32), RATE))
    assert open_front.jaw_hz[25] > close_front.jaw_hz[25] + 100
    assert close_front.front_hz[25] > open_front.front_hz[25] + 200


@pytest.mark.parametrize(
    "sound",
    [
        np.zeros(RATE),
        np.zeros(1),
        RNG.normal(0, 0.1, RATE),
        RNG.normal(0, 0.001, RATE),
        0.3 * np.sin(2 * np.pi * 100 * np.arange(RATE) / RATE),
        np.eye(1, RATE, 3000)[0],
        np.ones(RATE),
    ],
    ids=["silence", "one sample", "hiss", "faint hiss", "hum", "click", "constant"],
)
def test_what_is_not_speech_gives_none(sound, caplog):
    active = speech_activity(Waveform(sound.astype(np.float32), RATE))
    assert not active.any()
    assert "no speech" in caplog.text


def test_levels_are_relative_to_the_recording():
    loud, soft = (analyse(Waveform(gain * phrase(), RATE)) for gain in (1.0, 0.1))
    assert (loud.is_speech != soft.is_speech).sum() <= 4
    assert soft.speech_db == pytest.approx(loud.speech_db - 20.0, abs=0.5)
    assert np.abs(loud.loudness() - soft.loudness()).mean() < 0.01


def test_result_does_not_depend_on_the_block_size():
    class Small(Waveform):
        def blocks(self, seconds=20.0):
            return super().blocks(0.013)

    a, b = analyse(Waveform(phrase(), RATE)), analyse(Small(phrase(), RATE))
    np.testing.assert_allclose(a.bands_db, b.bands_db, atol=1e-4)
    np.testing.assert_array_equal(a.is_speech, b.is_speech)


def test_no_samples_are_an_error():
    class Empty:
        sample_rate = RATE

        def blocks(self, seconds=20.0):
            return iter(())

    with pytest.raises(InputError, match="no samples"):
        analyse(Empty())


def test_a_single_word_in_a_long_silence_is_found():
    level = np.full(60_000, -80.0, np.float32)
    level[30_000:30_060] = -20.0
    is_speech, speech_db, _ = find_speech(level)
    assert runs(is_speech).tolist() == [[30_000, 30_060]]
    assert speech_db == pytest.approx(-20.0, abs=1.0)
