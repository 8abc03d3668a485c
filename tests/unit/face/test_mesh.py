"""Choosing a face in a still and following it through frames."""

import cv2
import numpy as np
import pytest

from talkhead.errors import FaceChoiceError, FaceNotFoundError
from talkhead.face.likeness import difference
from talkhead.face.mesh import FaceMesher, FaceTracker, choose_face
from talkhead.face.topology import MIRROR

FACE_BOX = (179, 68, 272, 178)


@pytest.fixture(scope="module")
def pair(astronaut):
    """Two faces side by side, the right one mirrored and a little smaller: (512, 900, 3)."""
    small = cv2.resize(astronaut[:, ::-1], (460, 460), interpolation=cv2.INTER_AREA)
    made = np.full((512, 972, 3), 90, np.uint8)
    made[:, :512] = astronaut
    made[:460, 512:] = small
    return made


def load(path):
    return np.ascontiguousarray(cv2.imread(str(path))[:, :, ::-1])


def test_landmarks_of_a_known_face(astronaut_face):
    assert np.allclose(astronaut_face.bbox, FACE_BOX, atol=6)
    assert astronaut_face.deviation < 0.015
    assert astronaut_face.points[1, 2] < astronaut_face.points[[33, 263, 234, 454], 2].min(), "the nose is nearest"


def test_the_mirrored_picture_gives_the_mirrored_points(astronaut, astronaut_face):
    mirrored = choose_face(np.ascontiguousarray(astronaut[:, ::-1])).points[MIRROR]
    mirrored[:, 0] = 512 - mirrored[:, 0]
    error = np.linalg.norm((mirrored - astronaut_face.points)[:, :2], axis=1) / astronaut_face.eye_distance
    assert error.mean() < 0.005


def test_a_moved_picture_moves_the_points(astronaut, astronaut_face):
    moved = np.roll(astronaut, (7, 12), (0, 1))
    shift = choose_face(moved).points - astronaut_face.points
    assert np.abs(shift[:, :2] - (12, 7)).mean() < 0.01 * astronaut_face.eye_distance


def test_large_pictures_agree_with_small_ones(astronaut, astronaut_face):
    large = cv2.resize(astronaut, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    error = choose_face(large).points[:, :2] / 4 - astronaut_face.points[:, :2]
    assert np.linalg.norm(error, axis=1).mean() < 0.006 * astronaut_face.eye_distance


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_turned_pictures(astronaut, astronaut_face, turn):
    face = choose_face(np.ascontiguousarray(np.rot90(astronaut, turn)))
    expected = astronaut_face.roll - turn * np.pi / 2
    assert abs((face.roll - expected + np.pi) % (2 * np.pi) - np.pi) < 0.05
    assert face.eye_distance == pytest.approx(astronaut_face.eye_distance, rel=0.03)


def test_choice_by_size_index_and_picture(pair, astronaut):
    left, right = choose_face(pair, 0), choose_face(pair, 1)
    assert left.bbox[2] < 512 < right.bbox[0]
    assert choose_face(pair, "largest").bbox[2] < 512
    assert np.allclose(choose_face(pair, -1).points, right.points)
    mirrored = np.ascontiguousarray(astronaut[:, ::-1])
    assert choose_face(pair, mirrored).bbox[0] > 512, "the mirrored face is the one at the right"
    assert choose_face(pair, astronaut).bbox[2] < 512


def test_an_index_that_does_not_exist_lists_the_faces(pair):
    with pytest.raises(
        FaceChoiceError, match=r"face 2 of pair\.png .* 2 faces: 0 at x=\d+\.\.\d+ y=\d+\.\.\d+, 1 at x=7"
    ):
        choose_face(pair, 2, name="pair.png")


def test_auto_wants_one_face_to_be_clearly_larger(pair, astronaut, astronaut_face):
    with pytest.raises(FaceChoiceError, match="2 faces") as caught:
        choose_face(pair, "auto")
    assert "--face" in (caught.value.hint or "")
    assert np.allclose(choose_face(astronaut, "auto").points, astronaut_face.points, atol=0.5)


def test_no_face_names_file_and_size():
    noise = np.random.default_rng(0).integers(0, 255, (120, 200, 3), np.uint8)
    with pytest.raises(FaceNotFoundError, match=r"no face found in noise\.png \(200x120\)"):
        choose_face(noise, name="noise.png")


def test_a_reference_without_a_face_is_told_apart(astronaut):
    with pytest.raises(FaceNotFoundError, match="picture of the person"):
        choose_face(astronaut, np.zeros((64, 64, 3), np.uint8))


def test_a_cat_is_no_human():
    data = pytest.importorskip("skimage.data")
    with pytest.raises(FaceNotFoundError):
        choose_face(np.ascontiguousarray(data.chelsea()))


def test_landmarks_in_a_given_box(astronaut, astronaut_face):
    inside = FaceMesher(n_looks=4).landmarks(astronaut, FACE_BOX)
    assert inside is not None
    assert np.abs(inside.points - astronaut_face.points)[:, :2].mean() < 0.01 * astronaut_face.eye_distance
    assert FaceMesher(n_looks=2).landmarks(astronaut, (10, 300, 90, 400)) is None


def test_difference_is_zero_for_the_same_face(astronaut, astronaut_face):
    assert difference(astronaut, astronaut_face, astronaut, astronaut_face) == pytest.approx(0, abs=1e-6)
    grey = np.repeat(astronaut.mean(2, keepdims=True), 3, 2).astype(np.uint8)
    assert difference(grey, astronaut_face, astronaut, astronaut_face) < 0.1, "a grey picture of her is still her"


def moving(astronaut, offsets):
    canvas = np.full((300, 420, 3), 120, np.uint8)
    for x, y in offsets:
        frame = canvas.copy()
        frame[y : y + 180, x : x + 180] = astronaut[40:220, 135:315]
        yield frame


def test_tracking_has_no_lag(astronaut, astronaut_face):
    path = [(10 + 9 * i, 20 + (4 * i) % 60) for i in range(12)]
    found = list(FaceTracker(25, n_looks=4).track_clip(moving(astronaut, path)))
    for face, (x, y) in zip(found, path, strict=True):
        assert face is not None
        error = face.points[:, :2] - (astronaut_face.points[:, :2] - (135, 40) + (x, y))
        assert np.linalg.norm(error, axis=1).mean() < 0.01 * astronaut_face.eye_distance


def test_tracking_bridges_a_loss(astronaut):
    frames = list(moving(astronaut, [(30, 20)] * 5))
    frames[2] = np.zeros_like(frames[2])
    found = list(FaceTracker(25, n_looks=2).track_clip(frames))
    assert [face is not None for face in found] == [True, True, False, True, True]


def test_a_jump_is_followed_only_after_a_second(astronaut):
    path = [(10, 20)] * 2 + [(235, 100)] * 6
    found = list(FaceTracker(4, n_looks=2).track_clip(moving(astronaut, path)))
    assert [face is not None for face in found] == [True, True, False, False, False, False, True, True]


def test_the_tracker_stays_with_its_face(pair):
    tracker = FaceTracker(25, choice=1, n_looks=2)
    for _ in range(3):
        face = tracker.track(pair)
        assert face is not None
        assert face.bbox[0] > 512


def test_the_tracker_takes_a_picture_of_the_person(pair, astronaut):
    face = FaceTracker(25, choice=np.ascontiguousarray(astronaut[:, ::-1]), n_looks=2).track(pair)
    assert face is not None
    assert face.bbox[0] > 512


def test_a_face_may_come_late(astronaut):
    found = list(FaceTracker(25, n_looks=2).track_clip([astronaut[300:, :200]] * 2 + [astronaut]))
    assert [face is not None for face in found] == [False, False, True]


def test_a_clip_without_a_face_gives_none(astronaut):
    assert list(FaceTracker(25).track_clip([astronaut[300:, :200]] * 2)) == [None, None]


@pytest.mark.parametrize(
    ("name", "left_iris"),
    [
        ("portrait_smile.jpg", (550, 212)),
        ("painting_threequarter.jpg", (507, 512)),
        ("painting_frontal.png", (291, 203)),
        ("robot_glasses.png", (323, 267)),
        ("full_body.png", (446, 222)),
        ("photo_moustache_gray.jpg", (210, 157)),
    ],
)
def test_all_sorts_of_faces(media, name, left_iris):
    face = choose_face(load(media / "faces" / name), name=name)
    assert face.deviation < 0.02
    assert np.linalg.norm(face.points[473, :2] - left_iris) < 0.04 * face.eye_distance


def test_an_animal_has_no_human_face(media):
    with pytest.raises(FaceNotFoundError, match="975x1300"):
        choose_face(load(media / "faces" / "no_human_face.jpg"))


def test_a_reference_photo_picks_the_person(media):
    two, portrait = load(media / "faces" / "two_people.jpg"), load(media / "faces" / "portrait_smile.jpg")
    assert choose_face(two, portrait).bbox[2] < 563, "the man of the portrait stands at the left"
