import pytest
import torch
from torch import nn

from talkhead.nn.initialise import xavier_
from talkhead.nn.norm import InstanceNorm
from talkhead.nn.resblocks import ResBlock


def test_deviation_is_that_of_glorot_times_the_gain():
    torch.manual_seed(0)
    network = xavier_(nn.Sequential(nn.Conv2d(64, 32, 3), InstanceNorm(32), nn.Linear(200, 300)))
    assert network[0].weight.std().item() == pytest.approx(0.02 * (2 / ((64 + 32) * 9)) ** 0.5, rel=0.05)
    assert network[2].weight.std().item() == pytest.approx(0.02 * (2 / 500) ** 0.5, rel=0.05)
    assert network[0].bias.abs().max() == network[2].bias.abs().max() == 0
    assert torch.equal(network[1].weight, torch.ones(32))


def test_residual_block_adds_its_input():
    block, x = ResBlock(3), torch.randn(1, 3, 8, 8)
    assert block(x).shape == x.shape and not torch.equal(block(x), x)
    with torch.no_grad():
        # A constant map is normalised to 0.
        for parameter in block.parameters():
            parameter.zero_()
    assert torch.equal(block(x), x)
