from dataclasses import dataclass

import numpy as np
import pytest

from talkhead.errors import ShapeError
from talkhead.evaluation.embeddings import (
    FaceFeatures,
    FrameFeatures,
    HeadMotionMeter,
    VideoFeatures,
    diversity_measurement,
)
from talkhead.evaluation.frechet import FeatureStatistics
from talkhead.face.landmarks import Landmarks

RNG = np.random.default_rng(3)
FACE = Landmarks(RNG.normal(size=(478, 3)))
FRAMES = RNG.integers(0, 256, (11, 6, 5, 3), np.uint8)


@dataclass
class Poses:
    features: np.ndarray
    yaw_pitch_roll_deg: np.ndarray


class Corner:
    """Sees the first pixel."""

    def __init__(self):
        self.batches = []

    def prepare(self, frame, landmarks):
        return frame[:1, :1]

    def run(self, pictures):
        self.batches.append(len(pictures))
        return pictures.reshape(len(pictures), -1)[:, :3].astype(np.float32)


class Poser(Corner):
    def run(self, pictures):
        values = super().run(pictures)
        return Poses(features=values, yaw_pitch_roll_deg=-values)


def test_features_stand_where_their_frames_do():
    meter = FaceFeatures(Corner(), batch=4)
    parts = []
    for t, frame in enumerate(FRAMES):
        meter.add(frame, None if t in (0, 5) else FACE)
        if t in (6, 7):
            assert meter.n_held == (7 if t == 6 else 1)
            parts.append(meter.take())
    found = np.concatenate([*parts, meter.take()])
    assert meter.n_held == 0
    assert np.isnan(found[[0, 5]]).all()
    rest = [t for t in range(11) if t not in (0, 5)]
    np.testing.assert_array_equal(found[rest], FRAMES[rest, 0, 0])


def test_no_face_has_no_features():
    meter = FaceFeatures(Corner())
    meter.add(FRAMES[0], None)
    assert meter.take().shape == (1, 0)


@pytest.mark.parametrize("batch", [1, 4, 16])
def test_spread_is_the_deviation_over_frames(batch):
    meter = HeadMotionMeter(Poser(), batch=batch)
    for t, frame in enumerate(FRAMES):
        meter.add(frame, None if t == 3 else FACE)
    motion = meter.finish()
    seen = np.delete(FRAMES[:, 0, 0].astype(np.float64), 3, 0)
    assert motion.spread == pytest.approx(seen.std(0).mean())
    np.testing.assert_array_equal(np.delete(motion.yaw_pitch_roll_deg, 3, 0), -seen)
    row = diversity_measurement(motion, grade="unverified")
    assert (row.n_frames, row.frames_dropped, row.value) == (10, 1, motion.spread)
    assert row.params["definition_certain"] == "no"


def test_diversity_of_nobody_has_a_reason():
    meter = HeadMotionMeter(Poser())
    meter.add(FRAMES[0], None)
    motion = meter.finish()
    assert motion.yaw_pitch_roll_deg.shape == (1, 3)
    row = diversity_measurement(motion, grade="paper")
    assert row.value is None
    assert "no face" in row.reason


def test_whole_frames_are_handed_on_in_batches_of_one_size():
    network, statistics = Corner(), FeatureStatistics()
    features = FrameFeatures(network, statistics.add, batch=4)
    for frame in FRAMES[:6]:
        features.add(frame)
    for frame in FRAMES[6:]:
        features.add(frame[:, :4])
    features.flush()
    features.flush()
    assert network.batches == [4, 2, 4, 1]
    np.testing.assert_allclose(statistics.mean, FRAMES[:, 0, 0].mean(0))


def test_windows_do_not_overlap_or_span_clips():
    shapes: list = []
    taken: list = []

    class Video(Corner):
        def run(self, pictures):
            shapes.append(pictures.shape)
            return super().run(pictures)

    features = VideoFeatures(Video(), taken.append, window=4)
    for frame in FRAMES[:9]:
        features.add(frame)
    assert features.end_clip() == 1
    for frame in FRAMES[:4, :, :3]:
        features.add(frame)
    assert features.end_clip() == 0
    assert shapes == [(1, 4, 6, 5, 3), (1, 4, 6, 5, 3), (1, 4, 6, 3, 3)]
    features.add(FRAMES[0])
    with pytest.raises(ShapeError):
        features.add(FRAMES[0, :3])
