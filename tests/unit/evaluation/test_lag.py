from dataclasses import replace

import numpy as np
import pytest

from talkhead.errors import CoeffFileError, InputError, ShapeError
from talkhead.evaluation.lag import (
    CURVES,
    LipMap,
    band_levels,
    builtin_lip_map,
    find_lag,
    fit_lip_map,
    in_sync,
    lag_curve,
    lag_measurement,
    lag_or_reason,
    load_lip_map,
    loudness_lag_measurement,
    mouth_curves,
    mouth_lag,
    set_lag_measurement,
    sound_levels,
)
from talkhead.evaluation.mesh_readings import MeshReadings
from talkhead.media.audio import Waveform

N = 150


def wandering(seed, n=N, d=1):
    rng = np.random.default_rng(seed)
    return np.apply_along_axis(np.convolve, 0, rng.standard_normal((n + 4, d)), np.ones(5) / 5, "valid")


def readings(curves, fps=25.0):
    still = {"eye_distance", "lip", "chin", "eye_aspect"}
    fields = {name: np.ones(len(curves)) for name in still} | dict(zip(CURVES, curves.T, strict=True))
    return MeshReadings(fps=fps, angles=np.zeros((len(curves), 3)), **fields)


@pytest.mark.parametrize("lag", [-12, -3, 0, 7])
def test_a_late_picture_has_a_positive_lag(lag):
    base = wandering(1, N + 24)
    heard, seen = base[12 : 12 + N], base[12 - lag : 12 - lag + N]
    found = find_lag(lag_curve(heard, seen))
    assert found.frames == pytest.approx(lag, abs=0.1)
    assert found.peak > 0.999
    assert found.is_reliable


def test_fractions_are_found_and_set_curves_can_be_averaged():
    base = wandering(2, N + 24)[:, 0]
    smooth = np.convolve(base, np.hanning(9) / 4, "same")
    late = np.interp(np.arange(N) + 12 - 2.5, np.arange(len(smooth)), smooth)
    curve = lag_curve(smooth[12 : 12 + N], late)
    assert find_lag(curve).frames == pytest.approx(2.5, abs=0.2)
    assert find_lag(np.mean([curve, curve], 0)).frames == find_lag(curve).frames


def test_still_curves_correlate_with_nothing():
    still = find_lag(lag_curve(wandering(3), np.ones((N, 1))))
    assert (still.peak, still.rise, still.is_reliable) == (0, 0, False)


def test_curves_of_other_lengths_are_refused():
    with pytest.raises(ShapeError, match="as seen"):
        lag_curve(wandering(1), wandering(1, N + 1))
    with pytest.raises(ShapeError, match="30 frames"):
        lag_curve(wandering(1, 29), wandering(1, 29))


def test_the_map_is_the_one_that_made_the_mouth(tmp_path):
    rng = np.random.default_rng(4)
    true = rng.standard_normal((100, 4))
    clips = [(bands, bands @ true) for bands in rng.standard_normal((2, 400, 100))]
    fitted = fit_lip_map(clips, ridge=1e-9, origin="made up")
    np.testing.assert_allclose(fitted.weights, true, atol=1e-5)
    fitted.save(tmp_path / "map.safetensors")
    stored = load_lip_map(tmp_path / "map.safetensors")
    assert stored.origin == "made up"
    np.testing.assert_allclose(stored.weights, true, atol=1e-5)
    with pytest.raises(InputError, match="at least one"):
        fit_lip_map([])


def test_files_that_hold_no_map_are_refused(tmp_path):
    path = tmp_path / "map.safetensors"
    with pytest.raises(CoeffFileError, match=r"map\.safetensors"):
        load_lip_map(path)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(CoeffFileError, match="no lip map"):
        load_lip_map(path)
    with pytest.raises(ShapeError, match="weights"):
        LipMap(weights=np.zeros((3, 4)))


def test_known_offsets_are_taken_out_before_fitting():
    base = wandering(5, N, 4)
    bands, curves = in_sync(base, np.roll(base, 3, axis=0), 3.0)
    assert len(bands) == N - 3
    np.testing.assert_allclose(bands, curves, atol=1e-12)


def test_the_built_in_map_names_its_clips_and_foretells_four_curves():
    lip_map = builtin_lip_map()
    assert "MIT" in lip_map.origin and "Apache-2.0" in lip_map.origin
    assert lip_map.foretell(np.ones((7, 100))).shape == (7, 4)


def test_long_sounds_are_foretold_in_pieces(chirp, monkeypatch):
    sound, lip_map = Waveform(np.tile(chirp, 2)), builtin_lip_map()
    monkeypatch.setattr("talkhead.evaluation.lag._ROWS_AT_ONCE", 7)
    found = lip_map.foretell_long(sound_levels(sound, 50))
    np.testing.assert_allclose(found, lip_map.foretell(band_levels(sound, 50)), atol=1e-12)


def test_speech_with_a_mouth_that_the_map_made_lags_as_it_was_moved(chirp):
    rng = np.random.default_rng(6)
    loud = np.repeat(rng.uniform(0, 1, 80), 1600)
    sound = Waveform((np.tile(chirp, 8) * loud).astype(np.float32))
    lip_map = builtin_lip_map()
    made = lip_map.foretell(band_levels(sound, 200))
    assert mouth_lag(readings(np.roll(made, 4, axis=0)), sound, lip_map).frames == pytest.approx(4, abs=0.3)


def test_blocks_of_sound_make_no_difference_and_silence_follows_its_end(chirp, monkeypatch):
    sound = Waveform(chirp)
    whole = band_levels(sound, 40)
    blocks = Waveform.blocks
    monkeypatch.setattr(Waveform, "blocks", lambda self, seconds: blocks(self, 0.037))
    np.testing.assert_allclose(band_levels(sound, 40), whole, atol=1e-9)
    np.testing.assert_array_equal(whole[30:], np.broadcast_to(whole[30], (10, 100)))
    assert whole[30].max() < 0
    monkeypatch.undo()
    assert band_levels(sound, 10).shape == (10, 100)


def test_frames_without_a_face_are_bridged_and_many_are_too_many():
    curves = wandering(7, N, 4)
    curves[10:20] = np.nan
    assert np.isfinite(mouth_curves(readings(curves))).all()
    curves[20:120] = np.nan
    with pytest.raises(InputError, match="40 of 150"):
        mouth_curves(readings(curves))


def test_a_set_has_the_lag_that_its_clips_share():
    lags = []
    for seed in range(6):
        base = wandering(seed, N + 24)
        strange = wandering(seed + 100, N)
        lags.append(find_lag(lag_curve(base[12 : 12 + N], base[7 : 7 + N] + 1.5 * strange)))
    row = set_lag_measurement(lags)
    assert row.value == pytest.approx(5, abs=0.3)
    assert (row.name, row.n_clips) == ("lag_set~mouth", 6)
    assert row.params["peak"] < max(lag.peak for lag in lags)
    assert set_lag_measurement([]).reason == "no clip has a lag"


def test_clips_that_cannot_tell_have_no_lag_and_say_why(chirp):
    sound = Waveform(np.tile(chirp, 6))
    mouth = readings(wandering(8, N, 4))
    assert lag_or_reason(mouth, None) == loudness_lag_measurement(mouth, None).reason == "no sound"
    assert "3.2 s" in lag_measurement(lag_or_reason(mouth.cut(80), sound), mouth).reason
    unseen = replace(mouth, gap=np.full(N, np.nan))
    assert "face" in loudness_lag_measurement(unseen, sound).reason
    loud = loudness_lag_measurement(mouth, sound)
    assert (loud.name, loud.definition, loud.n_frames) == ("lag~loudness", "lag/opening-loudness", N)
    assert abs(loud.value) <= 12
    found = lag_measurement(lag_or_reason(mouth, sound), mouth)
    assert lag_or_reason(mouth, sound).frames == found.value
    assert {"peak", "rise", "reliable", "lip_map"} <= set(found.params)
