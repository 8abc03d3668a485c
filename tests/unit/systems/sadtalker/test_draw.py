"""Frames come one by one, in order, whatever pieces their keypoints come in."""

import itertools
import weakref

import numpy as np
import pytest
import torch

from talkhead.errors import ShapeError
from talkhead.systems.sadtalker.config import RendererConfig
from talkhead.systems.sadtalker.draw import Drawer, best_batch, rebatch, to_network, to_pixels
from talkhead.systems.sadtalker.model_renderer import Renderer
from talkhead.systems.sadtalker.model_renderer_fast import fold

TINY = RendererConfig(
    expansion=4,
    max_width=16,
    volume_width=4,
    depth=2,
    n_resblocks=1,
    n_keypoints=3,
    motion_expansion=4,
    motion_max_width=8,
    motion_blocks=2,
    compress=2,
    spade_hidden=4,
)


@pytest.fixture
def scene(lively):
    """A small renderer, a picture, its keypoints, and those of seven frames."""
    rng, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    image = rng.integers(0, 256, (32, 32, 3), np.uint8)
    source = torch.randn(3, 3, generator=generator) * 0.4
    return fold(lively(Renderer(TINY))), image, source, source + 0.2 * torch.randn(7, 3, 3, generator=generator)


@pytest.mark.parametrize("batch", [1, 2, 3, 7, 16])
@pytest.mark.parametrize("piece", [1, 3, 7])
def test_pieces_and_batches_do_not_show(scene, batch, piece):
    fast, image, source, driving = scene
    frames = list(Drawer(fast, image, source, batch=batch).draw(driving.split(piece)))
    drawn = fast.draw(fast.encode(to_network(image), source[None]), driving)
    assert [(frame.shape, frame.dtype.name) for frame in frames] == [((32, 32, 3), "uint8")] * 7
    # Other batches sum in another order, so a value on the edge may be rounded the other way.
    assert np.abs(np.stack(frames).astype(int) - to_pixels(drawn).numpy()).max() <= 1
    assert np.std(frames[0].astype(float) - frames[-1]) > 1


def test_frames_are_arrays_of_their_own(scene):
    fast, image, source, driving = scene
    frames = list(Drawer(fast, image, source, batch=4).draw([driving]))
    kept = frames[1].copy()
    frames[0][:] = 0
    frames[2][:] = 0
    assert np.array_equal(frames[1], kept)


def test_no_keypoints_no_frames(scene):
    fast, image, source, driving = scene
    assert list(Drawer(fast, image, source).draw([])) == []
    assert list(Drawer(fast, image, source).draw([driving[:0]])) == []


def test_keypoints_are_read_as_they_are_needed_and_frames_not_kept(scene):
    fast, image, source, driving = scene
    read = []

    def endless():
        for k in itertools.count():
            read.append(k)
            yield driving[k % 7 : k % 7 + 1]

    alive = []
    for k, frame in enumerate(itertools.islice(Drawer(fast, image, source, batch=2).draw(endless()), 9)):
        alive.append(weakref.ref(frame))
        assert len(read) <= k + 2
        assert sum(one() is not None for one in alive) <= 2


@pytest.mark.parametrize("shape", [(32, 64, 3), (40, 40, 3), (32, 32, 4), (32, 32)])
def test_pictures_that_do_not_fit_are_refused(scene, shape):
    fast, _, source, _ = scene
    with pytest.raises(ShapeError, match="multiple of 16"):
        Drawer(fast, np.zeros(shape, np.uint8), source)


def test_rebatch_keeps_every_row_in_order():
    rows = torch.arange(11)
    for sizes in ([11], [1] * 11, [4, 0, 5, 2]):
        for n in (1, 2, 5, 20):
            batches = list(rebatch(rows.split(sizes), n))
            assert torch.equal(torch.cat(batches), rows)
            assert [len(batch) for batch in batches[:-1]] == [n] * (len(batches) - 1)


def test_halves_are_rounded_to_even():
    values = torch.tensor([0.5, 1.5, 2.5, 254.5, 255], dtype=torch.float64) / 255
    assert to_pixels(values.view(1, 1, 1, 5))[0, 0, :, 0].tolist() == [0, 2, 2, 254, 255]


def test_a_cpu_draws_one_at_a_time():
    assert best_batch(256, torch.device("cpu"), torch.float32) == 1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_card_draws_the_same(lively, scene, dtype):
    fast, image, source, driving = scene
    expected = np.stack(list(Drawer(fast, image, source).draw([driving])))
    on_card = fold(lively(Renderer(TINY)), "cuda", dtype)
    found = np.stack(list(Drawer(on_card, image, source, batch=2).draw([driving])))
    assert np.sqrt(((found.astype(float) - expected) ** 2).mean()) < 3
