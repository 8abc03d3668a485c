from __future__ import annotations

import numpy as np
import pytest

from talkhead.errors import ShapeError
from talkhead.face.topology import MIRROR
from talkhead.face3d import eyes

MOVED_BY_LIDS = {*eyes.UPPER.ravel(), *eyes.LOWER.ravel(), *eyes.CREASE.ravel()}


def test_openness_is_proportional_to_closure_until_the_lids_nearly_meet(model):
    face = model.shape()
    start = eyes.eye_openness(face)
    assert (start > 0.05).all() and (start < 0.13).all()
    for closure in (0.0, 0.3, 0.7):
        expected = start * (1 - closure) + closure * eyes.SHUT_OPENNESS
        np.testing.assert_allclose(eyes.eye_openness(eyes.close_eyelids(face, (closure,) * 2)), expected, atol=1e-9)
    assert (eyes.eye_openness(eyes.close_eyelids(face, (1, 1))) < -0.005).all(), "no slit stays"
    assert (eyes.eye_openness(eyes.close_eyelids(face, (-0.2, -0.2))) > start).all()


def test_each_eye_closes_alone_left_first(model):
    face = model.shape()
    change = np.linalg.norm(eyes.close_eyelids(face, (1, 0)) - face, axis=-1)
    moved = set(np.flatnonzero(change > 1e-9))
    assert moved == MOVED_BY_LIDS & set(np.flatnonzero(face[:, 0] > 0)), "the subject's left eye is at image right"


def test_closing_is_mirror_symmetric_and_takes_any_leading_axes(model):
    face = model.shape()
    closed = eyes.close_eyelids(np.broadcast_to(face, (2, 3, 478, 3)), np.full((2, 3, 2), 0.6))
    assert closed.shape == (2, 3, 478, 3)
    np.testing.assert_allclose(closed[1, 2][MIRROR] * [-1, 1, 1], closed[1, 2], atol=1e-6)
    many = eyes.close_eyelids(face, np.linspace(0, 1, 5)[:, None].repeat(2, 1))
    assert many.shape == (5, 478, 3)
    np.testing.assert_allclose(many[0], face, atol=1e-12)


def test_upper_lid_goes_the_way_and_bulges_over_the_ball(model):
    face = model.shape()
    half = eyes.close_eyelids(face, (0.5, 0.5)) - face
    assert half[159, 1] < -8 * half[145, 1] < 0 < half[145, 1]
    assert half[159, 2] > 0.001
    assert half[159, 1] < half[27, 1] < 0, "the crease follows"


@pytest.mark.parametrize("closure", [(0.0, 0.0), (0.35, 0.1), (0.7, 0.7), (-0.2, 0.0)])
def test_opening_undoes_closing(model, closure):
    face = model.shape()
    np.testing.assert_allclose(eyes.open_eyelids(eyes.close_eyelids(face, closure), closure), face, atol=1e-9)


def test_shut_eyes_open_to_the_rest_face(model):
    face = model.shape()
    opened = eyes.open_eyelids(eyes.close_eyelids(face, (1, 1)), (1, 1), rest=face)
    np.testing.assert_allclose(eyes.eye_openness(opened), eyes.eye_openness(face), atol=1e-9)


def test_gaze_is_what_was_aimed_at(model):
    face = model.shape()
    np.testing.assert_allclose(eyes.measure_gaze(face), 0, atol=0.02)
    for gaze in ((0.2, 0.0), (-0.15, 0.1), (0.0, -0.2)):
        aimed = eyes.aim_gaze(face, gaze)
        np.testing.assert_allclose(eyes.measure_gaze(aimed), gaze, atol=1e-9)
        assert set(np.flatnonzero(np.abs(aimed - face).max(-1) > 0)) <= set(eyes.IRIS.ravel())
    assert (eyes.aim_gaze(face, (0.2, 0.0)) - face)[468, 0] > 0, "positive x looks to image right"


def test_irises_stay_in_their_eyes(model):
    face = model.shape()
    way = np.linalg.norm((eyes.aim_gaze(face, (1.4, 0.5)) - face)[eyes.IRIS[:, 0]], axis=-1)
    np.testing.assert_allclose(way, eyes.MAX_IRIS_SHIFT * 0.9, rtol=1e-6)


def test_scale_of_the_face_does_not_matter(model):
    face = model.shape()
    np.testing.assert_allclose(
        eyes.close_eyelids(100 * face, (0.8, 0.5)), 100 * eyes.close_eyelids(face, (0.8, 0.5)), atol=1e-6
    )
    np.testing.assert_allclose(eyes.measure_gaze(100 * face), eyes.measure_gaze(face), atol=1e-12)


def test_refuses_other_shapes(model):
    with pytest.raises(ShapeError, match="vertices"):
        eyes.eye_openness(np.zeros((468, 3)))
    with pytest.raises(ShapeError, match="closure"):
        eyes.close_eyelids(model.shape(), 0.5)
