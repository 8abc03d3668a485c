"""Pictures of posed faces: colours that stay with their triangles, lids that show, and every way of drawing them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from talkhead.coeffs.container import Coeffs
from talkhead.errors import CoeffFileError, ShapeError, UsageError
from talkhead.face.topology import MIRROR
from talkhead.face3d.eyes import close_eyelids
from talkhead.face3d.pncc import PnccDrawer, posed_vertices
from talkhead.face3d.rasterizer import pncc, rasterize, rasterize_reference
from talkhead.geometry import euler_to_matrix, project

SIDE = 128


def track(model, rows=1, **changes) -> Coeffs:
    pose = {"rot": np.zeros((rows, 3)), "trans": np.zeros((rows, 3)), "scale": np.full(rows, 45.0)} | changes
    arrays = {name: None if value is None else np.asarray(value, np.float32) for name, value in pose.items()}
    return Coeffs(space=model.space.name, fps=25.0, n_frames=rows, **arrays)


@pytest.fixture(scope="module")
def speaking(model) -> Coeffs:
    """Ten frames of somebody who turns, speaks and blinks."""
    rng = np.random.default_rng(0)
    return track(
        model,
        10,
        id=rng.standard_normal(model.n_id) * model.space.id_std,
        exp=rng.standard_normal((10, model.n_exp)) * model.space.exp_std,
        rot=rng.uniform(-0.4, 0.4, (10, 3)),
        eyelid=rng.uniform(0, 1, (10, 2)),
    )


def test_vertices_are_the_shape_seen_by_the_camera(model, speaking):
    frame = posed_vertices(speaking, model, (SIDE, SIDE))[3]
    face = close_eyelids(model.shape(speaking.id, speaking.exp[3]), speaking.eyelid[3])
    seen = project(face, euler_to_matrix(speaking.rot[3]), speaking.trans[3], speaking.scale[3], (SIDE, SIDE))
    np.testing.assert_allclose(frame, seen, atol=1e-9)


def test_pictures_are_those_of_the_slow_twin(model, speaking):
    placed = posed_vertices(speaking.at(slice(0, 2)), model, (SIDE, SIDE))
    slow = rasterize_reference(placed, model.triangles, SIDE, SIDE)
    drawer = PnccDrawer(model, SIDE)
    np.testing.assert_array_equal(drawer.triangle_ids(placed), slow.tri_id)
    expected = np.moveaxis(pncc(model.mean, model.triangles, slow), -1, 1)
    np.testing.assert_array_equal(drawer.draw(placed), expected)


def test_values_are_in_range_and_two_calls_are_bit_equal(model, speaking):
    drawer, placed = PnccDrawer(model, SIDE), posed_vertices(speaking, model, (SIDE, SIDE))
    first = drawer.draw(placed)
    assert first.shape == (10, 3, SIDE, SIDE) and first.dtype == torch.float32
    assert first.min() >= 0 and first.max() <= 1
    assert (first.sum(1) == 0).float().mean() > 0.3, "the background is exactly black"
    assert torch.equal(first, drawer.draw(placed)) and torch.equal(first, drawer.draw(torch.from_numpy(placed)))
    visible = drawer.triangle_ids(placed)
    for picture, ids in zip(first, visible, strict=True):
        colors = np.unique(picture.flatten(1).T.numpy(), axis=0)
        assert 200 < len(colors) <= len(np.unique(ids))


def test_a_triangle_keeps_its_colour_whoever_it_is_and_whatever_it_does(model, speaking):
    drawer, placed = PnccDrawer(model, SIDE), posed_vertices(speaking, model, (SIDE, SIDE))
    pictures, ids = drawer.draw(placed).numpy(), drawer.triangle_ids(placed).numpy()
    seen: dict = {}
    for picture, numbers in zip(pictures, ids, strict=True):
        for f in np.unique(numbers[numbers >= 0]):
            (color,) = np.unique(picture[:, numbers == f].T, axis=0)
            assert (seen.setdefault(f, color) == color).all()
    assert len(seen) > 700


def test_a_symmetric_face_seen_from_the_front_is_mirrored(model):
    mean = model.mean.astype(np.float64)
    mean = (mean + mean[MIRROR] * [-1, 1, 1]) / 2
    even = dataclasses.replace(model, mean=mean.astype(np.float32))
    picture = PnccDrawer(even, SIDE).draw(posed_vertices(track(even), even, (SIDE, SIDE)))[0].numpy()
    covered, mirrored = picture.sum(0) > 0, picture[..., ::-1]
    assert (covered != covered[:, ::-1]).mean() < 1e-3
    expected = np.stack([1 - mirrored[0], mirrored[1], mirrored[2]])
    wrong = np.abs(expected - picture).max(0) > 1e-5
    assert wrong[covered & covered[:, ::-1]].mean() < 0.01, "but for centres on edges"


def test_moving_the_camera_moves_the_picture(model):
    unit = np.float32(2.0**-5)  # 8 pixels at 64 pixels a unit, exactly
    here = track(model, scale=[64.0], trans=[[-0.25, 0.125, 0]])
    there = here.replace(trans=here.trans + np.array([[4 * unit, -4 * unit, 0]], np.float32))
    drawer = PnccDrawer(model, SIDE)
    first, second = (drawer.draw(posed_vertices(c, model, (SIDE, SIDE)))[0] for c in (here, there))
    assert torch.equal(first[:, :-8, :-8], second[:, 8:, 8:]) and first.sum() > 0


def test_twice_the_scale_is_twice_the_silhouette(model):
    drawer = PnccDrawer(model, SIDE)

    def box(scale):
        ids = drawer.triangle_ids(posed_vertices(track(model, scale=[scale]), model, (SIDE, SIDE))).numpy()
        ys, xs = np.nonzero(ids[0] >= 0)
        return np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]) - SIDE / 2

    assert np.abs(box(60.0) - 2 * box(30.0)).max() <= 1


def test_closed_lids_fill_the_eyes(model):
    drawer = PnccDrawer(model, SIDE)
    lids = track(model, 2, eyelid=[[0, 0], [1, 1]])
    open_ids, shut_ids = drawer.triangle_ids(posed_vertices(lids, model, (SIDE, SIDE))).numpy()
    holes = (open_ids < 0) & (shut_ids >= 0)
    assert holes.sum() > 40 and not ((shut_ids < 0) & (open_ids >= 0)).any()
    without = drawer.triangle_ids(posed_vertices(track(model), model, (SIDE, SIDE))).numpy()[0]
    np.testing.assert_array_equal(without, open_ids)


def test_the_source_keeps_its_face_under_another_s_expression(model, speaking):
    """Identity is preserved by construction: with no expression the mesh is the source's neutral one."""
    rng = np.random.default_rng(1)
    source = (rng.standard_normal(model.n_id) * model.space.id_std).astype(np.float32)
    driven = speaking.replace(id=source, exp=np.zeros_like(speaking.exp), eyelid=None)
    still = track(model, 10, id=source, rot=speaking.rot)
    difference = posed_vertices(driven, model, (SIDE, SIDE)) - posed_vertices(still, model, (SIDE, SIDE))
    assert np.abs(difference).max() < 1e-6


def test_smooth_colours_are_interpolated(model, speaking):
    placed = posed_vertices(speaking.at(slice(0, 1)), model, (SIDE, SIDE))
    raster = rasterize(placed, model.triangles, SIDE, SIDE)
    expected = np.moveaxis(pncc(model.mean, model.triangles, raster, "smooth"), -1, 1)
    found = PnccDrawer(model, SIDE, colouring="smooth").draw(placed)
    np.testing.assert_allclose(found, expected, atol=2e-3)  # its barycentrics are of float32 vertices


def test_refusals(model, speaking):
    for wrong, reason in (
        (speaking.replace(rot=None), "no rot track"),
        (speaking.replace(relative=frozenset({"trans"})), "trans is relative"),
        (speaking.replace(relative=frozenset({"exp"})), "exp is relative"),
        (speaking.replace(space="bfm-00000000"), "bfm-00000000"),
    ):
        with pytest.raises(CoeffFileError, match=reason):
            posed_vertices(wrong, model, (SIDE, SIDE))
    for shape in ((2, 5, 3), (478, 3), (1, 478, 2)):
        with pytest.raises(ShapeError, match="vertices"):
            PnccDrawer(model, SIDE).draw(np.zeros(shape))
    with pytest.raises(UsageError, match="empty"):
        PnccDrawer(model, 0)
    with pytest.raises(UsageError, match="bright"):
        PnccDrawer(model, SIDE, colouring="bright")
