"""Two convolutions of an enlarged map, made from three rows of each cell."""

import pytest
import torch
import torch.nn.functional as F

from talkhead.systems.sadtalker import kernels
from talkhead.systems.sadtalker.kernels import Kernel
from talkhead.systems.sadtalker.model_blocks import upsample
from talkhead.systems.sadtalker.thirds import ThirdsKernel, ThirdsMap
from talkhead.systems.sadtalker.winograd import WinogradKernel

pytestmark = pytest.mark.usefixtures("without_gradients")


@pytest.mark.parametrize("sides", [(1, 1), (1, 4), (3, 2), (5, 7)])
@pytest.mark.parametrize("factor", [3, 4, 5, 8])
@pytest.mark.parametrize("make", [Kernel, WinogradKernel])
@pytest.mark.parametrize("band", [1, 500, 10**6])
def test_both_convolutions_are_those_of_the_enlarged_map(sides, factor, make, band, monkeypatch):
    monkeypatch.setattr(kernels, "_BAND", band)
    generator = torch.Generator().manual_seed(4)
    x, first, second = (
        torch.randn(*shape, generator=generator) for shape in ((2, 3, *sides), (4, 3, 3, 3), (5, 4, 3, 3))
    )
    bias, offset = torch.randn(4, generator=generator), torch.randn(5, generator=generator)
    enlarged = F.relu(F.conv2d(upsample(x, factor), first, bias, padding=1))
    expected = F.conv2d(enlarged, second, offset, padding=1)

    kernel = ThirdsKernel(second, offset, factor, make)
    thirds = ThirdsMap(first, bias, factor, kernel.n_columns)(x)
    found = torch.full_like(expected, torch.nan)

    def put(rows, values):
        assert found[:, :, rows].isnan().all()
        found[:, :, rows] = values

    kernel.bands(thirds, put)
    torch.testing.assert_close(found, expected, atol=2e-4, rtol=0)


@pytest.mark.parametrize("factor", [3, 4, 6])
def test_the_map_has_the_rows_and_columns_of_the_enlarged_one(factor):
    generator = torch.Generator().manual_seed(5)
    x, weight, bias = (torch.randn(*shape, generator=generator) for shape in ((1, 2, 3, 4), (3, 2, 3, 3), (3,)))
    whole = F.relu(F.conv2d(upsample(x, factor), weight, bias, padding=1)).unflatten(2, (3, factor))
    rows = whole[:, :, :, [0, 1, -1]].flatten(2, 3)
    for n_columns, columns in ((factor, slice(None)), (3, [0, 1, -1])):
        expected = rows.unflatten(3, (4, factor))[..., columns].flatten(3)
        found = ThirdsMap(weight, bias, factor, n_columns)(x)
        torch.testing.assert_close(found[:, :, 1:-1], expected, atol=1e-5, rtol=0)
        assert not found[:, :, [0, -1]].any()
