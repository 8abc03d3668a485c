import torch

from talkhead.nn.adain import AdaIn, AdaInBlock
from talkhead.nn.norm import InstanceNorm, instance_norm


def test_style_scales_and_moves_channels():
    x, style = torch.randn(2, 3, 5, 5) * 4 - 2, torch.randn(2, 7)
    adain = AdaIn(3, 7)
    found = adain(x, style)
    g, b = adain.linear(style).chunk(2, 1)
    assert torch.allclose(found.mean((2, 3)), b, atol=1e-5)
    assert torch.allclose(found.var((2, 3), correction=0), (1 + g).square(), rtol=1e-3, atol=1e-5)


def test_block_does_not_add_its_input():
    block = AdaInBlock(3, 7, spectral=False)
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.zero_()
    assert block(torch.randn(1, 3, 6, 6), torch.randn(1, 7)).abs().max() == 0


def test_instance_norm_is_of_each_channel_of_each_sample():
    x = torch.randn(2, 3, 9, 7) * torch.tensor([1.0, 5.0, 30.0])[:, None, None] + 4
    found = instance_norm(x)
    assert found.mean((2, 3)).abs().max() < 1e-5
    assert torch.allclose(found.var((2, 3), correction=0), torch.ones(2, 3), atol=1e-4)
    norm = InstanceNorm(3)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([1.0, 2.0, 3.0]))
        norm.bias.copy_(torch.tensor([0.0, -1.0, 1.0]))
    wanted = found * torch.tensor([1.0, 2.0, 3.0])[:, None, None] + torch.tensor([0.0, -1.0, 1.0])[:, None, None]
    assert torch.allclose(norm(x), wanted, atol=1e-5)
