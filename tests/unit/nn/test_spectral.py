import pytest
import torch
from torch import nn

from talkhead.nn.spectral import SpectralConv2d, folded


def largest(conv):
    return torch.linalg.matrix_norm(conv.normalised_weight().flatten(1), ord=2).item()


def test_training_brings_the_largest_singular_value_to_one():
    conv = SpectralConv2d(6, 8, 3, padding=1)
    with torch.no_grad():
        conv.weight.mul_(7)
        for _ in range(100):
            conv(torch.zeros(1, 6, 4, 4))
    assert largest(conv.eval()) == pytest.approx(1.0, rel=1e-3)


def test_eval_uses_the_stored_vectors():
    conv = SpectralConv2d(3, 4, 3).eval()
    u, v, x = conv.u.clone(), conv.v.clone(), torch.randn(1, 3, 6, 6)
    sigma = u @ conv.weight.flatten(1) @ v
    wanted = nn.functional.conv2d(x, conv.weight / sigma, conv.bias)
    assert torch.allclose(conv(x), wanted, rtol=1e-4, atol=1e-4)
    assert torch.equal(conv.u, u) and torch.equal(conv.v, v)
    assert set(conv.state_dict()) == {"weight", "bias", "u", "v"}


def test_gradient_is_that_of_the_divided_weight():
    conv = SpectralConv2d(2, 3, 1, bias=False).double().eval()
    factor = torch.randn(3, 2, 1, 1, dtype=torch.float64)

    def value(weight):
        matrix = weight.flatten(1)
        return (weight / (conv.u @ (matrix @ conv.v)) * factor).sum()

    (conv.normalised_weight() * factor).sum().backward()
    wanted = torch.autograd.functional.jacobian(value, conv.weight.detach())
    assert torch.allclose(conv.weight.grad, wanted)


def test_two_calls_in_one_graph_can_go_backward():
    conv = SpectralConv2d(2, 2, 3, padding=1)
    x = torch.randn(1, 2, 5, 5)
    (conv(x).sum() + conv(x * 2).square().sum()).backward()
    assert conv.weight.grad.abs().max() > 0


def test_folding_changes_nothing_but_the_kind():
    network = nn.Sequential(
        SpectralConv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.Sequential(SpectralConv2d(4, 2, 1, bias=False))
    )
    network(torch.randn(1, 3, 8, 8))
    plain, x = folded(network), torch.randn(2, 3, 8, 8)
    assert not any(isinstance(module, SpectralConv2d) for module in plain.modules())
    assert torch.allclose(plain(x), network.eval()(x), atol=1e-6)
    assert not plain.training and not any(p.requires_grad for p in plain.parameters())
    assert isinstance(network[0], SpectralConv2d) and all(p.requires_grad for p in network.parameters())
