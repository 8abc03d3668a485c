"""`talkhead train`: options, codes, what is said. The loop itself: tests/unit/training/test_train.py."""

from __future__ import annotations

import json

import pytest

from talkhead.training.logs import read_log
from tests.unit.training import toy
from tests.unit.training.conftest import make_set

__all__ = ["make_set"]


@pytest.fixture(autouse=True)
def _toy(monkeypatch):
    toy.register(monkeypatch.setattr)


@pytest.fixture
def learn(run_cli, make_set, tmp_path):
    """`learn(*options)`: train the toy on a made-up set, into `tmp_path / "run"`."""
    folder = make_set()

    def run(*options, data=folder):
        given = () if data is None else ("--data", data)
        return run_cli("train", "toy", *given, "-o", tmp_path / "run", "--device", "cpu", *options)

    return run


def test_options_win_over_the_recipe(learn, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("loop: {steps: 9, batch: 3, tensorboard: false, sample_every: 0}\nsystem: {noise: 0.1}\n")
    done = learn("--recipe", recipe, "--steps", 2, "--size", 32, "--width-mult", 0.5, "--set", "system.judge=false",
                 "--lr", "1e-3", "--seed", 3, "--hold-out", 0.2)  # fmt: skip
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{tmp_path / 'run' / 'toy.safetensors'}: toy after 2 steps (painter ")
    written = (tmp_path / "run" / "recipe.yaml").read_text()
    for line in ("batch: 3", "noise: 0.1", "side: 32", "width_mult: 0.5", "judge: false", "lr: 0.001", "seed: 3"):
        assert line in written
    assert not any("judge" in name for name in read_log(tmp_path / "run")[0])
    assert learn("--recipe", recipe).code == 3  # a run is there
    done = learn("--resume", "--steps", 4, "--json", data=None)
    result = json.loads(done.stdout.splitlines()[-1])
    assert (done.code, result["steps"], result["event"]) == (0, 4, "result")


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--set", "loop.stepz=3"), 2, "unknown key 'stepz'"),
        (("--set", "steps"), 2, "expected NAME=VALUE"),
        (("--set", "loop.batch=2", "--batch", 3), 2, "loop.batch is given twice"),
        (("--recipe", "missing.yaml"), 3, "cannot read missing.yaml"),
        (("--overfit", 500, "--dry-run"), 2, "the first video has 20 frames"),
        (("--set", "system.break_at=1", "--steps", 3), 3, "painter.l1 is nan in step 2"),
        (("--resume",), 2, "there is no run"),
    ],
)
def test_what_goes_wrong(learn, options, code, message):
    done = learn(*options)
    assert done.code == code
    assert message in done.stderr


def test_systems_and_sets(run_cli, learn, tmp_path):
    assert "meshwarp has nothing to learn" in run_cli("train", "meshwarp", "-o", tmp_path / "run").stderr
    assert learn(data=tmp_path).code == 3
    assert learn(data=None).code == 2


def test_init(learn, run_cli, tmp_path):
    assert learn("--steps", 1, "--set", "loop.tensorboard=false").code == 0
    folder, run = next(tmp_path.glob("set*")), tmp_path / "other"
    other = ("train", "toy", "--data", folder, "-o", run, "--device", "cpu", "--json")
    done = run_cli(*other, "--init", tmp_path / "run", "--steps", 2)
    assert (done.code, json.loads(done.stdout.splitlines()[-1])["steps"]) == (0, 2)
    assert f"init: {tmp_path / 'run'}" in (tmp_path / "other" / "recipe.yaml").read_text()
    done = run_cli(*other, "--init", tmp_path / "nothing.safetensors", "--overwrite")
    assert done.code == 3 and "nothing.safetensors to begin with" in done.stderr
    assert (tmp_path / "other" / "toy.safetensors").is_file()  # nothing was thrown away


def test_dry_run(learn, tmp_path):
    done = learn("--dry-run")
    assert done.code == 0
    assert done.stdout.startswith(f"would write {tmp_path / 'run'}/: toy after 2 steps")
    assert not (tmp_path / "run").exists()
