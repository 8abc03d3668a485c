"""Which frame stands for a clip, and which of its faces is meant."""

from __future__ import annotations

import numpy as np
import pytest

from talkhead.coeffs.container import Coeffs
from talkhead.coeffs.stream import LARGEST
from talkhead.errors import FaceNotFoundError
from talkhead.face3d.leverage import leverage
from talkhead.face3d.morphable import load_builtin
from talkhead.pipelines.reference_frame import face_number, head_centre, reference_frames

MODEL = load_builtin()
SIZE = (64, 48)


def clip_of(n_frames=60):
    """Frames that grow sharper with their number, and a head at rest in the middle of each."""
    rng = np.random.default_rng(0)
    pattern = rng.integers(0, 256, (SIZE[1], SIZE[0], 3))
    return [(128 + (pattern - 128) * (number + 1) / n_frames).astype(np.uint8) for number in range(n_frames)]


def motion_of(n_frames=60, **tracks):
    rest = {
        "exp": np.zeros((n_frames, MODEL.n_exp), np.float32),
        "rot": np.zeros((n_frames, 3), np.float32),
        "trans": np.zeros((n_frames, 3), np.float32),
        "scale": np.full(n_frames, 20, np.float32),
        "eyelid": np.zeros((n_frames, 2), np.float32),
        "size": np.array(SIZE, np.float32),
    }
    return Coeffs(space=MODEL.space.name, fps=25.0, n_frames=n_frames, **(rest | tracks))


def picked(coeffs, frames=None):
    return [f.number for f in reference_frames(frames or clip_of(len(coeffs)), coeffs, leverage(MODEL))]


def test_of_equals_the_sharpest_comes_first():
    found = picked(motion_of())
    assert found == sorted(found, reverse=True) and len(found) == 5
    assert min(np.abs(np.diff(found))) >= 5  # frames within a fifth of a second look alike


@pytest.mark.parametrize(
    ("name", "column", "amount"),
    [("exp", slice(None), 1.0), ("rot", 1, 0.5), ("trans", 0, 0.3), ("eyelid", slice(None), 1.0)],
)
def test_moments_of_speaking_turning_and_blinking_are_passed_over(name, column, amount):
    """Most of the time the head is at rest; what differs from that is no reference, however sharp."""
    track = np.array(getattr(motion_of(), name))
    if name == "exp":
        opening = np.asarray(MODEL.space.opening)
        track[36:] = amount * opening / np.linalg.norm(opening)
    else:
        track[36:, column] = amount
    assert max(picked(motion_of(**{name: track}))) < 36


def test_frames_are_those_of_the_clip():
    frames = clip_of()
    for found in reference_frames(frames, motion_of(), leverage(MODEL)):
        np.testing.assert_array_equal(found.image, frames[found.number])
    assert picked(motion_of(1), clip_of(1)) == [0]


def test_where_the_head_is():
    place = np.array([[0.5, 0.25, 0], [-0.5, 0, 0]], np.float32)
    coeffs = motion_of(2, trans=place, scale=np.array([20, 10], np.float32))
    assert head_centre(coeffs, 0) == (42, 19)
    assert head_centre(coeffs, 1) == (27, 24)


def test_a_single_face_is_the_largest(example_face):
    from talkhead.face.mesh import choose_face
    from talkhead.media.image import read_image

    image = read_image(example_face).pixels
    x0, y0, x1, y1 = choose_face(image).bbox
    assert face_number(image, ((x0 + x1) / 2, (y0 + y1) / 2), "face.jpg") == LARGEST
    with pytest.raises(FaceNotFoundError, match="no face in face.jpg at"):
        face_number(image, (1, 1), "face.jpg")


def test_others_are_counted_from_the_left(example_face):
    from talkhead.face.mesh import choose_face
    from talkhead.media.image import read_image

    image = read_image(example_face).pixels
    half = image[::2, ::2]
    pair = np.full((image.shape[0], image.shape[1] + half.shape[1], 3), 255, np.uint8)
    pair[: half.shape[0], : half.shape[1]] = half
    pair[:, half.shape[1] :] = image
    for index in (0, 1):
        x0, y0, x1, y1 = choose_face(pair, index).bbox
        assert face_number(pair, ((x0 + x1) / 2, (y0 + y1) / 2), "pair") == (1 if index == 0 else LARGEST)
