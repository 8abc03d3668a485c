import dataclasses

import numpy as np
import pytest

from talkhead.audio.phonemes import Phone, PhoneTiming
from talkhead.errors import InputError, UsageError
from talkhead.face.topology import CHIN, INNER_LIP_PAIRS
from talkhead.face3d.morphable import load_builtin
from talkhead.media.audio import Waveform, read_waveform
from talkhead.systems.meshwarp.articulation import MouthTracks, mouth_tracks, speech_gate
from talkhead.systems.meshwarp.audio2coeff import audio2coeff, mouth_to_exp
from talkhead.systems.meshwarp.config import UNITS_PER_EYE_DISTANCE

RATE = 16000
NAMES = tuple(f.name for f in dataclasses.fields(MouthTracks))


@pytest.fixture(scope="module")
def speech(example_speech):
    return read_waveform(example_speech)


def still_mouth(**moving):
    n = max(len(v) for v in moving.values())
    return MouthTracks(**{name: np.asarray(moving.get(name, np.zeros(n)), float) for name in NAMES})


def measured(exp):
    """Inner-lip distance, mouth width, chin drop of the built-in face, eye distances, change from rest."""
    model = load_builtin()
    faces = model.shape(exp=exp) - model.shape()
    gap = np.mean([faces[..., a, 1] - faces[..., b, 1] for a, b in INNER_LIP_PAIRS], 0)
    return [x / UNITS_PER_EYE_DISTANCE for x in (gap, faces[..., 291, 0] - faces[..., 61, 0], -faces[..., CHIN, 1])]


def test_tracks_last_as_long_as_the_sound_and_stay_in_range(speech):
    coeffs = audio2coeff(speech)
    assert len(coeffs) == round(25 * speech.duration_s)
    assert coeffs.relative == {"exp", "gaze"}
    assert coeffs.exp.shape == (len(coeffs), 28)
    assert coeffs.space == load_builtin().space.name
    assert np.abs(coeffs.exp / load_builtin().space.exp_std).max() < 12
    assert -0.1 <= coeffs.eyelid.min() <= coeffs.eyelid.max() <= 1, "lids rise a little with the gaze"


def test_lips_open_as_wide_as_lips_do_and_meet_in_between(speech):
    mouth = mouth_tracks(speech)
    gap, _, chin = measured(audio2coeff(speech, brows=False).exp)
    assert 0.09 < np.percentile(gap, 95) < 0.19
    assert (gap < 0.02).sum() > 5
    assert gap.min() > -0.005
    assert 0.05 < np.percentile(chin, 95) < 0.15
    free = mouth.tuck < 0.1
    assert free.mean() > 0.7
    np.testing.assert_allclose(gap[free], 0.14 * mouth.open[free], atol=0.004)


def test_other_controls_do_not_part_the_lips():
    for name in ("wide", "pucker", "funnel", "upper", "lower", "jaw", "close", "tongue"):
        gap, _, _ = measured(mouth_to_exp(still_mouth(**{name: [0.0, 0.5, 1.0]}), load_builtin()))
        np.testing.assert_allclose(gap, 0.0, atol=1e-5, err_msg=name)


def test_tracks_mean_what_they_say():
    for name, sign in (("wide", 1), ("pucker", -1), ("funnel", -1)):
        _, width, _ = measured(mouth_to_exp(still_mouth(**{name: [0.0, 1.0]}), load_builtin()))
        assert 0.05 < sign * (width[1] - width[0]) < 0.2, name
    gap, _, chin = measured(mouth_to_exp(still_mouth(open=[0.0, 1.0], jaw=[0.0, 1.0]), load_builtin()))
    assert gap.tolist() == pytest.approx([0.0, 0.14], abs=1e-5)
    assert chin[1] == pytest.approx(0.095, abs=1e-5)


def test_f_shows_the_teeth_on_a_thin_lower_lip():
    model = load_builtin()
    exp = mouth_to_exp(still_mouth(tuck=[0.0, 1.0]), model)
    gap, _, _ = measured(exp)
    assert 0.03 < gap[1] < 0.05
    faces = model.shape(exp=exp)
    thickness = faces[:, 14, 1] - faces[:, 17, 1]
    assert thickness[1] < 0.85 * thickness[0]


def test_pressed_lips_are_thinner():
    faces = load_builtin().shape(exp=mouth_to_exp(still_mouth(close=[0.0, 1.0]), load_builtin()))
    for outer, inner in ((0, 13), (14, 17)):
        thickness = faces[:, outer, 1] - faces[:, inner, 1]
        assert 0.6 < thickness[1] / thickness[0] < 0.8


def test_the_tongue_goes_along(speech):
    coeffs, mouth = audio2coeff(speech), mouth_tracks(speech)
    np.testing.assert_allclose(coeffs.tongue, mouth.tongue, atol=1e-6)
    assert 0 <= coeffs.tongue.min() < coeffs.tongue.max() <= 1


def test_exp_scale_scales_the_opening(speech):
    gaps = [np.percentile(measured(audio2coeff(speech, brows=False, exp_scale=a).exp)[0], 90) for a in (0.0, 0.5, 1)]
    assert gaps[0] == pytest.approx(0.0, abs=0.002)
    assert gaps[1] == pytest.approx(gaps[2] / 2, rel=0.02)


def test_articulation_moves_the_mouth_more_and_faster(speech):
    gaps = [measured(audio2coeff(speech, brows=False, articulation=a).exp)[0] for a in (0.0, 0.5, 1, 2)]
    assert (np.diff([np.percentile(gap, 90) for gap in gaps]) > 0.02).all()
    assert (np.diff([np.abs(np.diff(gap)).mean() for gap in gaps]) > 0.003).all()
    shut = gaps[2] < 0.004
    assert shut.sum() > 5
    assert max(gap[shut].max() for gap in gaps) < 0.01


def test_known_phonemes_shape_the_lips_where_they_say(speech):
    names = ["S", "AA", "B", "AA", "D", "IY", "M", "UW", "SIL", "S"] * 7
    phones = tuple(Phone(name, 0.1 * i, 0.1 * (i + 1)) for i, name in enumerate(names[:69]))
    timing = PhoneTiming(phones=phones, alphabet="arpabet", source="made up")
    gap, width, _ = measured(audio2coeff(speech, brows=False, phonemes=timing, fps=50.0).exp)

    def frames(name):
        middles = (round(50 * (p.start_s + 0.05 - 0.04)) for p in phones if p.name == name)
        return [frame for frame in middles if 20 < frame < 330]

    for name in ("B", "M"):
        assert np.median([gap[frame - 4 : frame + 4].min() for frame in frames(name)]) < 0.005
    assert width[frames("IY")].mean() > width[frames("UW")].mean() + 0.03
    with pytest.raises(InputError, match="made up: .* after the sound's end"):
        audio2coeff(Waveform(speech.samples[:RATE]), phonemes=timing)


def test_silence_keeps_the_mouth_closed(caplog):
    hush = Waveform(np.random.default_rng(0).normal(0, 1e-4, 3 * RATE).astype(np.float32))
    coeffs = audio2coeff(hush, blinks=False, gaze=False)
    assert not coeffs.exp.any()
    assert not coeffs.eyelid.any()
    assert coeffs.gaze is None
    assert "no speech" in caplog.text


def test_mouth_rests_in_the_pauses_around_speech(speech):
    quiet = np.zeros(2 * RATE, np.float32)
    padded = Waveform(np.concatenate([quiet, speech.samples, quiet]))
    mouth = mouth_tracks(padded).stacked()
    assert not mouth[:44].any()
    assert not mouth[-38:].any()
    assert mouth[50:-50].max() > 0.8


def test_gate_opens_80_ms_early_and_closes_softly(speech):
    from talkhead.audio.prosody import analyse

    prosody = dataclasses.replace(analyse(speech), is_speech=np.arange(300) // 100 == 1)
    gate = speech_gate(prosody)
    assert np.flatnonzero(gate)[[0, -1]].tolist() == [92, 217]
    np.testing.assert_array_equal(gate[100:200], 1.0)
    assert (np.diff(gate[90:101]) >= 0).all()
    assert np.abs(np.diff(gate)).max() < 0.2


@pytest.mark.parametrize("rate", [8000, 44100])
@pytest.mark.parametrize("fps", [23.976, 60.0])
def test_any_rate_goes(rate, fps):
    sound = np.random.default_rng(0).normal(0, 0.1, rate).astype(np.float32) * np.hanning(rate).astype(np.float32)
    coeffs = audio2coeff(Waveform(sound, rate), fps=fps)
    assert len(coeffs) == round(fps)
    assert coeffs.fps == fps


@pytest.mark.parametrize(
    "samples",
    [np.zeros(1), np.ones(160), np.random.default_rng(0).normal(0, 0.3, 1600), np.eye(1, 8000, 4000)[0]],
    ids=["one sample", "10 ms", "0.1 s of noise", "click"],
)
def test_odd_sounds_do_not_break_it(samples):
    coeffs = audio2coeff(Waveform(samples.astype(np.float32)))
    assert len(coeffs) == max(1, round(len(samples) / 640))
    assert np.isfinite(coeffs.exp).all()


def test_a_tenth_of_a_second_of_speech_works(speech):
    loud = int(np.abs(speech.samples).argmax())
    assert len(audio2coeff(Waveform(speech.samples[loud - 800 : loud + 800]))) == 2


def test_result_does_not_depend_on_the_block_size(speech):
    class Small(Waveform):
        def blocks(self, seconds=20.0):
            return super().blocks(0.037)

    whole, split = audio2coeff(speech), audio2coeff(Small(speech.samples))
    np.testing.assert_allclose(split.exp, whole.exp, atol=1e-4)
    np.testing.assert_array_equal(split.eyelid, whole.eyelid)


def test_loudness_of_the_recording_does_not_matter(speech):
    loud, soft = (mouth_tracks(Waveform(g * speech.samples)).open for g in (1.0, 0.2))
    assert np.abs(loud - soft).mean() < 0.03


def test_seed_moves_eyes_and_brows_only(speech):
    one, same, other = audio2coeff(speech, seed=1), audio2coeff(speech, seed=1), audio2coeff(speech, seed=2)
    np.testing.assert_array_equal(one.exp, same.exp)
    np.testing.assert_array_equal(one.eyelid, same.eyelid)
    assert (one.eyelid != other.eyelid).any()
    a, b = (audio2coeff(speech, seed=k, brows=False).exp for k in (1, 2))
    np.testing.assert_array_equal(a, b)


def test_bad_options_and_inputs_are_named(speech):
    class Empty:
        sample_rate = RATE

        def blocks(self, seconds=20.0):
            return iter(())

    with pytest.raises(InputError, match="no samples"):
        audio2coeff(Empty())
    with pytest.raises(UsageError, match="articulation"):
        audio2coeff(speech, articulation=3.0)
    with pytest.raises(UsageError, match="exp_scale"):
        audio2coeff(speech, exp_scale=-1.0)
    with pytest.raises(UsageError, match="fps"):
        audio2coeff(speech, fps=-1.0)
