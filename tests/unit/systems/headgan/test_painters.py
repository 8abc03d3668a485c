"""Who paints: the networks with what they hear, and the stand-ins without weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from talkhead.coeffs.container import Coeffs
from talkhead.face3d.morphable import load_builtin
from talkhead.face3d.pncc import PnccDrawer, posed_vertices
from talkhead.systems.headgan.config import NetworkConfig
from talkhead.systems.headgan.convert import for_use
from talkhead.systems.headgan.features import FEATURE, AudioScale
from talkhead.systems.headgan.model import Generator
from talkhead.systems.headgan.painters import NetworkPainter, PnccPainter, WarpPainter

MODEL = load_builtin()
SIDE = 64
PICTURE = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)


def placed(n):
    """Vertices of n frames of a head that turns, (n, V, 3)."""
    rot = np.zeros((n, 3), np.float32)
    rot[:, 1] = np.linspace(-0.3, 0.3, n)
    zero, scale = np.zeros((n, 3), np.float32), np.full(n, 24, np.float32)
    return posed_vertices(
        Coeffs(space="pose", fps=25.0, n_frames=n, rot=rot, trans=zero, scale=scale), MODEL, (SIDE,) * 2
    )


def network(audio, condition="pncc"):
    torch.manual_seed(0)
    config = NetworkConfig(width_mult=1 / 16, spade_hidden=8, audio=audio, condition=condition)
    return for_use(Generator(config).eval())


def painter_of(audio, scale=None, **words):
    painter = NetworkPainter(network(audio, **words), MODEL, SIDE, scale=scale)
    painter.look(PICTURE, placed(1)[0])
    return painter


def difference(a, b):
    return np.abs(a.astype(int) - b).max()


def test_a_networks_frames_are_those_of_its_generator():
    painter, vertices, generator = painter_of(audio=False), placed(5), network(audio=False)
    drawn = PnccDrawer(MODEL, SIDE).draw(vertices)
    reference = torch.from_numpy(PICTURE).permute(2, 0, 1)[None].float() / 127.5 - 1
    with torch.no_grad():
        third = generator(drawn[2:5].reshape(1, 9, SIDE, SIDE), PnccDrawer(MODEL, SIDE).draw(placed(1)), reference)
    expected = ((third.image[0].permute(1, 2, 0).numpy() + 1) / 2 * 255).clip(0, 255).astype(np.uint8)
    frames = painter.paint(vertices, None)
    assert frames.shape == (3, SIDE, SIDE, 3) and frames.dtype == np.uint8
    assert painter.hears == ()
    assert difference(frames[2], expected) <= 1


@pytest.mark.parametrize("condition", ["pncc", "landmarks"])
def test_frames_are_the_same_however_many_are_painted_at_a_time(condition):
    painter, vertices = painter_of(audio=True, condition=condition), placed(6)
    heard = np.random.default_rng(1).standard_normal((4, 300)).astype(np.float32)
    together = painter.paint(vertices, heard)
    for i in range(4):
        assert difference(painter.paint(vertices[i : i + 3], heard[i : i + 1])[0], together[i]) <= 1


def test_who_hears_nothing_hears_silence():
    rng = np.random.default_rng(2)
    scale = AudioScale(rng.standard_normal(84).astype(np.float32), np.ones(84, np.float32))
    painter, vertices = painter_of(audio=True, scale=scale), placed(4)
    assert painter.hears == (FEATURE,)
    silent = painter.paint(vertices, None)
    np.testing.assert_array_equal(silent, painter.paint(vertices, AudioScale.silence(2)))
    speech = (40 * rng.standard_normal((2, 300))).astype(np.float32)
    assert difference(silent, painter.paint(vertices, speech)) > 0
    unscaled = painter_of(audio=True).paint(vertices, None)
    assert difference(silent, unscaled) > 0


def test_a_bent_source_is_the_source_at_rest():
    painter, vertices = WarpPainter(MODEL, SIDE), placed(3)
    painter.look(PICTURE, vertices[2])
    np.testing.assert_array_equal(painter.paint(vertices, None)[0], PICTURE)
    moved = painter.paint(vertices[::-1], None)
    assert moved.shape == (1, SIDE, SIDE, 3) and difference(moved[0], PICTURE) > 50


def test_what_the_networks_are_shown():
    painter, vertices = PnccPainter(MODEL, SIDE), placed(4)
    painter.look(PICTURE, vertices[0])
    drawn = PnccDrawer(MODEL, SIDE).draw(vertices[2:]).permute(0, 2, 3, 1).numpy()
    frames = painter.paint(vertices, None)
    assert frames.dtype == np.uint8 and np.abs(frames - 255 * drawn).max() <= 0.501
    assert frames[0, 0, 0].tolist() == [0, 0, 0]
