"""Our lip scores against the tool that defined them, and against numbers recorded from it.

The tool stands beside the test media; without it the recorded numbers remain. `pytest tests/parity/test_lip_scores.py
--rewrite-golden` records them anew from the tool.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from talkhead.evaluation.face_curves import FaceCurves, MouthCurves, face_curves
from talkhead.evaluation.lips import LipScore, find_closures, lip_activity, loudness, score_lips, spoken_frames
from talkhead.face3d.morphable import load_builtin
from talkhead.geometry import euler_to_matrix
from talkhead.media.audio import Waveform

GOLDEN = Path(__file__).parents[1] / "golden" / "lip_scores.json"
CASES = ((60, 0.0), (120, 1.9), (200, -2.3), (200, -6.5), (701, 0.4))  # frames, offset
# The tool takes loudness from float32 samples and correlations from plain sums.
TOLERANCE = 1e-6


def made_up(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A predicted and a true opening (n,), and sound of n frames with pauses: sines, the same on every machine."""
    t = np.arange(n) / 25
    true = np.maximum(0, 0.07 + 0.06 * np.sin(17 * t) + 0.03 * np.sin(29 * t + 1) + 0.02 * np.sin(5 * t))
    predicted = np.maximum(0, 0.4 + 0.35 * np.sin(17 * t - 0.8) + 0.2 * np.sin(23 * t))
    s = np.arange(n * 640) / 16000
    voice = np.sin(2 * np.pi * 170 * s) * (0.6 + 0.4 * np.sin(17 * s)) * (np.sin(1.9 * s + 1) > -0.6)
    return predicted, true, (0.2 * voice).astype(np.float32)


def numbers(score: LipScore) -> dict[str, float]:
    """Our score under the tool's names."""
    opening, closures = score.opening, score.closures
    return {
        "frames": score.n_frames,
        "r0": opening.r0,
        "rbest": opening.r_best,
        "lag": opening.lag,
        "rs0": opening.rs0,
        "rsbest": opening.rs_best,
        "slag": opening.rs_lag,
        "rnull": opening.rs_chance,
        "p": opening.p_chance,
        "closures": closures.n_true,
        "recall": closures.recall,
        "precision": closures.precision,
        "chance": closures.chance,
        "silopen": score.silence_opening,
        "energy_rs0": score.loudness.rs0,
        "energy_rsbest": score.loudness.rs_best,
        "energy_lag": score.loudness.rs_lag,
        "sdratio": opening.sd_ratio,
    }


def ours(n: int, offset: float) -> dict[str, float]:
    predicted, true, sound = made_up(n)
    made, real = (MouthCurves(opening=c, width=c, chin=c) for c in (predicted, true))
    return numbers(score_lips(made, real, loudness(Waveform(sound), n), offset=offset))


def assert_same(found: dict[str, float], expected: dict[str, float]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=TOLERANCE, nan_ok=True), name


@pytest.fixture(scope="module")
def tool(media) -> ModuleType:
    """The tool, which needs numpy alone for what is asked of it here."""
    path = media.parent / "tools" / "lip_eval.py"
    if not path.is_file():
        pytest.skip("no lip_eval.py beside the test media")
    spec = importlib.util.spec_from_file_location("lip_eval", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("n", "offset"), CASES)
def test_scores_are_the_tools(tool, n, offset, request):
    predicted, true, sound = made_up(n)
    expected = tool.score(predicted, true, sound, offset)
    if request.config.getoption("--rewrite-golden"):
        stored = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
        stored[f"{n} {offset}"] = {k: None if np.isnan(v) else v for k, v in expected.items()}
        GOLDEN.write_text(json.dumps(stored, indent=1) + "\n")
    assert_same(ours(n, offset), expected)


@pytest.mark.parametrize(("n", "offset"), CASES)
def test_scores_are_the_recorded_ones(n, offset):
    stored = json.loads(GOLDEN.read_text())[f"{n} {offset}"]
    assert_same(ours(n, offset), {k: float("nan") if v is None else v for k, v in stored.items()})


def test_closures_are_the_tools(tool):
    _, true, sound = made_up(300)
    spoken = spoken_frames(loudness(Waveform(sound), 300))
    for threshold in (0.1, 0.18, 0.4):
        centres, scaled = tool.closures(true, spoken, threshold)
        found, found_scaled = find_closures(true, spoken, threshold)
        assert len(centres)
        np.testing.assert_array_equal(found, centres)
        np.testing.assert_allclose(found_scaled, scaled, atol=1e-12)


def test_curves_and_activity_are_the_tools(tool):
    model, n = load_builtin(), 100
    _, _, sound = made_up(n)
    rng = np.random.default_rng(0)
    exp = rng.normal(size=(n, model.n_exp)) * 0.7 * model.space.exp_std
    turns = euler_to_matrix(np.cumsum(rng.normal(0, 0.01, (n, 3)), axis=0))
    points = np.einsum("tij,tvj->tvi", turns, model.shape(exp=exp)) * np.array([200.0, -200.0, -200.0]) + 300
    lost = np.isin(np.arange(n), [7, 8, 50])
    expected = tool.measures(np.where(lost[:, None, None], np.nan, points))
    face = face_curves(None if gone else frame for gone, frame in zip(lost, points, strict=True))
    for curve, name in ((face.mouth.opening, "open"), (face.mouth.width, "width"), (face.mouth.chin, "jaw")):
        np.testing.assert_allclose(curve, expected[name], atol=1e-9)
    np.testing.assert_allclose(face.eye_aspect, expected["ear"], atol=1e-9)
    # The tool's picture axes point down and away, which turns yaw and roll round.
    np.testing.assert_allclose(np.degrees(face.rot) * [1, -1, -1], expected["pose"], atol=1e-7)
    assert_activity(face, tool.activity(expected, sound), sound)


def assert_activity(face: FaceCurves, expected: dict[str, object], sound: np.ndarray) -> None:
    found = lip_activity(face, loudness(Waveform(sound), len(face)))
    for name, value in (
        ("face_found", found.found),
        ("open_p95", found.opening_p95),
        ("open_sd_speech", found.opening_sd_speech),
        ("open_mean_silence", found.opening_silence),
        ("closures_per_s_speech", found.closures_per_s),
        ("jitter", found.jitter),
        ("width_sd", found.width_sd),
        ("energy_r", found.loudness_r),
        ("energy_lag", found.loudness_lag),
        ("blinks_per_min", found.blinks_per_min),
    ):
        assert value == pytest.approx(expected[name], abs=TOLERANCE, nan_ok=True), name
    assert found.rot_sd_deg == pytest.approx(expected["pose_sd_deg"], abs=0.006)
    assert found.rot_speed_deg_s == pytest.approx(expected["pose_speed_deg_s"], abs=0.06)
