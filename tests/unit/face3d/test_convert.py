"""Codes of one model as codes of another; residuals are root mean squares over all points and frames, in mm."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from talkhead.errors import CoeffFileError, ShapeError
from talkhead.face3d import eyes
from talkhead.face3d.bfm import load_bfm
from talkhead.face3d.convert import ConvertConfig, HeadFrame, ModelConversion, convert_codes
from talkhead.geometry import euler_to_matrix

EXACT = ConvertConfig(ridge=1e-9)


@pytest.fixture(scope="module")
def bfm(bfm_file):
    return load_bfm(bfm_file)


@pytest.fixture(scope="module")
def codes(model):
    """Identity and expression of 50 random faces."""
    rng = np.random.default_rng(0)
    return rng.standard_normal((50, 14)) * model.space.id_std, rng.standard_normal((50, 28)) * model.space.exp_std


def moved_mm(offsets):
    return 100 * np.sqrt((offsets**2).sum(-1).mean())


def turned(model, rot, scale=1.0):
    """The same model in a head frame that is turned and of another size, with a name of its own."""
    matrix = scale * euler_to_matrix(rot)
    fields = {k: (getattr(model, k) @ matrix.T).astype(np.float32) for k in ("mean", "id_basis", "exp_basis")}
    return dataclasses.replace(model, space=dataclasses.replace(model.space, name="turned-1"), **fields)


def test_codes_of_the_same_space_stay(model, codes):
    identity, exp = codes
    found = convert_codes(model, model, id_coeffs=identity[0], exp=exp)
    np.testing.assert_allclose(found.exp, exp, atol=1e-6)
    np.testing.assert_allclose(found.id, identity[0], atol=1e-6)
    assert found.residual_mm == 0


def test_a_turned_model_gives_the_same_codes(model, codes):
    """Without a ridge the fit itself is the identity; the head frame says how the models stand to each other."""
    other = turned(model, (0.2, -0.1, 0.05), 1.3)
    way = ModelConversion(model, other, config=EXACT)
    identity, exp = codes
    found = way.convert(id_coeffs=identity[0], exp=exp)
    np.testing.assert_allclose(found.exp, exp, atol=1e-4)
    assert found.residual_mm < 1e-3
    np.testing.assert_allclose(way.head.rotation, euler_to_matrix((0.2, -0.1, 0.05)), atol=1e-6)
    assert way.head.scale == pytest.approx(1.3, abs=1e-6)


def test_there_and_back_leaves_less_than_a_millimetre(model, codes):
    """Turned, with every component the target needs but 4 of the last."""
    other = turned(model.as_view(14, 24), (0.2, -0.1, 0.05), 1.1)
    _, exp = codes
    there = convert_codes(model, other, exp=exp)
    back = convert_codes(other, model, exp=there.exp)
    assert moved_mm(model.offset(exp)) > 3
    assert moved_mm(model.offset(back.exp) - model.offset(exp)) < 1  # 0.37
    assert 0.1 < there.residual_mm < 1


def test_registered_points_say_more_than_landmarks(model, codes):
    other = turned(model.as_view(14, 24), (0.2, -0.1, 0.05))
    every = np.repeat(np.arange(478)[:, None], 2, axis=1)
    _, exp = codes
    left = []
    for points in (None, every):
        there = convert_codes(model, other, exp=exp, points=points)
        back = convert_codes(other, model, exp=there.exp, points=points)
        left.append(moved_mm(model.offset(back.exp) - model.offset(exp)))
    assert left[1] < 0.8 * left[0]


def test_to_another_topology_and_back(model, bfm, codes):
    identity, exp = codes
    there = convert_codes(model, bfm, id_coeffs=identity[0], exp=exp)
    assert (there.id.shape, there.exp.shape) == ((80,), (50, 64))
    assert there.residual_mm < 0.5 and there.id_residual_mm < 1
    back = convert_codes(bfm, model, id_coeffs=there.id, exp=there.exp)
    assert moved_mm(model.offset(back.exp) - model.offset(exp)) < 1
    assert moved_mm(model.shape(back.id) - model.shape(identity[0])) < 1


def test_the_movement_is_the_same_in_the_targets_frame(model, bfm, codes):
    way = ModelConversion(model, bfm)
    found = way.convert(exp=codes[1])
    wanted = model.offset(codes[1])[:, model.landmarks68] @ way.head.rotation.T * way.head.scale
    shown = bfm.offset(found.exp)[:, bfm.landmarks68]
    assert moved_mm(shown - wanted) == pytest.approx(found.residual_mm, rel=1e-6)


def test_blinks_become_codes_and_codes_blinks(model, bfm):
    closure = np.array([[0.0, 0.0], [0.5, 0.5], [0.9, 0.9], [1.0, 0.0], [0.0, 0.7], [-0.2, -0.2]])
    there = convert_codes(model, bfm, eyelid=closure)
    assert there.eyelid is None
    gap = bfm.landmarks68[[43, 38]], bfm.landmarks68[[47, 40]]
    shapes = bfm.shape(exp=there.exp)
    opening = shapes[:, gap[0], 1] - shapes[:, gap[1], 1]
    # Left, right of the subject; the shut left eye and the open right one of frame 3.
    assert opening[3, 0] < 0.25 * opening[0, 0] and opening[3, 1] > 0.9 * opening[0, 1]
    back = convert_codes(bfm, model, exp=there.exp)
    np.testing.assert_allclose(back.eyelid, closure, atol=0.12)
    assert moved_mm(model.offset(back.exp)) < 0.3, "no expression comes of a blink"


def test_closure_beside_codes_that_close_eyes_adds_up(model, bfm):
    half = convert_codes(model, bfm, eyelid=[[0.4, 0.4]]).exp
    found = convert_codes(bfm, model, exp=half, eyelid=[[0.3, 0.0]])
    assert found.eyelid[0] == pytest.approx([0.7, 0.4], abs=0.06)


def test_a_blinks_length_is_that_of_the_targets_eyes(model, bfm):
    """A person with narrow eyes shuts them as wide as the target's are open."""
    lids = eyes.lid_gaps(model.mean)
    narrow = dataclasses.replace(
        model, mean=eyes.set_lid_gaps(model.mean, 0.5 * lids).astype(np.float32),
        space=dataclasses.replace(model.space, name="narrow-1"),
    )  # fmt: skip
    wide = convert_codes(model, bfm, eyelid=[[0.8, 0.8]]).exp
    np.testing.assert_allclose(convert_codes(narrow, bfm, eyelid=[[0.8, 0.8]]).exp, wide, atol=0.05)


def test_what_cannot_be_shown_is_refused(model, bfm, codes):
    still = dataclasses.replace(bfm, exp_basis=np.zeros_like(bfm.exp_basis))
    with pytest.raises(CoeffFileError, match=r"cannot be shown in bfm: \d\.\d mm are left, 3 mm are allowed"):
        convert_codes(model, still, exp=2 * codes[1])


def test_long_clips_are_converted_in_pieces(model, bfm, codes):
    long = np.tile(codes[1], (25, 1))
    found = convert_codes(model, bfm, exp=long)
    short = convert_codes(model, bfm, exp=codes[1])
    np.testing.assert_allclose(found.exp[600:650], short.exp, atol=1e-12)
    assert found.residual_mm == pytest.approx(short.residual_mm)


def test_identity_alone_and_nothing(model, bfm, codes):
    alone = convert_codes(model, bfm, id_coeffs=codes[0][0])
    assert alone.id.shape == (80,) and alone.exp is None
    assert convert_codes(bfm, model).exp is None


def test_wrong_lengths(model, bfm):
    with pytest.raises(ShapeError, match="exp"):
        convert_codes(model, bfm, exp=np.zeros((2, 5)))
    with pytest.raises(ShapeError, match="points"):
        convert_codes(model, bfm, points=np.zeros(4, int))


def test_head_frames_invert():
    frame = HeadFrame(scale=1.2, rotation=euler_to_matrix((0.1, 0.2, 0.3)), shift=np.array([0.1, -0.2, 0.3]))
    point = np.array([0.3, 0.2, 0.1])
    there = frame.scale * frame.rotation @ point + frame.shift
    back = frame.inverse()
    np.testing.assert_allclose(back.scale * back.rotation @ there + back.shift, point, atol=1e-12)
