"""Faces made from the built-in model: known codes, poses, lids and gaze."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from talkhead.face.landmarks import Landmarks
from talkhead.face3d import eyes
from talkhead.face3d.morphable import FaceModel, load_builtin
from talkhead.geometry import euler_to_matrix, project

SIZE = (256, 256)


@pytest.fixture(scope="session")
def model() -> FaceModel:
    return load_builtin()


@pytest.fixture
def make_landmarks(model: FaceModel) -> Callable[..., Landmarks]:
    """Mesh points of a model face: `make_landmarks(id_coeffs, exp, rot, trans, scale, closure, gaze)`."""

    def make(
        id_coeffs=None,
        exp=None,
        rot=(0.0, 0.0, 0.0),
        trans=(0.0, 0.0, 0.0),
        scale=80.0,
        closure=(0.0, 0.0),
        gaze=None,
        noise=0.0,
        rng=None,
    ) -> Landmarks:
        vertices = eyes.close_eyelids(model.shape(id_coeffs, exp), closure)
        if gaze is not None:
            vertices = eyes.aim_gaze(vertices, gaze)
        points = project(vertices, euler_to_matrix(rot), np.array(trans), scale, SIZE)
        if rng is not None:
            points = points + noise * rng.standard_normal(points.shape)
        return Landmarks(points)

    return make
