"""The mouth made from the sound of real talking clips against the tracked mouth of the same clips.

`python scripts/measure_lips.py` prints the whole table; the bounds here lie below what it printed last.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import talkhead
from talkhead.evaluation.face_curves import FaceCurves, curves_of_codes, track_curves
from talkhead.evaluation.lips import LipScore, loudness, score_lips
from talkhead.face3d.morphable import load_builtin
from talkhead.media.audio import AudioStream
from talkhead.systems.meshwarp.audio2coeff import audio2coeff

pytestmark = pytest.mark.slow

# Frames of 40 ms by which each picture is later than its sound; found once, with several predictors.
OFFSETS = {"talking_hdtf_512_25fps": -2.3, "driving_expressions": -6.5, "talk_sync_a": 0.9, "talk_sync_b": 1.9}
LEAST_MEAN = {"opening": 0.60, "width": 0.60, "chin": 0.50}
LEAST_OPENING, LEAST_WIDTH, LEAST_CHIN = 0.50, 0.45, 0.35  # of any clip


@pytest.fixture(scope="module")
def clips(media) -> dict[str, tuple[Path, FaceCurves]]:
    paths = {name: media / "video" / f"{name}.mp4" for name in OFFSETS}
    return {name: (path, track_curves(path)) for name, path in paths.items()}


@pytest.fixture(scope="module")
def scores(clips) -> dict[str, LipScore]:
    """What the expression codes do to the mean face, judged by the real mouths."""
    model = load_builtin()
    found = {}
    for name, (path, true) in clips.items():
        speech = AudioStream(path)
        coeffs = audio2coeff(speech, model=model, blinks=False, gaze=False, brows=False)
        predicted = curves_of_codes(coeffs.exp, model)
        found[name] = score_lips(predicted, true.mouth, loudness(speech, len(true)), offset=OFFSETS[name])
    return found


@pytest.mark.parametrize("name", OFFSETS)
def test_lips_follow_speech(scores, name):
    score = scores[name]
    assert score.opening.rs0 > LEAST_OPENING
    assert score.width.rs0 > LEAST_WIDTH
    assert score.chin.rs0 > LEAST_CHIN
    assert abs(score.opening.rs_lag) <= 1
    assert score.opening.rs0 > score.loudness.rs0 + 0.1
    assert np.isnan(score.silence_opening) or score.silence_opening < 0.1


@pytest.mark.parametrize(("curve", "least"), LEAST_MEAN.items())
def test_lips_follow_speech_on_the_whole(scores, curve, least):
    assert np.mean([getattr(score, curve).rs0 for score in scores.values()]) > least


def test_lips_close_when_the_real_ones_do(scores):
    counts = [score.closures for score in scores.values()]
    n_true, n_predicted = sum(c.n_true for c in counts), sum(c.n_predicted for c in counts)
    recall, chance = (sum(getattr(c, name) * c.n_true for c in counts) / n_true for name in ("recall", "chance"))
    precision = sum(c.precision * c.n_predicted for c in counts) / n_predicted
    assert recall > max(0.76, chance + 0.1)
    assert precision > 0.76


def test_lips_of_a_rendered_face_follow_speech(clips, media, tmp_path):
    path, true = clips["driving_expressions"]
    out = tmp_path / "out.mp4"
    talkhead.animate(media / "faces" / "painting_frontal.png", path, out, size=256)
    made = track_curves(out)
    assert abs(len(made) - len(true)) <= 1
    n = min(len(made), len(true))
    score = score_lips(made.mouth, true.mouth, loudness(AudioStream(path), n), offset=OFFSETS["driving_expressions"])
    assert score.opening.rs0 > 0.55 and score.width.rs0 > 0.7 and score.chin.rs0 > 0.4
    assert abs(score.opening.rs_lag) <= 1
    assert score.silence_opening < 0.1
