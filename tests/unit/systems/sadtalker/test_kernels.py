"""Convolutions in their fast shapes give what the plain ones do, at any size."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from talkhead.systems.sadtalker import kernels
from talkhead.systems.sadtalker.kernels import EnlargedKernel, Kernel, KernelUnit, channels_last, use_kernels
from talkhead.systems.sadtalker.model_blocks import ConvUnit, ResBlock3d, SpectralConv2d, UpUnit, halve, upsample
from talkhead.systems.sadtalker.winograd import WideWinogradKernel, WinogradKernel

pytestmark = pytest.mark.usefixtures("without_gradients")


@pytest.fixture
def draws():
    """Repeatable normal numbers."""
    generator = torch.Generator().manual_seed(3)
    return lambda *shape: torch.randn(*shape, generator=generator)


def settled(unit, draws):
    """With statistics and weights of no special value."""
    for tensor in (*unit.parameters(), *unit.buffers()):
        if tensor.is_floating_point():
            tensor.copy_(draws(*tensor.shape) * 0.3)
    for module in unit.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_var.abs_().add_(0.5)
    return unit.eval()


@pytest.mark.parametrize("sides", [(1, 1), (1, 5), (3, 2), (7, 5), (8, 8)])
@pytest.mark.parametrize("factor", [2, 4])
def test_enlarged_kernel_is_a_convolution_of_the_enlarged_map(draws, sides, factor):
    x, weight, bias = draws(2, 3, *sides), draws(4, 3, 3, 3), draws(4)
    expected = F.conv2d(upsample(x, factor), weight, bias, padding=1)
    torch.testing.assert_close(EnlargedKernel(weight, bias, factor)(x), expected, atol=2e-5, rtol=0)


@pytest.mark.parametrize("sides", [(1, 1, 1), (2, 3, 5), (4, 6, 4)])
def test_enlarged_kernel_leaves_depth_alone(draws, sides):
    x, weight, bias = draws(2, 3, *sides), draws(4, 3, 3, 3, 3), draws(4)
    expected = F.conv3d(upsample(x), weight, bias, padding=1)
    torch.testing.assert_close(EnlargedKernel(weight, bias)(x), expected, atol=2e-5, rtol=0)


@pytest.mark.parametrize("shape", [(1, 1), (5, 4), (4, 7), (9, 16), (1, 5, 6), (3, 4, 8), (2, 2, 3)])
def test_winograd_kernel_is_a_convolution(draws, shape):
    x, weight, bias = draws(2, 3, *shape), draws(4, 3, *[3] * len(shape)), draws(4)
    expected = (F.conv2d if len(shape) == 2 else F.conv3d)(x, weight, bias, padding=1)
    torch.testing.assert_close(WinogradKernel(weight, bias)(channels_last(x)), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("shape", [(1, 1), (5, 4), (9, 7), (3, 4, 8), (2, 2, 3)])
def test_wide_winograd_kernel_is_a_convolution(draws, shape):
    x, weight, bias = draws(2, 3, *shape), 0.1 * draws(4, 3, *[7] * len(shape)), draws(4)
    expected = (F.conv2d if len(shape) == 2 else F.conv3d)(x, weight, bias, padding=3)
    torch.testing.assert_close(WideWinogradKernel(weight, bias)(channels_last(x)), expected, atol=1e-4, rtol=0)


def test_winograd_kernel_errs_little_more_than_the_direct_sum(draws):
    x, weight = draws(1, 64, 32, 32), draws(64, 64, 3, 3)
    truth = F.conv2d(x.double(), weight.double(), padding=1)

    def error(y):
        return ((y - truth) ** 2).mean().sqrt() / (truth**2).mean().sqrt()

    assert error(WinogradKernel(weight, None)(channels_last(x))) < 4 * error(F.conv2d(x, weight, padding=1))


@pytest.mark.parametrize("make", [Kernel, WinogradKernel])
@pytest.mark.parametrize("multiple", [1, 2])
@pytest.mark.parametrize("size", [1, 100, 400, 10**6])
def test_bands_are_the_map_in_pieces(draws, make, multiple, size, monkeypatch):
    monkeypatch.setattr(kernels, "_BAND", size)
    x, kernel = channels_last(draws(2, 3, 10, 8)), make(draws(4, 3, 3, 3), draws(4))
    used = []
    kernel.bands(x, lambda *band: used.append(band), multiple)
    rows, parts = zip(*used, strict=True)
    assert [row for band in rows for row in range(10)[band]] == list(range(10))
    assert all(band.start % multiple == 0 for band in rows)
    assert (len(rows) > 1) == (size < 10**6)
    torch.testing.assert_close(torch.cat(parts, 2), kernel(x), atol=2e-5, rtol=0)
    torch.testing.assert_close(kernel(x), kernel.convolve(x, 1), atol=2e-5, rtol=0)


@pytest.mark.parametrize("unit", [ConvUnit(3, 4, slope=0.2), ConvUnit(3, 4, ndim=3, kernel=1), UpUnit(3, 4, ndim=3)])
def test_a_folded_unit_is_the_unit(draws, unit):
    x = draws(2, 3, 4, 6, 4) if unit.conv.weight.ndim == 5 else draws(2, 3, 6, 4)
    expected = settled(unit, draws)(x)
    torch.testing.assert_close(KernelUnit(unit, Kernel)(x), expected, atol=1e-5, rtol=1e-5)


def test_wide_units_enlarge_first(draws, monkeypatch):
    unit, x = settled(UpUnit(3, 4), draws), draws(1, 3, 4, 4)
    expected = unit(x)
    monkeypatch.setattr(kernels, "_WIDEST_PHASED", 2)
    folded = KernelUnit(unit, Kernel)
    assert not isinstance(folded.kernel, EnlargedKernel)
    torch.testing.assert_close(folded(x), expected, atol=1e-5, rtol=1e-5)


def test_use_kernels_reaches_everything_and_keeps_norms_that_come_first(draws):
    network = settled(nn.Sequential(nn.Conv3d(2, 3, 1), nn.Sequential(ResBlock3d(3)), ConvUnit(3, 2, ndim=3)), draws)
    x = draws(1, 2, 2, 4, 4)
    expected = network(x)
    torch.testing.assert_close(use_kernels(network, WinogradKernel)(x), expected, atol=1e-5, rtol=1e-5)
    assert not any(isinstance(module, (nn.Conv3d, ConvUnit)) for module in network.modules())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_halve_takes_means_of_every_slice(draws, dtype):
    x = draws(2, 3, 4, 6, 8).to(dtype)
    expected = F.avg_pool3d(x.float(), (1, 2, 2)).to(dtype)
    torch.testing.assert_close(halve(x), expected)
    torch.testing.assert_close(halve(channels_last(x)), expected)


def test_spectral_weight_has_singular_value_one(draws):
    conv = SpectralConv2d(5, 4, 3)
    for _ in range(200):
        conv(draws(1, 5, 3, 3))
    torch.testing.assert_close(torch.linalg.matrix_norm(conv.weight.flatten(1), 2), torch.tensor(1.0))


def test_spectral_norm_moves_only_while_training_and_passes_gradients(draws):
    conv = SpectralConv2d(5, 4, 3).eval()
    before = conv.weight_u.clone()
    conv(draws(1, 5, 3, 3))
    assert torch.equal(conv.weight_u, before)
    with torch.enable_grad():
        (conv.train()(draws(1, 5, 3, 3)).sum() + conv(draws(1, 5, 3, 3)).sum()).backward()
    assert not torch.equal(conv.weight_u, before)
    assert conv.weight_orig.grad.abs().sum() > 0
