import numpy as np
import pytest

from talkhead.errors import ShapeError
from talkhead.evaluation.face_curves import FaceCurves, MouthCurves
from talkhead.evaluation.lips import (
    agreement,
    correlations,
    find_closures,
    lip_activity,
    loudness,
    score_closures,
    score_contacts,
    score_lips,
    silent_frames,
    spoken_frames,
)
from talkhead.media.audio import Waveform

N = 250
SPOKEN = np.ones(N, bool)


def wandering(seed: int, n: int = N) -> np.ndarray:
    """A curve that moves as fast as lips do."""
    rng = np.random.default_rng(seed)
    return np.convolve(rng.normal(size=n + 4), np.ones(5) / 5, "valid")


def mouth(opening: np.ndarray) -> MouthCurves:
    return MouthCurves(opening=opening, width=opening, chin=opening)


def plosives(*centres: int, n: int = N) -> np.ndarray:
    """An open mouth that shuts for three frames around each centre."""
    opening = np.full(n, 0.1)
    for centre in centres:
        opening[centre - 1 : centre + 2] = [0.01, 0.0, 0.01]
    return opening


@pytest.mark.parametrize("block_s", [0.013, 0.04, 20.0])
def test_loudness_is_the_mean_power_around_each_frame(chirp, block_s, monkeypatch):
    sound = Waveform(np.concatenate([chirp, chirp[:700]]))
    blocks = Waveform.blocks
    monkeypatch.setattr(Waveform, "blocks", lambda self, seconds: blocks(self, block_s))
    loud = loudness(sound, 30)
    power = sound.samples.astype(np.float64) ** 2
    for t in range(27):
        np.testing.assert_allclose(loud[t], np.sqrt(power[max(0, 640 * t - 320) : 640 * t + 960].mean()), atol=1e-6)
    assert (loud[27:] == 1e-6).all()


def test_speech_is_loud_and_silence_keeps_away_from_it():
    loud = np.full(60, 0.001)
    loud[20:30] = 0.2
    spoken = spoken_frames(loud)
    assert np.flatnonzero(spoken).tolist() == list(range(20, 30))
    assert np.flatnonzero(~silent_frames(spoken)).tolist() == list(range(16, 34))
    assert not spoken_frames(np.full(60, 0.001)).any()


def test_the_same_curve_in_other_units_agrees_perfectly():
    score = score_lips(mouth(3 * wandering(1) + 7), mouth(wandering(1)), np.full(N, 0.1))
    for found in (score.opening, score.width, score.chin):
        assert found.rs0 == pytest.approx(1) and found.r0 == pytest.approx(1) and found.lag == 0
        assert found.rs_chance < 0.6 and found.p_chance == 0 and found.sd_ratio == pytest.approx(3)
    assert (score.n_frames, score.n_speech) == (N, N)


@pytest.mark.parametrize("late", [3, -5])
def test_lags_are_those_of_the_real_picture(late):
    moved = np.roll(wandering(2, N + 40), late)[20 : N + 20]
    predicted = wandering(2, N + 40)[20 : N + 20]
    found = agreement(predicted, moved, SPOKEN)
    assert found.lag == found.rs_lag == late
    assert found.rs0 < 0.7 < found.rs_best
    score = score_lips(mouth(predicted), mouth(moved), np.full(N, 0.1), offset=late)
    assert score.opening.rs0 == pytest.approx(1) and score.n_frames == N - abs(late)


def test_only_speech_counts():
    true = wandering(3)
    predicted = np.where(np.arange(N) < 150, true, wandering(4))
    loud = np.where(np.arange(N) < 150, 0.1, 1e-5)
    score = score_lips(mouth(predicted), mouth(true), loud)
    assert score.opening.rs0 == pytest.approx(1) and score.opening.r0 < 0.9


def test_fast_correlations_are_the_plain_ones():
    a, b, where = wandering(5), wandering(6) + 5, wandering(7) > -0.2
    shifts = np.array([0, 25, 100, 249])
    fast = correlations(a, b, where, shifts)
    t = np.arange(N)
    for row, lag in enumerate(range(-12, 13)):
        kept = t[(t + lag >= 0) & (t + lag < N) & where]
        for column, shift in enumerate(shifts):
            assert fast[row, column] == pytest.approx(np.corrcoef(np.roll(a, shift)[kept], b[kept + lag])[0, 1])


@pytest.mark.parametrize("still", [np.zeros(N), np.full(N, 0.3)])
def test_a_still_mouth_follows_nothing(still):
    found = agreement(still, wandering(8), SPOKEN)
    assert found.rs0 == found.r_best == found.rs_chance == 0


def test_closures_are_short_and_in_speech():
    opening = plosives(50, 100, 150)
    opening[180:200] = 0.0  # a rest, too long
    opening[:2] = 0.0  # cut by the start
    spoken = np.arange(N) < 120
    centres, scaled = find_closures(opening, spoken)
    assert centres.tolist() == [50, 100]
    assert scaled.max() == pytest.approx(1) and scaled[50] == 0


def test_closures_are_recalled_near_their_time():
    true, predicted = plosives(40, 90, 140, 190), plosives(43, 90, 145, 220)
    score = score_closures(predicted, true, SPOKEN)
    assert (score.n_true, score.n_predicted) == (4, 4)
    assert score.recall == score.precision == 0.5
    assert 0 < score.chance < 0.2
    absent = score_closures(np.full(N, 0.1), true, SPOKEN)
    assert absent.recall == 0 and np.isnan(absent.precision)


def test_an_open_mouth_in_silence_is_noticed():
    loud = np.where(np.arange(N) < 150, 0.1, 1e-5)
    speaking = np.where(loud > 0.01, 0.1 + 0.05 * wandering(9), 0.0)
    shut, agape = (
        score_lips(mouth(np.where(loud > 0.01, speaking, rest)), mouth(speaking), loud).silence_opening
        for rest in (0.0, 0.1)
    )
    assert shut == 0 and agape > 0.5
    assert np.isnan(score_lips(mouth(speaking), mouth(speaking), np.full(N, 0.1)).silence_opening)


def test_contacts_are_looked_for_where_they_are_seen():
    opening = plosives(50, 100)  # seen at 2.0 s and 4.0 s
    score = score_contacts(opening, [(2.04, 2.10), (4.04, 4.1), (6.0, 6.1)])
    assert score.n_closed == 2 and score.smallest == (0.0, 0.0, 0.1)
    assert 0 < score.chance < 0.2
    assert score_contacts(opening, [(2.2, 2.3)]).n_closed == 0
    assert np.isnan(score_contacts(opening, [(50.0, 50.1)]).smallest[0])


def test_a_face_is_measured_without_a_real_one():
    level = 1.2 + np.tile([0, 0.5, 1, 0.5, -0.2], N // 5)
    lids = np.full(N, 0.3)
    lids[[20, 21, 120]] = 0.05
    rot = np.zeros((N, 3))
    rot[:, 1] = np.radians(np.where(np.arange(N) % 2, 1.0, -1.0))
    face = FaceCurves(mouth=mouth(level**2), eye_aspect=lids, rot=rot, found=np.arange(N) < 200)
    found = lip_activity(face, 0.1 * level**2)
    assert found.loudness_r > 0.95 and found.loudness_lag % 5 == 0
    assert found.found == 0.8 and found.blinks_per_min == pytest.approx(12)
    assert found.rot_sd_deg == pytest.approx((0, 1, 0)) and found.rot_speed_deg_s == pytest.approx((0, 50, 0))
    assert np.isnan(found.opening_silence) and found.opening_sd_speech > 0


def test_rows_of_a_report_say_what_they_are():
    score = score_lips(mouth(plosives(40, 90)), mouth(plosives(40, 91)), np.full(N, 0.1), offset=0.5)
    rows = {m.name: m for m in score.measurements(frames_dropped=3)}
    assert rows["lip_rs0_opening~mesh"].value == score.opening.rs0
    assert rows["lip_rs0_opening~mesh"].definition == "lips-rs0/fixed-offset"
    assert rows["lip_closure_recall~mesh"].value == 1
    assert rows["lip_lag~mesh"].unit == "frames"
    silence = rows["lip_silence_opening~mesh"]
    assert silence.value is None and "silence" in silence.reason
    assert all(m.grade == "proxy" and m.frames_dropped == 3 for m in rows.values())
    assert all(m.params["offset_frames"] == 0.5 for m in rows.values())


def test_too_little_speech_gives_reasons_instead_of_numbers():
    score = score_lips(mouth(wandering(1, 8)), mouth(wandering(2, 8)), np.full(8, 0.1))
    for row in score.measurements("codes"):
        assert row.value is None or row.name == "lip_sd_ratio~codes"
        assert row.value is not None or row.reason


def test_lengths_must_fit():
    curves = mouth(wandering(1))
    with pytest.raises(ShapeError, match="loud"):
        score_lips(curves, curves, np.ones(N - 1))
    with pytest.raises(ShapeError, match="offset"):
        score_lips(curves, curves, np.ones(N), offset=N)
    face = FaceCurves(mouth=curves, eye_aspect=np.ones(N), rot=np.zeros((N, 3)), found=SPOKEN)
    with pytest.raises(ShapeError, match="loud"):
        lip_activity(face, np.ones(N - 1))
