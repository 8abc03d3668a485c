import numpy as np
import pytest

from talkhead.errors import ShapeError
from talkhead.evaluation.beats import align_score, beat_align, beat_measurements, chance_score, motion_beats


def nods(n=200, period=40):
    """A head that pauses every 20 frames, from frame 10 on, between two frames rather than at one."""
    angles = np.zeros((n, 3))
    angles[:, 0] = 5 * np.sin(2 * np.pi * (np.arange(n) + 0.2) / period)
    return angles


def test_pauses_of_a_nod_are_its_beats_in_any_unit():
    beats = motion_beats(nods())
    np.testing.assert_allclose(beats[1:-1] % 20, 9.3, atol=0.7)
    np.testing.assert_array_equal(motion_beats(np.radians(nods())[:, None]), beats)


def test_beats_that_meet_score_1_and_far_ones_0():
    beats = motion_beats(nods())
    assert align_score(beats.astype(float), beats) == 1
    assert align_score(np.array([0.0]), np.array([1000])) == pytest.approx(0)
    assert align_score(np.array([0.0]), np.array([3])) == pytest.approx(np.exp(-0.5))


def test_chance_is_what_shifted_beats_score():
    beats = np.array([0, 10, 20, 30])
    heard = np.array([3.0])
    expected = np.mean([align_score(heard, (beats + shift) % 40) for shift in range(10)])
    assert chance_score(heard, beats, 40) == pytest.approx(expected)


def test_rows_hold_the_score_its_chance_and_the_difference():
    angles = nods()
    angles[50:60] = np.nan
    rows = beat_measurements(angles, motion_beats(nods()) / 25)
    score, chance, gain = rows
    assert [m.name for m in rows] == ["beat_align~mesh", "beat_align_chance~mesh", "beat_align_gain~mesh"]
    assert score.value > 0.8 > chance.value
    assert gain.value == pytest.approx(score.value - chance.value)
    assert (score.n_frames, score.frames_dropped) == (190, 10)
    assert beat_measurements(angles, np.array([1.0]), source="3dmm", grade="paper-like")[0].name == "beat_align"


def test_nothing_moves_nothing_heard_and_nobody_there_have_reasons():
    still = beat_measurements(np.ones((100, 3)), np.array([1.0]))
    assert {m.value for m in still} == {None}
    assert still[0].reason == "the head does not move"
    wiggle = np.random.default_rng(0).normal(0, 0.02, (100, 3))  # what a tracker sees of a frozen frame
    assert beat_measurements(wiggle, np.array([1.0]))[0].reason == "the head does not move"
    assert beat_measurements(nods(), np.zeros(0))[0].reason == "no onset in the sound"
    assert beat_measurements(nods(), np.array([99.0]))[0].reason == "no onset in the sound"
    assert beat_measurements(nods() * np.nan, np.array([1.0]))[0].reason == "no frame shows a face"
    assert not len(motion_beats(nods(3)))
    assert np.isnan(beat_align(np.zeros((0, 3)), np.zeros(0)).chance)


def test_other_shapes_are_refused():
    with pytest.raises(ShapeError, match="joints"):
        motion_beats(np.zeros((10, 2)))
