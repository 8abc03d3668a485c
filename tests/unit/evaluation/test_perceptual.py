import numpy as np
import pytest

from talkhead.errors import ShapeError
from talkhead.evaluation.perceptual import LpipsMeter, lpips_measurement

FRAMES = np.random.default_rng(3).integers(0, 256, (2, 11, 6, 5, 3), np.uint8)


class Difference:
    backbone = "alex"

    def run(self, a, b):
        return np.abs(a.astype(np.float64) - b).mean((1, 2, 3))


@pytest.mark.parametrize("batch", [1, 4, 11, 20])
def test_every_pair_has_a_value(batch):
    meter = LpipsMeter(Difference(), batch=batch)
    for a, b in zip(*FRAMES, strict=True):
        meter.add(a, b)
    meter.add(FRAMES[0, 0, :4], FRAMES[0, 0, :4])
    values = meter.finish()
    np.testing.assert_allclose(values, [*Difference().run(*FRAMES), 0])
    row = lpips_measurement(values, backbone="alex", grade="paper", size=(5, 6))
    assert row.value == pytest.approx(values.mean())
    assert (row.definition, row.params["size"], row.n_frames) == ("lpips/v0.1-alex", "5x6", 12)


def test_frames_of_other_sizes_are_refused():
    with pytest.raises(ShapeError):
        LpipsMeter(Difference()).add(FRAMES[0, 0], FRAMES[0, 0, :3])


def test_nothing_to_compare_has_a_reason():
    row = lpips_measurement(LpipsMeter(Difference()).finish(), backbone="vgg", grade="paper")
    assert row.value is None
    assert row.reason == "no pairs of frames"
