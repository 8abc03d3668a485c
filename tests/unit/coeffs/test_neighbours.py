import csv
import dataclasses
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from talkhead.coeffs.arkit import CONTROL_SHAPES, SHAPES, control_amounts, read_arkit, write_arkit
from talkhead.coeffs.container import Coeffs
from talkhead.coeffs.deep3d_mat import read_mat, write_mat
from talkhead.coeffs.matfile import read_matrices
from talkhead.coeffs.neighbours import export_neighbour, import_neighbour, is_neighbour
from talkhead.coeffs.openface import read_openface
from talkhead.errors import CoeffFileError, OutputExistsError, UsageError
from talkhead.geometry import euler_to_matrix


@pytest.fixture
def space(space):
    """Every control that ARKit has a shape for, each its own direction."""
    names = list(CONTROL_SHAPES)
    eye = np.eye(len(names), dtype=np.float32)
    return dataclasses.replace(
        space, exp_std=np.ones(len(names), np.float32), controls=dict(zip(names, eye, strict=True)), mirror=None
    )


def _write_csv(path: Path, columns: dict[str, object]) -> Path:
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


def test_there_are_52_shapes():
    assert len(set(SHAPES)) == 52
    assert {shape for shapes in CONTROL_SHAPES.values() for shape in shapes} <= set(SHAPES)


def test_arkit_shapes_move_controls_lids_and_gaze(tmp_path, space):
    path = _write_csv(
        tmp_path / "take.csv",
        {
            "jawOpen": [0, 0.5], "mouthSmileLeft": [0, 0.2], "mouthSmileRight": [0, 0.4], "eyeBlinkLeft": [0, 1],
            "eyeWideRight": [0, 1], "eyeLookOutLeft": [0, 1], "eyeLookInRight": [0, 1], "eyeLookUpLeft": [0, 1],
            "eyeLookUpRight": [0, 1], "tongueOut": [0, 1],
        },
    )  # fmt: skip
    motion = read_arkit(path, space, fps=30)
    assert motion.relative == {"exp", "gaze"}
    assert (motion.fps, len(motion), motion.space) == (30, 2, space.name)
    names = list(space.controls)
    assert np.abs(motion.exp[0]).max() == 0
    assert motion.exp[1, names.index("jaw-open")] == pytest.approx(0.5)
    assert motion.exp[1, names.index("smile")] == pytest.approx(0.3)
    assert motion.eyelid[1] == pytest.approx([1, -0.3])
    assert np.degrees(motion.gaze[1]) == pytest.approx([30, 30], abs=1e-4)


def test_arkit_round_trip(tmp_path, space):
    rng = np.random.default_rng(0)
    motion = Coeffs(
        space=space.name,
        fps=30.0,
        n_frames=100,
        exp=rng.uniform(0, 1, (100, len(space.controls))).astype(np.float32),
        eyelid=rng.uniform(-0.3, 1, (100, 2)).astype(np.float32),
        gaze=rng.uniform(-0.5, 0.5, (100, 2)).astype(np.float32),
        relative=frozenset({"exp", "gaze"}),
    )
    write_arkit(tmp_path / "take.csv", motion, space)
    back = read_arkit(tmp_path / "take.csv", space)
    assert back.fps == 30
    kept = [i for i, name in enumerate(space.controls) if name != "lip-close"]
    np.testing.assert_allclose(back.exp[:, kept], motion.exp[:, kept], atol=0.05)
    np.testing.assert_allclose(back.eyelid, motion.eyelid, atol=1e-5)
    np.testing.assert_allclose(back.gaze, motion.gaze, atol=1e-5)
    with pytest.raises(OutputExistsError):
        write_arkit(tmp_path / "take.csv", motion, space)


def test_amounts_stay_within_0_and_1(space):
    for value, bound in ((-1.0, 0), (9.0, 1)):
        amounts = control_amounts(np.full((1, len(space.controls)), value), space)
        assert all(amount.tolist() == [bound] for amount in amounts.values())


def test_the_mouth_opening_counts_most(space):
    """Two controls share a direction, one opens the mouth: the opening decides between them."""
    opening = np.zeros(len(space.controls), np.float32)
    opening[0] = 0.2
    controls = dict(space.controls)
    controls["funnel"] = controls["funnel"] + 0.8 * controls["jaw-open"]
    expression = controls["funnel"][None] * 0.5
    tuned = dataclasses.replace(space, controls=controls, opening=opening)
    amounts = control_amounts(expression, tuned)
    found = sum(amount[0] * controls[name] for name, amount in amounts.items())
    assert found @ opening == pytest.approx(float(expression[0] @ opening), rel=0.02)


def test_mouth_close_takes_back_the_jaw(tmp_path, space):
    opening = np.zeros(len(space.controls), np.float32)
    names = list(space.controls)
    opening[names.index("jaw-open")], opening[names.index("lip-close")] = 0.3, -0.1
    path = _write_csv(tmp_path / "t.csv", {"jawOpen": [0.4], "mouthClose": [0.4]})
    motion = read_arkit(path, dataclasses.replace(space, opening=opening), fps=25)
    assert float(motion.exp[0] @ opening) == pytest.approx(0, abs=1e-6)


def test_timecode_gives_the_rate(tmp_path, space):
    codes = [f"10:20:{second:02d}:{frame:02d}.500" for second in range(4) for frame in range(24)]
    path = _write_csv(tmp_path / "take.csv", {"Timecode": codes, "JawOpen": [0] * len(codes)})
    assert read_arkit(path, space).fps == 24
    assert read_arkit(_write_csv(tmp_path / "short.csv", {"JawOpen": [0]}), space).fps == 60


def test_a_short_take_keeps_the_rate_it_was_written_with(tmp_path, space):
    motion = Coeffs(space=space.name, fps=25.0, n_frames=30, eyelid=np.zeros((30, 2), np.float32))
    write_arkit(tmp_path / "take.csv", motion, space)
    assert read_arkit(tmp_path / "take.csv", space).fps == 25


def _openface_columns(n: int) -> dict[str, object]:
    numbers = {
        "frame": range(1, n + 1), "face_id": [0] * n, "timestamp": [f"{i / 30:.3f}" for i in range(n)],
        "confidence": [0.98] * n, "success": [1] * n, "gaze_angle_x": [0.0] * n, "gaze_angle_y": [0.0] * n,
        "pose_Tx": [10.0] * n, "pose_Ty": [20.0] * n, "pose_Tz": [500.0] * n, "pose_Rx": [0.0] * n,
        "pose_Ry": [0.0] * n, "pose_Rz": [0.0] * n, "AU01_r": [1.5] * n, "AU12_r": [2.5] * n, "AU12_c": [1] * n,
        "AU28_c": [0] * n,
    }  # fmt: skip
    points = {f"{axis}_{i}": [100.0 + i] * n for axis in "xy" for i in range(68)}
    return {" " + name: values for name, values in (numbers | points).items()}


def test_openface_tracks(tmp_path):
    motion = read_openface(_write_csv(tmp_path / "of.csv", _openface_columns(4)))
    assert motion.au_names == ("AU01_r", "AU12_r", "AU12_c", "AU28_c")
    assert motion.au[0].tolist() == [1.5, 2.5, 1, 0]
    assert motion.fps == 30
    assert motion.trans[0] == pytest.approx([0.1, -0.2, 0])
    assert motion.scale == pytest.approx(1)
    assert motion.relative == {"scale"}
    assert motion.landmarks.shape == (4, 68, 2)
    assert motion.landmarks[0, 3].tolist() == [103, 103]
    assert np.abs(motion.rot).max() == np.abs(motion.gaze).max() == 0


@pytest.mark.parametrize(
    ("column", "angle", "nose"),
    [("pose_Rx", 0.3, (0, -np.sin(0.3))), ("pose_Ry", 0.3, (-np.sin(0.3), 0)), ("pose_Rz", 0.3, (0, 0))],
)
def test_openface_rotations_turn_the_nose_where_its_camera_sees_it(tmp_path, column, angle, nose):
    columns = _openface_columns(1)
    columns[" " + column] = [angle]
    motion = read_openface(_write_csv(tmp_path / "of.csv", columns))
    matrix = euler_to_matrix(motion.rot[0])
    assert (matrix @ [0, 0, 1])[:2] == pytest.approx(nose, abs=1e-6)
    if column == "pose_Rz":  # clockwise in the picture: the top of the head goes to image right
        assert (matrix @ [0, 1, 0])[0] == pytest.approx(np.sin(0.3), abs=1e-6)


def test_openface_gaze_becomes_relative_to_the_head(tmp_path):
    columns = _openface_columns(2)
    columns[" pose_Ry"] = [-0.2, 0]
    columns[" gaze_angle_x"] = [0.2, 0.1]
    columns[" gaze_angle_y"] = [0, 0.3]
    motion = read_openface(_write_csv(tmp_path / "of.csv", columns))
    assert motion.gaze[0] == pytest.approx([0, 0], abs=1e-6)
    assert motion.gaze[1] == pytest.approx([0.1, -0.3], abs=1e-6)


def test_openface_bridges_failures_and_keeps_one_face(tmp_path):
    columns = _openface_columns(5)
    columns[" success"] = [1, 0, 1, 1, 1]
    columns[" AU01_r"] = [1, 99, 3, 3, 50]
    columns[" face_id"] = [0, 0, 0, 0, 1]
    motion = read_openface(_write_csv(tmp_path / "of.csv", columns))
    assert motion.au[:, 0].tolist() == [1, 2, 3, 3]
    assert motion.params["frames_without_face"] == 1
    columns[" success"] = [0] * 5
    with pytest.raises(CoeffFileError, match="in none of 4 frames"):
        read_openface(_write_csv(tmp_path / "of.csv", columns))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"other": np.zeros(3)}, "no matrix coeff_3dmm"),
        ({"coeff_3dmm": np.zeros((3, 64))}, r"shape \(3, 64\)"),
        ({"coeff_3dmm": np.full((3, 70), np.nan)}, "not finite"),
        ({"coeff_3dmm": "text"}, "no matrix coeff_3dmm"),
        ({"coeff_3dmm": np.zeros((3, 70)) + 1j}, "no matrix coeff_3dmm"),
        ({"coeff_3dmm": np.zeros((0, 70))}, r"shape \(0, 70\)"),
    ],
)
def test_unsuitable_mat_files(tmp_path, content, message):
    savemat(tmp_path / "c.mat", content)
    with pytest.raises(CoeffFileError, match=message):
        read_mat(tmp_path / "c.mat")


@pytest.mark.parametrize("data", [b"", b"not a matrix", b"MATLAB 5.0 MAT-file" + bytes(200), bytes(300)])
def test_other_files_are_no_matrices(tmp_path, data):
    (tmp_path / "c.mat").write_bytes(data)
    with pytest.raises(CoeffFileError, match="no MATLAB file"):
        read_mat(tmp_path / "c.mat")


@pytest.mark.parametrize("compressed", [False, True])
def test_damaged_matrices_are_refused(tmp_path, compressed):
    """Every truncation and random damages end in our error or in finite numbers, never in another one."""
    rng = np.random.default_rng(0)
    savemat(tmp_path / "c.mat", {"coeff_3dmm": rng.normal(size=(3, 70))}, do_compression=compressed)
    whole = (tmp_path / "c.mat").read_bytes()
    for length in range(128, len(whole), 37):
        (tmp_path / "c.mat").write_bytes(whole[:length])
        with pytest.raises(CoeffFileError):
            read_mat(tmp_path / "c.mat")
    for _ in range(200):
        damaged = bytearray(whole)
        damaged[rng.integers(128, 260)] = rng.integers(256)
        (tmp_path / "c.mat").write_bytes(damaged)
        try:
            assert np.isfinite(read_mat(tmp_path / "c.mat").exp).all()
        except CoeffFileError:
            continue


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("dtype", ["f8", "f4", "i2", "u1", ">f8"])
def test_matrices_of_all_kinds(tmp_path, dtype, compressed):
    array = (np.arange(210).reshape(3, 70) % 100).astype(dtype)
    more = {
        "text": "hello",
        "cell": np.array([1, "a"], object),
        "coeff_3dmm": array,
        "s": {"x": 1},
        "n": np.ones((2, 2, 2)),
    }
    savemat(tmp_path / "c.mat", more, do_compression=compressed)
    found = read_matrices((tmp_path / "c.mat").read_bytes())
    assert set(found) == {"coeff_3dmm", "n"}
    np.testing.assert_array_equal(found["coeff_3dmm"], array)
    assert found["n"].shape == (2, 2, 2)


def test_mat_export_needs_its_own_codes(motion, tmp_path):
    with pytest.raises(CoeffFileError, match="64 codes of space bfm, these are 6 of toy-00000001"):
        write_mat(tmp_path / "c.mat", motion)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "at least one row"),
        ("jawOpen\n", "at least one row"),
        ("a,b\n1,2\n", "no column named like an ARKit blend shape"),
        ("jawOpen\nx\n", "cannot read table"),
        ("jawOpen,mouthClose\n1,1\n1\n", "cannot read table"),
        ("jawOpen\nnan\n", "JawOpen in row 1 is nan"),
    ],
)
def test_unsuitable_tables(tmp_path, space, text, message):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(CoeffFileError, match=message):
        import_neighbour(tmp_path / "t.csv", space)


def test_files_are_told_apart(tmp_path, space, motion):
    of = _write_csv(tmp_path / "of.csv", _openface_columns(2))
    assert import_neighbour(of, space).space == "openface"
    ark = _write_csv(tmp_path / "ark.csv", {"jawOpen": [0.5]})
    assert import_neighbour(ark, space).space == space.name
    savemat(tmp_path / "c.mat", {"coeff_3dmm": np.zeros((2, 70))})
    assert import_neighbour(tmp_path / "c.mat", space, fps=30).fps == 30
    assert is_neighbour("x.CSV")
    assert not is_neighbour("x.safetensors")
    with pytest.raises(UsageError, match=".mat or .csv"):
        import_neighbour("x.txt", space)
    with pytest.raises(CoeffFileError, match="cannot read"):
        import_neighbour(tmp_path / "missing.csv", space)
    export_neighbour(tmp_path / "out.csv", motion.replace(exp=None, id=None), space)
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 51
    export_neighbour(tmp_path / "out.mat", motion.replace(exp=None, id=None), space)
    np.testing.assert_array_equal(read_mat(tmp_path / "out.mat").rot, motion.rot)
