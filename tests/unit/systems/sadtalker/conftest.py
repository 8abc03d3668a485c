"""A face of a few points, for what only asks where a head is; networks whose weights show what they do."""

import numpy as np
import pytest
import torch
from torch import nn


def _points(x, y, eyes=40.0, roll=0.0):
    points = np.zeros((68, 2))
    points[36:42] = (-eyes / 2, 0)
    points[42:48] = (eyes / 2, 0)
    points[48], points[54] = (-eyes / 3, 1.1 * eyes), (eyes / 3, 1.1 * eyes)
    turn = np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]])
    return points @ turn + (x, y)


@pytest.fixture(scope="session")
def face():
    """`face(x, y, eyes=40, roll=0)` -> (68, 2): (x, y) lies between the eyes; only eyes and mouth corners count."""
    return _points


@pytest.fixture
def without_gradients():
    """Nothing in the test records gradients, unless it asks for them."""
    with torch.no_grad():
        yield


@pytest.fixture
def lively():
    """`lively(network)` -> the network for inference, weights such that signals keep their size, the same each time."""

    def fill(network):
        generator = torch.Generator().manual_seed(11)
        with torch.no_grad():
            for tensor in (*network.parameters(), *network.buffers()):
                if tensor.is_floating_point():
                    gain = (2 / tensor[0].numel()) ** 0.5 if tensor.ndim > 1 else 0.05
                    tensor.copy_(gain * torch.randn(tensor.shape, generator=generator))
            for module in network.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.weight.add_(1)
                    module.running_var.abs_().add_(1)
                elif hasattr(module, "weight_v"):
                    for _ in range(20):
                        module._iterate()
        return network.eval()

    return fill
