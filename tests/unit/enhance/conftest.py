"""A face to enhance, and trackers that see what a test says."""

import cv2
import numpy as np
import pytest

from talkhead.enhance import enhancer
from talkhead.face.mesh import choose_face


@pytest.fixture(scope="session")
def portrait(example_face):
    """The head of the example photograph, (200, 180, 3) uint8 RGB."""
    image = cv2.imread(str(example_face))[:, :, ::-1]
    x0, y0, x1, y1 = choose_face(np.ascontiguousarray(image)).bbox
    side = 2 * max(x1 - x0, y1 - y0)
    left, top = max(0, int((x0 + x1 - side) / 2)), max(0, int((y0 + y1 - side) / 2))
    head = image[top : top + int(side), left : left + int(0.9 * side)]
    return np.ascontiguousarray(cv2.resize(head, (180, 200), interpolation=cv2.INTER_AREA))


@pytest.fixture(scope="session")
def portrait_landmarks(portrait):
    return choose_face(portrait)


@pytest.fixture
def tracked(monkeypatch):
    """`tracked(list)`: faces that the enhancer's tracker will report, frame by frame: landmarks or None."""

    def use(sights):
        class Tracker:
            def __init__(self, fps, *, choice, using=None):
                self._left = iter(sights)

            def track(self, frame):
                return next(self._left)

        monkeypatch.setattr(enhancer, "FaceTracker", Tracker)

    return use
