import dataclasses

import numpy as np
import pytest

from talkhead.coeffs.limits import soft_limit, soft_limit_length
from talkhead.coeffs.retarget import (
    RetargetConfig,
    driver_neutral,
    identity_distance,
    is_same_person,
    mouth_opening,
    retarget,
)
from talkhead.errors import CoeffFileError, ShapeError, UsageError
from talkhead.geometry import euler_to_matrix, mean_rotation, project


@pytest.fixture
def space(space):
    return dataclasses.replace(space, opening=np.array([0.1, 0, 0, 0, 0, 0], np.float32))


@pytest.fixture
def driver(motion):
    """Codes swing about a resting face of 2 in every component; the mouth opens by the first one."""
    t = np.arange(50) / 25
    exp = np.full((50, 6), 2, np.float32)
    exp[:, 0] += np.maximum(np.sin(2 * np.pi * t), 0)
    eyelid = np.zeros((50, 2), np.float32)
    eyelid[30:33] = 1
    exp[30:33, 5] = 50  # what blinks do to the codes must not count as rest
    return motion.replace(exp=exp, eyelid=eyelid, trans=np.clip(motion.trans, -0.1, 0.1))


@pytest.fixture
def stranger(motion):
    own = motion.at(slice(0, 1))
    return own.replace(
        id=-own.id,
        rot=np.array([[0.1, -0.2, 0.05]], np.float32),
        trans=np.array([[0.4, -0.3, 0]], np.float32),
        scale=np.array([250], np.float32),
        size=np.array([1000, 800], np.float32),
    )


def test_neutral_is_the_face_with_closed_lips_and_open_eyes(driver, space):
    neutral = driver_neutral(driver, space=space)
    np.testing.assert_allclose(neutral.exp[0], 2, atol=0.01)
    np.testing.assert_allclose(euler_to_matrix(neutral.rot[0]), mean_rotation(euler_to_matrix(driver.rot)), atol=1e-6)
    pixels = (driver.trans * driver.scale[:, None]).mean(0)
    np.testing.assert_allclose(neutral.trans[0] * neutral.scale[0], pixels, rtol=1e-5)


def test_neutral_by_a_given_opening(driver, space):
    opening = np.ones(50)
    opening[10:20] = 0
    neutral = driver_neutral(driver, space=space, opening=opening)
    np.testing.assert_allclose(neutral.exp[0], np.median(driver.exp[10:20], axis=0))
    with pytest.raises(ShapeError, match="opening"):
        driver_neutral(driver, opening=np.ones(3))


def test_neutral_of_what_there_is(driver):
    pose = driver.replace(exp=None, id=None, eyelid=None, gaze=None, scale=None)
    neutral = driver_neutral(pose)
    assert len(neutral) == 1
    np.testing.assert_allclose(neutral.trans[0], driver.trans.mean(0), rtol=1e-4, atol=1e-6)


def test_opening_by_codes_or_landmarks(driver, space):
    np.testing.assert_allclose(mouth_opening(driver, space), 0.1 * driver.exp[:, 0], rtol=1e-6)
    assert mouth_opening(driver, None) is None
    points = np.zeros((50, 68, 2), np.float32)
    points[:, 45, 0], points[:, 66, 1] = 100, np.arange(50)
    np.testing.assert_allclose(mouth_opening(driver.replace(landmarks=points), None), np.arange(50) / 100)


def test_relative_motion_starts_from_rest(driver, stranger, space):
    result = retarget(driver, source=stranger, mode="relative", space=space)
    assert result.relative == {"exp", "rot", "trans", "scale", "gaze"}
    np.testing.assert_allclose(result.exp[:, 0], driver.exp[:, 0] - 2, atol=0.02)
    np.testing.assert_array_equal(result.eyelid, driver.eyelid)
    np.testing.assert_array_equal(result.id, stranger.id)
    np.testing.assert_array_equal(result.size, stranger.size)
    assert result.params["motion"] == "relative"


def test_relative_rotation_composes_with_the_source(driver, stranger, space):
    result = retarget(driver, source=stranger, mode="relative", space=space)
    matrices = euler_to_matrix(driver.rot)
    np.testing.assert_allclose(euler_to_matrix(result.rot), matrices @ mean_rotation(matrices).T, atol=1e-6)


def _path(coeffs, source, size):
    """Pixels of the head's origin as a renderer puts it."""
    scale = source.scale[0] * coeffs.scale
    return np.array(
        [
            project(np.zeros((1, 3)), np.eye(3), source.trans[0] + offset, float(s), size)[0, :2]
            for offset, s in zip(coeffs.trans, scale, strict=True)
        ]
    )


@pytest.mark.parametrize("mode", ["relative", "absolute"])
def test_the_head_goes_through_the_picture_as_the_drivers_does(driver, stranger, space, mode):
    driver = driver.replace(scale=(100 * np.linspace(0.95, 1.05, 50)).astype(np.float32))
    result = retarget(driver, source=stranger, mode=mode, space=space)
    pixels = _path(result, stranger, (1000, 800))
    own = driver.replace(trans=driver.trans, scale=driver.scale / 100)
    driven = np.array(
        [
            project(np.zeros((1, 3)), np.eye(3), t, float(s), (512, 512))[0, :2]
            for t, s in zip(driver.trans, driver.scale, strict=True)
        ]
    )
    ratio = (stranger.scale[0] * result.scale / driver.scale).mean()
    np.testing.assert_allclose(np.diff(pixels, axis=0), ratio * np.diff(driven, axis=0), atol=1e-2)
    np.testing.assert_allclose(result.scale / result.scale[0], own.scale / own.scale[0], rtol=1e-5)


def test_long_ways_are_compressed_softly_in_relative_mode(driver, stranger, space):
    config = RetargetConfig()
    trans = np.zeros((50, 3), np.float32)
    trans[:, 0] = np.linspace(-1, 1, 50)
    scale = np.geomspace(50, 200, 50).astype(np.float32)
    still = driver.replace(trans=trans, scale=np.full(50, 100, np.float32))
    result = retarget(still, source=stranger, mode="relative", space=space)
    assert np.abs(result.trans).max() < config.shift_limit
    assert (np.diff(result.trans[:, 0]) > 0).all()
    middle = slice(20, 30)
    np.testing.assert_allclose(result.trans[middle], trans[middle], atol=1e-5)
    zoomed = retarget(driver.replace(scale=scale), source=stranger, mode="relative", space=space)
    assert np.abs(np.log(zoomed.scale)).max() < config.zoom_limit
    free = retarget(still, source=stranger, mode="absolute", space=space)
    assert np.ptp(free.trans[:, 0]) == pytest.approx(2)


def test_own_first_frame_gives_back_the_own_motion(driver, space):
    source = driver.at(slice(0, 1))
    result = retarget(driver, source=source, space=space)
    assert result.params["motion"] == "absolute"
    for name in ("exp", "rot", "eyelid", "gaze", "id"):
        np.testing.assert_array_equal(result.tensors()[name], driver.tensors()[name])
    np.testing.assert_allclose(source.trans + result.trans, driver.trans, atol=1e-5)
    np.testing.assert_allclose(source.scale * result.scale, driver.scale, rtol=1e-5)


def test_absolute_places_the_head_by_the_frame_posed_like_the_source(driver, space):
    source = driver.at(slice(17, 18))
    source = source.replace(trans=source.trans + np.float32(0.5), size=np.array([90, 90], np.float32))
    result = retarget(driver, source=source, mode="absolute", space=space)
    assert result.trans[17] == pytest.approx(0)
    assert result.scale[17] == pytest.approx(1)


def test_auto_tells_people_apart_by_identity(driver, stranger, space):
    assert identity_distance(driver, stranger, space) == pytest.approx(2**0.5)
    assert identity_distance(driver, driver, space) == 0
    assert identity_distance(driver, stranger.replace(id=None)) == float("inf")
    assert not is_same_person(driver, driver, None)
    assert retarget(driver, source=stranger, space=space).params["motion"] == "relative"
    forced = retarget(driver, source=stranger, mode="absolute", space=space)
    np.testing.assert_array_equal(forced.exp, driver.exp)
    np.testing.assert_array_equal(forced.id, stranger.id)


def test_relative_tracks_pass(driver, stranger, space):
    speech = driver.replace(relative=frozenset({"exp", "rot", "trans", "scale", "gaze"}))
    for mode in ("relative", "absolute"):
        result = retarget(speech, source=stranger, mode=mode, space=space)
        for name in ("exp", "rot", "trans", "scale", "gaze", "eyelid"):
            np.testing.assert_array_equal(result.tensors()[name], speech.tensors()[name])


def test_motion_scale(driver, stranger, space):
    whole = retarget(driver, source=stranger, mode="relative", space=space)
    half = retarget(driver, source=stranger, mode="relative", motion_scale=0.5, space=space)
    none = retarget(driver, source=stranger, mode="relative", motion_scale=0, space=space)
    np.testing.assert_allclose(half.exp, whole.exp / 2, atol=1e-6)
    assert np.abs(none.rot).max() == np.abs(none.exp).max() == np.abs(none.trans).max() == 0
    with pytest.raises(UsageError, match="motion scale -1"):
        retarget(driver, source=stranger, motion_scale=-1)


def test_landmarks_of_the_driver_do_not_follow(driver, stranger, space):
    marked = driver.replace(landmarks=np.zeros((50, 68, 2), np.float32), crop=np.zeros(6, np.float32))
    result = retarget(marked, source=stranger, space=space)
    assert result.landmarks is None
    assert result.crop is None


def test_other_spaces_are_refused(driver, stranger):
    with pytest.raises(CoeffFileError, match="the driver's coefficients are codes of space toy-00000001"):
        retarget(driver, source=stranger.replace(space="other-1"))


def test_soft_limit():
    values = np.linspace(-3, 3, 601)
    limited = soft_limit(values, 0.5, 1.0)
    inside = np.abs(values) <= 0.5
    np.testing.assert_array_equal(limited[inside], values[inside])
    assert np.abs(limited).max() < 1
    assert (np.diff(limited) > 0).all()
    assert np.abs(np.diff(limited, 2)).max() < 1e-3  # no corner at the knee
    vectors = np.array([[3.0, 4.0], [0.0, 0.0], [0.3, 0.0]])
    result = soft_limit_length(vectors, 0.5, 1.0)
    assert np.linalg.norm(result[0]) < 1
    assert result[0, 1] / result[0, 0] == pytest.approx(4 / 3)
    np.testing.assert_allclose(result[1:], vectors[1:])


def test_adapted_motion_keeps_expression_and_turn_and_brings_the_camera_to_the_source(driver, stranger, space):
    moved = retarget(driver, source=stranger, mode="adapted", space=space)
    np.testing.assert_array_equal(moved.exp, driver.exp)
    np.testing.assert_array_equal(moved.rot, driver.rot)
    np.testing.assert_array_equal(moved.id, stranger.id)
    assert moved.relative == {"trans", "scale"}
    # A still head stands where the source's stands, as large as it.
    still = driver.replace(trans=np.repeat(driver.trans[:1], 50, 0), scale=np.repeat(driver.scale[:1], 50))
    stood = retarget(still, source=stranger, mode="adapted", space=space)
    np.testing.assert_allclose(stood.trans, 0, atol=1e-6)
    np.testing.assert_allclose(stood.scale, 1, atol=1e-6)
    # Steadied over 15 frames at 25 a second, as published.
    jump = driver.trans.copy()
    jump[25:] += 1
    stepped = retarget(driver.replace(trans=jump), source=stranger, mode="adapted", space=space)
    assert (np.abs(np.diff((stepped.trans - moved.trans)[:, 0])) > 1e-3).sum() == 15


def test_an_adapted_head_grows_about_its_own_place(driver, stranger, space):
    """Wherever the source's head is in its picture."""
    nearer = driver.replace(
        trans=np.repeat(driver.trans[:1], 50, 0), scale=np.linspace(1, 1.5, 50, dtype=np.float32) * driver.scale[0]
    )
    aside = stranger.replace(trans=np.array([[-2.0, 1.0, 0.0]], np.float32))
    moved = retarget(nearer, source=aside, mode="adapted", space=space)
    assert np.ptp(moved.scale) > 0.2
    place = moved.scale[:, None] * (aside.trans + moved.trans)
    np.testing.assert_allclose(place, np.repeat(aside.trans, 50, 0), atol=1e-5)


def test_automatic_transfer_between_people_is_the_systems_own(driver, stranger, space):
    assert retarget(driver, source=stranger, space=space).params["motion"] == "relative"
    assert retarget(driver, source=stranger, transfer="adapted", space=space).params["motion"] == "adapted"
