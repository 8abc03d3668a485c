"""How far coefficients move a face."""

from __future__ import annotations

import numpy as np
import pytest

from talkhead.coeffs.container import Coeffs
from talkhead.errors import ShapeError
from talkhead.face.topology import IRIS_A, IRIS_B
from talkhead.face3d import eyes
from talkhead.face3d.leverage import landmark_errors, leverage
from talkhead.face3d.morphable import load_builtin

MODEL = load_builtin()


def still(n_frames=2, **changes):
    tracks = {
        "exp": np.zeros((n_frames, MODEL.n_exp), np.float32),
        "rot": np.zeros((n_frames, 3), np.float32),
        "trans": np.zeros((n_frames, 3), np.float32),
        "scale": np.full(n_frames, 100, np.float32),
        "eyelid": np.zeros((n_frames, 2), np.float32),
        "gaze": np.zeros((n_frames, 2), np.float32),
        "id": np.zeros(MODEL.n_id, np.float32),
    }
    return Coeffs(space=MODEL.space.name, fps=25.0, n_frames=n_frames, **(tracks | changes))


def moved_by(name, column, amount):
    base = still()
    track = getattr(base, name).copy()
    track[..., column] += np.float32(amount)
    return landmark_errors(base, base.replace(**{name: track}), MODEL)[0]


@pytest.mark.parametrize("name", ["exp", "rot", "trans"])
def test_leverage_is_what_a_tenth_of_the_points_moves_at_least(name):
    lever = leverage(MODEL)[name]
    for column in range(min(len(lever), 2 if name == "trans" else 3)):
        seen = np.percentile(moved_by(name, column, 1e-3), 90) / 1e-3
        # the basis moves points in depth too, which the picture does not show
        assert seen == pytest.approx(lever[column], rel=0.25 if name == "exp" else 0.02), column
        assert seen <= lever[column] * 1.02


def test_leverage_of_size_and_eyes():
    lever = leverage(MODEL)
    grown = still().replace(scale=np.full(2, 100 * np.exp(1e-3), np.float32))
    assert np.percentile(landmark_errors(still(), grown, MODEL)[0], 90) / 1e-3 == pytest.approx(
        lever["scale"][0], rel=0.02
    )
    assert moved_by("eyelid", 0, 1.0).max() == pytest.approx(lever["eyelid"][0], rel=0.05)
    iris = moved_by("gaze", 0, 0.01)[list(IRIS_A + IRIS_B)].mean() / 0.01
    assert iris == pytest.approx(eyes.EYEBALL_RADIUS / eyes.UNITS_PER_EYE_DISTANCE, rel=0.02)
    assert lever["gaze"][0] == pytest.approx(2 * iris, rel=0.02)


def test_errors_are_in_eye_distances_at_any_size():
    shift = np.zeros((2, 3), np.float32)
    shift[:, 0] = 0.09  # a tenth of the model's eye distance
    for scale in (20, 500):
        size = np.full(2, scale, np.float32)
        errors = landmark_errors(still(scale=size), still(scale=size, trans=shift), MODEL)
        np.testing.assert_allclose(errors, 0.1, rtol=0.02)
    assert landmark_errors(still(), still(), MODEL).shape == (2, 478)
    assert not landmark_errors(still(), still(), MODEL).any()
    np.testing.assert_array_equal(
        landmark_errors(still(), still(trans=np.array([[0, 0, 3]] * 2, np.float32)), MODEL), 0
    )


def test_missing_tracks_leave_the_mean_face():
    head = Coeffs(space="pose", fps=25.0, n_frames=2, rot=np.zeros((2, 3), np.float32))
    turned = head.replace(rot=np.full((2, 3), 0.1, np.float32))
    errors = landmark_errors(head, turned, MODEL)
    assert errors.shape == (2, 478) and errors.mean() > 0.01
    with pytest.raises(ShapeError):
        landmark_errors(head, turned.at(slice(0, 1)), MODEL)
