import math

import pytest
import torch

from talkhead.errors import ShapeError
from talkhead.nn.losses import feature_matching, fooling_loss, made_loss, masked_l1, real_loss


def scores(*values):
    """Maps of two scales of different sizes, both with these scores."""
    column = torch.tensor(values)[:, None, None, None]
    return [[torch.randn(1, 2, 4, 4), column.expand(-1, 1, n, n)] for n in (3, 2)]


def test_hinge():
    zero = scores(0.0)
    assert real_loss(zero).item() + made_loss(zero).item() == 2.0
    assert fooling_loss(zero).item() == 0.0
    assert real_loss(scores(2.0)).item() + made_loss(scores(-2.0)).item() == 0.0
    assert fooling_loss(scores(2.0, 4.0)).item() == -3.0
    assert real_loss(scores(-1.0)).item() == 2.0 and made_loss(scores(0.5)).item() == 1.5


def test_cross_entropy():
    zero = scores(0.0)
    assert (real_loss(zero, "bce") + made_loss(zero, "bce")).item() == pytest.approx(2 * math.log(2))
    assert fooling_loss(zero, "bce").item() == pytest.approx(math.log(2))
    assert fooling_loss(scores(20.0), "bce").item() < 1e-6 < fooling_loss(scores(-20.0), "bce").item()


def test_least_squares():
    assert real_loss(scores(3.0), "lsgan").item() == 4.0
    assert made_loss(scores(3.0), "lsgan").item() == 9.0
    assert fooling_loss(scores(1.0), "lsgan").item() == 0.0


def test_scales_count_alike_whatever_their_size():
    maps = [[torch.full((1, 1, 9, 9), 1.0)], [torch.full((1, 1, 2, 2), 3.0)]]
    assert fooling_loss(maps).item() == -2.0


def test_feature_matching_leaves_the_score_out():
    made = [[torch.full((1, 2, 4, 4), 1.0), torch.full((1, 3, 2, 2), 5.0), torch.full((1, 1, 1, 1), 99.0)]]
    real = [[torch.zeros(1, 2, 4, 4), torch.zeros(1, 3, 2, 2), torch.zeros(1, 1, 1, 1)]]
    assert feature_matching(made, made).item() == 0.0
    assert feature_matching(made, real).item() == 3.0
    assert feature_matching(made, real, layer_weight=0.8).item() == pytest.approx(4.8)
    assert feature_matching(made * 2, real * 2, layer_weight=0.8).item() == pytest.approx(4.8)


def test_feature_matching_does_not_teach_the_real_side():
    a, b = torch.randn(1, 2, 4, 4, requires_grad=True), torch.randn(1, 2, 4, 4, requires_grad=True)
    feature_matching([[a, a]], [[b, b]]).backward()
    assert a.grad is not None and b.grad is None


def test_masked_l1_is_over_all_pixels():
    made, real = torch.full((1, 3, 4, 4), 2.0), torch.zeros(1, 3, 4, 4)
    mask = torch.zeros(1, 1, 4, 4)
    mask[..., :2] = 1
    assert masked_l1(made, real, mask).item() == 1.0
    with pytest.raises(ShapeError, match="mask"):
        masked_l1(made, real, mask[..., :2])
