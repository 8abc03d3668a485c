import logging

import pytest
import torch

from talkhead.errors import WeightsError
from talkhead.nn.perceptual import HEADGAN, PIR, TCSAN, PerceptualConfig, PerceptualLoss

# Convolutions of torchvision's `features` up to the deepest layer that is compared.
VGG19_TO_RELU5_1 = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28)
VGG16_TO_RELU4_3 = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21)
SMALL = PerceptualConfig(layers=((1, 1), (2, 1)), weights=(0.5, 1.0))


@pytest.mark.parametrize(("config", "numbers"), [(HEADGAN, VGG19_TO_RELU5_1), (PIR, VGG16_TO_RELU4_3)])
def test_it_is_torchvision_s_network_as_far_as_needed(config, numbers):
    with torch.device("meta"):
        loss = PerceptualLoss(config)
    assert tuple(int(key) for key in loss.features) == numbers


def test_layers_are_those_that_were_asked_for():
    loss = PerceptualLoss.random(PIR)
    maps = loss.maps(torch.randn(1, 3, 32, 32))
    assert [tuple(m.shape[1:]) for m in maps] == [(64, 32, 32), (128, 16, 16), (256, 8, 8), (512, 4, 4)]
    assert all(m.min() == 0 for m in maps), "after the ReLU"


def test_equal_pictures_are_not_apart():
    loss, x = PerceptualLoss.random(SMALL), torch.rand(1, 3, 16, 16) * 2 - 1
    assert loss(x, x).item() == 0.0
    near, far = loss(x + 0.01, x).item(), loss(x + 0.3, x).item()
    assert 0 < near < far


def test_terms_are_weighted():
    loss, a, b = PerceptualLoss.random(SMALL), torch.randn(1, 3, 16, 16), torch.randn(1, 3, 16, 16)
    first, second = loss.distance(loss.maps(a), loss.maps(b))
    assert loss(a, b).item() == pytest.approx(0.5 * first.item() + second.item(), rel=1e-5)
    assert first.item() == pytest.approx((loss.maps(a)[0] - loss.maps(b)[0]).abs().mean().item(), rel=1e-5)
    squared = PerceptualLoss.random(PerceptualConfig(layers=((1, 1),), weights=(1.0,), distance="l2"))
    assert squared(a, b).item() == pytest.approx((loss.maps(a)[0] - loss.maps(b)[0]).square().mean().item(), rel=1e-4)
    assert TCSAN.weights == (0.2,) * 5 and HEADGAN.weights[-1] == 1.0


def test_pictures_enter_with_imagenet_s_mean_and_deviation():
    loss = PerceptualLoss.random(SMALL)
    as_they_are = PerceptualLoss.random(PerceptualConfig(layers=SMALL.layers, weights=SMALL.weights, imagenet=False))
    x = torch.rand(1, 3, 8, 8) * 2 - 1
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    normalised = ((x + 1) / 2 - mean[:, None, None]) / deviation[:, None, None]
    assert torch.allclose(loss.maps(x)[1], as_they_are.maps(normalised)[1], atol=1e-5)
    assert not torch.allclose(loss.maps(x)[1], as_they_are.maps(x)[1], atol=1e-2)


def test_the_random_one_is_always_the_same_and_says_so(caplog):
    with caplog.at_level(logging.WARNING, "talkhead.nn.perceptual"):
        torch.manual_seed(1)
        a = PerceptualLoss.random(SMALL)
        torch.manual_seed(2)
        b = PerceptualLoss.random(SMALL)
    assert a.is_random and "random weights" in caplog.text
    assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))


def test_published_weights_are_taken_strictly():
    made = PerceptualLoss.random(SMALL)
    tensors = {**made.state_dict(), "features.28.weight": torch.zeros(1), "classifier.0.weight": torch.zeros(1)}
    loaded = PerceptualLoss.published(tensors, SMALL)
    assert not loaded.is_random
    x = torch.randn(1, 3, 8, 8)
    assert torch.equal(loaded.maps(x)[1], made.maps(x)[1])
    with pytest.raises(WeightsError, match=r"lacks features\.2\.weight"):
        PerceptualLoss.published({k: v for k, v in tensors.items() if k != "features.2.weight"}, SMALL)


def test_nothing_is_learned_in_it_and_gradients_pass():
    loss, x, real = PerceptualLoss.random(SMALL), torch.randn(1, 3, 8, 8, requires_grad=True), torch.randn(1, 3, 8, 8)
    loss(x, real).backward()
    assert x.grad.abs().max() > 0 and all(p.grad is None for p in loss.parameters())
