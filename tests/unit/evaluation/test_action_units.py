from dataclasses import replace

import numpy as np
import pytest

from talkhead.errors import CoeffFileError, ShapeError
from talkhead.evaluation.action_units import (
    PresenceCounts,
    Presences,
    hamming_distances,
    mesh_presences,
    read_presences,
)
from talkhead.evaluation.mesh_readings import MeshReadings

HEADER = "frame, face_id, timestamp, confidence, success, AU10_r, AU10_c, AU25_c, AU28_c"


def csv(tmp_path, *rows, header=HEADER, name="real.csv"):
    path = tmp_path / name
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def presences(*rows, units=("AU25", "AU26"), frames=None, found=None):
    n = len(rows)
    return Presences(
        units=units,
        present=np.array(rows, bool).reshape(n, len(units)),
        found=np.ones(n, bool) if found is None else np.array(found, bool),
        frames=np.arange(n) if frames is None else np.array(frames),
    )


def test_openface_tables_are_read_with_their_blanks(tmp_path):
    found = read_presences(csv(tmp_path, "1, 0, 0, .9, 1, 2.5, 1, 0, 1", "2, 0, .04, .2, 0, 0, 0, 1, 0"))
    assert found.units == ("AU10", "AU25", "AU28")
    assert found.present.tolist() == [[True, False, True], [False, True, False]]
    assert (found.found.tolist(), found.frames.tolist()) == ([True, False], [1, 2])


def test_of_several_faces_the_one_seen_most_counts(tmp_path):
    rows = ["1, 0, 0, 1, 1, 0, 0, 0, 0", "1, 7, 0, 1, 1, 0, 1, 1, 1", "2, 7, 0, 1, 1, 0, 1, 1, 1"]
    found = read_presences(csv(tmp_path, *rows))
    assert found.frames.tolist() == [1, 2]
    assert found.present.all()


def test_tables_without_presences_are_refused(tmp_path):
    with pytest.raises(CoeffFileError, match="presences"):
        read_presences(csv(tmp_path, "1, 2.5", header="frame, AU10_r"))
    with pytest.raises(CoeffFileError, match=r"none\.csv"):
        read_presences(tmp_path / "none.csv")


def test_frames_that_either_side_lacks_are_dropped():
    counts = PresenceCounts()
    real = presences([1, 0], [1, 1], [0, 0], frames=[1, 2, 3], found=[1, 1, 0])
    counts.add(presences([1, 1], [0, 0], [1, 1], frames=[2, 3, 4]), real)
    assert (counts.n_frames, counts.n_dropped) == (1, 2)
    assert counts.hamming == 0
    assert counts.f1.tolist() == [1, 1]


def test_counts_of_clips_add_up_to_those_of_their_frames():
    rng = np.random.default_rng(1)
    sides = rng.integers(0, 2, (2, 40, 2))
    whole, parts = PresenceCounts(), PresenceCounts()
    whole.add(*(presences(*side) for side in sides))
    for part in (slice(0, 13), slice(13, 40)):
        parts.add(*(presences(*side[part]) for side in sides))
    assert (parts.n_clips, parts.n_frames) == (2, 40)
    np.testing.assert_allclose(parts.f1, whole.f1)
    np.testing.assert_allclose(parts.accuracy, whole.accuracy)
    assert parts.hamming == pytest.approx(whole.hamming)


def test_units_that_never_appear_are_left_out_or_count_as_nothing():
    counts = PresenceCounts()
    side = presences([1, 0], [0, 0])
    counts.add(side, side)
    rows = {m.name: m for m in counts.measurements()}
    assert (rows["au_f1"].value, rows["au_f1"].params["undefined"]) == (1, 1)
    assert rows["au_f1"].params["support_AU25"] == 0.5
    assert (rows["au_acc"].value, rows["au_h"].value) == (100, 0)
    zeros = {m.name: m.value for m in counts.measurements(zero_division=0)}
    assert zeros["au_f1"] == 0.5


def test_rare_units_are_left_out_of_the_second_mean():
    real = np.zeros((100, 2), bool)
    real[:2, 0] = real[:50, 1] = True
    fake = real.copy()
    fake[:2, 0] = False
    counts = PresenceCounts()
    counts.add(presences(*fake), presences(*real))
    rows = {m.name: m.value for m in counts.measurements()}
    assert (rows["au_f1"], rows["au_f1_usual"]) == (0.5, 1)


def test_nothing_to_count_has_reasons():
    counts = PresenceCounts(["AU25"])
    counts.add(presences([1], units=("AU25",), found=[0]), presences([1], units=("AU25",)))
    assert {m.reason for m in counts.measurements()} == {"no frame shows a face in both clips"}
    never = PresenceCounts()
    never.add(presences([0, 0]), presences([0, 0]))
    rows = {m.name: m for m in never.measurements(source="mesh", grade="proxy")}
    assert rows["au_f1~mesh"].reason == "none of the units is in any frame"
    assert rows["au_h~mesh"].value == 0


def test_missing_units_and_other_shapes_are_refused():
    counts = PresenceCounts(["AU10"])
    with pytest.raises(CoeffFileError, match="AU10"):
        counts.add(presences([1, 1]), presences([1, 1]))
    with pytest.raises(CoeffFileError, match="share none"):
        PresenceCounts().add(presences([1], units=("AU01",)), presences([1], units=("AU02",)))
    with pytest.raises(ShapeError, match="generated"):
        hamming_distances(np.zeros((3, 2), bool), np.zeros((4, 2), bool))
    with pytest.raises(ShapeError, match="present"):
        Presences(units=("AU25",), present=np.zeros((3, 2), bool), found=np.ones(3, bool), frames=np.arange(3))


def readings(**curves):
    n = 20
    at_rest = {"gap": 0.01, "width": 0.5, "chin": 0.8, "lip": 0.2}
    names = ("eye_distance", "gap", "outer_gap", "width", "chin", "lip", "pout", "eye_aspect")
    filled = {name: np.full(n, at_rest.get(name, 0.3)) for name in names}
    for name, (frames, value) in curves.items():
        filled[name][frames] = value
    return MeshReadings(fps=25.0, angles=np.zeros((n, 3)), **filled)


@pytest.mark.parametrize(
    ("curves", "expected"),
    [
        ({}, set()),
        ({"gap": (5, 0.1)}, {"AU25"}),
        ({"gap": (5, 0.1), "chin": (5, 0.9)}, {"AU25", "AU26"}),
        ({"chin": (5, 0.9)}, set()),
        ({"lip": (5, 0.15)}, {"AU10"}),
        ({"width": (5, 0.525)}, {"AU14"}),
        ({"width": (5, 0.6)}, {"AU14", "AU20"}),
        ({"width": (5, 0.6), "gap": (5, 0.1)}, {"AU20", "AU25"}),
    ],
)
def test_units_guessed_from_the_mesh(curves, expected):
    found = mesh_presences(readings(**curves), readings())
    assert {unit for unit, is_there in zip(found.units, found.present[5], strict=True) if is_there} == expected
    assert not np.delete(found.present, 5, 0).any()


def test_the_real_clip_sets_the_thresholds_and_both_must_show_a_face():
    wide = readings(width=(slice(None), 0.7))
    assert mesh_presences(wide, readings()).present[:, 2].all()
    assert not mesh_presences(wide, wide).present[:, 2].any()
    unseen = replace(readings(), gap=np.full(20, np.nan))
    assert not mesh_presences(readings(), unseen).found.any()
    assert not mesh_presences(unseen, readings()).found.any()
