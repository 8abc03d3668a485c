import numpy as np

from talkhead.audio.prosody import analyse
from talkhead.media.audio import Waveform
from talkhead.systems.meshwarp.gaze import counter_gaze, gaze_track, glances, glances_of_seed, lids_with_gaze


def rng(seed=0):
    return np.random.default_rng(seed)


def phrases(n=40):
    """2 s of noisy syllables and 1 s of silence, again and again."""
    carrier = rng(1).normal(size=32000) * (1.2 + np.sin(np.arange(32000) * 2 * np.pi * 4 / 16000))
    return analyse(Waveform(np.tile(np.concatenate([0.1 * carrier, np.zeros(16000)]), n).astype(np.float32)))


def test_eyes_rest_about_the_camera_most_of_the_time_and_start_there():
    gaze = gaze_track(15000, 25.0, rng(), glances(600.0, rng(2)))
    assert gaze.shape == (15000, 2)
    assert gaze.dtype == np.float32
    assert not gaze[0].any()
    assert np.abs(gaze).max() <= 0.1
    assert np.all(np.diff(gaze, axis=0) == 0, axis=1).mean() > 0.9, "eyes jump, then rest"
    assert (np.linalg.norm(gaze, axis=1) < 0.04).mean() > 0.75


def test_a_jump_is_over_within_two_frames():
    moves = np.any(np.diff(gaze_track(3000, 25.0, rng()), axis=0) != 0, axis=1)
    longest = max(len(run) for run in "".join("x" if m else " " for m in moves).split())
    assert longest <= 2


def test_glances_away_begin_in_pauses():
    prosody = phrases()
    starts = np.array([g.start_s for k in range(4) for g in glances(120.0, rng(k), prosody)])
    in_pause = (starts % 3.0 > 1.9).mean()
    assert in_pause > 0.6, "a third of the time is pause"
    assert 3 < len(starts) / 8 < 20, "per minute"


def test_glances_do_not_overlap_and_depend_on_the_seed_alone():
    prosody = phrases(10)
    away = glances_of_seed(30.0, 5, prosody)
    assert away == glances_of_seed(30.0, 5, prosody)
    assert away != glances_of_seed(30.0, 6, prosody)
    ends = [g.start_s + g.length_s for g in away]
    assert all(later.start_s > end for later, end in zip(away[1:], ends, strict=False))


def test_other_frame_rates_show_the_same_gaze():
    slow, fast = (gaze_track(int(20 * fps), fps, rng(3), glances(20.0, rng(4))) for fps in (25.0, 50.0))
    np.testing.assert_allclose(slow, fast[::2], atol=1e-6)


def test_eyes_turn_against_the_head_and_lids_follow_the_eyes():
    gaze = counter_gaze(np.array([[0.1, 0.2, 0.3]]))
    assert gaze[0, 0] < 0 < gaze[0, 1], "head turned to image right and down: eyes to the left and up"
    assert abs(gaze[0, 0]) < 0.2
    lids = lids_with_gaze(np.array([[0.0, -0.05], [0.0, 0.05]]))
    assert lids[0, 0] == lids[0, 1] > 0.03
    assert lids[1, 0] < 0


def test_no_time_at_all():
    assert gaze_track(1, 25.0, rng()).shape == (1, 2)
