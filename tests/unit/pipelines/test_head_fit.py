"""The 3DMM fit of a system as an instrument of an evaluation."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from talkhead.errors import FaceNotFoundError, WeightsError
from talkhead.face.landmarks import Landmarks
from talkhead.pipelines.head_fit import SystemHeads, open_heads

FACE = Landmarks(np.random.default_rng(0).uniform(0, 60, (478, 3)))


class Extractor:
    """Every frame turns the head by a tenth of a radian more."""

    def __init__(self) -> None:
        self.calls: list[tuple] = []

    def video(self, clip, found):
        self.calls.append((clip.size, clip.fps, len(list(clip))))
        if clip.size == (1, 1):
            raise FaceNotFoundError("too small")
        return SimpleNamespace(rot=np.arange(len(found))[:, None] * np.array([0.1, 0, 0]))


@pytest.fixture
def heads():
    extractor = Extractor()
    return SystemHeads(extractor, "stand-in", ()), extractor.calls


def frames(n, side=(6, 8)):
    return [np.zeros((*side, 3), np.uint8) for _ in range(n)]


def test_degrees_and_gaps(heads):
    fit, calls = heads
    found = fit.angles(frames(3), [FACE, None, FACE], 30.0)
    np.testing.assert_allclose(found[[0, 2]], np.degrees([[0, 0, 0], [0.2, 0, 0]]), rtol=1e-6)
    assert np.isnan(found[1]).all()
    assert calls == [((8, 6), 30.0, 3)]


def test_frames_that_were_just_measured_are_remembered(heads):
    fit, calls = heads
    judged, real = frames(2), frames(2)
    first = [fit.angles(side, [FACE] * 2, 25.0) for side in (judged, real)]
    again = [fit.angles(list(side), [FACE] * 2, 25.0) for side in (real, judged)]
    assert (again[0] is first[1], again[1] is first[0], len(calls)) == (True, True, 2)


def test_no_face_or_one_that_is_too_small(heads):
    fit, calls = heads
    assert np.isnan(fit.angles(frames(2), [None, None], 25.0)).all()
    assert calls == []
    assert np.isnan(fit.angles(frames(2, (1, 1)), [FACE] * 2, 25.0)).all()


def test_no_weights():
    with pytest.raises(WeightsError, match="needs the 3DMM fit of sadtalker"):
        open_heads("cpu")


@pytest.mark.usefixtures("tiny_weights")
def test_a_photo_measures_alike_in_every_frame(example_face):
    from PIL import Image

    from talkhead.face.mesh import choose_face

    with Image.open(example_face) as photo:
        picture = np.asarray(photo.convert("RGB").resize((160, 160)))
    fit = open_heads("cpu")
    assert (fit.name, [origin.name for origin in fit.origins]) == ("sadtalker", ["sadtalker-256"])
    face = choose_face(picture)
    found = fit.angles([picture, picture.copy(), picture], [face, face, None], 25.0)
    assert np.isfinite(found[:2]).all()
    np.testing.assert_allclose(found[0], found[1], atol=1e-3)
    assert np.isnan(found[2]).all()
