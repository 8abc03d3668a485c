import numpy as np
import pytest

from talkhead.coeffs.interpolate import monotone_cubic
from talkhead.coeffs.keyframes import Keyframes
from talkhead.errors import UsageError


def test_a_number_is_constant():
    assert Keyframes.parse("-2.5").at(3, 25).tolist() == [-2.5] * 3


def test_keys_are_hit_and_held_outside():
    curve = Keyframes.parse("1:0,2:10,3:4").at(101, 25)
    assert curve[[0, 25, 50, 75, 100]].tolist() == [0, 0, 10, 4, 4]
    assert curve.max() == 10  # no overshoot
    assert (np.diff(curve[25:51]) >= 0).all()
    assert curve[25:51].mean() == pytest.approx(5, abs=0.1)


def test_passages_start_and_end_gently():
    curve = Keyframes.parse("0:0,1:1").at(26, 25)
    assert curve[1] < 0.01
    assert curve[12:14].mean() == pytest.approx(0.5, abs=1e-6)


def test_two_keys_at_one_second_jump():
    curve = Keyframes.parse("0:1,1:1,1:5,2:5").at(51, 25)
    assert curve[24] == 1
    assert curve[25] == 5


def test_keys_beyond_the_end_are_approached():
    assert Keyframes.parse("0:0,10:1").at(2, 1)[1] == pytest.approx(0.028)


@pytest.mark.parametrize(
    "text", ["", "x", "nan", "1:", ":1", "0:1,", "0:1,1", "1:0,0:1", "-1:0,1:1", "0:inf", "0:1:2,3", "inf:1"]
)
def test_nonsense_is_refused(text):
    with pytest.raises(UsageError):
        Keyframes.parse(text)


def test_interpolation_is_exact_at_knots_and_keeps_lines():
    rng = np.random.default_rng(0)
    knots, values = np.sort(rng.uniform(0, 10, 20)), rng.normal(size=(20, 3))
    np.testing.assert_allclose(monotone_cubic(knots, values, knots), values, atol=1e-12)
    np.testing.assert_allclose(monotone_cubic(knots, 2 * knots + 1, [5.1, 7.3]), [11.2, 15.6])
    between = monotone_cubic(knots, values, np.linspace(knots[3], knots[4], 50))
    assert (between >= np.minimum(values[3], values[4]) - 1e-12).all()
    assert (between <= np.maximum(values[3], values[4]) + 1e-12).all()
    assert monotone_cubic([1.0], [[4.0]], [0, 1, 2]).tolist() == [[4], [4], [4]]
