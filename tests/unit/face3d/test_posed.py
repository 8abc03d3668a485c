from __future__ import annotations

import numpy as np
import pytest

from talkhead.coeffs.container import Coeffs
from talkhead.errors import CoeffFileError
from talkhead.face.landmarks import Landmarks
from talkhead.face3d import eyes
from talkhead.face3d.fit import fit_photo
from talkhead.face3d.posed import absolute, head_vertices, predict_landmarks
from talkhead.geometry import euler_to_matrix

SIZE = (256, 256)


@pytest.fixture
def photo(model, make_landmarks):
    rng = np.random.default_rng(0)
    exp = 0.5 * rng.standard_normal(28) * model.space.exp_std
    drawn = make_landmarks(rng.standard_normal(model.n_id) * model.space.id_std, exp, (0.1, -0.3, 0.05), (0.2, 0.1, 0))
    return fit_photo(Landmarks(drawn.points + rng.standard_normal((478, 3))), SIZE, model)


def row(model, **tracks):
    relative = frozenset(tracks.pop("relative", ()))
    arrays = {name: np.atleast_2d(np.asarray(value, np.float32)) for name, value in tracks.items()}
    if "scale" in arrays:
        arrays["scale"] = arrays["scale"][0]
    return Coeffs(space=model.space.name, fps=25.0, n_frames=1, relative=relative, **arrays)


def test_own_coefficients_give_the_landmarks_back(model, photo):
    predicted = predict_landmarks(photo.coeffs, photo, model)
    seen = predict_landmarks(row(model, eyelid=photo.coeffs.eyelid), photo, model)
    np.testing.assert_allclose(predicted, seen, atol=1e-3)
    head = head_vertices(absolute(photo.coeffs, photo), photo, model)
    np.testing.assert_array_equal(head[0], photo.vertices)


def test_relative_tracks_start_from_the_photo(model, photo):
    still = row(model, exp=np.zeros(28), rot=(0, 0, 0), trans=(0, 0, 0), scale=1.0, gaze=(0, 0),
                relative=("exp", "rot", "trans", "scale", "gaze"))  # fmt: skip
    whole = absolute(still, photo)
    for name in ("exp", "trans", "scale", "eyelid", "gaze"):
        np.testing.assert_allclose(getattr(whole, name), getattr(photo.coeffs, name), atol=1e-6, err_msg=name)
    np.testing.assert_allclose(whole.rot, photo.coeffs.rot, atol=1e-6)
    assert not whole.relative


def test_relative_rotation_turns_after_the_photo_s_own(model, photo):
    turned = absolute(row(model, rot=(0, 0.2, 0), relative=("rot",)), photo)
    np.testing.assert_allclose(
        euler_to_matrix(turned.rot[0]), euler_to_matrix((0, 0.2, 0)) @ photo.rotation, atol=1e-6
    )  # fmt: skip


def test_scale_multiplies_and_absolute_tracks_replace(model, photo):
    assert absolute(row(model, scale=2.0, relative=("scale",)), photo).scale[0] == pytest.approx(2 * photo.scale)
    assert absolute(row(model, scale=50.0), photo).scale[0] == 50.0


def test_lids_and_gaze_reach_what_is_asked(model, photo):
    head = head_vertices(absolute(row(model, eyelid=(1, 1), gaze=(0.1, 0.05)), photo), photo, model)
    assert (eyes.eye_openness(head) < 0.01).all()
    moved = eyes.measure_gaze(head[0]) - photo.coeffs.gaze[0]
    assert np.abs(moved).max() > 0


def test_expression_moves_the_photo_by_its_own_field(model, photo):
    smile = model.space.controls["smile"]
    head = head_vertices(absolute(row(model, exp=smile, relative=("exp",)), photo), photo, model)
    np.testing.assert_allclose(head[0] - photo.vertices, model.offset(smile), atol=1e-6)


def test_refuses_codes_of_another_space(model, photo):
    other = row(model, exp=np.zeros(28)).replace(space="bfm-00000000")
    with pytest.raises(CoeffFileError, match="bfm-00000000"):
        absolute(other, photo)
