from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from talkhead.errors import CoeffFileError, InputError, ShapeError
from talkhead.face3d.measured import LinearMap, learn_conversion, load_saved_conversion, save_conversion
from talkhead.geometry import euler_to_matrix

N, N_A, N_B = 240, 6, 10
HELD_OUT = np.arange(N) % 4 == 0


def apart(found, true):
    """One point for each code, 1 mm a unit."""
    return np.abs(found - true)


def pairs(noise=0.0, seed=0):
    rng = np.random.default_rng(seed)
    a = rng.standard_normal((N, N_A)) * [3, 2, 1, 1, 0.5, 0.5]
    mixing = rng.standard_normal((N_A, N_B))
    return a, a @ mixing + rng.standard_normal(N_B) + noise * rng.standard_normal((N, N_B)), mixing


def test_a_hidden_linear_map_is_found_both_ways():
    a, b, mixing = pairs()
    found = learn_conversion(a, b, HELD_OUT, apart)
    np.testing.assert_allclose(found.to_b.matrix, mixing, atol=1e-3)
    np.testing.assert_allclose(found.to_b(a), b, atol=5e-3)
    np.testing.assert_allclose(found.to_a(b), a, atol=5e-3)
    assert found.residual_mm < 5e-3 < 0.5 < found.moved_mm
    assert min(found.to_a.explained, found.to_b.explained) > 0.9999
    assert found.n_pairs == 180
    found.require_useful(3.0, 0.5)


def test_offsets_stay_offsets():
    a, b, mixing = pairs()
    found = learn_conversion(a, b, HELD_OUT, apart)
    np.testing.assert_allclose(found.to_b(a - a[0], relative=True), b - b[0], atol=5e-3)
    np.testing.assert_array_equal(found.to_a(np.zeros((1, N_B)), relative=True), 0)


def test_noise_is_told_as_residual_and_the_ridge_helps():
    a, b, _ = pairs(noise=0.5)
    found = learn_conversion(a, b, HELD_OUT, apart)
    assert 0.1 < found.residual_mm < 0.4
    assert 0.8 < found.to_a.explained < 0.999
    plain = np.linalg.lstsq(np.c_[b[~HELD_OUT], np.ones(180)], a[~HELD_OUT], rcond=None)[0]
    left = np.sqrt(((np.c_[b[HELD_OUT], np.ones(60)] @ plain - a[HELD_OUT]) ** 2).mean())
    assert found.residual_mm < 1.02 * left


def test_what_is_not_connected_is_refused():
    a, _, _ = pairs()
    found = learn_conversion(a, np.random.default_rng(9).standard_normal((N, N_B)), HELD_OUT, apart)
    assert found.to_b.explained < 0.05
    with pytest.raises(CoeffFileError, match=r"\d\.\d of \d\.\d mm are left .* % of the variance"):
        found.require_useful(3.0, 0.5)
    close = dataclasses.replace(found, to_b=LinearMap(matrix=np.eye(2), offset=np.zeros(2), explained=0.9))
    close = dataclasses.replace(close, to_a=close.to_b, residual_mm=2.9)
    close.require_useful(3.0, 0.5)
    with pytest.raises(CoeffFileError):
        dataclasses.replace(close, residual_mm=3.1).require_useful(3.0, 0.5)


def test_a_code_that_never_moves_changes_nothing():
    a, b, _ = pairs()
    with_still = np.c_[a, np.full(N, 0.3)]
    found = learn_conversion(with_still, b, HELD_OUT, apart)
    np.testing.assert_array_equal(found.to_b.matrix[-1], 0)
    np.testing.assert_allclose(found.to_a(b)[:, -1], 0.3, atol=1e-9)


def test_the_turn_between_the_head_frames():
    a, b, _ = pairs()
    rng = np.random.default_rng(1)
    in_a = euler_to_matrix(0.3 * rng.standard_normal((N, 3)))
    turn = euler_to_matrix([0.08, 0.0, 0.0])
    in_b = in_a @ turn.T
    found = learn_conversion(a, b, HELD_OUT, apart, rotations=(in_a, in_b))
    np.testing.assert_allclose(found.turn, turn, atol=1e-9)
    np.testing.assert_allclose(in_b[3] @ found.turn, in_a[3], atol=1e-9)


def test_saved_and_loaded(tmp_path):
    a, b, _ = pairs(noise=0.1)
    made = learn_conversion(a, b, HELD_OUT, apart)
    save_conversion(made, tmp_path / "new" / "c.safetensors", {"spaces": ["a", "b"]})
    back = load_saved_conversion(tmp_path / "new" / "c.safetensors")
    np.testing.assert_array_equal(back.to_a(b), made.to_a(b))
    np.testing.assert_array_equal(back.turn, made.turn)
    assert (back.residual_mm, back.to_b.explained) == (made.residual_mm, made.to_b.explained)


def test_other_files_are_refused(tmp_path):
    (tmp_path / "c.safetensors").write_bytes(b"nothing")
    for name in ("c.safetensors", "none.safetensors"):
        with pytest.raises(InputError, match="is no conversion"):
            load_saved_conversion(tmp_path / name)


def test_too_little_to_learn_from():
    a, b, _ = pairs()
    with pytest.raises(InputError, match="12 faces could be measured"):
        learn_conversion(a[:12], b[:12], HELD_OUT[:12], apart)
    with pytest.raises(ShapeError):
        learn_conversion(a, b[:-1], HELD_OUT, apart)
    with pytest.raises(ShapeError):
        learn_conversion(a, b, HELD_OUT[:-1], apart)
