import numpy as np
import pytest

from talkhead.errors import ShapeError
from talkhead.evaluation.networks.hopenet import SIDE, loose_face
from talkhead.face.landmarks import Landmarks
from talkhead.face.topology import BROW_A, BROW_B, CHIN


def face(top, bottom, middle):
    points = np.full((478, 3), [middle, (top + bottom) / 2, 0.0])
    points[[*BROW_A, *BROW_B], 1] = top
    points[CHIN, 1] = bottom
    return Landmarks(points)


def test_the_cut_has_room_around_the_face():
    yy, xx = np.mgrid[0:600, 0:800]
    frame = np.stack([yy // 4, xx // 4, 0 * xx], -1).astype(np.uint8)
    cut = loose_face(frame, face(200.0, 400.0, 400.0))  # a side of 200: columns 200..600, rows 50..450
    assert cut.shape == (SIDE, SIDE, 3)
    assert cut[0, :, 0].mean() * 4 == pytest.approx(50, abs=4)
    assert cut[-1, :, 0].mean() * 4 == pytest.approx(450, abs=5)
    assert cut[:, 0, 1].mean() * 4 == pytest.approx(200, abs=4)
    assert cut[:, -1, 1].mean() * 4 == pytest.approx(600, abs=5)


def test_what_the_frame_lacks_is_not_made_up():
    frame = np.full((300, 200, 3), 90, np.uint8)
    cut = loose_face(frame, face(20.0, 150.0, 180.0))
    assert cut.shape == (SIDE, SIDE, 3)
    assert (cut == 90).all()
    with pytest.raises(ShapeError):
        loose_face(frame, face(20.0, 150.0, 900.0))
