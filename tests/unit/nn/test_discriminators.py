import pytest
import torch
from torch import nn

from talkhead.nn.discriminators import MultiScaleDiscriminator, PatchDiscriminator
from talkhead.nn.spectral import SpectralConv2d


def shapes(maps):
    return [tuple(m.shape[1:]) for m in maps]


def test_spade_s_layout_counts_the_layer_that_keeps_the_size():
    maps = PatchDiscriminator(6, width=4)(torch.randn(2, 6, 256, 256))
    assert shapes(maps) == [(4, 129, 129), (8, 65, 65), (16, 33, 33), (32, 34, 34), (1, 35, 35)]


def test_pix2pixhd_s_layout_has_one_more():
    maps = PatchDiscriminator(6, width=4, n_layers=3, layout="pix2pixhd")(torch.randn(1, 6, 256, 256))
    assert shapes(maps) == [(4, 129, 129), (8, 65, 65), (16, 33, 33), (32, 34, 34), (1, 35, 35)]
    deeper = PatchDiscriminator(6, width=4, n_layers=4, layout="pix2pixhd")
    # Channels stop at 8 times the first.
    assert [layer.conv.out_channels for layer in deeper.layers] == [4, 8, 16, 32, 32, 1]


@pytest.mark.parametrize(("spectral", "which"), [("inner", [1, 2, 3]), ("all", [0, 1, 2, 3, 4]), ("none", [])])
def test_spectral_norm_is_where_it_was_asked_for(spectral, which):
    layers = PatchDiscriminator(3, width=4, spectral=spectral).layers
    assert [k for k, layer in enumerate(layers) if isinstance(layer.conv, SpectralConv2d)] == which
    assert [k for k, layer in enumerate(layers) if layer.norm is not None] == [1, 2, 3]
    assert [k for k, layer in enumerate(layers) if layer.conv.bias is not None] == [0, 4]


def test_the_next_scale_sees_means_without_the_padding():
    network = MultiScaleDiscriminator(2, width=4, n_scales=3)
    seen = []
    for scale in network.scales:
        scale.register_forward_pre_hook(lambda _module, given: seen.append(given[0]))
    x = torch.ones(1, 2, 32, 32)
    assert len(network(x)) == 3
    assert [tuple(s.shape[2:]) for s in seen] == [(32, 32), (16, 16), (8, 8)]
    assert all(torch.allclose(s, torch.ones_like(s)) for s in seen)


def test_the_score_is_linear_and_what_comes_before_is_not():
    network = PatchDiscriminator(3, width=4)
    maps = network(torch.randn(1, 3, 64, 64))
    assert maps[-1].min() < 0
    with torch.no_grad():
        nn.init.zeros_(network.layers[-1].conv.weight)
        network.layers[-1].conv.bias.fill_(-3.0)
    assert torch.all(network(torch.randn(1, 3, 64, 64))[-1] == -3.0)
