"""Small pictures of what the renderer makes of the example photograph, compared within a tolerance.

A wanted change of looks: `pytest tests/unit/systems/meshwarp/test_golden.py --rewrite-golden`, then look at the diff.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from talkhead.coeffs.container import Coeffs
from talkhead.face.mesh import choose_face
from talkhead.media.image import read_image, write_image
from talkhead.protocols import Drive, Source
from talkhead.systems.meshwarp.config import RenderConfig
from talkhead.systems.meshwarp.render import MeshwarpRenderer

MOTIONS: dict[str, dict[str, Any]] = {
    "vowel": {"controls": {"lip-open": 1.2, "jaw-open": 0.4}},
    "closed": {"controls": {"lip-press": 0.5}},
    "round": {"controls": {"pucker": 1.0, "lip-open": 0.4}},
    "tongue": {"controls": {"jaw-open": 0.6}, "tongue": 1.0},
    "blink": {"eyelid": [1.0, 1.0]},
    "turned": {"rot": [0.08, 0.26, -0.05]},
    "nod": {"rot": [0.2, 0.0, 0.0], "controls": {"lip-open": 0.6}},
}
# Mean and worst absolute difference in grey levels. Code paths of older processors (generic numba target, no AVX) were
# seen to differ by 0.04 and 16.
MEAN, WORST = 1.0, 60


@pytest.fixture(scope="module")
def renderer(example_face) -> MeshwarpRenderer:
    image = read_image(example_face)
    source = Source(image=image.pixels, landmarks=choose_face(image.pixels, name="face.jpg"), name="face.jpg")
    return MeshwarpRenderer(source, RenderConfig(size=240, framing="crop"))


@pytest.mark.parametrize("name", MOTIONS)
def test_looks_as_before(renderer, name, repo, request):
    motion = MOTIONS[name]
    controls = renderer.model.space.controls
    tracks = {key: np.asarray([motion[key]], np.float32) for key in ("rot", "eyelid", "tongue") if key in motion}
    if "controls" in motion:
        tracks["exp"] = np.asarray([sum(a * controls[c] for c, a in motion["controls"].items())], np.float32)
    relative = frozenset(tracks) - {"eyelid", "tongue"}
    coeffs = Coeffs(space=renderer.model.space.name, fps=25, n_frames=1, relative=relative, **tracks)
    frame = cv2.resize(next(iter(renderer.render(Drive(coeffs=coeffs)))), (120, 120), interpolation=cv2.INTER_AREA)
    path = repo / "tests" / "golden" / "meshwarp" / f"{name}.png"
    if request.config.getoption("--rewrite-golden"):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(path, frame, overwrite=True)
    difference = np.abs(frame.astype(int) - read_image(path).pixels)
    assert difference.mean() < MEAN
    assert difference.max() < WORST
