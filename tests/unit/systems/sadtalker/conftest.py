"""A face of a few points, for what only asks where a head is."""

import numpy as np
import pytest


def _points(x, y, eyes=40.0, roll=0.0):
    points = np.zeros((68, 2))
    points[36:42] = (-eyes / 2, 0)
    points[42:48] = (eyes / 2, 0)
    points[48], points[54] = (-eyes / 3, 1.1 * eyes), (eyes / 3, 1.1 * eyes)
    turn = np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]])
    return points @ turn + (x, y)


@pytest.fixture(scope="session")
def face():
    """`face(x, y, eyes=40, roll=0)` -> (68, 2): (x, y) lies between the eyes; only eyes and mouth corners count."""
    return _points
