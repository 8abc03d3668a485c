import dataclasses

import numpy as np
import pytest

from talkhead.errors import UsageError
from talkhead.systems.meshwarp.articulation import MouthTracks
from talkhead.systems.meshwarp.enunciation import enunciated

NAMES = tuple(f.name for f in dataclasses.fields(MouthTracks))
FPS = 100.0


def mouth(**moving):
    return MouthTracks(**{name: np.asarray(moving.get(name, np.zeros(200)), float) for name in NAMES})


def pulse(length, height=0.8):
    """A smooth rise and fall of so many frames in the middle of 200."""
    out = np.zeros(200)
    out[100 - length // 2 : 100 - length // 2 + length] = height * np.hanning(length)
    return out


def test_one_changes_nothing():
    speaking = mouth(open=pulse(40), jaw=pulse(60), close=pulse(10, 1.0))
    assert enunciated(speaking, 1.0, FPS) is speaking
    for near in (0.999, 1.001):
        np.testing.assert_allclose(enunciated(speaking, near, FPS).stacked(), speaking.stacked(), atol=2e-3)


@pytest.mark.parametrize("name", ["open", "jaw", "wide", "pucker", "funnel", "upper", "lower"])
def test_effort_makes_movements_larger(name):
    peaks = [getattr(enunciated(mouth(**{name: pulse(60)}), a, FPS), name).max() for a in (0, 0.5, 1, 1.5, 2)]
    assert (np.diff(peaks) > 0.03).all()
    assert 0.1 < peaks[0] / peaks[2] < 0.45
    assert 1.2 < peaks[4] / peaks[2] < 1.8


def test_mumbling_undershoots_short_sounds_more_than_long_ones():
    short, long = (enunciated(mouth(open=pulse(n)), 0.5, FPS).open.max() / 0.8 for n in (16, 80))
    assert short < 0.8 * long


def test_over_articulation_sets_neighbours_apart():
    two = np.roll(pulse(40), -15) + np.roll(pulse(40), 15)
    clear = enunciated(mouth(jaw=two), 2.0, FPS).jaw
    assert clear[100] / clear.max() < 0.8 * two[100] / two.max()


@pytest.mark.parametrize("articulation", [0.0, 0.3, 0.7, 1.3, 2.0])
def test_lips_meet_at_every_value(articulation):
    close = pulse(13, 1.0)
    vowel = 0.8 * np.ones(200)
    spoken = enunciated(mouth(open=vowel * (1 - close), close=close, jaw=vowel), articulation, FPS)
    assert spoken.open[100] < 0.005
    assert spoken.open[60] > 0.2
    assert spoken.close.max() >= 0.5
    # Lips that nearly met without a p, b, m (a rounded sound) do not part in mumbling.
    rounded = enunciated(mouth(open=vowel * (1 - 0.9 * close)), articulation, FPS)
    assert rounded.open[100] < 0.12


def test_contact_is_firmer_but_never_more_than_full():
    firm = enunciated(mouth(close=pulse(12, 0.6), tuck=pulse(12, 0.9)), 2.0, FPS)
    assert firm.close.max() == pytest.approx(0.6 * 1.6, rel=0.03)
    assert firm.tuck.max() == 1.0


def test_tracks_stay_in_bounds():
    rng = np.random.default_rng(0)
    wild = mouth(**{name: np.clip(rng.normal(0.5, 0.5, 200), 0, 1.25) for name in NAMES})
    for articulation in (0.0, 2.0):
        spoken = enunciated(wild, articulation, 25.0).stacked()
        assert spoken.min() >= 0.0
        assert spoken.max() < 1.7


@pytest.mark.parametrize("articulation", [-0.1, 2.1, float("nan")])
def test_out_of_range(articulation):
    with pytest.raises(UsageError, match="articulation is"):
        enunciated(mouth(), articulation, FPS)
