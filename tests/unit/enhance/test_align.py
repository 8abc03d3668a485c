"""Aligned crops, and positions smoothed over time."""

import numpy as np
import pytest

from talkhead.enhance.align import TEMPLATE, aligned_crop, place_points, steadied

REACH = 5


def settle(points, reach=REACH):
    return [place for _, place in steadied(((i, p) for i, p in enumerate(points)), reach)]


def track(path, at=((100.0, 90.0), (160.0, 90.0), (130.0, 120.0))):
    """Points that follow a path, (T, 2) or (T,) for x alone: a list of (3, 2)."""
    path = np.asarray(path, np.float64)
    path = np.stack([path, 0 * path], 1) if path.ndim == 1 else path
    return [np.array(at) + offset for offset in path]


def test_a_face_in_place_needs_no_change():
    crop = aligned_crop(TEMPLATE + 0.5)
    assert np.allclose(crop.matrix, [[1, 0, 0], [0, 1, 0]], atol=0.01)
    assert crop.size == 512


def test_a_turned_face_is_brought_back():
    turn, shift = 0.3 * np.exp(0.4j), 50 + 70j
    moved = ((TEMPLATE + 0.5) @ (1, 1j)) * turn + shift
    crop = aligned_crop(np.stack([moved.real, moved.imag], 1))
    assert crop.scale == pytest.approx(0.3, rel=1e-3)
    assert np.abs(crop.to_crop(np.stack([moved.real, moved.imag], 1)) - TEMPLATE - 0.5).max() < 1


def test_a_pucker_does_not_change_the_crop():
    puckered = TEMPLATE.copy()
    puckered[3, 0] += 15
    puckered[4, 0] -= 15
    assert np.allclose(aligned_crop(puckered).matrix, aligned_crop(TEMPLATE).matrix)


def test_eyes_and_mouth_of_a_real_face_land_on_the_template(portrait_landmarks):
    points = place_points(portrait_landmarks)
    assert points.shape == (41, 2)
    found = aligned_crop(points[:5]).to_crop(points[:5])
    assert np.linalg.norm(found - TEMPLATE, axis=1).max() < 25, "a twentieth of the crop"


def test_trembling_is_halved():
    rng = np.random.default_rng(0)
    steady = settle(track(rng.normal(0, 1, (400, 2))))
    rest = np.stack([place.points[0] for place in steady]) - (100, 90)
    assert rest.std() < 0.55
    step = np.diff(rest, axis=0).std()
    assert step < 0.25, "white noise steps by 1.41 from frame to frame"


@pytest.mark.parametrize("path", [lambda t: 2.0 * t, lambda t: 0.05 * t**2 - t], ids=["line", "parabola"])
def test_even_motion_comes_out_as_it_is(path):
    t = np.arange(40)
    places = settle(track(path(t)))
    assert np.allclose([place.points[0, 0] - 100 for place in places], path(t), atol=1e-6)


def test_no_lag():
    t = np.arange(100) / 25
    path = 10 * np.sin(2 * np.pi * 1.5 * t)
    out = np.array([place.points[0, 0] - 100 for place in settle(track(path))])[10:-10]
    errors = [np.abs(out - path[10 + lag : len(path) - 10 + lag]).max() for lag in (-1, 0, 1)]
    assert errors[1] == min(errors)
    assert errors[1] < 1, "a nod of 1.5 Hz keeps nine tenths of its size"


def test_frames_travel_in_order_and_few_are_held_back():
    taken = 0

    def frames():
        nonlocal taken
        for i in range(100):
            taken += 1
            yield i, np.zeros((3, 2))

    for given, (item, _) in enumerate(steadied(frames(), REACH)):
        assert item == given
        assert taken - given <= 2 * REACH + 1


@pytest.mark.parametrize("n_frames", [1, 2, 3, 7])
def test_short_clips(n_frames):
    places = settle(track(np.arange(n_frames, dtype=float)))
    assert [place.points[0, 0] for place in places] == pytest.approx([100.0 + i for i in range(n_frames)])
    assert all(place.share == 1 for place in places)


def test_a_short_gap_is_bridged():
    points = track(np.arange(40.0))
    points[20:25] = [None] * 5
    places = settle(points)
    assert np.allclose([place.points[0, 0] - 100 for place in places], np.arange(40))
    assert all(place.share == 1 for place in places)


def test_a_long_gap_fades_in_and_out():
    points = track(np.zeros(60))
    points[20:35] = [None] * 15
    places = settle(points)
    assert all(place is None for place in places[20:35])
    shares = [place.share for place in places[:20]]
    assert shares[:15] == [1.0] * 15
    assert all(a > b for a, b in zip(shares[14:19], shares[15:20], strict=True)) and shares[-1] > 0
    assert [place.share for place in places[35:40]] == pytest.approx(shares[:14:-1])


def test_a_face_seen_for_one_frame_only():
    places = settle([None] * 12 + track([0.0]) + [None] * 12)
    assert [i for i, place in enumerate(places) if place is not None] == [12]
    assert 0 < places[12].share < 0.2


def test_nothing_to_see():
    assert settle([None] * 30) == [None] * 30
    assert settle([]) == []


def test_a_cut_is_no_motion():
    places = settle(track([0.0] * 20 + [200.0] * 20))
    assert [place.points[0, 0] for place in places] == pytest.approx([100.0] * 20 + [300.0] * 20)


def test_a_gap_at_a_cut_is_not_bridged():
    points = track([0.0] * 20 + [200.0] * 20)
    points[18:21] = [None] * 3
    places = settle(points)
    assert [i for i, place in enumerate(places) if place is None] == [18, 19, 20]
