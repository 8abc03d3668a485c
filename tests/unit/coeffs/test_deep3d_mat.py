import logging

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from talkhead.coeffs.bfm import depth_of_scale, scale_of_depth
from talkhead.coeffs.container import Coeffs
from talkhead.coeffs.deep3d_mat import read_mat, write_mat
from talkhead.coeffs.file import CoeffReader, write_coeffs
from talkhead.coeffs.retime import resample


@pytest.fixture
def rows():
    return np.random.default_rng(0).normal(size=(5, 73)).astype(np.float32)


@pytest.fixture
def full():
    return np.random.default_rng(1).normal(size=(1, 257)).astype(np.float32)


def spoken(n=6, **changes):
    """What a speech stage makes for a face: offsets, with the face's own codes beside them."""
    rng = np.random.default_rng(2)
    made = {
        "exp": rng.normal(size=(n, 64)).astype(np.float32),
        "rot": 0.1 * rng.normal(size=(n, 3)).astype(np.float32),
        "trans": 0.1 * rng.normal(size=(n, 3)).astype(np.float32),
        "relative": frozenset({"exp", "rot", "trans"}),
        "extra": {
            "reference_exp": rng.normal(size=64).astype(np.float32),
            "reference_pose": rng.normal(size=6).astype(np.float32),
        },
    }
    return Coeffs(space="bfm", fps=25.0, n_frames=n, **made | changes)


def test_rows_of_a_photo(tmp_path, rows, full):
    savemat(tmp_path / "c.mat", {"coeff_3dmm": rows, "full_3dmm": full})
    motion = read_mat(tmp_path / "c.mat")
    assert (motion.space, motion.fps, len(motion)) == ("bfm", 25, 5)
    np.testing.assert_array_equal(motion.exp, rows[:, :64])
    np.testing.assert_array_equal(motion.rot, rows[:, 64:67])
    np.testing.assert_array_equal(motion.trans, rows[:, 67:70])
    np.testing.assert_array_equal(motion.extra["alignment"], rows[:, 70:])
    np.testing.assert_array_equal(motion.id, full[0, :80])
    np.testing.assert_array_equal(motion.extra["tex"], full[0, 144:224])
    np.testing.assert_array_equal(motion.extra["gamma"], full[0, 227:254])
    np.testing.assert_allclose(motion.scale, 1015 / (10 - rows[:, 69]), rtol=1e-6)


@pytest.mark.parametrize("width", [70, 73])
def test_round_trip_keeps_every_number(tmp_path, rows, full, width):
    full[0, 80:144], full[0, 224:227], full[0, 254:] = rows[0, :64], rows[0, 64:67], rows[0, 67:70]
    savemat(tmp_path / "c.mat", {"coeff_3dmm": rows[:, :width], "full_3dmm": full})
    write_mat(tmp_path / "d.mat", read_mat(tmp_path / "c.mat"))
    back = loadmat(tmp_path / "d.mat")
    np.testing.assert_array_equal(back["coeff_3dmm"], rows[:, :width])
    np.testing.assert_array_equal(back["full_3dmm"], full)


def test_without_an_identity_there_is_no_full_row(tmp_path, rows):
    savemat(tmp_path / "c.mat", {"coeff_3dmm": rows})
    write_mat(tmp_path / "d.mat", read_mat(tmp_path / "c.mat"))
    assert "full_3dmm" not in loadmat(tmp_path / "d.mat")


def test_offsets_are_added_to_the_face_they_were_made_for(tmp_path, caplog):
    motion = spoken()
    with caplog.at_level(logging.WARNING):
        write_mat(tmp_path / "d.mat", motion)
    found = loadmat(tmp_path / "d.mat")["coeff_3dmm"]
    np.testing.assert_array_equal(found[:, :64], motion.extra["reference_exp"] + motion.exp)
    np.testing.assert_array_equal(found[:, 64:67], motion.extra["reference_pose"][:3] + motion.rot)
    np.testing.assert_array_equal(found[:, 67:], motion.extra["reference_pose"][3:] + motion.trans)
    assert not caplog.records


def test_missing_tracks_rest_where_the_face_is(tmp_path):
    motion = spoken(rot=None, trans=None)
    write_mat(tmp_path / "d.mat", motion)
    found = loadmat(tmp_path / "d.mat")["coeff_3dmm"]
    np.testing.assert_array_equal(found[:, 64:], np.tile(motion.extra["reference_pose"], (6, 1)))


def test_offsets_of_an_unknown_face_are_told(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        write_mat(tmp_path / "d.mat", spoken(extra={}))
    assert "exp and rot and trans are relative" in caplog.text
    np.testing.assert_array_equal(loadmat(tmp_path / "d.mat")["coeff_3dmm"][:, :64], spoken().exp)


def test_a_faces_own_codes_are_no_frames(tmp_path):
    """64 and 6 frames are lengths like any other: the extra tensors stay whole, alignment is cut along."""
    motion = spoken(64, rot=None, trans=None)
    alignment = np.arange(192, dtype=np.float32).reshape(64, 3)
    motion = motion.replace(extra={**motion.extra, "alignment": alignment})
    for cut in (motion.at(slice(3, 10)), resample(motion, 12.5).at(slice(0, 7))):
        assert cut.extra["reference_exp"].shape == (64,)
        assert cut.extra["alignment"].shape == (7, 3)
    write_coeffs(tmp_path / "c.safetensors", motion)
    with CoeffReader(tmp_path / "c.safetensors") as reader:
        part = reader.read(3, 10)
    assert part.extra["reference_exp"].shape == (64,)
    np.testing.assert_array_equal(part.extra["alignment"], alignment[3:10])


def test_another_expression_takes_its_face_along():
    motion, other = spoken(), spoken(extra={}, rot=None, trans=None)
    assert "reference_exp" in motion.merged(spoken(exp=None)).extra
    merged = motion.merged(other)
    assert "reference_exp" not in merged.extra and "reference_pose" in merged.extra


def test_depth_and_size_say_the_same():
    depth = np.array([-2.0, 0.0, 1.5])
    np.testing.assert_allclose(scale_of_depth(depth), [1015 / 12, 101.5, 1015 / 8.5], rtol=1e-6)
    np.testing.assert_allclose(depth_of_scale(scale_of_depth(depth)), depth, atol=1e-5)
