"""The mesh is a manifold with four loops, its mirror map an involution that keeps the named loops."""

from collections import Counter

import numpy as np

from talkhead.face import topology as topo


def directed_edges(triangles):
    return [(int(t[i]), int(t[(i + 1) % 3])) for t in triangles for i in range(3)]


def loops(edges):
    """Lengths of the closed chains of boundary edges."""
    following = dict(edges)
    lengths = []
    while following:
        start, at = following.popitem()
        length = 1
        while at != start:
            at = following.pop(at)
            length += 1
        lengths.append(length)
    return sorted(lengths)


def test_triangles_are_an_oriented_manifold_with_four_loops():
    edges = directed_edges(topo.TRIANGLES)
    assert topo.TRIANGLES.shape == (852, 3)
    assert len(set(edges)) == len(edges), "an edge is used twice in one direction: orientation is inconsistent"
    boundary = [(a, b) for a, b in edges if (b, a) not in set(edges)]
    assert loops(boundary) == [16, 16, 20, 36]
    assert set(topo.OVAL) <= {a for a, _ in boundary}
    assert set(np.unique(topo.TRIANGLES)) == set(range(topo.N_SKIN))


def test_triangles_turn_counter_clockwise_seen_from_the_camera():
    edges = set(directed_edges(topo.TRIANGLES))
    # The oval runs clockwise in the picture from the forehead to image right; the skin lies on its right.
    oval = list(zip(topo.OVAL, topo.OVAL[1:] + topo.OVAL[:1], strict=True))
    assert all((b, a) in edges for a, b in oval)


def test_mirror_is_an_involution_that_swaps_the_named_loops():
    mirror = topo.MIRROR
    assert (mirror[mirror] == np.arange(topo.N_POINTS)).all()
    for left, right in [
        (topo.EYE_A_UPPER, topo.EYE_B_UPPER),
        (topo.EYE_A_LOWER, topo.EYE_B_LOWER),
        (topo.CREASE_A, topo.CREASE_B),
        (topo.BROW_A, topo.BROW_B),
    ]:
        assert tuple(mirror[list(left)]) == right
    for lip in (topo.INNER_LIP_UPPER, topo.INNER_LIP_LOWER, topo.OUTER_LIP_UPPER, topo.OUTER_LIP_LOWER):
        assert tuple(mirror[list(lip)]) == lip[::-1]
    assert {int(i) for i in mirror[list(topo.IRIS_A)]} == set(topo.IRIS_B)


def test_mirror_keeps_almost_every_edge():
    edges = {frozenset(e) for e in directed_edges(topo.TRIANGLES)}
    turned = {frozenset((int(topo.MIRROR[a]), int(topo.MIRROR[b]))) for a, b in map(tuple, edges)}
    assert Counter(e in edges for e in turned)[False] <= 6, "the published mesh has six diagonals of its own per side"


def test_68_view_mirrors_onto_itself():
    jaw, brows = range(17), range(17, 27)
    view = topo.LANDMARKS_68
    assert len(set(view)) == 68
    for span in (jaw, brows):
        mirrored = [int(topo.MIRROR[view[i]]) for i in span]
        assert mirrored[::-1] == [view[i] for i in span]
