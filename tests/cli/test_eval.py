"""`talkhead eval`: codes, files, sets, comparison, bad input."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

import talkhead
from talkhead.errors import InputError, UsageError


@pytest.fixture(scope="module")
def face_clip(ffmpeg: str, tmp_path_factory: pytest.TempPathFactory, example_face: Path) -> Path:
    """12 frames of the example photo that drifts by a pixel a frame, with a tone."""
    path = tmp_path_factory.mktemp("film") / "face.mp4"
    argv = [ffmpeg, "-v", "error", "-loop", "1", "-i", str(example_face)]
    argv += ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=16000", "-frames:v", "12", "-t", "0.48", "-r", "25"]
    subprocess.run([*argv, "-vf", "scale=288:288,crop=256:256:n:n", "-pix_fmt", "yuv420p", str(path)], check=True)
    return path


def test_a_clip_beside_a_real_one(run_cli, face_clip, clip, tmp_path):
    files = {kind: tmp_path / f"out.{kind}" for kind in ("json", "csv", "html")}
    done = run_cli("eval", face_clip, face_clip, "-o", files["json"], "--csv", files["csv"], "--report", files["html"])
    assert done.code == 0
    assert "lse_d, lse_c, av_conf: needs syncnet-v2" in done.stdout
    found = json.loads(files["json"].read_text())
    rows = {row["name"]: row for row in found["clips"][0]["rows"]}
    assert rows["l1"]["value"] == 0
    assert (rows["psnr"]["value"], rows["psnr"]["identical"]) == (None, True)
    assert rows["face_found"]["value"] == 1
    assert rows["ard~mesh"]["value"] == 0
    assert {row["name"] for row in found["clips"][0]["real_rows"]} >= {"l1", "cpbd", "jitter~mesh"}
    assert files["html"].read_text().startswith("<!DOCTYPE html>")
    assert files["csv"].read_text().startswith("scope,clip,side,name,")


def test_the_cache_gives_the_same_numbers(run_cli, face_clip, tmp_path):
    film = tmp_path / "film.mp4"
    film.write_bytes(face_clip.read_bytes())
    args = ("eval", film, "--metric", "steadiness", "--metric", "ard", "--cache", "--json")
    first, second = (json.loads(run_cli(*args).stdout.splitlines()[-1]) for _ in range(2))
    assert first["clips"][0]["rows"] == second["clips"][0]["rows"]
    assert len(list(tmp_path.glob("film.faces-*.safetensors"))) == 1


def test_a_required_row_without_value_is_code_3_after_the_table(run_cli, clip, tmp_path):
    out = tmp_path / "out.json"
    done = run_cli("eval", clip, "--metric", "cpbd", "--metric", "lse", "--require", "lse_d", "-o", out)
    assert done.code == 3
    assert "lse_d has no value: needs syncnet-v2" in done.stderr
    assert "no value:" in done.stdout
    assert out.is_file()
    assert run_cli("eval", clip, "--metric", "frozen", "--metric", "lse", "--require", "frozen").code == 0


def test_a_set(run_cli, clip, make_clip, tmp_path):
    other = make_clip(n_frames=20)
    table = tmp_path / "pairs.csv"
    table.write_text(f"id,generated,real\none,{clip},{clip}\ntwo,{other},{clip}\n")
    out = tmp_path / "set.json"
    done = run_cli("eval", "--manifest", table, "--metric", "l1", "--metric", "fid", "-o", out)
    assert done.code == 0
    rows = {(row["name"], row["pool"]): row for row in json.loads(out.read_text())["set"]}
    assert rows["l1", "clips"]["n_clips"] == 2
    assert rows["l1", "clips"]["low_95"] is not None
    assert "inception-fid" in rows["fid", "frames"]["reason"]
    assert "clips" in done.stdout.splitlines()[0]


def test_a_set_with_a_broken_clip_goes_on(run_cli, clip, tmp_path):
    table = tmp_path / "pairs.csv"
    table.write_text(f"generated,real\n{clip},{clip}\nnot_there.mp4,\n")
    done = run_cli("eval", "--manifest", table, "--metric", "l1")
    assert done.code == 6
    assert "not_there: cannot read" in done.stdout
    assert "l1" in done.stdout.splitlines()[1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names no clips"),
        ("generated\n", "names no clips"),
        ("film,real\na.mp4,\n", "has a column 'film'"),
        ("real\na.mp4\n", "has no column 'generated'"),
        ("generated,real\n,a.mp4\n", "line 2: no generated clip"),
        ("generated\na/x.mp4\nb/x.mp4\n", "two clips are called 'x'"),
    ],
)
def test_bad_tables(run_cli, tmp_path, text, message):
    table = tmp_path / "pairs.csv"
    table.write_text(text)
    done = run_cli("eval", "--manifest", table)
    assert done.code == 3
    assert message in done.stderr


def test_comparison(run_cli, clip, tmp_path):
    for name in ("a", "b"):
        run_cli("eval", clip, clip, "--metric", "l1", "-o", tmp_path / f"{name}.json")
    run_cli("eval", clip, clip, "--metric", "l1", "--every", "2", "-o", tmp_path / "c.json")
    done = run_cli("eval", "--compare", tmp_path / "a.json", tmp_path / "b.json")
    assert done.code == 0
    assert done.stdout.splitlines()[0].split() == ["name", "a", "b", "grade", "unit", "definition"]
    assert run_cli("eval", "--compare", tmp_path / "a.json").code == 2
    refused = run_cli("eval", "--compare", tmp_path / "a.json", tmp_path / "c.json")
    assert refused.code == 2
    assert "every 1 and 2" in refused.stderr


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["{clip}", "--metric", "psrn"], 2, "did you mean psnr?"),
        (["{clip}", "--require", "steadiness"], 2, "did you mean jitter~mesh"),
        (["{clip}", "--protocol", "hdgan"], 2, "did you mean headgan?"),
        (["{clip}", "{clip}", "{clip}"], 2, "one or two videos, not 3"),
        (["--metric", "l1"], 2, "what is to be judged?"),
        (["{clip}", "--manifest", "x.csv"], 2, "give it alone"),
        (["{clip}", "--au-csv", "a.csv", "b.csv"], 2, "REAL is missing"),
        (["{clip}", "-o", "{clip}", "--overwrite"], 2, "is an input too"),
        (["{clip}", "-o", "x.out", "--csv", "x.out"], 2, "name the same file"),
        (["not_there.mp4"], 3, "cannot read not_there.mp4: no such file"),
        (["{face}"], 3, "is a picture, not a video"),
        (["{clip}", "{face}"], 3, "is a picture, not a video"),
        (["{clip}", "--protocol", "au"], 3, "shows no face to crop around"),
        (["{clip}", "--protocol", "au", "--no-crop"], 3, "judges square pictures"),
        (["{clip}", "--resume", "-o", "x.json"], 2, "nothing to resume"),
        (["{clip}", "--metric", "lag", "--audio", "{face}"], 3, "no sound in"),
        (["{clip}", "--metric", "lip_reading", "--predictions", "{face}"], 3, "face.png"),
    ],
)
def test_bad_input(run_cli, clip, face, args, code, message):
    done = run_cli("eval", *(arg.format(clip=clip, face=face) for arg in args))
    assert (done.code, message in done.stderr) == (code, True), done.stderr


def test_lip_reading_of_a_set_of_words(run_cli, clip, tmp_path):
    table = tmp_path / "words.csv"
    table.write_text("label,prediction\nYES,YES\nNO,YES\n")
    done = run_cli("eval", clip, "--metric", "lip_reading", "--predictions", table)
    assert done.code == 0
    assert done.stdout.splitlines()[1].split()[:2] == ["lip_reading_acc", "50"]


def test_lists(run_cli):
    metrics, protocols = run_cli("eval", "--list-metrics"), run_cli("eval", "--list-protocols")
    assert (metrics.code, protocols.code) == (0, 0)
    assert "beat_align_chance~mesh" in metrics.stdout
    assert "sadtalker: 256x256, 25 fps, first 8 s, cropped unless square" in protocols.stdout


def test_the_function_has_the_same_words(clip):
    found = talkhead.evaluate(clip, clip, metrics=["l1", "cpbd"])
    assert found.value("l1") == 0
    assert found.value("cpbd") is None
    with pytest.raises(InputError, match="cpbd has no value: frames of 64x48 hold no block"):
        talkhead.evaluate(clip, metrics=["cpbd"], require=["cpbd"])
    with pytest.raises(UsageError):
        talkhead.evaluate(clip, work_seconds=-1)
