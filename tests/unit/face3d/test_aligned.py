"""Head motion between the two cameras, held against projected points."""

from __future__ import annotations

import numpy as np
import pytest

from talkhead.coeffs.container import Coeffs
from talkhead.face3d.aligned import into_aligned, out_of_aligned
from talkhead.face3d.convert import HeadFrame
from talkhead.geometry import euler_to_matrix, project

HEAD = HeadFrame(scale=1.05, rotation=euler_to_matrix((0.08, 0.0, 0.0)), shift=np.array([0.0, 0.15, 0.3]))
N = 9


def coeffs(relative=(), space="meshwarp-00000000", **tracks):
    arrays = {name: np.asarray(value, np.float32) for name, value in tracks.items()}
    return Coeffs(space=space, fps=25.0, n_frames=N, relative=frozenset(relative), **arrays)


@pytest.fixture
def walk():
    rng = np.random.default_rng(4)
    return {
        "rot": 0.3 * rng.standard_normal((N, 3)),
        "trans": np.concatenate([0.5 * rng.standard_normal((N, 2)), np.zeros((N, 1))], axis=1),
        "scale": rng.uniform(60, 90, N),
        "size": [640, 360],
    }


def seen(c, points, size):
    return project(points, euler_to_matrix(c.rot), c.trans, c.scale, size)[..., :2]


def test_places_are_the_same_up_to_one_window(walk):
    """Every frame's points lie in the aligned picture as in the photo, after one shift and one enlargement."""
    ours = coeffs(**walk)
    theirs = into_aligned(ours, HEAD)
    points = np.random.default_rng(0).uniform(-0.8, 0.8, (20, 3))
    in_theirs = HEAD.scale * points @ HEAD.rotation.T + HEAD.shift
    a = seen(ours, np.broadcast_to(points, (N, 20, 3)), (640, 360))
    b = seen(theirs, np.broadcast_to(in_theirs, (N, 20, 3)), (224, 224))
    enlarged = HEAD.scale * 101.5 / ours.scale[0]
    np.testing.assert_allclose(b - b[0].mean(0), enlarged * (a - a[0].mean(0)), atol=2e-3)
    np.testing.assert_allclose(theirs.scale, 1015 / (10 - theirs.trans[:, 2]), rtol=1e-5)
    assert theirs.scale[0] == pytest.approx(101.5)
    assert theirs.size.tolist() == [224, 224]


def test_there_and_back_only_the_window_is_lost(walk):
    ours = coeffs(**walk)
    back = out_of_aligned(into_aligned(ours, HEAD), HEAD)
    np.testing.assert_allclose(back.rot, ours.rot, atol=1e-5)
    np.testing.assert_allclose(back.scale / back.scale[0], ours.scale / ours.scale[0], rtol=1e-5)
    pixels, wanted = (c.scale[:, None] * c.trans[:, :2] / c.scale[0] for c in (back, ours))
    np.testing.assert_allclose(pixels - pixels[0], wanted - wanted[0], atol=1e-5)
    assert (back.trans[:, 2] == 0).all()


def test_offsets_stay_offsets(walk):
    zoom = np.linspace(0.9, 1.2, N)
    ours = coeffs({"rot", "trans", "scale"}, rot=walk["rot"], trans=walk["trans"], scale=zoom)
    theirs = into_aligned(ours, HeadFrame.same())
    assert theirs.relative == {"rot", "trans", "scale"}
    np.testing.assert_array_equal(theirs.rot, ours.rot)
    np.testing.assert_allclose(theirs.trans[:, :2], ours.trans[:, :2], atol=1e-6)
    np.testing.assert_allclose(10 / (10 - theirs.trans[:, 2]), zoom, rtol=1e-5)
    assert theirs.size is None
    back = out_of_aligned(theirs, HeadFrame.same())
    np.testing.assert_allclose(back.trans, ours.trans, atol=1e-6)
    np.testing.assert_allclose(back.scale, zoom, rtol=1e-6)


def test_depth_of_speech_becomes_size():
    trans = np.zeros((N, 3))
    trans[:, 2] = np.linspace(0, 1, N)
    theirs = coeffs({"rot", "trans"}, space="bfm", rot=np.zeros((N, 3)), trans=trans)
    ours = out_of_aligned(theirs, HeadFrame.same())
    assert ours.relative == {"rot", "trans", "scale"}
    np.testing.assert_allclose(ours.scale, 10 / (10 - trans[:, 2]), rtol=1e-6)
    assert (ours.trans == 0).all()


def test_a_head_turns_about_its_own_origin():
    """The other head frame's origin lies elsewhere in the head: a turn moves it, and an offset says by how much."""
    rot = np.zeros((N, 3))
    rot[:, 1] = np.linspace(0, 0.3, N)
    theirs = coeffs({"rot", "trans"}, space="bfm", rot=rot, trans=np.zeros((N, 3)))
    ours = out_of_aligned(theirs, HEAD)
    moved = (euler_to_matrix(rot) @ HEAD.shift - HEAD.shift) / HEAD.scale
    np.testing.assert_allclose(ours.trans[:, :2], moved[:, :2], atol=1e-6)
    assert (ours.trans[0] == 0).all() and ours.trans[-1, 0] > 0.05


def test_frames_aligned_on_their_own_give_back_the_movement_of_the_head():
    """A head that walks through a square picture, seen through windows that follow it exactly."""
    n = N
    place = np.stack([np.linspace(100, 150, n), np.linspace(120, 90, n)], 1)  # of its middle, y up
    size = np.linspace(60, 80, n)  # pixels per unit in the square
    factor = 101.5 / size
    theirs = coeffs(space="bfm", trans=np.zeros((n, 3)), scale=np.full(n, 101.5), size=[224, 224])
    alignment = np.concatenate([factor[:, None], place], axis=1).astype(np.float32)
    ours = out_of_aligned(theirs.replace(extra={"alignment": alignment, "tension": np.zeros(3)}), HeadFrame.same())
    np.testing.assert_allclose(ours.scale / ours.scale[0], size / size[0], rtol=1e-5)
    pixels = ours.scale[:, None] * ours.trans[:, :2]
    np.testing.assert_allclose(pixels, (place - place[0]) * factor[0], atol=1e-3)
    assert set(ours.extra) == {"tension"}
    assert ours.size.tolist() == [224, 224]


def test_single_tracks(walk):
    turned = into_aligned(coeffs(rot=walk["rot"]), HEAD)
    assert turned.trans is None and turned.scale is None
    np.testing.assert_allclose(out_of_aligned(turned, HEAD).rot, walk["rot"], atol=1e-5)
    sized = into_aligned(coeffs({"scale"}, scale=np.linspace(1, 1.1, N)), HeadFrame.same())
    assert sized.relative == {"scale", "trans"}
    assert sized.trans[-1, 2] == pytest.approx(10 * (1 - 1 / 1.1), abs=1e-5)
