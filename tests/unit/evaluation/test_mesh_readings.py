import numpy as np
import pytest

from talkhead.errors import ShapeError
from talkhead.evaluation.mesh_readings import MeshReader
from talkhead.face3d.morphable import load_builtin

FACE = load_builtin().mean.astype(np.float64) * [100, -100, -100] + [256, 256, 0]


def read(*faces):
    reader = MeshReader(25.0)
    for face in faces:
        reader.add(face)
    return reader.finish()


def moved(points, by):
    face = FACE.copy()
    face[list(points)] += by
    return face


def test_size_place_and_tilt_do_not_count():
    turn = np.array([[np.cos(0.4), np.sin(0.4), 0], [-np.sin(0.4), np.cos(0.4), 0], [0, 0, 1]])
    found = read(FACE, 3 * FACE @ turn.T + [10, 20, 30])
    for name in ("gap", "outer_gap", "width", "chin", "lip", "pout", "eye_aspect"):
        curve = getattr(found, name)
        assert curve[1] == pytest.approx(curve[0], abs=1e-9), name
    assert found.eye_distance[1] == pytest.approx(3 * found.eye_distance[0])
    assert found.angles[1, 2] == pytest.approx(found.angles[0, 2] + np.degrees(0.4))


def test_each_reading_follows_its_part_of_the_face():
    eyes = read(FACE).eye_distance[0]

    def change(name, points, by):
        curve = getattr(read(FACE, moved(points, by)), name)
        return (curve[1] - curve[0]) * eyes

    assert change("gap", [14], [0, 5, 0]) == pytest.approx(5, abs=0.2)
    assert change("outer_gap", [17], [0, 5, 0]) == pytest.approx(5, abs=0.2)
    assert change("width", [291], [4, 0, 0]) == pytest.approx(4, abs=0.2)
    assert change("chin", [152], [0, 6, 0]) == pytest.approx(6, abs=0.2)
    assert change("lip", [0], [0, -2, 0]) == pytest.approx(-2, abs=0.2)
    assert change("pout", [0, 17], [0, 0, -3]) > 2
    assert change("eye_aspect", [160, 158, 385, 387], [0, 2, 0]) < 0


def test_frames_without_a_face_are_gaps():
    found = read(FACE, None, FACE)
    assert found.found.tolist() == [True, False, True]
    assert np.isnan(found.angles[1]).all()
    assert (len(found), len(found.cut(2)), found.cut(2).angles.shape) == (3, 2, (2, 3))
    assert len(read()) == 0
    assert read().angles.shape == (0, 3)


def test_other_points_are_refused():
    with pytest.raises(ShapeError, match="478"):
        read(FACE[:468])
