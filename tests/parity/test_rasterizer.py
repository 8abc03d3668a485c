"""The compiled rasteriser against its slow twin, and both against what geometry says."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from talkhead.errors import ShapeError
from talkhead.face.topology import MIRROR
from talkhead.face3d.morphable import load_builtin
from talkhead.face3d.rasterizer import (
    interpolate,
    interpolate_differentiable,
    pncc,
    pncc_colors,
    rasterize,
    rasterize_map,
    rasterize_reference,
)
from talkhead.geometry import euler_to_matrix, project

QUAD = np.array([[4.0, 4, 1], [20, 4, 1], [20, 14, 1], [4, 14, 1]])
# Counter-clockwise for the viewer, whose y points up.
QUAD_TRIANGLES = np.array([[0, 2, 1], [0, 3, 2]], np.int32)


@pytest.fixture(scope="module")
def face():
    """The mean face at 96 x 96 pixels in two poses: vertices (2, 478, 3), triangles."""
    model = load_builtin()
    poses = [euler_to_matrix(rot) for rot in ((0.1, 0.5, 0.1), (-0.2, -0.9, 0.3))]
    return np.stack([project(model.mean, r, np.zeros(3), 45, (96, 96)) for r in poses]), model.triangles


@pytest.fixture(scope="module")
def soup():
    """Random triangles, small, large, outside, degenerate, with coordinates on pixel centres and borders."""
    rng = np.random.default_rng(0)
    vertices = rng.uniform(-10, 50, (120, 3))
    vertices[:60, :2] = np.round(vertices[:60, :2] * 2) / 2
    return vertices, rng.integers(0, 120, (150, 3)).astype(np.int32)


@pytest.mark.parametrize("cull", [True, False])
@pytest.mark.parametrize("scene", ["face", "soup"])
def test_compiled_equals_reference(scene, cull, request):
    vertices, triangles = request.getfixturevalue(scene)
    size = (96, 96) if scene == "face" else (40, 40)
    fast = rasterize(vertices, triangles, *size, cull=cull)
    slow = rasterize_reference(vertices, triangles, *size, cull=cull)
    np.testing.assert_array_equal(fast.tri_id, slow.tri_id)
    assert (fast.tri_id >= 0).mean() > 0.2
    np.testing.assert_allclose(fast.bary, slow.bary, atol=1e-6)
    np.testing.assert_allclose(fast.depth, slow.depth, rtol=1e-6)


@pytest.mark.parametrize("draw", [rasterize, rasterize_reference])
def test_quad_covers_its_pixels_once(draw):
    raster = draw(QUAD, QUAD_TRIANGLES, 18, 24)
    covered = raster.tri_id[0] >= 0
    expected = np.zeros((18, 24), bool)
    expected[4:14, 4:20] = True
    np.testing.assert_array_equal(covered, expected)
    alone = [draw(QUAD, QUAD_TRIANGLES[i : i + 1], 18, 24).tri_id[0] >= 0 for i in (0, 1)]
    assert not (alone[0] & alone[1]).any(), "the shared diagonal belongs to one triangle"
    np.testing.assert_array_equal(alone[0] | alone[1], expected)


def test_edges_through_pixel_centres_follow_the_top_left_rule():
    corners = np.array([[2.5, 2.5, 0], [6.5, 2.5, 0], [6.5, 6.5, 0], [2.5, 6.5, 0]])
    covered = rasterize(corners, QUAD_TRIANGLES, 9, 9).tri_id[0] >= 0
    assert np.flatnonzero(covered.any(0)).tolist() == [2, 3, 4, 5], "left edge in, right edge out"
    assert np.flatnonzero(covered.any(1)).tolist() == [2, 3, 4, 5], "top edge in, bottom edge out"


def test_a_fan_of_slivers_never_shares_a_pixel():
    rng = np.random.default_rng(1)
    angles = np.sort(rng.uniform(0, 2 * np.pi, 40))
    rim = np.stack([20 + 17 * np.cos(angles), 20 + 17 * np.sin(angles), 0 * angles], -1)
    vertices = np.concatenate([[[20.5, 20.5, 0.0]], rim])
    triangles = np.array([[0, 1 + (i + 1) % 40, 1 + i] for i in range(40)], np.int32)
    count = sum((rasterize(vertices, t[None], 40, 40, cull=False).tri_id[0] >= 0).astype(int) for t in triangles)
    assert count.max() == 1
    assert (count[12:29, 12:29] == 1).all(), "and leaves no crack"


def test_barycentrics_sum_to_one_and_reproduce_a_plane(face):
    vertices, triangles = face
    raster = rasterize(vertices[:1], triangles, 96, 96)
    covered = raster.tri_id >= 0
    np.testing.assert_allclose(raster.bary.sum(-1)[covered], 1, atol=1e-5)
    assert not raster.bary[~covered].any() and np.isinf(raster.depth[~covered]).all()
    plane = (0.01 * vertices[0, :, 0] - 0.02 * vertices[0, :, 1])[:, None]
    ys, xs = np.nonzero(covered[0])
    picture = interpolate(plane, triangles, raster)[0, ys, xs, 0]
    np.testing.assert_allclose(picture, 0.01 * (xs + 0.5) - 0.02 * (ys + 0.5), atol=1e-5)


def test_nearest_wins_and_ties_go_to_the_lower_number():
    vertices = np.concatenate([QUAD, QUAD + [0, 0, -1]])
    near_last = np.concatenate([QUAD_TRIANGLES, QUAD_TRIANGLES + 4])
    assert set(np.unique(rasterize(vertices, near_last, 18, 24).tri_id)) == {-1, 2, 3}
    twice = np.concatenate([QUAD_TRIANGLES, QUAD_TRIANGLES])
    assert set(np.unique(rasterize(QUAD, twice, 18, 24).tri_id)) == {-1, 0, 1}


def test_back_faces_are_dropped_on_request():
    turned = QUAD_TRIANGLES[:, ::-1]
    assert (rasterize(QUAD, turned, 18, 24).tri_id == -1).all()
    assert (rasterize(QUAD, turned, 18, 24, cull=False).tri_id >= 0).sum() == 160


def test_perspective_barycentrics_are_those_of_space():
    rng = np.random.default_rng(2)
    space = np.array([[-1.0, -1, 3], [2, -1, 6], [0, 2, 4]])
    screen = np.concatenate([20 * space[:, :2] / space[:, 2:] + 16, space[:, 2:]], 1)
    raster = rasterize(screen, np.array([[0, 1, 2]], np.int32), 32, 32, cull=False, camera_z=space[:, 2])
    attribute = space[:, :1] * 0.3 + space[:, 1:2] - 0.1 * space[:, 2:]  # linear in space
    picture = interpolate(attribute, np.array([[0, 1, 2]], np.int32), raster)[0, ..., 0]
    ys, xs = np.nonzero(raster.tri_id[0] >= 0)
    pick = rng.integers(0, len(ys), 10)
    normal = np.cross(space[1] - space[0], space[2] - space[0])
    for y, x in zip(ys[pick], xs[pick], strict=True):
        ray = np.array([(x + 0.5 - 16) / 20, (y + 0.5 - 16) / 20, 1.0])
        hit = ray * (normal @ space[0]) / (normal @ ray)
        np.testing.assert_allclose(picture[y, x], 0.3 * hit[0] + hit[1] - 0.1 * hit[2], atol=1e-5)


def test_gradients_agree_with_finite_differences():
    rng = np.random.default_rng(3)
    vertices = torch.tensor(QUAD[None] + rng.uniform(-0.3, 0.3, (1, 4, 3)), dtype=torch.float64)
    attributes = torch.tensor(rng.uniform(0, 1, (4, 2)), dtype=torch.float64)
    raster = rasterize(vertices.numpy(), QUAD_TRIANGLES, 18, 24)
    triangles, tri_id = torch.tensor(QUAD_TRIANGLES.astype(np.int64)), torch.tensor(raster.tri_id)
    weights = torch.tensor(rng.uniform(0, 1, (1, 18, 24, 2)))

    def total(a, v):
        return (interpolate_differentiable(a, v, triangles, tri_id) * weights).sum()

    np.testing.assert_allclose(
        interpolate_differentiable(attributes, vertices, triangles, tri_id).numpy(),
        interpolate(attributes.numpy(), QUAD_TRIANGLES, raster),
        atol=1e-5,
    )
    attributes.requires_grad_()
    vertices.requires_grad_()
    by_attributes, by_vertices = torch.autograd.grad(total(attributes, vertices), (attributes, vertices))
    for tensor, gradient, index in ((attributes, by_attributes, (2, 1)), (vertices, by_vertices, (0, 1, 0))):
        step = torch.zeros_like(tensor)
        step[index] = 1e-4
        up, down = [total(*(t + sign * step if t is tensor else t for t in (attributes, vertices))) for sign in (1, -1)]
        assert (up - down).item() / 2e-4 == pytest.approx(gradient[index].item(), rel=1e-3)
    assert not by_vertices[..., 2].any()


def test_pncc_colours(face):
    vertices, triangles = face
    mean = load_builtin().mean
    raster = rasterize(vertices, triangles, 96, 96)
    flat, smooth = pncc(mean, triangles, raster), pncc(mean, triangles, raster, "smooth")
    for picture in (flat, smooth):
        assert picture.shape == (2, 96, 96, 3) and picture.min() >= 0 and picture.max() <= 1
        assert not picture[raster.tri_id < 0].any()
    seen = raster.tri_id[0][raster.tri_id[0] >= 0]
    assert len(np.unique(flat[0][raster.tri_id[0] >= 0], axis=0)) <= len(np.unique(seen))
    np.testing.assert_array_equal(flat, pncc(mean, triangles, rasterize(vertices, triangles, 96, 96)))
    assert np.abs(flat - smooth)[raster.tri_id >= 0].mean() < 0.05


def test_pncc_of_the_frontal_mean_is_its_mirror_image():
    model = load_builtin()
    vertices = project(model.mean, np.eye(3), np.zeros(3), 45, (96, 96))
    picture = pncc(model.mean, model.triangles, rasterize(vertices, model.triangles, 96, 96), "smooth")[0]
    flipped = picture[:, ::-1]
    both = (picture.sum(-1) > 0) & (flipped.sum(-1) > 0)
    assert both.sum() > 0.98 * (picture.sum(-1) > 0).sum()
    difference = np.abs(np.concatenate([1 - flipped[..., :1], flipped[..., 1:]], -1) - picture)[both]
    assert np.percentile(difference, 98) < 0.02, "channel 0 becomes 1 - c; diagonals of quads need not be symmetric"
    np.testing.assert_allclose(pncc_colors(model.mean)[MIRROR][:, 1:], pncc_colors(model.mean)[:, 1:], atol=1e-6)


@pytest.mark.parametrize("cull", [True, False])
def test_map_shows_what_the_exact_path_shows(face, cull):
    vertices, triangles = face
    attributes = load_builtin().mean
    picture, covered = rasterize_map(vertices[0], triangles, attributes, 96, 96, cull=cull)
    raster = rasterize(vertices[:1], triangles, 96, 96, cull=cull)
    exact = interpolate(attributes, triangles, raster)[0]
    assert (covered != (raster.tri_id[0] >= 0)).sum() <= 3  # float32 against float64 on edges
    both = covered & (raster.tri_id[0] >= 0)
    # The few pixels that differ are where two surfaces meet in depth.
    assert np.percentile(np.abs(picture - exact)[both].max(-1), 99.5) < 1e-4
    assert not picture[~covered].any()


def test_moving_by_whole_pixels_moves_the_picture_exactly(face):
    vertices, triangles = face
    here = rasterize(vertices[:1], triangles, 96, 110).tri_id[0]
    there = rasterize(vertices[:1] + [8.0, 0.0, 0.0], triangles, 96, 110).tri_id[0]
    np.testing.assert_array_equal(there[:, 8:], here[:, :-8])


def test_refuses_what_does_not_fit(face):
    vertices, triangles = face
    with pytest.raises(ShapeError, match="vertices"):
        rasterize(vertices[..., :2], triangles, 8, 8)
    with pytest.raises(ShapeError, match="at least 478 vertices"):
        rasterize(vertices[:, :100], np.array([[0, 1, 477]], np.int32), 8, 8)
    with pytest.raises(ShapeError, match="triangles"):
        rasterize(vertices, triangles[:, :2], 8, 8)
    with pytest.raises(ShapeError, match="attributes"):
        rasterize_map(vertices[0], triangles, np.zeros((3, 2)), 8, 8)
    with pytest.raises(ShapeError, match="camera_z"):
        rasterize(vertices, triangles, 8, 8, camera_z=np.ones(478))


def test_nothing_but_nan_draws_nothing(face):
    vertices, triangles = face
    assert (rasterize(np.full_like(vertices, np.nan), triangles, 16, 16).tri_id == -1).all()
