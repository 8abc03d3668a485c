"""Weights of networks before they have learned anything."""

from __future__ import annotations

from torch import nn

XAVIER_GAIN = 0.02  # HeadGAN's release, as SPADE's


def xavier_(network: nn.Module, gain: float = XAVIER_GAIN) -> nn.Module:
    """Draw the weights of convolutions and linear maps (Glorot and Bengio 2010, normal), in place; biases 0.

    Args:
        network: its norms keep what they have (1 and 0). gain: factor of the deviation.
    Returns:
        The network itself.
    """
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.xavier_normal_(module.weight, gain)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return network
