"""Finished clips of a set beside its output: taken up again, torn lines, other settings, other clips."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from talkhead.errors import InputError, OutputExistsError
from talkhead.evaluation.action_units import PresenceCounts, Presences
from talkhead.evaluation.clip import ClipResult, Pair
from talkhead.evaluation.instruments import Instrument
from talkhead.evaluation.journal import Journal, journal_path, key_of, remove_journal
from talkhead.evaluation.lag import find_lag
from talkhead.evaluation.measurement import Measurement
from talkhead.evaluation.meters import View, absent
from talkhead.evaluation.pools import Pools, pools_of

SETTINGS = {"protocol": {"name": "plain", "every": 1}, "families": ("fid", "au", "lag")}
CURVE = np.linspace(-0.1, 0.3, 25) ** 3


class Corner:
    """Stands in for Inception: the first pixels are the features."""

    def run(self, frames: np.ndarray) -> np.ndarray:
        return frames.reshape(len(frames), -1)[:, :3].astype(np.float32)


def pools() -> Pools:
    return pools_of(("fid", "au", "lag"), Instrument(network=Corner()), Instrument(reason="no I3D"), every=1,
                    has_real=True)  # fmt: skip


@pytest.fixture
def pairs(tmp_path):
    made = []
    for name in ("one", "two", "three"):
        film = tmp_path / f"{name}.mp4"
        film.write_bytes(name.encode())
        made.append(Pair(generated=film, name=name))
    return made


def judge(pair: Pair, gathered: Pools) -> ClipResult:
    """What `measure_clip` does to the pools, and a result."""
    rng = np.random.default_rng(len(pair.name))
    gathered.begin_clip()
    for number in range(20):
        frame, real = rng.integers(0, 256, (2, 4, 4, 3), np.uint8)
        gathered.add(View(number, frame, None, real, None))
    units = PresenceCounts()
    present = rng.random((20, 2)) > 0.5
    found = Presences(units=("AU10", "AU25"), present=present, found=np.ones(20, bool), frames=np.arange(20))
    units.add(found, replace(found, present=~present))
    gathered.end_clip([find_lag(CURVE)], units)
    value = 0.1 + len(pair.name)
    rows = (
        Measurement(name="l1", definition="l1/x", grade="exact", value=value, n_frames=20, params={"width": 4}),
        absent("lse_d", "lse_d/x", "needs weights"),
    )
    return ClipResult(
        name=pair.name, files={"generated": str(pair.generated)}, fps=25.0, size=(4, 4), n_frames=20, rows=rows,
        real_rows=rows[:1], crop={"found_in": "real", "real": [0, 1, 2, 3]}, notes=("cut",), seconds=1.5,
    )  # fmt: skip


def run(pairs: list[Pair], output, *, stop: int | None = None, resume: bool = False, settings=SETTINGS):
    """A set, perhaps interrupted before a clip: results, how many were measured, the pools."""
    gathered = pools()
    journal = Journal(output, settings, pairs, gathered, resume=resume)
    results, n_measured = [], 0
    for number, pair in enumerate(pairs):
        if number == stop:
            return None
        done = journal.finished(pair)
        if done is None:
            done = judge(pair, gathered)
            journal.write(pair, done)
            n_measured += 1
        results.append(done)
    return results, n_measured, gathered


@pytest.mark.parametrize("stop", [0, 1, 2])
def test_an_interrupted_set_ends_as_if_it_had_not_been(pairs, tmp_path, stop):
    whole, _, all_at_once = run(pairs, tmp_path / "whole.json")
    output = tmp_path / "set.json"
    run(pairs, output, stop=stop)
    results, n_measured, gathered = run(pairs, output, resume=True)
    assert n_measured == 3 - stop
    assert results == whole
    for one, other in zip(gathered.measurements(), all_at_once.measurements(), strict=True):
        assert (one.name, one.n_clips, one.n_frames, one.params) == (
            other.name,
            other.n_clips,
            other.n_frames,
            other.params,
        )
        assert one.value == (None if other.value is None else pytest.approx(other.value, abs=1e-9))
    assert {row.name for row in gathered.measurements()} >= {"fid", "au_f1", "lag_set~mouth"}


def test_a_clip_that_failed_half_way_leaves_no_frames():
    gathered = pools()
    gathered.begin_clip()
    gathered.add(View(0, np.zeros((4, 4, 3), np.uint8), None, np.zeros((4, 4, 3), np.uint8), None))
    judge(Pair(generated="one", name="one"), gathered)
    fid = next(row for row in gathered.measurements() if row.name == "fid")
    assert (fid.n_clips, fid.n_frames) == (1, 20)


def test_one_file_of_moments_is_kept_and_all_are_removed(pairs, tmp_path):
    output = tmp_path / "set.json"
    run(pairs, output, stop=2)
    beside = sorted(path.name for path in tmp_path.iterdir() if "journal" in path.name)
    assert beside == ["set.json.journal", "set.json.journal-2.safetensors"]
    remove_journal(output)
    assert [path.name for path in tmp_path.iterdir() if "journal" in path.name] == []


def test_a_torn_line_is_measured_again(pairs, tmp_path):
    output = tmp_path / "set.json"
    run(pairs, output, stop=2)
    path = journal_path(output)
    text = path.read_text()
    path.write_text(text + '{"key": "abc", "clip": {"na')
    assert run(pairs, output, resume=True)[1] == 1


def test_a_changed_file_is_another_clip(pairs):
    before = key_of(pairs[0])
    assert key_of(replace(pairs[0], real=pairs[1].generated)) != before
    pairs[0].generated.write_bytes(b"another film")
    assert key_of(pairs[0]) != before


def test_clips_that_the_set_lacks_cannot_be_taken_out_of_fid(pairs, tmp_path):
    output = tmp_path / "set.json"
    run(pairs, output, stop=2)
    with pytest.raises(InputError, match="counts the frames of clip 'one'") as caught:
        run(pairs[1:], output, resume=True)
    assert "--overwrite" in caught.value.hint
    added = Pair(generated=pairs[0].generated, name="four")
    assert run([*pairs, added], output, resume=True)[1] == 2


def test_other_settings_are_refused(pairs, tmp_path):
    output = tmp_path / "set.json"
    run(pairs, output, stop=1)
    with pytest.raises(InputError, match="other settings \\(families\\)"):
        run(pairs, output, resume=True, settings={**SETTINGS, "families": ("l1",)})


def test_a_journal_is_not_thrown_away_in_silence(pairs, tmp_path):
    output = tmp_path / "set.json"
    run(pairs, output, stop=2)
    with pytest.raises(OutputExistsError, match="holds 2 finished clips"):
        run(pairs, output)


def test_lost_moments_are_said(pairs, tmp_path):
    output = tmp_path / "set.json"
    run(pairs, output, stop=2)
    (tmp_path / "set.json.journal-2.safetensors").write_bytes(b"damaged")
    with pytest.raises(InputError, match="cannot read .*journal-2"):
        run(pairs, output, resume=True)


@pytest.mark.parametrize("text", ["", "nothing\n", json.dumps({"format": "other"}) + "\n", "[1]\n"])
def test_what_is_no_journal(pairs, tmp_path, text):
    output = tmp_path / "set.json"
    journal_path(output).write_text(text)
    with pytest.raises(InputError, match="is no journal of a set"):
        run(pairs, output, resume=True)
