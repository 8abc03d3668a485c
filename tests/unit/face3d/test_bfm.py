import numpy as np
import pytest
from scipy.io import savemat

from talkhead.errors import InputError
from talkhead.face3d.bfm import load_bfm
from talkhead.face3d.morphable import FaceModel
from talkhead.geometry import fit_similarity


def test_the_model_is_recentred_and_counts_from_0(bfm_file, bfm_arrays, model):
    bfm = load_bfm(bfm_file)
    assert (bfm.space.name, bfm.n_id, bfm.n_exp) == ("bfm", 80, 64)
    assert not isinstance(bfm, FaceModel)
    np.testing.assert_allclose(bfm.mean.mean(0), 0, atol=1e-6)
    raw = bfm_arrays["meanshape"].reshape(-1, 3)
    np.testing.assert_allclose(bfm.mean, raw - raw.mean(0), atol=1e-6)
    np.testing.assert_allclose(
        bfm.offset(np.eye(64)[3]), bfm_arrays["exBase"][:, 3].reshape(-1, 3), atol=1e-7
    )  # fmt: skip
    scale, rotation, shift = fit_similarity(bfm.mean[bfm.landmarks68], model.mean[model.landmarks68])
    found = scale * bfm.mean[bfm.landmarks68] @ rotation.T + shift
    np.testing.assert_allclose(found, model.mean[model.landmarks68], atol=1e-5)
    np.testing.assert_array_equal(np.sort(bfm.triangles[0]), np.sort(bfm_arrays["tri"][0] - 1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"exBase": None}, "lacks exBase"),
        ({"idBase": np.zeros((3, 80))}, r"idBase has shape \(3, 80\)"),
        ({"meanshape": np.zeros((1, 4))}, "expected three a vertex"),
        ({"keypoints": np.ones((1, 67))}, "67 keypoints"),
        ({"keypoints": np.full((1, 68), 479.0)}, "names vertices that are not there"),
        ({"tri": np.ones((4, 2))}, r"tri has shape \(4, 2\)"),
    ],
)
def test_unsuitable_files_are_named(bfm_arrays, tmp_path, change, message):
    changed = {key: value for key, value in (bfm_arrays | change).items() if value is not None}
    savemat(tmp_path / "BFM_model_front.mat", changed)
    with pytest.raises(InputError, match=message) as failure:
        load_bfm(tmp_path / "BFM_model_front.mat")
    assert "BFM_model_front.mat" in failure.value.message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p * 1e5, "another unit"),
        (lambda p: p * [1, -1, -1], "y does not grow upwards"),
        (lambda p: p * [-1, 1, 1], "subject's left"),
        (lambda p: p * [1, 1, -1], "z does not grow to the camera"),
    ],
)
def test_other_axes_and_units_are_refused(bfm_arrays, tmp_path, change, message):
    mean = change(bfm_arrays["meanshape"].reshape(-1, 3)).reshape(1, -1)
    savemat(tmp_path / "m.mat", bfm_arrays | {"meanshape": mean})
    with pytest.raises(InputError, match=message):
        load_bfm(tmp_path / "m.mat")


def test_other_files(tmp_path):
    (tmp_path / "m.mat").write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match="cannot read .* as a MATLAB file"):
        load_bfm(tmp_path / "m.mat")
    with pytest.raises(InputError, match="cannot read"):
        load_bfm(tmp_path / "none.mat")
