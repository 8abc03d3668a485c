"""`mediapipe-tasks` and FAN: missing files are explained, answers are translated."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from talkhead.errors import EnvironmentProblem, WeightsError
from talkhead.face import landmarks68 as view
from talkhead.face import tasks
from talkhead.face.providers import provider


@pytest.fixture
def home(monkeypatch, tmp_path):
    """A cache folder of our own, and no paths from outside."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("TALKHEAD_FACE_LANDMARKER", raising=False)
    monkeypatch.delenv("TALKHEAD_SELFIE_SEGMENTER", raising=False)
    return tmp_path / "talkhead" / "models"


def test_a_missing_file_says_where_to_get_and_put_it(home):
    with pytest.raises(WeightsError, match=r"face_landmarker\.task is not at") as caught:
        provider("mediapipe-tasks")
    assert str(home / "face_landmarker.task") in (caught.value.hint or "")
    assert "https://" in (caught.value.hint or "")


def test_the_environment_names_a_place(home, monkeypatch, tmp_path):
    monkeypatch.setenv("TALKHEAD_FACE_LANDMARKER", str(tmp_path / "mine.task"))
    with pytest.raises(WeightsError, match=r"mine\.task"):
        tasks.TasksProvider()


def test_given_beats_environment_beats_cache(home, monkeypatch, tmp_path):
    home.mkdir(parents=True)
    places = [home / "face_landmarker.task", tmp_path / "env.task", tmp_path / "given.task"]
    for place in places:
        place.write_bytes(b"x")
    assert tasks.model_file(*tasks.LANDMARKER) == places[0]
    monkeypatch.setenv("TALKHEAD_FACE_LANDMARKER", str(places[1]))
    assert tasks.model_file(*tasks.LANDMARKER) == places[1]
    assert tasks.model_file(*tasks.LANDMARKER, given=places[2]) == places[2]


def test_a_damaged_file_is_named(tmp_path):
    broken = tmp_path / "broken.task"
    broken.write_bytes(b"no zip archive")
    made = tasks.TasksProvider(landmarker=broken)
    with pytest.raises(WeightsError, match=r"broken\.task is not a model"):
        made.look(np.zeros((320, 320, 3), np.uint8))


class Api:
    """As much of mediapipe's task interface as the provider uses."""

    ImageFormat = SimpleNamespace(SRGB=1)

    def __init__(self, faces, masks=()):
        self.faces, self.masks, self.wanted = faces, masks, []
        made = SimpleNamespace(create_from_options=self.landmarker)
        segmenter = SimpleNamespace(create_from_options=lambda options: SimpleNamespace(segment=self.segment))
        vision = SimpleNamespace(
            FaceLandmarker=made,
            FaceLandmarkerOptions=lambda **kw: kw,
            ImageSegmenter=segmenter,
            ImageSegmenterOptions=lambda **kw: kw,
        )
        self.tasks = SimpleNamespace(vision=vision, BaseOptions=lambda **kw: kw)

    def Image(self, image_format, data):  # noqa: N802
        return data

    def landmarker(self, options):
        self.wanted.append(options["num_faces"])
        return SimpleNamespace(detect=lambda picture: SimpleNamespace(face_landmarks=self.faces))

    def segment(self, picture):
        masks = [SimpleNamespace(numpy_view=lambda m=m: m) for m in self.masks]
        return SimpleNamespace(confidence_masks=masks)


def mesh(shift):
    return [SimpleNamespace(x=0.25 + shift, y=0.5, z=-0.1) for _ in range(477)] + [
        SimpleNamespace(x=0.5 + shift, y=0.75, z=0.0)
    ]


@pytest.fixture
def made(monkeypatch, tmp_path):
    def make(faces, masks=()):
        file = tmp_path / "model"
        file.write_bytes(b"x")
        api = Api(faces, masks)
        monkeypatch.setattr(tasks, "_api", lambda: api)
        return tasks.TasksProvider(landmarker=file, segmenter=file), api

    return make


def test_points_are_scaled_to_the_crop(made):
    eyes, api = made([mesh(0.0)])
    look = eyes.look(np.zeros((320, 320, 3), np.uint8))
    assert look.presence == 1.0
    assert np.allclose(look.points[0], (80, 160, -32))
    assert api.wanted == [1]


def test_no_face_is_no_presence(made):
    eyes, _ = made([])
    assert eyes.look(np.zeros((320, 320, 3), np.uint8)).presence == 0.0
    assert eyes.detect(np.zeros((640, 640, 3), np.uint8), "far") == []


def test_detections_come_from_the_meshes(made):
    eyes, api = made([mesh(0.0), mesh(0.2)])
    one, other = eyes.detect(np.zeros((640, 640, 3), np.uint8), "far")
    assert one.bbox == pytest.approx((160, 320, 320, 480))
    assert other.bbox[0] == pytest.approx(288)
    assert api.wanted == [tasks.MAX_FACES]


def test_person_is_the_only_mask_or_what_is_not_background(made):
    person = np.random.default_rng(0).uniform(size=(256, 256)).astype(np.float32)
    square = np.zeros((256, 256, 3), np.uint8)
    assert np.allclose(made([], [person])[0].person(square), person)
    assert np.allclose(made([], [1 - person, person])[0].person(square), person, atol=1e-6)


def test_fan_reads_the_given_face(monkeypatch, astronaut, astronaut_face):
    boxes = []

    def found(image, detected_faces):
        boxes.append(detected_faces[0])
        return [np.ones((68, 2))]

    monkeypatch.setattr(view, "_fan", lambda device: SimpleNamespace(get_landmarks_from_image=found))
    points = view.landmarks68(astronaut, astronaut_face, provider="fan")
    assert points.shape == (68, 2)
    assert np.allclose(boxes[0][:4], astronaut_face.bbox)


def test_fan_without_weights_says_which(monkeypatch):
    class FaceAlignment:
        def __init__(self, landmarks_type, device, flip_input, face_detector):
            raise OSError("Name or service not known")

    package = SimpleNamespace(FaceAlignment=FaceAlignment, LandmarksType=SimpleNamespace(TWO_D=1))
    monkeypatch.setitem(sys.modules, "face_alignment", package)
    view._fan.cache_clear()
    with pytest.raises(WeightsError, match="weights of FAN") as caught:
        view._fan("cpu")
    assert "2DFAN4" in (caught.value.hint or "")


def test_fan_without_its_package_is_an_environment_problem(monkeypatch):
    monkeypatch.setitem(sys.modules, "face_alignment", None)
    view._fan.cache_clear()
    with pytest.raises(EnvironmentProblem, match="face-alignment"):
        view._fan("cpu")
