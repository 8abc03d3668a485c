import numpy as np
import pytest

from talkhead.coeffs.container import Coeffs
from talkhead.errors import InputError, UsageError
from talkhead.media.audio import Waveform, read_waveform
from talkhead.systems.meshwarp.gaze import counter_gaze
from talkhead.systems.meshwarp.pose import STYLES, pose


@pytest.fixture(scope="module")
def long_speech():
    """Ten minutes of noisy syllables in phrases of 1-5 s, pauses of 0.2-1.5 s."""
    rng, parts, n = np.random.default_rng(0), [], 0
    while n < 600 * 16000:
        t = np.arange(int(16000 * rng.uniform(1, 5))) / 16000
        loud = 0.06 * (1.1 + np.sin(2 * np.pi * 4.3 * t)) * (1.2 + np.sin(2 * np.pi * rng.uniform(0.2, 0.6) * t))
        parts += [loud * rng.normal(size=len(t)), np.zeros(int(16000 * rng.uniform(0.2, 1.5)))]
        n += len(parts[-1]) + len(parts[-2])
    return Waveform(np.concatenate(parts)[: 600 * 16000].astype(np.float32))


@pytest.fixture(scope="module")
def speech(example_speech):
    return read_waveform(example_speech)


def degrees(coeffs):
    return np.rad2deg(coeffs.rot.astype(float))


def reference(seconds=8.0, sd=(6.0, 1.0, 0.5), fps=30.0, seed=5):
    t = np.arange(int(seconds * fps)) / fps
    rng = np.random.default_rng(seed)
    waves = sum(np.sin(2 * np.pi * f * t[:, None] + rng.uniform(0, 6, 3)) for f in (0.3, 0.5, 0.8))
    rot = np.deg2rad(waves / waves.std(0) * sd + (5.0, -3.0, 1.0)).astype(np.float32)
    return Coeffs(space="pose", fps=fps, n_frames=len(t), rot=rot)


def test_starts_at_the_photos_own_pose_and_is_relative(speech):
    coeffs = pose(speech, seed=1)
    assert coeffs.relative == {"rot", "trans", "gaze"}
    assert coeffs.rot.shape == coeffs.trans.shape == (round(25 * speech.duration_s), 3)
    assert not coeffs.rot[0].any()
    assert not coeffs.trans[0].any()
    assert np.abs(np.diff(degrees(coeffs), axis=0)).max() < 2.5, "a head does not jump"


def test_it_leaves_from_rest(speech):
    """No jump in place or speed: 0.04 s after the start no seed moves as fast as people do on average."""
    first = np.array([np.abs(degrees(pose(speech, seed=k))[1]) for k in range(20)]) * 25
    usual = np.abs(np.diff(degrees(pose(speech, seed=0)), axis=0)).mean(0) * 25
    assert (np.median(first, 0) < 0.5 * usual).all()
    sway = np.abs(pose(speech, seed=1).trans[1])
    assert sway.max() < 0.003


def test_ten_minutes_have_the_statistics_of_people_and_do_not_drift(long_speech):
    turned = degrees(pose(long_speech, seed=2))
    assert turned.std(0) == pytest.approx([2.6, 3.0, 2.3], rel=0.2)
    assert np.abs(turned).max() < 18.0
    minutes = turned[:15000].reshape(10, 1500, 3)
    assert np.abs(minutes.mean(1)).max() < 2.0
    assert minutes[-1].std(0) == pytest.approx(minutes[0].std(0), rel=0.5)
    speed = np.abs(np.diff(turned, axis=0)).mean(0) * 25
    assert ((speed > 4) & (speed < 16)).all()
    centred = turned - turned.mean(0)
    assert np.abs((centred[100:] * centred[:-100]).mean(0) / centred.var(0)).max() < 0.35, "no memory after 4 s"


def test_idle_heads_move_less_than_talking_ones(long_speech):
    idle = degrees(pose(None, duration_s=300.0, seed=2))
    assert 0.3 < idle.std() / degrees(pose(long_speech, seed=2)).std() < 0.8


def test_long_pauses_bring_the_head_to_rest():
    t = np.arange(4 * 16000) / 16000
    talk = 0.1 * np.random.default_rng(0).normal(size=len(t)) * (1.2 + np.sin(2 * np.pi * 4 * t))
    sound = Waveform(np.concatenate([talk, np.zeros(6 * 16000), talk]).astype(np.float32))
    speed = np.mean([np.linalg.norm(np.diff(degrees(pose(sound, seed=k)), axis=0), axis=1) for k in range(12)], 0)
    assert speed[150:225].mean() < 0.6 * speed[25:100].mean()


def test_voice_lifts_and_enlivens_the_head():
    rng = np.random.default_rng(0)
    bursts = np.tile(np.concatenate([np.ones(32000), np.zeros(32000)]), 30)
    carrier = rng.normal(size=len(bursts)) * (1.2 + np.sin(np.arange(len(bursts)) * 2 * np.pi * 4 / 16000))
    turned = degrees(pose(Waveform((0.1 * bursts * carrier).astype(np.float32)), seed=3))
    loud = (np.arange(len(turned)) // 50) % 2 == 0
    assert turned[loud, 0].mean() < turned[~loud, 0].mean() - 0.3, "louder is head up (negative pitch)"
    speed = np.abs(np.diff(turned[:, 1]))
    assert speed[loud[1:]].mean() > 1.1 * speed[~loud[1:]].mean()


def test_styles_are_ordered_and_still_is_still(speech):
    extent = [float(degrees(pose(speech, seed=1, style=s)).std()) for s in ("still", "calm", "natural", "lively")]
    assert extent[0] == 0.0
    assert extent == sorted(extent)
    assert not pose(speech, style="still").trans.any()
    assert set(STYLES) == {"still", "calm", "natural", "lively", "presenter"}


def test_a_presenter_nods_to_the_voice_and_hardly_turns(long_speech):
    presenter, natural = (degrees(pose(long_speech, seed=1, style=s)) for s in ("presenter", "natural"))
    assert presenter[:, 1].std() < 0.6 * natural[:, 1].std()
    assert presenter[:, 0].std() > 0.7 * natural[:, 0].std()


def test_a_number_is_a_person(long_speech):
    sd = {k: degrees(pose(long_speech, seed=0, style=k)).std(0) for k in range(6)}
    again = degrees(pose(long_speech, seed=9, style="3")).std(0)
    assert np.abs(np.log(again / sd[3])).max() < 0.35, "the same manner for every seed"
    spread = np.ptp([np.log(s) for s in sd.values()], axis=0)
    assert (spread > 0.4).all(), "and another for every number"
    np.testing.assert_array_equal(pose(long_speech, style=3).rot, pose(long_speech, style="3").rot)


def test_motion_scales_the_angles(speech):
    half, full = (degrees(pose(speech, seed=1, motion=m)) for m in (0.5, 1.0))
    assert half.std() == pytest.approx(0.5 * full.std(), rel=0.15)
    assert not pose(speech, motion=0.0).rot.any()


def test_turning_and_leaning_move_the_head_with_it(long_speech):
    coeffs = pose(long_speech, seed=1)
    assert np.corrcoef(coeffs.rot[:, 0], coeffs.trans[:, 1])[0, 1] < -0.5, "nodding carries the face down"
    assert np.corrcoef(coeffs.rot[:, 2], coeffs.trans[:, 0])[0, 1] < -0.3, "a head tilted left leans left"
    sd = coeffs.trans.std(0) / 0.9
    assert ((sd[:2] > 0.05) & (sd[:2] < 0.13)).all()
    assert not coeffs.trans[:, 2].any()


def test_eyes_turn_against_the_head(speech):
    turned, straight = pose(speech, seed=1, style="lively"), pose(speech, seed=1, style="still")
    np.testing.assert_allclose(turned.gaze - straight.gaze, counter_gaze(turned.rot.astype(float)), atol=1e-6)
    assert pose(speech, fixate=False).gaze is None


def test_seed_decides(speech):
    np.testing.assert_array_equal(pose(speech, seed=4).rot, pose(speech, seed=4).rot)
    assert (pose(speech, seed=4).rot != pose(speech, seed=5).rot).any()


@pytest.mark.parametrize("fps", [24.0, 29.97, 60.0])
def test_other_frame_rates_show_the_same_motion(speech, fps):
    base, other = pose(speech, seed=1), pose(speech, seed=1, fps=fps)
    assert abs(len(other) / fps - speech.duration_s) <= 0.5 / fps
    moments = np.arange(len(other)) / fps
    for axis in range(3):
        again = np.interp(moments, np.arange(len(base)) / 25, base.rot[:, axis])
        inside = moments < len(base) / 25 - 0.04
        np.testing.assert_allclose(other.rot[inside, axis], again[inside], atol=np.deg2rad(0.35))


def test_a_reference_lends_its_manner(speech):
    many = [degrees(pose(speech, seed=k, reference=reference())).std(0) for k in range(12)]
    sd = np.mean(many, 0)
    assert sd[0] > 2.5 * sd[1] > 0
    assert sd[1] > sd[2]
    assert not pose(speech, reference=reference()).rot[0].any()


def test_a_reference_that_hardly_moves_or_drifts_stays_finite():
    still = reference(sd=(0.0, 0.0, 0.0))
    drift = Coeffs(
        space="pose", fps=25.0, n_frames=100, rot=(np.linspace(0, 1, 100)[:, None] * np.ones(3)).astype(np.float32)
    )
    for given in (still, drift):
        turned = degrees(pose(None, duration_s=60.0, reference=given))
        assert np.isfinite(turned).all()
        assert np.abs(turned).max() < 18.5


def test_unsuitable_references_are_refused(speech):
    with pytest.raises(InputError, match=r"2\.0 s"):
        pose(speech, reference=reference(seconds=2.0))
    lids = Coeffs(space="pose", fps=25.0, n_frames=100, eyelid=np.zeros((100, 2), np.float32))
    with pytest.raises(InputError, match="no head rotations"):
        pose(speech, reference=lids)


def test_options_out_of_range_are_refused(speech):
    with pytest.raises(UsageError, match="dancing"):
        pose(speech, style="dancing")
    for number in (46, -1, "3.5"):
        with pytest.raises(UsageError, match="unknown style"):
            pose(speech, style=number)
    with pytest.raises(UsageError, match="motion"):
        pose(speech, motion=-1.0)
    with pytest.raises(UsageError, match="duration"):
        pose(None)
    with pytest.raises(UsageError, match="fps"):
        pose(speech, fps=0.0)


@pytest.mark.parametrize("n_samples", [1, 1600, 16000])
def test_short_and_silent_sounds_give_motion_of_their_length(n_samples):
    coeffs = pose(Waveform(np.zeros(n_samples, np.float32)))
    assert len(coeffs) == max(1, round(n_samples / 640))
    assert np.isfinite(coeffs.trans).all()
