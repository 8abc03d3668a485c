"""A picture bent by its mesh, against the same face drawn anew."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from talkhead.errors import ShapeError
from talkhead.face3d.morphable import load_builtin
from talkhead.face3d.rasterizer import interpolate, rasterize
from talkhead.geometry import euler_to_matrix, project
from talkhead.systems.headgan.fallback import GRID, MeshWarp

SIDE = 256
MODEL = load_builtin()
_rng = np.random.default_rng(0)
TEXTURE = cv2.resize(_rng.uniform(60, 200, (8, 8, 3)).astype(np.float32), (64, 64), interpolation=cv2.INTER_CUBIC)
BEHIND = cv2.resize(_rng.uniform(60, 200, (6, 6, 3)).astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)


def placed(rot=(0.0, 0.0, 0.0), trans=(0.0, 0.0, 0.0), exp=None):
    return project(MODEL.shape(None, exp), euler_to_matrix(rot), np.array(trans), 85.0, (SIDE, SIDE))


def drawn(vertices):
    """A textured face before a background, (S, S, 3) uint8, and where the face is."""
    raster = rasterize(vertices, MODEL.triangles, SIDE, SIDE)
    at = interpolate(MODEL.uv, MODEL.triangles, raster)[0] * 63
    face = raster.tri_id[0] >= 0
    skin = cv2.remap(TEXTURE, at[..., 0], at[..., 1], cv2.INTER_LINEAR)
    return np.where(face[..., None], skin, BEHIND).clip(0, 255).astype(np.uint8), face


@pytest.fixture(scope="module")
def warp():
    return MeshWarp(drawn(placed())[0], placed(), MODEL.triangles)


@pytest.mark.parametrize(
    ("rot", "trans", "seed"),
    [((0.1, 0.15, 0.05), (0, 0, 0), None), ((0, -0.2, -0.1), (0.1, 0.05, 0), 1), ((0, 0, 0), (0, 0, 0), 2)],
)
def test_faces_are_those_drawn_anew(warp, rot, trans, seed):
    exp = None if seed is None else np.random.default_rng(seed).standard_normal(28) * MODEL.space.exp_std
    vertices = placed(rot, trans, exp)
    expected, face = drawn(vertices)
    error = ((warp(vertices)[face].astype(float) - expected[face]) ** 2).mean()
    untouched = ((drawn(placed())[0][face].astype(float) - expected[face]) ** 2).mean()
    assert 10 * np.log10(255**2 / error) > 30
    assert untouched > 4 * error


def test_no_motion_changes_nothing(warp):
    picture, _ = drawn(placed())
    np.testing.assert_array_equal(warp(placed()), picture)
    assert not warp.flow(placed())[0].any()


def test_the_flow_is_that_of_the_mesh_and_rests_at_the_border(warp):
    moved = placed(trans=(8 / 85, 4 / 85, 0))  # 8 pixels right, 4 up
    flow, face = warp.flow(moved)
    np.testing.assert_allclose(flow[face], np.broadcast_to([-8, 4], flow[face].shape), atol=1e-3)
    border = np.concatenate([flow[0], flow[-1], flow[:, 0], flow[:, -1]])
    assert not border.any()
    lengths = np.linalg.norm(flow, axis=-1)
    assert lengths.max() < np.hypot(8, 4) + 1e-3, "nothing between is larger than what it lies between"
    middle = SIDE // 2
    assert (np.diff(lengths[middle, : SIDE // 5]) >= -1e-4).all(), "it fades from the face to the border"
    holes = ~face & (cv2.morphologyEx(face.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((25, 25))) > 0)
    assert holes.sum() > 100
    np.testing.assert_allclose(flow[holes], np.broadcast_to([-8, 4], flow[holes].shape), atol=1.5)


def test_faces_outside_and_faces_smaller_than_a_cell(warp):
    away = placed(trans=(9, 0, 0))
    flow, face = warp.flow(away)
    assert not face.any() and not flow.any()
    tiny = project(MODEL.mean, np.eye(3), np.zeros(3), 0.3 * SIDE / GRID, (SIDE, SIDE))
    flow, face = MeshWarp(drawn(placed())[0], tiny, MODEL.triangles).flow(tiny + [5, 0, 0])
    assert face.any() and np.isfinite(flow).all()
    assert flow[..., 0].min() == pytest.approx(-5, abs=0.01)


def test_refusals(warp):
    picture = drawn(placed())[0]
    with pytest.raises(ShapeError, match="picture"):
        MeshWarp(picture[..., 0], placed(), MODEL.triangles)
    with pytest.raises(ShapeError, match="vertices"):
        MeshWarp(picture, placed()[None], MODEL.triangles)
    with pytest.raises(ShapeError, match="vertices"):
        warp(placed()[:100])
