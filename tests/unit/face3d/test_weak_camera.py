from __future__ import annotations

import math

import numpy as np
import pytest

from talkhead.coeffs.container import Coeffs
from talkhead.errors import CoeffFileError, ShapeError, UsageError
from talkhead.face.crop import square_crop
from talkhead.face3d.camera import IMAGE_FLIP
from talkhead.face3d.pncc import posed_vertices
from talkhead.face3d.weak_camera import (
    affine_camera,
    camera_from_affine,
    camera_of,
    decompose_affine,
    into_crop,
    out_of_crop,
    with_camera,
)
from talkhead.geometry import euler_to_matrix

SIZE = (320, 240)


@pytest.fixture
def moving(model) -> Coeffs:
    """Five frames of a head anywhere in a picture of 320 x 240."""
    rng = np.random.default_rng(0)
    return Coeffs(
        space=model.space.name,
        fps=25.0,
        n_frames=5,
        exp=(rng.standard_normal((5, model.n_exp)) * model.space.exp_std).astype(np.float32),
        rot=rng.uniform(-0.5, 0.5, (5, 3)).astype(np.float32),
        trans=rng.uniform(-0.5, 0.5, (5, 3)).astype(np.float32),
        scale=rng.uniform(50, 90, 5).astype(np.float32),
        landmarks=rng.uniform(0, 240, (5, 68, 3)).astype(np.float32),
        size=np.array(SIZE, np.float32),
    )


def test_seven_numbers_say_where_points_are(model, moving):
    """The camera's own formula, from the picture's corner, against the projection of the coefficients."""
    row = camera_of(moving, SIZE)[2]
    scale, rotation, shift = row[0], euler_to_matrix(row[1:4]), row[4:]
    turned = model.shape(None, moving.exp[2]) @ rotation.T
    expected = scale * turned * [1, -1, -1] + shift
    np.testing.assert_allclose(posed_vertices(moving, model, SIZE)[2], expected, atol=1e-9)


def test_tracks_come_back(moving):
    again = with_camera(moving, camera_of(moving, SIZE), SIZE)
    for name in ("rot", "trans", "scale", "size"):
        np.testing.assert_allclose(getattr(again, name), getattr(moving, name), atol=1e-6, err_msg=name)
    relative = moving.replace(relative=frozenset({"rot", "exp"}))
    assert with_camera(relative, camera_of(moving, SIZE), SIZE).relative == {"exp"}


@pytest.mark.parametrize("angle", [0.0, 0.3])
def test_a_crop_shows_the_same_heads(model, moving, angle):
    crop = square_crop((150, 130), 180, 256, angle)
    seen = into_crop(moving, crop, SIZE)
    there = posed_vertices(seen, model, (256, 256))
    np.testing.assert_allclose(there, crop.to_crop(posed_vertices(moving, model, SIZE)), atol=1e-3)
    assert tuple(seen.size) == (256, 256)
    np.testing.assert_allclose(seen.landmarks, crop.to_crop(moving.landmarks), atol=1e-3)
    np.testing.assert_array_equal(seen.crop, crop.flat)
    back = out_of_crop(seen, crop, SIZE)
    for name in ("rot", "trans", "scale", "size", "landmarks"):
        np.testing.assert_allclose(getattr(back, name), getattr(moving, name), atol=2e-4, err_msg=name)
    assert back.crop is None


def test_an_upright_crop_takes_the_roll_out(moving):
    tilted = moving.replace(rot=np.tile(np.array([0, 0, -0.2], np.float32), (5, 1)))  # clockwise in the picture
    upright = into_crop(tilted, square_crop((160, 120), 200, 256, 0.2), SIZE)
    np.testing.assert_allclose(upright.rot, 0, atol=1e-6)


def test_an_affine_camera_is_taken_apart():
    rng = np.random.default_rng(1)
    rotation = IMAGE_FLIP @ euler_to_matrix((0.2, -0.4, 0.1))
    matrix = np.concatenate([80 * rotation, [[128.0], [120.0], [3.0]]], 1)
    points = rng.standard_normal((30, 3))
    np.testing.assert_allclose(affine_camera(points, points @ matrix[:, :3].T + matrix[:, 3]), matrix, atol=1e-9)
    np.testing.assert_allclose(camera_from_affine(matrix), [80, 0.2, -0.4, 0.1, 128, 120, 3], atol=1e-9)
    # Without the axis flip frontal would read as a pitch of 180 degrees.
    frontal = np.concatenate([80 * IMAGE_FLIP, np.zeros((3, 1))], 1)
    np.testing.assert_allclose(camera_from_affine(frontal)[1:4], 0, atol=1e-12)


def test_rows_that_are_not_at_a_right_angle_become_a_rotation():
    matrix = np.array([[80.0, 0, 0, 1], [8, -81, 0, 2], [0, 0, -80, 3]])
    scale, rotation, shift = decompose_affine(matrix)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1)
    assert scale == pytest.approx((80 + math.hypot(8, 81)) / 2) and shift.tolist() == [1, 2, 3]
    _, raw, _ = decompose_affine(matrix, orthogonal=False)
    assert abs(raw[0] @ raw[1]) > 0.09


def test_refusals(moving):
    for wrong, reason in (
        (moving.replace(scale=None), "no scale track"),
        (moving.replace(relative=frozenset({"rot"})), "rot is relative"),
    ):
        with pytest.raises(CoeffFileError, match=reason):
            camera_of(wrong, SIZE)
    with pytest.raises(ShapeError, match="camera"):
        with_camera(moving, np.ones((4, 7)), SIZE)
    with pytest.raises(UsageError, match="scale of 0"):
        with_camera(moving, np.zeros((5, 7)), SIZE)
    with pytest.raises(ShapeError, match="points"):
        affine_camera(np.zeros((4, 3)), np.zeros((5, 3)))
    with pytest.raises(ShapeError, match="matrix"):
        decompose_affine(np.zeros((3, 3)))
