"""The two loops of a frame against slow or exact answers."""

from __future__ import annotations

import numpy as np
import pytest

from talkhead.face3d.rasterizer import rasterize_reference
from talkhead.systems.meshwarp.raster import OUTSIDE, composite, rasterize_map, soften_folds
from talkhead.systems.meshwarp.render import row_spans


def _map(vertices, triangles, size, texture_xy=None, surface=None):
    height, width = size
    vertices = np.asarray(vertices, np.float32)
    texture_xy = vertices[:, :2].copy() if texture_xy is None else np.asarray(texture_xy, np.float32)
    surface = np.tile(np.float32([1, 0]), (len(vertices), 1)) if surface is None else np.asarray(surface, np.float32)
    depth, xy, gain = (
        np.empty((height, width), np.float32),
        np.empty((height, width, 2), np.float32),
        np.empty((height, width, 2), np.float32),
    )
    spans = _whole(height, width)
    rasterize_map(vertices, np.asarray(triangles, np.int32), texture_xy, surface, spans, depth, xy, gain)
    return xy, gain


def _whole(height, width):
    return np.tile(np.int32([0, width]), (height, 1))


def _random_mesh(rng, columns=9, rows=7, size=(60, 80)):
    """A jittered grid that covers the picture, with random depth."""
    height, width = size
    x, y = np.meshgrid(np.linspace(-2, width + 2, columns), np.linspace(-2, height + 2, rows))
    inner = np.zeros_like(x, bool)
    inner[1:-1, 1:-1] = True
    x, y = x + inner * rng.uniform(-3, 3, x.shape), y + inner * rng.uniform(-3, 3, y.shape)
    vertices = np.stack([x.ravel(), y.ravel(), rng.uniform(0, 5, x.size)], 1)
    cell = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = cell[:-1, :-1].ravel(), cell[:-1, 1:].ravel(), cell[1:, 1:].ravel(), cell[1:, :-1].ravel()
    return vertices, np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])


def test_a_map_of_its_own_positions_is_the_identity_and_has_no_cracks():
    for seed in range(5):
        vertices, triangles = _random_mesh(np.random.default_rng(seed))
        xy, _ = _map(vertices, triangles, (60, 80))
        columns, rows = np.meshgrid(np.arange(80) + 0.5, np.arange(60) + 0.5)
        assert np.abs(xy[..., 0] - columns).max() < 1e-3
        assert np.abs(xy[..., 1] - rows).max() < 1e-3


def test_the_nearer_of_two_overlapping_triangles_is_seen_like_in_the_slow_twin():
    rng = np.random.default_rng(3)
    vertices = np.column_stack([rng.uniform(0, 40, (30, 2)), rng.uniform(0, 9, 30)])
    triangles = np.arange(30).reshape(10, 3)
    attribute = np.repeat(np.arange(10), 3).astype(np.float32)
    xy, _ = _map(vertices, triangles, (40, 40), texture_xy=np.column_stack([attribute, attribute]))
    raster = rasterize_reference(vertices, triangles, 40, 40, cull=False)
    seen = np.where(xy[..., 0] <= OUTSIDE, -1, np.round(xy[..., 0]))
    assert (seen != raster.tri_id[0]).mean() <= 0.001


def test_uncovered_pixels_are_outside():
    xy, _ = _map([[2, 2, 0], [8, 2, 0], [2, 8, 0]], [[0, 1, 2]], (12, 12))
    assert (xy[9:, 9:] == OUTSIDE).all()
    assert xy[3, 3, 0] == pytest.approx(3.5, abs=1e-4)


def _composite(xy, gain=None, warped=None, photo=None, plate=None):
    height, width = xy.shape[:2]
    rng = np.random.default_rng(0)
    photo = rng.integers(0, 256, (height, width, 3), np.uint8) if photo is None else photo
    plate = np.full_like(photo, 7) if plate is None else plate
    warped = np.full((height, width, 4), 255, np.uint8) if warped is None else warped
    gain = np.dstack([np.ones((height, width)), np.zeros((height, width))]).astype(np.float32) if gain is None else gain
    out = np.empty_like(photo)
    composite(photo, plate, warped, xy.astype(np.float32), gain, _whole(height, width), 0.0, 1.0, out)
    return photo, plate, out


def _identity(height=10, width=12):
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    return np.dstack([x, y]).astype(np.float32)


def test_still_pixels_are_the_photo_bit_for_bit():
    photo, _, out = _composite(_identity())
    assert np.array_equal(out, photo)


def test_moving_foreground_hides_the_plate_and_its_holes_show_it():
    warped = np.full((10, 12, 4), 200, np.uint8)
    warped[..., 3] = 255
    warped[:, 6:, 3] = 0
    _, plate, out = _composite(_identity() + 3, warped=warped)
    assert (out[:, :6] == 200).all()
    assert (out[:, 6:] == plate[:, 6:]).all()


def test_solid_surface_hides_the_plate_whatever_the_matte_says_and_negative_shows_it():
    warped = np.full((10, 12, 4), 200, np.uint8)
    warped[..., 3] = 0
    gain = np.ones((10, 12, 2), np.float32)
    assert (_composite(_identity() + 3, warped=warped, gain=gain)[2] == 200).all()
    warped[..., 3] = 255
    gain[..., 1] = -1
    _, plate, out = _composite(_identity() + 3, warped=warped, gain=gain)
    assert (out == plate).all()


def test_shading_multiplies_the_foreground():
    warped = np.full((10, 12, 4), 100, np.uint8)
    warped[..., 3] = 255
    gain = np.dstack([np.full((10, 12), 1.2), np.zeros((10, 12))]).astype(np.float32)
    assert (_composite(_identity() + 3, warped=warped, gain=gain)[2] == 120).all()


def test_folds_are_softened_and_even_maps_left_alone():
    frame = np.zeros((12, 12, 3), np.uint8)
    frame[:, 6:] = 200
    even = _identity(12, 12)
    out = frame.copy()
    box, spans = np.array([0, 0, 12, 12]), _whole(12, 12)
    soften_folds(even, 1.0, 1.3, box, spans, frame, out)
    assert np.array_equal(out, frame)
    folded = even.copy()
    folded[:, 6:, 0] += 9
    soften_folds(folded, 1.0, 1.3, box, spans, frame, out)
    assert (out[5, 5] == 50).all() and (out[5, 6] == 150).all()


def test_columns_outside_the_spans_are_the_plate_and_cost_nothing():
    spans = np.tile(np.int32([3, 8]), (10, 1))
    warped = np.full((10, 12, 4), 255, np.uint8)
    photo, plate = np.full((10, 12, 3), 50, np.uint8), np.full((10, 12, 3), 7, np.uint8)
    gain = np.dstack([np.ones((10, 12)), np.zeros((10, 12))]).astype(np.float32)
    out = np.empty_like(photo)
    composite(photo, plate, warped, _identity() + 3, gain, spans, 0.0, 1.0, out)
    assert (out[:, 3:8] == 255).all() and (out[:, :3] == 7).all() and (out[:, 8:] == 7).all()


def test_spans_hold_every_vertex_and_its_neighbourhood():
    rng = np.random.default_rng(1)
    points = rng.uniform([40, 20], [60, 50], (50, 2)).astype(np.float32)
    spans = row_spans(points, 100, 80, 16)
    assert spans.shape == (80, 2)
    for x, y in points:
        assert spans[int(y), 0] <= x < spans[int(y), 1]
    assert (spans[:, 0] >= 39).all() and (spans[:, 1] <= 62).all()
    assert (row_spans(points + np.float32([0, 1000]), 100, 80, 16) == 0).all()
