"""Who finds the 68 points: FAN where its weights are at hand, the mesh else; one FAN for a whole clip."""

import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from talkhead.errors import UsageError
from talkhead.face import landmarks68 as view
from talkhead.face.landmarks import Landmarks


class Package(ModuleType):
    """As much of face-alignment as is used; counts what it is asked."""

    LandmarksType = SimpleNamespace(TWO_D=1)

    def __init__(self):
        super().__init__("face_alignment")
        self.__spec__ = ModuleSpec("face_alignment", None)
        self.made, self.boxes = [], []

    def FaceAlignment(self, kind, **options):  # noqa: N802
        import torch

        self.made.append(options["device"])
        torch.backends.cudnn.benchmark = True  # as the real one does on a card
        return self

    def get_landmarks_from_image(self, image, detected_faces):
        self.boxes.append(detected_faces[0])
        return [np.full((68, 2), float(image[0, 0, 0]))]


@pytest.fixture
def package(monkeypatch):
    made = Package()
    monkeypatch.setitem(sys.modules, "face_alignment", made)
    view._fan.cache_clear()
    yield made
    view._fan.cache_clear()


@pytest.fixture
def torch_home(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.delenv(view.VARIABLE, raising=False)
    return tmp_path


def put_weights(home):
    folder = home / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    (folder / view.FAN_FILE).write_bytes(b"weights")


def mesh(seed=0):
    return Landmarks(points=np.random.default_rng(seed).uniform(10, 50, (478, 3)))


def test_auto_is_fan_where_its_weights_are(torch_home, package):
    assert view.chosen_provider() == "mesh"
    put_weights(torch_home)
    assert view.chosen_provider() == "fan"
    assert view.chosen_provider("mesh") == "mesh"


def test_auto_without_the_package_is_the_mesh(torch_home, monkeypatch):
    put_weights(torch_home)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert view.chosen_provider() == "mesh"


def test_the_environment_decides_what_is_left_open(torch_home, package, monkeypatch):
    put_weights(torch_home)
    monkeypatch.setenv(view.VARIABLE, "mesh")
    assert view.chosen_provider() == "mesh"
    assert view.chosen_provider("fan") == "fan"
    monkeypatch.setenv(view.VARIABLE, "auto")
    assert view.chosen_provider() == "fan"
    monkeypatch.setenv(view.VARIABLE, "dlib")
    with pytest.raises(UsageError, match="dlib") as caught:
        view.chosen_provider()
    assert view.VARIABLE in (caught.value.hint or "")


def test_weights_are_sought_where_torch_keeps_them(monkeypatch, tmp_path):
    from torch.hub import get_dir

    for changes in ({"TORCH_HOME": str(tmp_path)}, {"XDG_CACHE_HOME": str(tmp_path / "x")}, {}):
        for name in ("TORCH_HOME", "XDG_CACHE_HOME"):
            monkeypatch.delenv(name, raising=False)
        for name, value in changes.items():
            monkeypatch.setenv(name, value)
        assert view.fan_file().parent == Path(get_dir()) / "checkpoints"


def test_a_clip_starts_fan_once_and_only_for_faces(torch_home, package):
    put_weights(torch_home)
    frames = [np.full((60, 60, 3), k, np.uint8) for k in range(4)]
    faces = [mesh(0), None, mesh(1), mesh(2)]
    found = list(view.landmarks68_of_clip(zip(frames, faces, strict=True), device="cuda:0"))
    assert [image is frame for (image, _), frame in zip(found, frames, strict=True)] == [True] * 4
    assert found[1][1] is None
    assert found[2][1].shape == (68, 2)
    assert [points[0, 0] for _, points in found if points is not None] == [0, 2, 3]
    assert package.made == ["cuda:0"]
    assert np.allclose(package.boxes[1][:4], faces[2].bbox)


def test_a_clip_on_a_cpu_is_read_off_the_mesh_unless_fan_is_asked_for(torch_home, package, monkeypatch):
    put_weights(torch_home)
    face = mesh()
    frames = [(np.zeros((60, 60, 3), np.uint8), face)]
    ((_, points),) = view.landmarks68_of_clip(frames)
    assert np.array_equal(points, face.view68()[:, :2])
    assert package.made == []
    monkeypatch.setenv(view.VARIABLE, "fan")
    ((_, points),) = view.landmarks68_of_clip(frames)
    assert package.made == ["cpu"]


def test_flags_of_the_process_stay_as_they_were(torch_home, package):
    import torch

    before = torch.backends.cudnn.benchmark
    view.landmarks68(np.zeros((60, 60, 3), np.uint8), mesh(), provider="fan")
    assert package.made
    assert torch.backends.cudnn.benchmark is before
