from __future__ import annotations

import numpy as np
import pytest

from talkhead.errors import InputError, ShapeError
from talkhead.face.topology import MIRROR, RIGID
from talkhead.face3d.eyes import lid_gaps
from talkhead.face3d.morphable import (
    encode_model,
    load_builtin,
    parse_model,
    read_model,
    remove_similarity,
    similarity_tangent,
)
from talkhead.face3d.pose import Z_WEIGHT

CONTROLS = {
    *("jaw-open", "lip-open", "lip-close", "pucker", "funnel", "mouth-wide", "smile", "frown", "lip-press", "lip-tuck"),
    *("upper-lip-raise", "lower-lip-depress", "brow-raise", "brow-furrow", "cheek-raise", "nose-wrinkle"),
}


def residual_weights(model):
    return model.pose_weights[:, None].astype(float) * [1.0, 1.0, Z_WEIGHT]


def opening(vertices):
    return vertices[..., [13, 82, 312], 1].mean(-1) - vertices[..., [14, 87, 317], 1].mean(-1)


def test_mean_keeps_the_conventions(model):
    mean = model.mean.astype(float)
    assert mean.shape == (478, 3)
    np.testing.assert_allclose(np.linalg.norm(mean[33] - mean[263]), 0.9, atol=1e-6)
    np.testing.assert_allclose(mean.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(mean[MIRROR] * [-1, 1, 1], mean, atol=1e-6)
    lean = np.degrees(np.arctan2(mean[10, 2] - mean[152, 2], mean[10, 1] - mean[152, 1]))
    assert lean == pytest.approx(3.5, abs=0.01)
    assert mean[1, 2] > mean[33, 2] > mean[127, 2], "the nose is nearer to the camera than the temples"
    assert 0 < opening(mean) / 0.9 < 0.008, "lips together"


def test_bases_are_orthonormal_and_ordered(model):
    for basis, std in ((model.exp_basis, model.space.exp_std), (model.id_basis, model.space.id_std)):
        flat = basis.reshape(len(basis), -1)
        np.testing.assert_allclose(flat @ flat.T, np.eye(len(basis)), atol=1e-5)
        assert (np.diff(std) <= 1e-6).all() and std[-1] > 0
    assert model.n_exp == 28


def test_bases_do_not_move_the_head_as_the_pose_fit_sees_it(model):
    weighted = similarity_tangent(model.mean) * residual_weights(model)
    norm = np.linalg.norm(weighted.reshape(7, -1), axis=1)
    for basis in (model.exp_basis, model.id_basis):
        seen = np.einsum("avi,nvi->an", weighted, basis) / norm[:, None]
        assert np.abs(seen).max() < 1e-5


def test_expressions_leave_the_lid_gaps_alone(model):
    np.testing.assert_allclose(lid_gaps(model.exp_basis), 0, atol=1e-6)


def test_opening_the_jaw_leaves_the_skull_alone(model):
    moved = np.linalg.norm(model.offset(model.space.controls["jaw-open"]), axis=-1)
    assert moved[list(RIGID)].mean() < 0.02 < 0.15 < moved[152]


def test_mirror_takes_codes_to_the_mirrored_face(model):
    mirror = model.space.mirror
    np.testing.assert_array_equal(mirror @ mirror, np.eye(28))
    exp = np.random.default_rng(0).standard_normal(28) * model.space.exp_std
    np.testing.assert_allclose(
        model.shape(exp=mirror @ exp), model.shape(exp=exp)[MIRROR] * [-1, 1, 1], atol=1e-5
    )  # fmt: skip


def test_controls(model):
    assert set(model.space.controls) == CONTROLS
    neutral = model.shape()

    def change(name):
        return model.shape(exp=model.space.controls[name]) - neutral

    assert opening(neutral + change("lip-open")) - opening(neutral) == pytest.approx(0.14 * 0.9, abs=0.003)
    assert opening(neutral + change("lip-open") + change("lip-close")) == pytest.approx(opening(neutral), abs=0.01)
    assert change("jaw-open")[152, 1] < -0.15
    assert change("pucker")[61, 0] > 0.04 and change("mouth-wide")[61, 0] < -0.04
    assert change("smile")[[61, 291], 1].mean() > 0.04 and change("frown")[[61, 291], 1].mean() < -0.04
    assert change("brow-raise")[[105, 334], 1].mean() > 0.04
    assert change("brow-furrow")[55, 0] > 0.01
    assert change("lip-tuck")[14, 2] < change("lip-tuck")[152, 2]
    for name in CONTROLS:
        field = change(name)
        np.testing.assert_allclose(field[MIRROR] * [-1, 1, 1], field, atol=2e-4, err_msg=name)


def test_first_component_opens_the_mouth(model):
    exp = np.zeros(28)
    exp[0] = 2 * model.space.exp_std[0]
    assert opening(model.shape(exp=exp)) - opening(model.shape()) > 0.1


def test_shape_takes_batches_and_refuses_other_lengths(model):
    exp = np.zeros((2, 3, 28))
    assert model.shape(np.zeros(model.n_id), exp).shape == (2, 3, 478, 3)
    with pytest.raises(ShapeError, match="exp has shape"):
        model.offset(np.zeros(27))


def test_views_cut_and_pad(model):
    view = model.as_view(157, 10)
    assert (view.n_id, view.n_exp, len(view.space.id_std)) == (157, 10, 157)
    assert view.space.mirror.shape == (10, 10) and view.space.controls["smile"].shape == (10,)
    code = np.random.default_rng(0).standard_normal(10)
    np.testing.assert_array_equal(view.offset(code), model.offset(np.concatenate([code, np.zeros(18)])))
    np.testing.assert_array_equal(view.id_basis[model.n_id :], 0)
    wide = np.random.default_rng(1).standard_normal(157)
    np.testing.assert_array_equal(view.shape(wide), model.shape(wide[: model.n_id]))
    np.testing.assert_array_equal(view.space.id_std[model.n_id :], 0)


def test_builtin_is_loaded_once_and_names_its_sources():
    assert load_builtin() is load_builtin()
    assert load_builtin().space.name.startswith("meshwarp-")
    assert "talking_hdtf_512_25fps" in load_builtin().provenance["people"]


def test_equal_content_gives_equal_bytes_and_another_space_otherwise(model):
    def tensors(mean):
        return {
            "mean": mean, "id_basis": model.id_basis, "exp_basis": model.exp_basis, "uv": model.uv,
            "id_std": model.space.id_std, "exp_std": model.space.exp_std, "exp_mirror": model.space.mirror,
            "pose_weights": model.pose_weights, "controls": np.array(list(model.space.controls.values())),
        }  # fmt: skip

    names = list(model.space.controls)
    content = encode_model(tensors(model.mean), names, "meshwarp", {"script": "here"})
    assert content == encode_model(tensors(model.mean), names, "meshwarp", {"script": "here"})
    again = parse_model(content, "again")
    assert again.space.name == model.space.name
    np.testing.assert_array_equal(again.exp_basis, model.exp_basis)
    other = parse_model(encode_model(tensors(model.mean + 1e-3), names, "meshwarp", {}), "other")
    assert other.space.name != model.space.name


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\0\0\0\0\0\0\0{}      "])
def test_refuses_what_is_no_model(content, tmp_path):
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match="m.safetensors is not a talkhead face model"):
        read_model(path)


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match="cannot read the face model"):
        read_model(tmp_path / "none.safetensors")


def test_remove_similarity_removes_exactly_that(model):
    rng = np.random.default_rng(0)
    rigid = np.einsum("na,avi->nvi", rng.standard_normal((4, 7)), similarity_tangent(model.mean))
    weights = residual_weights(model)
    np.testing.assert_allclose(remove_similarity(rigid, model.mean.astype(float), weights), 0, atol=1e-9)
    kept = model.exp_basis[:4].astype(float)
    np.testing.assert_allclose(remove_similarity(kept + rigid, model.mean.astype(float), weights), kept, atol=1e-5)
