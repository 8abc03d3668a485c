"""The loop on a toy: it learns, resumes bit for bit, accumulates, averages, stops in order, and says what broke."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from talkhead.errors import DivergedError, InputError, OutputExistsError, UsageError, WeightsError
from talkhead.training.checkpoint import all_checkpoints
from talkhead.training.logs import read_log
from talkhead.training.train import train
from tests.unit.training import toy

REPO = Path(__file__).resolve().parents[3]
QUIET = {"loop.tensorboard": False, "loop.sample_every": 0, "loop.decay_from": 1.0}


@pytest.fixture(autouse=True)
def _toy(monkeypatch):
    toy.register(monkeypatch.setattr)


def run(folder, output, steps=6, *, resume=False, **settings):
    words = QUIET | {"loop.steps": steps} | {name.replace("__", "."): value for name, value in settings.items()}
    return train("toy", folder, output, settings=words, device="cpu", resume=resume)


def weights(run, name="networks.safetensors"):
    return load_file(all_checkpoints(run)[-1] / name)


def assert_equal(one, other, **tolerance):
    assert one.keys() == other.keys()
    for name, value in one.items():
        if tolerance:
            torch.testing.assert_close(value, other[name], **tolerance)
        else:
            assert torch.equal(value, other[name]), name


def test_it_learns_and_leaves_what_stages_load(make_set, tmp_path):
    folder, out = make_set(), tmp_path / "run"
    result = run(folder, out, 60, loop__ema=0.9, loop__hold_out=0.2, loop__validate_every=30, loop__best="painter.l1",
                 loop__sample_every=60, loop__tensorboard=True)  # fmt: skip
    lines = read_log(out)
    assert [line["step"] for line in lines] == list(range(1, 61))
    assert lines[-1]["painter.l1"] < 0.5 * lines[0]["painter.l1"]
    assert set(lines[0]) >= {"painter.l1", "painter.gan", "painter.total", "painter.gradient", "judge.real", "rate"}
    assert "held_out.painter.l1" in lines[29] and "held_out.painter.l1" not in lines[28]
    assert result.values["held_out.judge.made"] == lines[-1]["held_out.judge.made"]
    with safe_open(out / "toy.safetensors", "pt") as file:
        about = json.loads(file.metadata()["talkhead.training"])
        assert "toy" in file.metadata() and about["steps"] == 60 and about["frames"] == 48
    averaged = {k.removeprefix("averaged:painter."): v for k, v in weights(out).items() if k.startswith("averaged:")}
    assert_equal(load_file(out / "toy.safetensors"), averaged)
    assert not torch.equal(averaged["0.weight"], weights(out)["painter.0.weight"])
    assert (out / "toy-best.safetensors").is_file()
    assert (out / "samples" / "00000060-sheet.png").is_file()
    assert list((out / "tensorboard").glob("events.*"))
    assert (out / "recipe.yaml").is_file()


def test_resumed_is_bit_for_bit_the_same(make_set, tmp_path):
    folder = make_set()
    noisy = {"system__noise": 0.1, "loop__hold_out": 0.2, "loop__validate_every": 2, "loop__accumulate": 2}
    run(folder, tmp_path / "whole", 9, **noisy)
    run(folder, tmp_path / "parts", 4, **noisy)
    run(folder, tmp_path / "parts", 9, resume=True)
    assert_equal(weights(tmp_path / "whole"), weights(tmp_path / "parts"))
    one, other = (torch.load(all_checkpoints(tmp_path / name)[-1] / "state.pt", weights_only=True)
                  for name in ("whole", "parts"))  # fmt: skip
    assert torch.equal(one["noise"], other["noise"])
    torch.testing.assert_close(one["optimisers"], other["optimisers"], rtol=0, atol=0)
    drop = lambda lines: [{k: v for k, v in line.items() if k != "seconds"} for line in lines]  # noqa: E731
    # Both end with a validation; the first part's, in its last step, is one more.
    assert drop(read_log(tmp_path / "whole")) == drop(read_log(tmp_path / "parts"))


def test_looking_does_not_change_what_is_learned(make_set, tmp_path):
    folder = make_set()
    run(folder, tmp_path / "blind", 4, system__noise=0.1, loop__hold_out=0.2, loop__validate_every=0)
    run(folder, tmp_path / "seeing", 4, system__noise=0.1, loop__hold_out=0.2, loop__validate_every=1,
        loop__sample_every=1, loop__save_every=1)  # fmt: skip
    assert_equal(weights(tmp_path / "blind"), weights(tmp_path / "seeing"))


def test_seeds(make_set, tmp_path):
    folder = make_set()
    state = torch.get_rng_state()
    run(folder, tmp_path / "a", 3, system__noise=0.1)
    assert torch.equal(state, torch.get_rng_state())  # the caller's random numbers are left alone
    run(folder, tmp_path / "b", 3, system__noise=0.1)
    run(folder, tmp_path / "c", 3, system__noise=0.1, loop__seed=1)
    assert_equal(weights(tmp_path / "a"), weights(tmp_path / "b"))
    assert not torch.equal(weights(tmp_path / "a")["painter.0.weight"], weights(tmp_path / "c")["painter.0.weight"])


def test_accumulated_batches_are_one_large_one(make_set, tmp_path):
    folder = make_set()
    # Adam would divide the rounding of a gradient near zero by that gradient.
    run(folder, tmp_path / "large", 5, loop__batch=6, system__adam=False)
    run(folder, tmp_path / "small", 5, loop__batch=2, loop__accumulate=3, system__adam=False)
    assert_equal(weights(tmp_path / "large"), weights(tmp_path / "small"), rtol=0, atol=3e-6)


def test_rate_clip_and_epochs(make_set, tmp_path):
    folder = make_set(n_videos=1, n_frames=8)
    still = run(folder, tmp_path / "still", 2, loop__lr=0.0)
    assert still.steps == 2
    assert_equal(weights(tmp_path / "still"), run_first(folder, tmp_path))
    result = train("toy", folder, tmp_path / "epochs", settings=QUIET | {"loop.epochs": 3, "loop.batch": 2})
    assert result.steps == 12
    run(folder, tmp_path / "clip", 3, loop__grad_clip=0.01)
    assert read_log(tmp_path / "clip")[0]["painter.gradient"] > 0.01  # the log has it as it was
    moved = weights(tmp_path / "clip")["painter.0.weight"] - weights(tmp_path / "still")["painter.0.weight"]
    assert moved.abs().max() > 0


def run_first(folder, tmp_path):
    """Weights as they are before any step: those of one step without a rate."""
    run(folder, tmp_path / "one", 1, loop__lr=0.0)
    return weights(tmp_path / "one")


def test_checkpoints_that_stay(make_set, tmp_path):
    run(make_set(), tmp_path / "run", 7, loop__save_every=2, loop__keep=2)
    assert [path.name for path in all_checkpoints(tmp_path / "run")] == ["step-00000006", "step-00000007"]
    assert sorted(p.name for p in (tmp_path / "run" / "checkpoints").iterdir()) == ["step-00000006", "step-00000007"]


def test_a_term_that_is_no_number_ends_it_by_name(make_set, tmp_path):
    with pytest.raises(DivergedError, match=r"painter\.l1 is nan in step 4") as caught:
        run(make_set(), tmp_path / "run", 6, system__break_at=3, loop__save_every=2)
    assert "the last checkpoint is that of step 2" in caught.value.hint
    assert [line["step"] for line in read_log(tmp_path / "run")] == [1, 2, 3]
    saved = weights(tmp_path / "run")
    assert all(torch.isfinite(value).all() for value in saved.values() if value.is_floating_point())


@pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_asked_to_end_it_finishes_the_step_and_saves(make_set, tmp_path, monkeypatch, number, error):
    folder, before = make_set(), signal.getsignal(number)
    monkeypatch.setitem(toy.HOOKS, "stop", lambda step: signal.raise_signal(number) if step == 2 else None)
    with pytest.raises(error) as caught:
        run(folder, tmp_path / "run", 8, system__hook="stop", system__noise=0.1)
    assert error is KeyboardInterrupt or caught.value.code == 128 + signal.SIGTERM
    assert signal.getsignal(number) is before
    assert [path.name for path in all_checkpoints(tmp_path / "run")] == ["step-00000003"]
    monkeypatch.setitem(toy.HOOKS, "stop", lambda step: None)
    run(folder, tmp_path / "run", 8, resume=True)
    run(folder, tmp_path / "whole", 8, system__noise=0.1)
    assert_equal(weights(tmp_path / "run"), weights(tmp_path / "whole"))


def test_a_killed_run_leaves_no_half_checkpoint(make_set, tmp_path, monkeypatch):
    folder = make_set()
    run(folder, tmp_path / "run", 2)
    monkeypatch.setattr(torch, "save", lambda *a: (_ for _ in ()).throw(OSError("disk")))
    with pytest.raises(OSError, match="disk"):
        run(folder, tmp_path / "run", 4, resume=True)
    assert [path.name for path in all_checkpoints(tmp_path / "run")] == ["step-00000002"]
    monkeypatch.undo()
    toy.register(monkeypatch.setattr)
    run(folder, tmp_path / "run", 4, resume=True)
    run(folder, tmp_path / "whole", 4)
    assert_equal(weights(tmp_path / "run"), weights(tmp_path / "whole"))
    assert len(read_log(tmp_path / "run")) == 4


def test_overfit_sees_nothing_else(make_set, tmp_path, monkeypatch):
    folder = make_set(n_videos=3, n_frames=20, stretch=8)
    seen = []
    sample = toy.ToyTraining.sample

    def remember(self, clip, rng):
        found = sample(self, clip, rng)
        seen.append((int(found["video"]), int(found["frame"])))
        return found

    monkeypatch.setattr(toy.ToyTraining, "sample", remember)
    run(folder, tmp_path / "run", 30, loop__overfit=10)
    assert set(seen) == {(0, frame) for frame in range(10)}


def test_dry_run_leaves_nothing(make_set, tmp_path):
    found = train("toy", make_set(), tmp_path / "run", device="cpu", dry_run=True)
    assert (found.written, found.steps) == (False, 2)
    assert not (tmp_path / "run").exists()


def test_runs_that_cannot_begin(make_set, tmp_path):
    folder = make_set()
    run(folder, tmp_path / "run", 1)
    with pytest.raises(OutputExistsError, match="is there already"):
        run(folder, tmp_path / "run", 1)
    train("toy", folder, tmp_path / "run", settings=QUIET | {"loop.steps": 2}, overwrite=True, device="cpu")
    assert len(read_log(tmp_path / "run")) == 2
    with pytest.raises(UsageError, match="no run"):
        run(folder, tmp_path / "other", 1, resume=True)
    with pytest.raises(UsageError, match="no training set given"):
        train("toy", None, tmp_path / "other")
    with pytest.raises(InputError, match="no training set"):
        run(tmp_path, tmp_path / "other", 1)
    with pytest.raises(UsageError, match="nothing to learn"):
        train("meshwarp", folder, tmp_path / "other")
    with pytest.raises(UsageError, match="'painter.l9', which is no term"):
        run(folder, tmp_path / "best", 1, loop__best="painter.l9", loop__hold_out=0.5)
    with pytest.raises(InputError, match="is of other networks"):
        run(folder, tmp_path / "run", 3, resume=True, system__network__width_mult=2.0)
    (all_checkpoints(tmp_path / "run")[-1] / "state.pt").write_bytes(b"no state")
    with pytest.raises(InputError, match=r"state\.pt is missing or damaged"):
        run(folder, tmp_path / "run", 3, resume=True)


def test_resume_knows_its_data_and_recipe(make_set, tmp_path):
    run(make_set(), tmp_path / "run", 2, system__noise=0.5)
    found = train("toy", None, tmp_path / "run", resume=True, settings={"loop.steps": 3}, device="cpu")
    assert found.steps == 3
    assert train("toy", None, tmp_path / "run", resume=True, device="cpu").steps == 3  # nothing is left to do


def test_begun_with_the_weights_of_another_run(make_set, tmp_path):
    folder = make_set()
    run(folder, tmp_path / "first", 5, loop__ema=0.9, system__noise=0.5)
    there = weights(tmp_path / "first")
    averaged = {k.removeprefix("averaged:"): v for k, v in there.items() if k.startswith("averaged:")}
    standing = QUIET | {"loop.steps": 1, "loop.lr": 0.0, "loop.ema": 0.0}
    train("toy", folder, tmp_path / "second", init=tmp_path / "first", settings=standing, device="cpu")
    found = weights(tmp_path / "second")
    for name, value in found.items():  # the average of what has one, else what it was at the end
        assert torch.equal(value, averaged.get(name, there[name])), name
    text = (tmp_path / "second" / "recipe.yaml").read_text()
    assert "noise: 0.5" in text and f"init: {tmp_path / 'first'}" in text  # the other run's recipe
    with safe_open(tmp_path / "second" / "toy.safetensors", "pt") as file:
        assert json.loads(file.metadata()["talkhead.training"])["init"] == "first"


def test_begun_with_a_file_the_judge_begins_anew(make_set, tmp_path):
    folder = make_set()
    run(folder, tmp_path / "first", 5)
    standing = QUIET | {"loop.steps": 1, "loop.lr": 0.0, "loop.seed": 7}
    file = tmp_path / "first" / "toy.safetensors"
    train("toy", folder, tmp_path / "second", init=file, settings=standing, device="cpu")
    assert_equal(load_file(tmp_path / "second" / "toy.safetensors"), load_file(file))
    assert not torch.equal(
        weights(tmp_path / "second")["judge.0.weight"], weights(tmp_path / "first")["judge.0.weight"]
    )


def test_what_a_run_has_saved_goes_before_what_it_began_with(make_set, tmp_path):
    folder = make_set()
    run(folder, tmp_path / "first", 2)
    given = {"init": tmp_path / "first", "device": "cpu"}
    words = QUIET | {"system.noise": 0.1}
    train("toy", folder, tmp_path / "whole", settings=words | {"loop.steps": 6}, **given)
    train("toy", folder, tmp_path / "parts", settings=words | {"loop.steps": 3}, **given)
    (tmp_path / "first").rename(tmp_path / "gone")  # it is not needed any more
    train("toy", None, tmp_path / "parts", settings={"loop.steps": 6}, device="cpu", resume=True)
    assert_equal(weights(tmp_path / "whole"), weights(tmp_path / "parts"))
    assert "init: " + str(tmp_path / "first") in (tmp_path / "parts" / "recipe.yaml").read_text()
    with safe_open(tmp_path / "parts" / "toy.safetensors", "pt") as file:
        assert json.loads(file.metadata()["talkhead.training"])["init"] == "first"


def test_what_a_run_cannot_begin_with(make_set, tmp_path):
    folder = make_set()
    run(folder, tmp_path / "first", 1)

    def begin(init, **words):
        settings = QUIET | {"loop.steps": 1} | {name.replace("__", "."): value for name, value in words.items()}
        return train("toy", folder, tmp_path / "other", init=init, settings=settings, device="cpu", dry_run=True)

    assert begin(tmp_path / "first").steps == 1  # a dry run keeps the sizes, and reads the weights
    with pytest.raises(InputError, match="another network painter: tensor"):
        begin(tmp_path / "first", system__network__width_mult=2.0)
    with pytest.raises(WeightsError, match="does not fit the painter"):
        begin(tmp_path / "first" / "toy.safetensors", system__network__width_mult=2.0)
    with pytest.raises(InputError, match="cannot read"):
        begin(tmp_path)  # a folder that is no run
    shutil.rmtree(tmp_path / "first" / "checkpoints")
    with pytest.raises(InputError, match="no checkpoint to begin with"):
        begin(tmp_path / "first")
    for init in (tmp_path / "first", tmp_path / "first" / "toy.safetensors"):
        with pytest.raises(UsageError, match="would be thrown away"):
            train("toy", folder, tmp_path / "first", init=init, overwrite=True, device="cpu")
    assert (tmp_path / "first" / "toy.safetensors").is_file()


def test_half_precision_layers(make_set, tmp_path):
    result = run(make_set(), tmp_path / "run", 3, loop__precision="bfloat16")
    assert np.isfinite(result.values["painter.l1"])
    assert weights(tmp_path / "run")["painter.0.weight"].dtype == torch.float32


@pytest.mark.slow
@pytest.mark.parametrize("world", [2])
def test_two_processes_are_one_with_twice_the_batch(make_set, tmp_path, world):
    folder = make_set()
    run(folder, tmp_path / "one", 5, loop__batch=2 * world, loop__accumulate=2, system__adam=False)
    settings = QUIET | {"loop.steps": 3, "loop.batch": 2, "loop.accumulate": 2, "system.adam": False}
    code = (
        "import sys, json\nfrom tests.unit.training import toy\nfrom talkhead.training.train import train\n"
        "toy.register()\nfolder, run, settings = sys.argv[1:]\nsettings = json.loads(settings)\n"
        "train('toy', folder, run, settings=settings, device='cpu')\n"
        "train('toy', folder, run, settings=settings | {'loop.steps': 5}, device='cpu', resume=True)\n"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={world}"]
    done = subprocess.run(
        [*command, str(script), str(folder), str(tmp_path / "two"), json.dumps(settings)],
        env={**os.environ, "PYTHONPATH": str(REPO), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert_equal(weights(tmp_path / "one"), weights(tmp_path / "two"), rtol=0, atol=3e-6)
    one, two = read_log(tmp_path / "one"), read_log(tmp_path / "two")
    assert len(one) == len(two) == 5
    for a, b in zip(one, two, strict=True):
        for key in ("painter.l1", "judge.made"):
            assert a[key] == pytest.approx(b[key], rel=0, abs=1e-5)
        # A length of about 6 in float32: sums in another order differ by some units in its last place.
        assert a["painter.gradient"] == pytest.approx(b["painter.gradient"], rel=5e-6)
