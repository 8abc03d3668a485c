import numpy as np
import pytest

from talkhead.errors import FaceNotFoundError, ShapeError
from talkhead.evaluation.face_curves import (
    EYES,
    MouthCurves,
    curves_of_codes,
    face_curves,
)
from talkhead.face.topology import CHIN, INNER_LIP_PAIRS, MOUTH_CORNERS
from talkhead.face3d.morphable import load_builtin
from talkhead.geometry import euler_to_matrix

PICTURE = np.array([1.0, -1.0, -1.0])  # model axes -> picture axes
N = 40
UNIT = 0.9  # model units between the outer eye corners of the mean face


def moving_faces() -> tuple[list[np.ndarray], np.ndarray]:
    """Mean faces whose lips part, corners come together, chin falls and lids close by known amounts; the amounts."""
    amount = 0.5 - 0.5 * np.cos(np.arange(N) * 0.7)
    mean = load_builtin().mean.astype(np.float64) * PICTURE
    faces = []
    for a in amount:
        face = mean.copy()
        for _, lower in INNER_LIP_PAIRS:
            face[lower, 1] += 0.1 * a * UNIT
        face[MOUTH_CORNERS[0], 0] += 0.05 * a * UNIT
        face[CHIN, 1] += 0.08 * a * UNIT
        for *_, upper, lower in EYES:
            face[upper] += 0.8 * a * (face[lower] - face[upper])
        faces.append(face)
    return faces, amount


def test_curves_are_what_was_done_in_eye_distances():
    faces, amount = moving_faces()
    face = face_curves(faces)
    for curve, size in ((face.mouth.opening, 0.1), (face.mouth.chin, 0.08), (face.mouth.width, -0.05)):
        moved = curve - curve[0]
        np.testing.assert_allclose(moved, size * amount, atol=2e-3)
    np.testing.assert_allclose(face.eye_aspect / face.eye_aspect[0], 1 - 0.8 * amount, atol=1e-6)


def test_pose_place_and_size_do_not_matter():
    faces, _ = moving_faces()
    still = face_curves(faces)
    rng = np.random.default_rng(0)
    posed = [f @ euler_to_matrix(rng.normal(0, 0.2, 3)).T * rng.uniform(50, 300) + rng.normal(0, 100, 3) for f in faces]
    moved = face_curves(posed)
    # The eye distance is that of the median face, which a different mixture of poses changes a little.
    unit = moved.mouth.width.mean() / still.mouth.width.mean()
    for name in ("opening", "width", "chin"):
        a, b = (np.asarray(getattr(f.mouth, name)) for f in (still, moved))
        np.testing.assert_allclose(b - b.mean(), unit * (a - a.mean()), atol=4e-3)
    np.testing.assert_allclose(moved.eye_aspect, still.eye_aspect, atol=5e-3)


def test_the_head_is_read_in_the_conventions_of_the_project():
    faces, _ = moving_faces()
    rot = np.zeros((N, 3))
    rot[30:] = [0.1, -0.2, 0.05]
    posed = [(f * PICTURE) @ euler_to_matrix(r).T * PICTURE * 100 for f, r in zip(faces, rot, strict=True)]
    np.testing.assert_allclose(face_curves(posed).rot, rot, atol=1e-6)


def test_frames_without_a_face_are_interpolated():
    faces, _ = moving_faces()
    whole = face_curves(faces)
    holes = [None if 10 <= t < 13 or t == N - 1 else f for t, f in enumerate(faces)]
    face = face_curves(holes)
    assert face.found.tolist() == [f is not None for f in holes]
    np.testing.assert_allclose(
        face.mouth.opening[9:14], np.interp(range(5), [0, 4], whole.mouth.opening[[9, 13]]), atol=1e-3
    )
    assert face.mouth.opening[-1] == face.mouth.opening[-2]


def test_a_clip_that_hides_the_face_is_refused():
    faces, _ = moving_faces()
    with pytest.raises(FaceNotFoundError, match=r"film.mp4 shows a face in 19 of 40 frames"):
        face_curves([*faces[:19], *[None] * 21], name="film.mp4")
    with pytest.raises(FaceNotFoundError, match="0 of 0"):
        face_curves([])


def test_codes_are_measured_on_the_mean_face():
    model = load_builtin()
    amount = np.linspace(0, 1, 20)
    exp = amount[:, None] * model.space.controls["jaw-open"]
    mouth = curves_of_codes(exp, model)
    assert len(mouth) == 20 and abs(mouth.opening[0]) < 1e-12
    assert np.corrcoef(mouth.opening, amount)[0, 1] > 0.99
    assert mouth.chin[-1] > mouth.chin[0]
    with pytest.raises(ShapeError, match="exp"):
        curves_of_codes(exp[:, :-1], model)


def test_points_and_curves_of_other_shapes_are_refused():
    with pytest.raises(ShapeError, match="points"):
        face_curves([np.zeros((68, 3))])
    with pytest.raises(ShapeError, match="chin"):
        MouthCurves(opening=np.zeros(3), width=np.zeros(3), chin=np.zeros(4))
