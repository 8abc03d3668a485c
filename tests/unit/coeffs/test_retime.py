import numpy as np
import pytest

from talkhead.coeffs.retime import cut, resample, stretch
from talkhead.errors import UsageError


def test_there_and_back_is_the_same(motion):
    back = resample(resample(motion, 50.0), 25.0)
    assert (len(back), back.fps) == (50, 25.0)
    for name, track in motion.tensors().items():
        np.testing.assert_allclose(back.tensors()[name], track, atol=1e-5)


def test_rotations_pass_through_vectors(motion):
    fine = resample(motion, 250.0)
    np.testing.assert_allclose(fine.tensors()["rot"][::10], motion.rot, atol=1e-6)
    t = np.arange(500) / 250
    smooth_path = np.stack([np.sin(3 * t), np.cos(2 * t), np.sin(5 * t)], 1) * 0.2
    np.testing.assert_allclose(fine.tensors()["rot"][:480], smooth_path[:480], atol=2e-3)


def test_rates_keep_the_duration(motion):
    assert len(resample(motion, 29.97)) == 60
    assert resample(motion, 25.0).exp is motion.exp
    photo = motion.at(slice(0, 1))
    assert (len(resample(photo, 60.0)), resample(photo, 60.0).fps) == (1, 60.0)


def test_stretch(motion):
    slow = stretch(motion, 2.0)
    assert (len(slow), slow.fps) == (100, 25.0)
    np.testing.assert_allclose(slow.tensors()["exp"][::2], motion.exp, atol=1e-6)
    assert len(stretch(motion.at(slice(0, 1)), 75.0)) == 75
    assert len(stretch(motion, 1e-9)) == 1


def test_unknown_tensors_take_the_nearest_frame(motion):
    motion = motion.replace(extra={"tension": np.arange(50), "note": np.arange(3)})
    slow = stretch(motion, 2.0)
    assert set(np.unique(slow.extra["tension"])) == set(range(50))
    assert slow.extra["note"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("fps", [0, -5, 1001, float("nan"), float("inf")])
def test_impossible_rates(motion, fps):
    with pytest.raises(UsageError, match="frame rate"):
        resample(motion, fps)


@pytest.mark.parametrize("factor", [0, -1, float("nan"), float("inf"), 1e6])
def test_impossible_factors(motion, factor):
    with pytest.raises(UsageError):
        stretch(motion, factor)


def test_cut(motion):
    piece = cut(motion, 0.4, 1.2)
    assert len(piece) == 20
    np.testing.assert_array_equal(piece.tensors()["exp"], motion.exp[10:30])
    assert len(cut(motion, 1.0)) == 25
    assert len(cut(motion, 0, 99)) == 50


@pytest.mark.parametrize(("start", "end"), [(2.0, None), (-1.0, None), (1.0, 1.0), (1.0, 0.5)])
def test_empty_cuts_are_refused(motion, start, end):
    with pytest.raises(UsageError):
        cut(motion, start, end)
