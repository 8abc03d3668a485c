import pytest
import torch
from torch.nn import functional

from talkhead.errors import ShapeError
from talkhead.nn.norm import instance_norm
from talkhead.nn.spade import DynamicSpade, Spade, SpadeBlock, per_sample_conv
from talkhead.nn.spectral import SpectralConv2d


def silenced(module):
    """All convolutions answer 0."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    return module


@pytest.mark.parametrize("hidden", [5, 0])
def test_without_an_answer_it_only_normalises(hidden):
    x = torch.randn(2, 4, 8, 8) * 3 + 1
    spade = silenced(Spade(4, 3, hidden=hidden))
    assert torch.allclose(spade(x, torch.randn(2, 3, 4, 4)), instance_norm(x), atol=1e-6)


def test_it_scales_and_moves_by_the_condition():
    x, condition = torch.randn(2, 4, 8, 8), torch.randn(2, 3, 4, 4)
    spade = Spade(4, 3, hidden=6)
    assert spade.shared is not None
    seen = functional.relu(spade.shared(functional.interpolate(condition, (8, 8), mode="nearest")))
    wanted = instance_norm(x) * (1 + spade.gamma(seen)) + spade.beta(seen)
    assert torch.allclose(spade(x, condition), wanted, atol=1e-5)


def test_an_encoded_condition_is_read_by_one_convolution():
    x, condition = torch.randn(2, 4, 8, 8), torch.randn(2, 3, 8, 8)
    spade = Spade(4, 3, hidden=0)
    assert spade.shared is None and spade.gamma.kernel_size == (1, 1)
    wanted = instance_norm(x) * (1 + spade.gamma(condition)) + spade.beta(condition)
    assert torch.allclose(spade(x, condition), wanted, atol=1e-6)


def test_batch_norm_keeps_running_statistics():
    spade = silenced(Spade(2, 3, norm="batch"))
    x = torch.randn(8, 2, 6, 6) * 2 + 5
    for _ in range(60):
        spade(x, torch.zeros(8, 3, 6, 6))
    spade.eval()
    one = spade(x[:1], torch.zeros(1, 3, 6, 6))
    assert torch.allclose(one, (x[:1] - x.mean((0, 2, 3), True)) / x.std((0, 2, 3), keepdim=True), atol=0.02)


def test_dynamic_weights_are_each_sample_s_own():
    x, condition = torch.randn(3, 4, 6, 6), torch.randn(3, 5, 6, 6)
    weight, bias = torch.randn(3, 8, 5, 1, 1), torch.randn(3, 8)
    spade = DynamicSpade(4, norm="instance")
    found = spade(x, condition, weight, bias)
    for k in range(3):
        gamma, beta = functional.conv2d(condition[k : k + 1], weight[k], bias[k]).chunk(2, 1)
        assert torch.allclose(found[k : k + 1], instance_norm(x[k : k + 1]) * (1 + gamma) + beta, atol=1e-5)
    with pytest.raises(ShapeError, match="weight"):
        spade(x, condition, weight[:, :4], bias)


def test_per_sample_convolution_keeps_the_size():
    x, weight, bias = torch.randn(2, 3, 7, 5), torch.randn(2, 4, 3, 3, 3), torch.randn(2, 4)
    found = per_sample_conv(x, weight, bias)
    for k in range(2):
        assert torch.allclose(found[k], functional.conv2d(x[k], weight[k], bias[k], padding=1), atol=1e-5)


def test_block_adds_its_input_only_where_it_should():
    x, condition = torch.randn(1, 4, 8, 8), torch.randn(1, 3, 8, 8)
    assert torch.equal(silenced(SpadeBlock(4, 3, hidden=2, spectral=False))(x, condition), x)
    without = silenced(SpadeBlock(4, 3, hidden=2, spectral=False, residual=False))
    assert without(x, condition).abs().max() == 0
    assert isinstance(SpadeBlock(4, 3).conv1, SpectralConv2d) and isinstance(SpadeBlock(4, 3).conv2, SpectralConv2d)
