import numpy as np
import pytest

from talkhead.errors import InputError, ShapeError
from talkhead.evaluation.identity import (
    Cosines,
    IdentityCosines,
    IdentityShape,
    all_pairs_cosine,
    csim_measurements,
    drift_measurements,
)
from talkhead.geometry import euler_to_matrix

RNG = np.random.default_rng(3)
REAL, FACE = RNG.standard_normal((6, 8)), RNG.standard_normal((478, 3)) * 30


def lost(embeddings, *frames):
    out = np.array(embeddings)
    out[list(frames)] = np.nan
    return out


def test_lengths_do_not_count_and_frames_without_a_face_are_dropped():
    rows = {m.definition: m for m in csim_measurements(lost(7 * REAL, 2), real=lost(REAL, 4), grade="paper-like")}
    assert list(rows) == ["csim/paired", "csim/all_pairs"]
    assert rows["csim/paired"].value == pytest.approx(1)
    assert (rows["csim/paired"].n_frames, rows["csim/paired"].frames_dropped) == (4, 2)
    assert (rows["csim/all_pairs"].n_frames, rows["csim/all_pairs"].frames_dropped) == (5, 1)


def test_all_pairs_is_the_mean_over_pairs():
    other = RNG.standard_normal((4, 8))
    pairs = [a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a in REAL for b in other]
    assert all_pairs_cosine(REAL, other) == pytest.approx(np.mean(pairs))


def test_the_photo_is_compared_with_every_frame():
    (row,) = csim_measurements(np.array([[1.0, 0], [0, 2]]), source=np.array([3.0, 0]), grade="unverified")
    assert (row.name, row.definition, row.value) == ("csim_source", "csim/source", 0.5)


def test_no_face_at_all_has_a_reason():
    for row in csim_measurements(REAL * np.nan, real=REAL, grade="paper"):
        assert row.value is None and "face" in row.reason


def test_drift_is_measured_from_the_first_face_on():
    turned = np.radians([0, 0, 10, 20, 30])
    rows = drift_measurements(lost(np.stack([np.cos(turned), np.sin(turned)], 1), 0), 25.0, grade="paper-like")
    first, slope, step = rows
    assert first.value == pytest.approx(np.cos(turned[1:]).mean())
    assert slope.value < 0 and slope.unit == "per s"
    assert step.value == pytest.approx(np.cos(np.radians(10)))
    assert (step.n_frames, step.frames_dropped) == (3, 1)


def test_slopes_are_per_second_over_gaps():
    cosines = Cosines()
    cosines.add(np.array([0, np.nan]))
    cosines.add(np.array([2.0, 3.0]))
    assert cosines.slope == pytest.approx(1)
    noisy, line = RNG.standard_normal(200), Cosines()
    line.add(noisy)
    assert line.slope == pytest.approx(np.polyfit(np.arange(200), noisy, 1)[0])
    few = Cosines()
    few.add(np.array([np.nan, 1.0]))
    assert np.isnan(few.slope)
    assert drift_measurements(REAL[:1], 25.0, grade="paper")[1].value is None


@pytest.mark.parametrize("step", [1, 2, 4])
def test_frames_that_come_some_at_a_time_give_the_same(step):
    judged, real = lost(np.tile(REAL, (2, 1)) + 0.1, 0, 1, 5), lost(np.tile(REAL, (2, 1)), 7)
    whole, parts = IdentityCosines(REAL[3]), IdentityCosines(REAL[3])
    whole.add(judged, real)
    for start in range(0, len(judged), step):
        ours, theirs = judged[start : start + step], real[start : start + step]
        # As an embedder gives it that has seen no face so far.
        parts.add(ours[:, :0] if start == 0 and step < 4 else ours, theirs)
    for one, other in zip(
        [*whole.csim_measurements(grade="paper"), *whole.drift_measurements(25.0, grade="paper")],
        [*parts.csim_measurements(grade="paper"), *parts.drift_measurements(25.0, grade="paper")],
        strict=True,
    ):
        assert (one.name, one.n_frames, one.frames_dropped) == (other.name, other.n_frames, other.frames_dropped)
        assert one.value == pytest.approx(other.value)


def test_pairs_of_other_lengths_and_zeros_are_refused():
    with pytest.raises(ShapeError, match="real"):
        csim_measurements(REAL[:3], real=REAL, grade="paper")
    with pytest.raises(InputError, match="zero"):
        csim_measurements(REAL * 0, real=REAL, grade="paper")


def test_place_turn_and_size_of_a_head_are_not_its_shape():
    shape = IdentityShape(FACE)
    shape.add(2 * FACE @ euler_to_matrix([0.3, -0.5, 0.1]).T + [40, 3, 7])
    shape.add(None)
    row = shape.measurement()
    assert row.value == pytest.approx(1)
    assert (row.n_frames, row.frames_dropped, row.grade) == (1, 1, "proxy")
    other = IdentityShape(FACE)
    other.add(FACE * [1.0, 1.2, 1.0])
    assert other.measurement().value < 0.99
    assert IdentityShape(FACE).measurement().value is None
    with pytest.raises(ShapeError, match="478"):
        shape.add(FACE[:68])
