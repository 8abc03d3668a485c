"""`talkhead prepare`: codes, results, what is said."""

from __future__ import annotations

import json
import subprocess

import pytest

import talkhead


@pytest.fixture(scope="module")
def film(ffmpeg, tmp_path_factory, example_face):
    """26 frames of the example photo."""
    path = tmp_path_factory.mktemp("film") / "face.mp4"
    argv = [ffmpeg, "-v", "error", "-loop", "1", "-i", str(example_face), "-vf", "scale=256:256", "-frames:v", "26"]
    subprocess.run([*argv, "-r", "25", "-pix_fmt", "yuv420p", str(path)], check=True, stdin=subprocess.DEVNULL)
    return path


def test_a_set_is_made_and_gone_on_with(run_cli, film, tmp_path):
    out = tmp_path / "set"
    done = run_cli("prepare", film, "-o", out, "--size", 64, "--masks", "none")
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{out}: 1 of 1 videos, 26 frames (1 s) in 1 samples, 1 shard,")
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"nothing")
    done = run_cli("prepare", film, broken, "-o", out, "--size", 64, "--masks", "none", "--json")
    assert done.code == 6
    events = [json.loads(line) for line in done.stdout.splitlines()]
    (result,) = [event for event in events if event["event"] == "result"]
    assert (result["n_kept"], result["n_videos"]) == (1, 2)
    assert result["dropped"][0]["reason"] == "unreadable"
    assert "1 of 2 videos could not be read" in done.stderr
    assert run_cli("prepare", film, "-o", out, "--size", 96).code == 2


def test_nothing_usable_is_code_3(run_cli, make_clip, tmp_path):
    done = run_cli("prepare", make_clip(n_frames=30), "-o", tmp_path / "set")
    assert done.code == 3
    assert "nothing of 1 videos can be used: no face (1)" in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--listen", "meshwarp"), "meshwarp does not listen"),
        (("--listen", "nobody"), "unknown system"),
        (("--max-seconds", "2", "--min-seconds", "3"), "max_s is 2, expected 3"),
    ],
)
def test_usage(run_cli, film, tmp_path, options, message):
    done = run_cli("prepare", film, "-o", tmp_path / "set", *options)
    assert done.code == 2
    assert message in done.stderr


def test_dry_run(run_cli, film, tmp_path):
    done = run_cli("prepare", film, "-o", tmp_path / "set", "--dry-run")
    assert done.stdout == f"would write {tmp_path / 'set'}: 1 of 1 videos are to be prepared\n"
    assert not (tmp_path / "set").exists()
    assert run_cli("prepare", tmp_path / "missing.mp4", "-o", tmp_path / "set", "--dry-run").code == 3


def test_the_same_in_python(film, tmp_path):
    config = talkhead.PrepareConfig(size=64, masks="none")
    found = talkhead.prepare([film], tmp_path / "set", config=config)
    assert isinstance(found, talkhead.TrainingSet)
    assert found.n_frames == 26
