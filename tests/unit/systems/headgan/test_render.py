"""The renderer around a painter that only notes what it is asked for: where faces are put, and what is made of squares.

The photo is noise; its face is the mean face at a place that the test chooses.
"""

from __future__ import annotations

import numpy as np
import pytest

from talkhead.coeffs.container import Coeffs
from talkhead.coeffs.retarget import is_same_person
from talkhead.errors import CoeffFileError, InputError
from talkhead.face import HEAD_MARGIN
from talkhead.face.landmarks import Landmarks
from talkhead.face3d.morphable import load_builtin
from talkhead.geometry import euler_to_matrix, fit_similarity, project
from talkhead.protocols import Drive, Source
from talkhead.systems.headgan.features import FEATURE
from talkhead.systems.headgan.options import RenderOptions
from talkhead.systems.headgan.render import HeadGanRenderer, head_box

MODEL = load_builtin()
PHOTO = (240, 160)  # width, height
SIDE = 64


class NotingPainter:
    """Paints the source unchanged, and keeps what it was given."""

    def __init__(self, side=SIDE, hears=()):
        self.side, self.hears = side, hears
        self.calls = []

    def look(self, picture, vertices):
        self.picture, self.vertices = picture, vertices

    def paint(self, vertices, audio):
        self.calls.append((vertices, audio))
        return np.repeat(self.picture[None], len(vertices) - 2, axis=0)

    @property
    def drawn(self):
        """Vertices of the frames themselves, (T, V, 3)."""
        return np.concatenate([vertices[2:] for vertices, _ in self.calls])


class WhitePainter(NotingPainter):
    """Paints it white."""

    def paint(self, vertices, audio):
        return np.full((len(vertices) - 2, SIDE, SIDE, 3), 255, np.uint8)


def photo_of(size=PHOTO, trans=(0.0, 0.0, 0.0), scale=35.0, alpha=None, who=None):
    rot = (0.05, -0.1, 0.02)
    points = project(MODEL.shape(who), euler_to_matrix(rot), np.array(trans), scale, size)
    image = np.random.default_rng(3).integers(0, 256, (size[1], size[0], 3), np.uint8)
    return Source(image=image, landmarks=Landmarks(points), alpha=alpha)


def renderer_of(source, painter=None, **words):
    painter = painter or NotingPainter()
    return HeadGanRenderer(source, painter, RenderOptions(**words), MODEL), painter


def motion(n, relative=("exp", "rot", "trans", "scale"), **tracks):
    arrays = {name: np.asarray(value, np.float32) for name, value in tracks.items()}
    kept = frozenset(relative) & arrays.keys()
    return Coeffs(space=MODEL.space.name, fps=25.0, n_frames=n, relative=kept, **arrays)


def lively(n, seed=0):
    rng = np.random.default_rng(seed)
    return motion(
        n,
        exp=0.3 * rng.standard_normal((n, 28)) * MODEL.space.exp_std,
        rot=0.1 * rng.standard_normal((n, 3)),
        trans=0.05 * rng.standard_normal((n, 3)),
        scale=1 + 0.1 * rng.random(n),
    )


def middle(vertices):
    return (vertices[..., :2].min(-2) + vertices[..., :2].max(-2)) / 2


def test_no_motion_puts_the_face_where_the_photo_has_it():
    source = photo_of(trans=(1.2, 0.6, 0))
    renderer, painter = renderer_of(source)
    x0, y0, x1, y1 = head_box(source.landmarks.bbox, PHOTO)
    assert x1 - x0 == y1 - y0 and x0 >= 0 and x1 <= PHOTO[0]
    seen = (source.landmarks.points[:, :2] - (x0, y0)) * SIDE / (x1 - x0)
    np.testing.assert_allclose(painter.vertices[:, :2], seen, atol=1.0)  # codes do not say all of a face
    list(renderer.render(Drive(coeffs=motion(1, rot=np.zeros((1, 3))))))
    list(renderer.render(Drive(coeffs=renderer.rest_coeffs())))
    np.testing.assert_allclose(painter.drawn, np.repeat(painter.vertices[None], 2, 0), atol=1e-3)


@pytest.mark.parametrize("framing", ["crop", "full"])
@pytest.mark.parametrize("place", [(0.0, 0.0, 0.0), (2.0, 0.5, 0.0), (-2.2, -1.0, 0.0)])
def test_heads_move_in_the_square_as_in_the_photo(framing, place):
    """Also one that comes nearer while it is not in the photo's middle."""
    source = photo_of(trans=place)
    renderer, painter = renderer_of(source, framing=framing)
    own = renderer.rest_coeffs()
    zoom, offset = np.float32(1.25), np.array([[0.3, -0.2, 0.0]], np.float32)
    list(renderer.render(Drive(coeffs=motion(1, trans=offset, scale=[zoom]))))
    expected = project(
        MODEL.shape(own.id, own.exp[0]),
        euler_to_matrix(own.rot[0]),
        (own.trans + offset)[0],
        float(own.scale[0] * zoom),
        PHOTO,
    )
    x0, y0, x1, _ = head_box(source.landmarks.bbox, PHOTO)
    np.testing.assert_allclose(middle(painter.drawn[0]), (middle(expected) - (x0, y0)) * SIDE / (x1 - x0), atol=0.1)


@pytest.mark.parametrize("batch", [1, 3, 7])
def test_batches_join_without_a_seam(batch):
    """Each frame with the two before it, whatever is drawn at a time; before the first frame it stands twice."""
    coeffs, heard = lively(7), np.arange(7 * 300, dtype=np.float32).reshape(7, 300)
    renderer, painter = renderer_of(photo_of(), NotingPainter(hears=(FEATURE,)), batch=batch)
    assert len(list(renderer.render(Drive(coeffs=coeffs, features={FEATURE: heard})))) == 7
    stacks = [(v[i : i + 3], a[i]) for v, a in painter.calls for i in range(len(a))]
    drawn = painter.drawn
    for t, (stack, sound) in enumerate(stacks):
        np.testing.assert_array_equal(stack, drawn[[max(t - 2, 0), max(t - 1, 0), t]])
        np.testing.assert_array_equal(sound, heard[t])


def test_a_frame_alone_is_as_in_the_film():
    coeffs, heard = lively(7), np.arange(7 * 300, dtype=np.float32).reshape(7, 300)
    renderer, painter = renderer_of(photo_of(), NotingPainter(hears=(FEATURE,)), batch=2)
    list(renderer.render(Drive(coeffs=coeffs, features={FEATURE: heard})))
    film = painter.drawn
    painter.calls.clear()
    assert len(list(renderer.render(Drive(coeffs=coeffs, features={FEATURE: heard}, frame=4)))) == 1
    ((stack, sound),) = painter.calls
    np.testing.assert_array_equal(stack, film[2:5])
    np.testing.assert_array_equal(sound, heard[4:5])


def test_the_person_stays_who_they_are():
    """Identity codes of a driver do not matter: the shape is the source's (section 3.1)."""
    renderer, painter = renderer_of(photo_of())
    coeffs = motion(1, exp=np.zeros((1, 28)), relative=())
    other = np.random.default_rng(1).standard_normal(14).astype(np.float32) * MODEL.space.id_std
    for who in (None, other):
        list(renderer.render(Drive(coeffs=coeffs.replace(id=who))))
    np.testing.assert_array_equal(painter.drawn[0], painter.drawn[1])


def test_a_clip_of_the_same_person_says_who_that_is():
    """It tells better than one picture; the photo is then looked at with that identity, as in training."""
    who = np.random.default_rng(5).standard_normal(14) * MODEL.space.id_std
    renderer, painter = renderer_of(photo_of(who=who))
    own, at_first = renderer.rest_coeffs(), painter.vertices
    clip = motion(1, exp=np.zeros((1, 28)), relative=()).replace(id=np.float32(1.3) * own.id)
    assert is_same_person(clip, own, MODEL.space)
    list(renderer.render(Drive(coeffs=clip)))
    assert np.abs(painter.vertices - at_first).max() > 0.1
    upright, shape = painter.drawn[0] * (1, -1, -1), MODEL.shape(clip.id)
    scale, rotation, shift = fit_similarity(upright, shape)
    assert np.abs(scale * upright @ rotation.T + shift - shape).max() < 0.02, "but for the lids"
    list(renderer.render(Drive(coeffs=own)))
    np.testing.assert_array_equal(painter.vertices, at_first)


def test_a_whole_photo_is_kept_outside_the_square():
    source = photo_of(trans=(1.0, 0.0, 0.0))
    renderer, _ = renderer_of(source, WhitePainter(), framing="full")
    assert renderer.size == PHOTO
    frames = list(renderer.render(Drive(coeffs=lively(2))))
    x0, y0, x1, y1 = head_box(source.landmarks.bbox, PHOTO)
    outside = np.ones(PHOTO[::-1], bool)
    outside[y0:y1, x0:x1] = False
    assert outside.any()
    for frame in frames:
        np.testing.assert_array_equal(frame[outside], source.image[outside])
        assert not np.array_equal(frame, source.image)
    assert not np.shares_memory(*frames)


@pytest.mark.parametrize(
    ("words", "size"),
    [
        ({}, (64, 64)),
        ({"size": 33}, (33, 33)),
        ({"size": 200}, (200, 200)),
        ({"framing": "full"}, PHOTO),
        ({"framing": "full", "size": 121}, (121, 81)),
    ],
)
def test_sizes(words, size):
    renderer, _ = renderer_of(photo_of(), **words)
    assert renderer.size == size
    (frame,) = renderer.render(Drive(coeffs=lively(1)))
    assert frame.shape == (size[1], size[0], 3)


def test_transparency_is_white():
    source = photo_of(alpha=np.zeros((160, 240), np.uint8))
    _, painter = renderer_of(source)
    assert (painter.picture == 255).all()


def test_where_the_square_is():
    x0, y0, x1, y1 = head_box((100, 60, 140, 110), PHOTO)
    assert ((x0 + x1) / 2, (y0 + y1) / 2) == pytest.approx((120, 85), abs=0.5)
    assert x1 - x0 == y1 - y0 == int(50 * (1 + HEAD_MARGIN))
    for height in range(70, 90):  # whatever is cut off of a fraction of a pixel
        near_the_edge = head_box((200, 5, 260, 5 + height), PHOTO)
        assert near_the_edge[1] == 0 and near_the_edge[2] == PHOTO[0]
        assert head_box((-5, 60, 30, 60 + height), PHOTO)[0] == 0
    assert head_box((10, 5, 90, 155), PHOTO)[1::2] == (0, 160), "as large as the photo"
    assert head_box((30, 30, 70, 85), (100, 100)) == (0, 0, 100, 100), "a crop already"
    assert head_box((40, 40, 60, 65), (200, 200)) != (0, 0, 200, 200)


def test_refusals():
    renderer, _ = renderer_of(photo_of(), NotingPainter(hears=(FEATURE,)))
    with pytest.raises(CoeffFileError, match="codes of space bfm"):
        list(renderer.render(Drive(coeffs=lively(1).replace(space="bfm"))))
    short = np.zeros((2, 300), np.float32)
    with pytest.raises(CoeffFileError, match="2 rows for 3 frames"):
        list(renderer.render(Drive(coeffs=lively(3), features={FEATURE: short})))
    with pytest.raises(InputError, match="square of only"):
        renderer_of(photo_of(scale=4.0))
