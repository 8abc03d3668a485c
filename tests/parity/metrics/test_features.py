"""Frechet distance and identity cosines against recorded numbers."""

import numpy as np
import pytest

from talkhead.evaluation.frechet import FeatureStatistics, frechet_distance
from talkhead.evaluation.identity import (
    all_pairs_cosine,
    first_cosines,
    paired_cosines,
    source_cosines,
    step_cosines,
)


def features(inputs, name, n, width, factor, shift):
    g = inputs.rng(name)
    mixing = g.standard_normal((width, width)) / np.sqrt(width)
    return g.standard_normal((n, width)) @ mixing * factor + shift


def statistics(values, batch=7):
    gathered = FeatureStatistics()
    for start in range(0, len(values), batch):
        gathered.add(values[start : start + batch])
    return gathered


@pytest.mark.parametrize(
    ("case", "n", "width", "limit"), [("full_rank_400x16", (400, 300), 16, 1e-8),
                                      ("rank_deficient_40x64", (40, 30), 64, 1e-5)]
)  # fmt: skip
def test_frechet(inputs, golden, assert_close, case, n, width, limit):
    recorded = golden["frechet"][case]
    a = statistics(features(inputs, f"{case}:a", n[0], width, 1.0, 0.0))
    b = statistics(features(inputs, f"{case}:b", n[1], width, 1.3, 0.25))
    assert_close(np.trace(a.covariance) / recorded["trace1"], 1, 1e-8, "frechet trace, relative")
    assert_close(np.trace(b.covariance) / recorded["trace2"], 1, 1e-8, "frechet trace, relative")
    for program in ("symmetric_eigh", "pytorch_fid", "torchmetrics_eigvals"):
        assert_close(frechet_distance(a, b) / recorded[program], 1, limit, f"frechet {case}, relative")
    assert 0 <= frechet_distance(a, a) < 1e-5


def test_frechet_closed_form(golden, assert_close):
    recorded = golden["frechet"]["closed_form_diag"]
    signs = np.array(np.meshgrid(*[[-1, 1]] * 3)).reshape(3, -1).T * np.sqrt(7 / 8)  # unit variance, no covariance
    a, b = (statistics(signs * np.sqrt(recorded[f"var{i}"]) + recorded[f"mu{i}"]) for i in (1, 2))
    assert_close(frechet_distance(a, b), recorded["value"], 1e-8, "frechet closed form")


def test_cosines(inputs, golden, assert_close):
    recorded = golden["csim"]
    g = inputs.rng("csim")
    source = g.standard_normal(512)
    real = source + 0.8 * g.standard_normal((6, 512))
    fake = source + 1.1 * g.standard_normal((6, 512))
    assert_close(paired_cosines(fake, real), recorded["paired"], 1e-9, "csim/paired")
    assert_close(paired_cosines(fake, real).mean(), recorded["paired_mean"], 1e-9, "csim/paired")
    assert_close(source_cosines(fake, source).mean(), recorded["source_vs_frames_mean"], 1e-9, "csim/source")
    assert_close(all_pairs_cosine(fake, real), recorded["all_pairs_mean"], 1e-9, "csim/all_pairs")
    drift = recorded["identity_drift"]
    assert_close(first_cosines(fake), drift["first_vs_t"], 1e-9, "drift/first")
    assert_close(step_cosines(fake).mean(), drift["consecutive_mean"], 1e-9, "drift/step")
