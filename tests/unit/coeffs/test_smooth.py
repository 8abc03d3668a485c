import numpy as np
import pytest

from talkhead.coeffs.container import Coeffs
from talkhead.coeffs.smooth import adaptive, box, gaussian, savitzky_golay, smooth, smooth_rot
from talkhead.errors import UsageError
from talkhead.geometry import euler_to_matrix


def test_gaussian_keeps_constants_and_the_mean():
    assert gaussian(np.full((30, 2), 4.0), 3.0) == pytest.approx(4)
    track = np.random.default_rng(0).normal(size=200)
    assert gaussian(track, 2).mean() == pytest.approx(track.mean(), abs=1e-12)
    assert gaussian(track, 2).std() < 0.5 * track.std()


def test_gaussian_has_no_delay():
    pulse = np.zeros(41)
    pulse[20] = 1
    smoothed = gaussian(pulse, 2.5)
    np.testing.assert_allclose(smoothed, smoothed[::-1], atol=1e-15)
    assert smoothed.argmax() == 20


@pytest.mark.parametrize("length", [1, 2, 3])
def test_short_tracks_pass(length):
    track = np.arange(length, dtype=float)[:, None]
    for result in (gaussian(track, 5), adaptive(track), savitzky_golay(track, 5)):
        assert result.shape == track.shape
        assert np.isfinite(result).all()


def test_savitzky_golay_keeps_parabolas():
    t = np.linspace(-1, 1, 60)
    np.testing.assert_allclose(savitzky_golay(t**2 + t, 11)[10:-10], (t**2 + t)[10:-10], atol=1e-12)
    with pytest.raises(UsageError, match="odd window"):
        savitzky_golay(t, 4)


def test_adaptive_smooths_noise_and_keeps_lip_closures():
    rng = np.random.default_rng(1)
    frames = np.arange(2000)
    clean = np.zeros((2000, 8))
    clean[:, 0] = 8 * np.sin(frames / 40)
    closures = np.arange(100, 2000, 50)
    for offset, depth in ((-1, -7), (0, -15), (1, -7)):
        clean[closures + offset, 0] += depth
    noisy = clean + rng.normal(size=clean.shape)
    result, plain = adaptive(noisy), gaussian(noisy, 2)
    depth = (result[closures, 0] - 8 * np.sin(closures / 40)).mean()
    assert depth < -13.5
    assert (plain[closures, 0] - 8 * np.sin(closures / 40)).mean() > -8
    quiet = np.abs(frames[:, None] - closures).min(1) > 8
    assert (result - clean)[quiet].std() < 0.55


def test_rotations_are_smoothed_across_the_angle_seam():
    rot = np.zeros((20, 3))
    rot[:, 2] = np.where(np.arange(20) % 2, np.pi - 0.01, -np.pi + 0.01)
    upright = euler_to_matrix(smooth_rot(rot, lambda v: gaussian(v, 3)))
    np.testing.assert_allclose(upright[5:15], np.broadcast_to(euler_to_matrix([0, 0, np.pi]), (10, 3, 3)), atol=1e-3)


def test_smooth_takes_seconds_and_touches_every_track(motion):
    result = smooth(motion, 0.2)
    for name in ("exp", "rot", "trans", "scale", "eyelid", "gaze"):
        before, after = motion.tensors()[name], result.tensors()[name]
        assert np.abs(np.diff(after, axis=0)).mean() < np.abs(np.diff(before, axis=0)).mean()
        assert after.dtype == np.float32
    np.testing.assert_array_equal(result.tensors()["id"], motion.id)
    assert smooth(motion, 0) is motion
    assert smooth(motion, 1e9).tensors()["exp"].std(0).max() < 0.5
    with pytest.raises(UsageError, match="smoothing over -1 s"):
        smooth(motion, -1)


def test_the_half_width_is_the_number_given():
    pulse = np.zeros((201, 1), np.float32)
    pulse[100] = 1
    coeffs = Coeffs(space="toy-1", fps=100.0, n_frames=201, exp=pulse)
    wide = np.asarray(smooth(coeffs, 0.2).exp)[:, 0]
    assert (wide > wide.max() / 2).sum() == pytest.approx(20, abs=1)


def test_running_mean_repeats_its_ends():
    track = np.array([0.0, 0, 6, 0, 0])
    np.testing.assert_allclose(box(track, 3), [0, 2, 2, 2, 0])
    np.testing.assert_allclose(box(track, 2), [0, 0, 3, 3, 0])  # one frame further back
    np.testing.assert_allclose(box([6.0, 0, 0], 5), [18 / 5, 12 / 5, 6 / 5])
    np.testing.assert_array_equal(box(track, 1), track)
    assert box(np.ones((4, 3)), 15).shape == (4, 3)
    with pytest.raises(UsageError, match="at least 1"):
        box(track, 0)
