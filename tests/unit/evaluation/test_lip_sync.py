import numpy as np
import pytest

from talkhead.errors import ShapeError
from talkhead.evaluation.face_tracks import find_tracks
from talkhead.evaluation.lip_sync import (
    N_ROWS,
    ROW_STEP,
    SyncScorer,
    TrackScorer,
    score_film,
    sync_measurements,
    track_sound,
)
from talkhead.media.audio import Waveform

RNG = np.random.default_rng(5)


class MeanNetwork:
    """Pictures: mean brightness of the five frames; sound: mean energy of the 20 rows."""

    def __init__(self):
        self.largest = 0

    def pictures(self, crops):
        self.largest = max(self.largest, len(crops))
        level = crops[..., 0].reshape(len(crops), -1).mean(1)
        return np.stack([level[i : i + 5] for i in range(len(crops) - 4)]).astype(np.float32)

    def sounds(self, rows):
        starts = range(0, len(rows) - N_ROWS + 1, ROW_STEP)
        return np.stack([rows[at : at + N_ROWS : ROW_STEP, 0] for at in starts]).astype(np.float32)


def brute_force(pictures, sounds, shift):
    padded = np.pad(sounds, ((shift, shift), (0, 0)))
    return np.array([
        [np.linalg.norm(pictures[i] - padded[i + k] + 1e-6) for k in range(2 * shift + 1)] for i in range(len(pictures))
    ])  # fmt: skip


@pytest.mark.parametrize("steps", [[1] * 40, [40], [3, 30, 7], [0, 40]])
def test_streaming_equals_all_at_once(steps):
    pictures, sounds = RNG.normal(size=(2, 40, 6))
    scorer = SyncScorer(4)
    at = 0
    for n in steps:
        scorer.add(pictures[at : at + n], sounds[at : at + n])
        at += n
    score = scorer.finish()
    np.testing.assert_allclose(score.distances, brute_force(pictures, sounds, 4).mean(0), rtol=1e-6)
    assert score.n_windows == 40


@pytest.mark.parametrize("late", [-3, 0, 2])
def test_offset_is_positive_where_the_picture_is_late(late):
    track = RNG.normal(size=(80, 12))
    pictures, sounds = track[10 - late : 70 - late], track[10:70]
    scorer = SyncScorer()
    scorer.add(pictures, sounds)
    score = scorer.finish()
    assert score.offset == late
    assert score.lse_d < 1
    assert score.lse_c == pytest.approx(np.median(score.distances) - score.lse_d)


def test_what_is_held_does_not_grow():
    scorer = SyncScorer(5)
    for _ in range(50):
        scorer.add(*RNG.normal(size=(2, 20, 8)))
        assert len(scorer._pictures) <= 5
        assert len(scorer._sounds) <= 15


def test_features_out_of_step_are_refused():
    with pytest.raises(ShapeError):
        SyncScorer().add(np.zeros((3, 4)), np.zeros((2, 4)))
    with pytest.raises(ShapeError):
        SyncScorer().finish()


@pytest.mark.parametrize(("n_frames", "n_sound", "n_windows"), [(40, 40, 35), (40, 12, 7), (12, 40, 7), (25, 25, 20)])
def test_windows_are_five_fewer_than_frames_with_sound(n_frames, n_sound, n_windows):
    rows = RNG.normal(size=(4 * n_sound - 1, 13)).astype(np.float32)
    network = MeanNetwork()
    scorer = TrackScorer(network, rows, n_sound, batch=10)
    frames = RNG.integers(0, 256, (n_frames, 8, 8, 3), np.uint8)
    for frame in frames:
        scorer.add(frame)
    assert scorer.finish().n_windows == n_windows
    assert network.largest <= 14


@pytest.mark.parametrize("batch", [1, 7, 100])
def test_batches_make_no_difference(batch):
    rows = RNG.normal(0, 50, (159, 13)).astype(np.float32)
    frames = np.random.default_rng(1).integers(0, 256, (40, 8, 8, 3), np.uint8)
    scores = []
    for size in (20, batch):
        scorer = TrackScorer(MeanNetwork(), rows, 40, batch=size)
        for frame in frames:
            scorer.add(frame)
        scores.append(scorer.finish())
    np.testing.assert_allclose(scores[1].distances, scores[0].distances, rtol=1e-6)


def test_too_little_has_no_score():
    scorer = TrackScorer(MeanNetwork(), np.zeros((19, 13), np.float32), 5)
    for _ in range(5):
        scorer.add(np.zeros((8, 8, 3), np.uint8))
    assert scorer.finish() is None


def test_a_track_has_its_own_sound():
    samples = (RNG.normal(size=16000) * 0.1).astype(np.float32)
    rows, n_frames = track_sound(Waveform(samples, 16000), 5, 10)
    alone, _ = track_sound(Waveform(samples[5 * 640 : 15 * 640], 16000))
    assert n_frames == 10
    np.testing.assert_array_equal(rows, alone)
    assert track_sound(Waveform(samples, 16000), 20, 100)[1] == 5


def test_a_film_is_scored_track_by_track():
    speech = Waveform((RNG.normal(size=60 * 640) * 0.1).astype(np.float32), 16000)
    boxes = [[(10.0, 10.0, 130.0, 130.0)] if t >= 20 else [] for t in range(60)]
    frames = RNG.integers(0, 256, (60, 150, 160, 3), np.uint8)
    tracks = find_tracks(boxes, min_track=30)
    (score,) = score_film(frames, speech, MeanNetwork(), tracks)
    assert score.n_windows == 35
    (alone,) = score_film(
        frames[20:],
        Waveform(speech.samples[20 * 640 :], 16000),
        MeanNetwork(),
        find_tracks(boxes[20:], min_track=30),
    )
    np.testing.assert_allclose(score.distances, alone.distances)
    (whole,) = score_film(frames, speech, MeanNetwork(), None)
    assert whole.n_windows == 55


def test_measurements_say_how_faces_were_found_and_why_there_is_no_score():
    scorer = SyncScorer()
    scorer.add(*RNG.normal(size=(2, 30, 4)))
    score = scorer.finish()
    found = {m.name: m for m in sync_measurements([score], grade="paper", detector="mesh", min_track=50, n_frames=40)}
    assert found["lse_d"].value == score.lse_d
    assert found["lse_c"].value == found["av_conf"].value == score.lse_c
    assert found["lse_c"].definition == "lse_c/syncnet-v2-track-min50"
    assert found["lse_c"].params["detector"] == "mesh"
    assert (found["lse_c"].n_frames, found["lse_c"].frames_dropped) == (34, 6)
    absent = sync_measurements([], grade="paper", detector="mesh")
    assert [m.value for m in absent] == [None] * 3
    assert "more than 100 frames" in absent[0].reason
    assert absent[0].definition == "lse_d/syncnet-v2-track"
