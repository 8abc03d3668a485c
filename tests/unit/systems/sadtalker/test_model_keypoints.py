"""The keypoint detector: expectation over a volume, sizes, folding."""

import pytest
import torch

from talkhead.systems.sadtalker.config import KeypointConfig
from talkhead.systems.sadtalker.kernels import use_kernels
from talkhead.systems.sadtalker.model_keypoints import KeypointDetector

pytestmark = pytest.mark.usefixtures("without_gradients")

TINY = KeypointConfig(expansion=4, max_width=16, n_blocks=2, depth=4, n_keypoints=3)


def test_folded_detector_finds_the_same(lively):
    detector = lively(KeypointDetector(TINY))
    image = torch.rand(2, 3, 64, 48, generator=torch.Generator().manual_seed(0))
    expected = detector(image)
    assert expected.shape == (2, 3, 3)
    torch.testing.assert_close(use_kernels(detector)(image), expected, atol=1e-5, rtol=0)


def test_one_hot_logits_give_the_place_of_their_cell():
    detector = KeypointDetector(TINY)
    logits = torch.full((1, 3, 4, 6, 5), -1e3)
    logits[0, 0, 0, 0, 4] = logits[0, 1, 3, 5, 0] = logits[0, 2, 1, 0, 2] = 1e3
    expected = torch.tensor([[[1.0, -1, -1], [-1, 1, 1], [0, -1, -1 / 3]]])
    torch.testing.assert_close(detector.expect(logits), expected)


def test_even_logits_give_the_middle():
    torch.testing.assert_close(
        KeypointDetector(TINY).expect(torch.zeros(1, 3, 4, 64, 64)), torch.zeros(1, 3, 3), atol=1e-6, rtol=0
    )


def test_shrinking_keeps_an_even_picture_away_from_the_border():
    small = KeypointDetector(TINY).shrink(torch.full((1, 3, 64, 64), 0.7))
    assert small.shape == (1, 3, 16, 16)
    torch.testing.assert_close(small[:, :, 3:-3, 3:-3], torch.full((1, 3, 10, 10), 0.7))


def test_sides_that_cannot_be_halved_are_refused():
    with pytest.raises(ValueError, match=r"\(72, 64\).*multiples of 16"):
        KeypointDetector(TINY)(torch.zeros(1, 3, 72, 64))
