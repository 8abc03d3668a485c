"""The bundled networks: quiet, quick to load, at peace with mediapipe's own import."""

import subprocess
import sys

import numpy as np
import pytest

from talkhead.errors import EnvironmentProblem, ShapeError, UsageError
from talkhead.face import networks
from talkhead.face.providers import LegacyProvider, provider

pytestmark = pytest.mark.skipif(not networks.bundled(), reason="this mediapipe carries no networks")


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)


def test_starting_every_network_prints_nothing():
    done = run(
        "import numpy as np; from talkhead.face.providers import provider\n"
        "p = provider(); p.look(np.zeros((192, 192, 3), np.uint8)); p.person(np.zeros((256, 256, 3), np.uint8))\n"
        "[p.detect(np.zeros((p.detect_size(r),) * 2 + (3,), np.uint8), r) for r in ('near', 'far')]"
    )
    assert (done.stdout, done.stderr) == ("", "")


def test_stderr_works_again_afterwards():
    done = run(
        "import sys, numpy as np; from talkhead.face.providers import provider\n"
        "provider().look(np.zeros((192, 192, 3), np.uint8)); print('after', file=sys.stderr)"
    )
    assert done.stderr == "after\n"


def test_mediapipe_is_not_imported_for_a_look_but_can_be_later():
    done = run(
        "import sys, numpy as np; from talkhead.face.providers import provider\n"
        "look = provider().look(np.zeros((192, 192, 3), np.uint8)); assert 'mediapipe' not in sys.modules\n"
        "from mediapipe.python.solutions.face_mesh import FaceMesh\n"
        "assert FaceMesh(static_image_mode=True).process(np.zeros((64, 64, 3), np.uint8)) is not None"
    )
    assert "Traceback" not in done.stderr


def test_a_look_after_importing_mediapipe_uses_its_native_module():
    run(
        "import mediapipe, numpy as np; from talkhead.face.providers import provider\n"
        "provider().look(np.zeros((192, 192, 3), np.uint8))"
    )


def test_importing_the_package_loads_no_library():
    done = run(
        "import sys, talkhead.face.mesh, talkhead.face.mask, talkhead.face.landmarks68\n"
        "print(sorted({'cv2', 'mediapipe', 'torch', 'numba', 'scipy'} & set(sys.modules)))"
    )
    assert done.stdout == "[]\n"


def test_crops_of_the_wrong_size_are_refused():
    with pytest.raises(ShapeError, match="192"):
        networks.network(networks.MESH).run(np.zeros((100, 100, 3), np.uint8))


def test_a_missing_network_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(networks, "package_folder", lambda: tmp_path)
    assert not networks.bundled()
    with pytest.raises(EnvironmentProblem, match=r"face_landmark_with_attention\.tflite"):
        networks.Network(networks.MESH)


def test_networks_answer_alike_from_two_threads():
    from concurrent.futures import ThreadPoolExecutor

    crops = [np.random.default_rng(i).integers(0, 255, (192, 192, 3), np.uint8) for i in range(6)]
    eyes = LegacyProvider()
    alone = [eyes.look(crop).points for crop in crops]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda crop: eyes.look(crop).points, crops))
    assert all((a == b).all() for a, b in zip(alone, together, strict=True))


def test_provider_names():
    assert provider("mediapipe-legacy") is provider("mediapipe-legacy")
    with pytest.raises(UsageError, match="68 points"):
        provider("fan")
    with pytest.raises(UsageError, match="'dlib'"):
        provider("dlib")


def test_provider_from_the_environment(monkeypatch):
    monkeypatch.setenv("TALKHEAD_FACE_PROVIDER", "nobody")
    with pytest.raises(UsageError, match="nobody"):
        provider()


def test_eye_points_come_from_the_attention_heads_and_irises_sit_in_the_eyes(astronaut, astronaut_face):
    points = astronaut_face.points
    for iris, inner, outer in ((468, 133, 33), (473, 362, 263)):
        share = (points[iris, 0] - points[outer, 0]) / (points[inner, 0] - points[outer, 0])
        assert 0.2 < share < 0.8
    radius = np.linalg.norm(points[469:473, :2] - points[468, :2], axis=1)
    assert radius.max() / radius.min() < 1.6
