"""A real face that scikit-image carries, and its landmarks."""

import numpy as np
import pytest

from talkhead.face.mesh import choose_face


@pytest.fixture(scope="session")
def astronaut():
    """(512, 512, 3) uint8 RGB, one smiling face of 61 px between the outer eye corners."""
    data = pytest.importorskip("skimage.data")
    return np.ascontiguousarray(data.astronaut())


@pytest.fixture(scope="session")
def astronaut_face(astronaut):
    return choose_face(astronaut)
