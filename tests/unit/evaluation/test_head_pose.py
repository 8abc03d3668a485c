import numpy as np
import pytest

from talkhead.errors import ShapeError
from talkhead.evaluation.head_pose import (
    CANONICAL_POINTS,
    angle_differences,
    angles_of_mesh,
    diversity_measurement,
    geodesic_distances,
    pose_measurements,
    rotation_distances,
)
from talkhead.geometry import euler_to_matrix

FLIP = [1, -1, -1]


@pytest.mark.parametrize("angles", [(0, 0, 0), (20, 0, 0), (0, -35, 0), (5, 10, 170)])
def test_a_turned_canonical_face_has_the_angles_it_was_turned_by(angles):
    turned = (CANONICAL_POINTS @ euler_to_matrix(np.radians(angles)).T) * FLIP
    np.testing.assert_allclose(angles_of_mesh(40 * turned + [100, 200, 3]), angles, atol=1e-9)


def test_differences_take_the_short_way_round():
    assert angle_differences(np.array([179.0, -180, 10]), np.array([-179.0, 180, 0])).tolist() == [-2, 0, 10]
    ours, theirs = np.array([[0, 0, 179.0]]), np.array([[0, 0, -179.0]])
    assert rotation_distances(ours, theirs) == pytest.approx(2 / 3)
    assert geodesic_distances(ours, theirs) == pytest.approx(2)


def test_tiny_turns_are_not_lost():
    assert geodesic_distances(np.array([[0, 1e-6, 0]]), np.zeros((1, 3))) == pytest.approx(1e-6, rel=1e-6)


def test_frames_without_a_face_are_dropped_and_clips_cut_to_the_shorter():
    ours, theirs = np.zeros((4, 3)), np.full((3, 3), 2.0)
    ours[1] = np.nan
    rows = {m.name: m for m in pose_measurements(ours, theirs)}
    assert (rows["ard~mesh"].value, rows["ard~mesh"].n_frames, rows["ard~mesh"].frames_dropped) == (2, 2, 1)
    assert (rows["are~mesh"].value, rows["are~mesh"].n_frames) == (0, 3)
    assert rows["geodesic~mesh"].value == pytest.approx(geodesic_distances(theirs[:1], ours[:1])[0])
    (blind,) = pose_measurements(np.full((2, 3), np.nan))
    assert blind.value is None and "face" in blind.reason


def test_only_proxies_have_their_source_in_the_name():
    (row,) = pose_measurements(np.zeros((2, 3)), source="bfm", grade="paper-like")
    assert (row.name, row.params["angles"]) == ("are", "bfm")
    row = diversity_measurement(np.eye(3), source="hopenet_pool2048", grade="unverified", unit="")
    assert (row.name, row.definition) == ("diversity", "diversity/hopenet_pool2048")
    assert row.params["definition_certain"] is False


def test_a_single_frame_has_no_diversity():
    angles = np.array([[1.0, 2, 3], [np.nan] * 3])
    assert diversity_measurement(angles).reason == "fewer than two frames show a face"
    assert diversity_measurement(np.array([[0.0, 0, 0], [2, 4, 6]])).value == 2


@pytest.mark.parametrize("points", [np.zeros((68, 3)), np.zeros((478, 2))])
def test_other_points_are_refused(points):
    with pytest.raises(ShapeError, match="points"):
        angles_of_mesh(points)
