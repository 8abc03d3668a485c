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


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffid,generated,real\r\none,{clip},{clip}\r\n",
        "generated, real\n{clip}, {clip}\n",
        "generated,real,audio,source,id,au_real,au_generated\n{name},{clip},,,one,,\n",
        'generated\n"{clip}"\n',
    ],
    ids=["bom-crlf", "blanks", "all-columns-relative", "one-column-absolute"],
)
def test_tables_as_programs_write_them(run_cli, clip, tmp_path, text):
    (tmp_path / "film.mp4").write_bytes(clip.read_bytes())
    table = tmp_path / "pairs.csv"
    table.write_bytes(text.format(clip=clip, name="film.mp4").encode())
    done = run_cli("eval", "--manifest", table, "--metric", "frames", "--json")
    assert done.code == 0, done.stderr
    (found,) = json.loads(done.stdout.splitlines()[-1])["clips"]
    assert found["n_frames"] == 10


def made(ffmpeg: str, path: Path, *argv: str) -> Path:
    subprocess.run([ffmpeg, "-v", "error", *argv, str(path)], check=True, stdin=subprocess.DEVNULL)
    return path


def test_gray_odd_and_silent(run_cli, ffmpeg, example_face, tmp_path):
    film = made(
        ffmpeg, tmp_path / "odd.mkv", "-loop", "1", "-i", str(example_face), "-f", "lavfi", "-i", "anullsrc=r=8000",
        "-t", "0.4", "-r", "25", "-vf", "scale=251:251,crop=243:241", "-c:v", "ffv1", "-pix_fmt", "gray",
        "-c:a", "pcm_s16le",
    )  # fmt: skip
    done = run_cli("eval", film, film, "--json", "--report", tmp_path / "page.html")
    assert done.code == 0, done.stderr
    (found,) = json.loads(done.stdout.splitlines()[-1])["clips"]
    rows = {row["name"]: row for row in found["rows"]}
    assert found["size"] == [243, 241]
    assert (rows["l1"]["value"], rows["frozen"]["value"], rows["face_found"]["value"]) == (0, 1, 1)
    assert rows["beat_align~mesh"]["reason"] == "no onset in the sound"


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_films_that_were_cut_off_are_named(run_cli, clip, tmp_path, share):
    torn = tmp_path / "torn.mp4"
    content = clip.read_bytes()
    torn.write_bytes(content[: int(share * len(content))])
    for args in ((torn,), (clip, torn)):
        done = run_cli("eval", *args, "--metric", "frames")
        assert (done.code, "cannot read" in done.stderr, "torn.mp4" in done.stderr) == (3, True, True)


def interrupted(monkeypatch, at: int) -> list[str]:
    """Ctrl-C while a clip is judged; the names of those that were begun."""
    from talkhead.evaluation import clip as clips

    measure, begun = clips.measure_clip, []

    def stop(pair, *args, **more):
        begun.append(pair.name)
        if len(begun) == at:
            raise KeyboardInterrupt
        return measure(pair, *args, **more)

    monkeypatch.setattr(clips, "measure_clip", stop)
    return begun


def test_an_interrupted_set_goes_on(run_cli, clip, make_clip, tmp_path, monkeypatch):
    table = tmp_path / "pairs.csv"
    films = {name: make_clip(n_frames=n) for name, n in (("one", 10), ("two", 20), ("three", 12))}
    table.write_text("id,generated,real\n" + "".join(f"{name},{film},{clip}\n" for name, film in films.items()))
    args = ("eval", "--manifest", table, "--metric", "l1", "--metric", "cpbd")
    whole, out = tmp_path / "whole.json", tmp_path / "set.json"
    assert run_cli(*args, "-o", whole).code == 0

    with monkeypatch.context() as patch:
        begun = interrupted(patch, 3)
        assert run_cli(*args, "-o", out).code == 130
        assert begun == ["one", "two", "three"]
    assert not out.exists()
    assert (tmp_path / "set.json.journal").is_file()
    again = run_cli(*args, "-o", out)
    assert (again.code, "holds 2 finished clips" in again.stderr, "--resume" in again.stderr) == (3, True, True)
    other = run_cli(*args, "-o", out, "--resume", "--every", "2")
    assert (other.code, "other settings (protocol)" in other.stderr) == (3, True)

    with monkeypatch.context() as patch:
        begun = interrupted(patch, 99)
        done = run_cli(*args, "-o", out, "--resume")
        assert (done.code, begun) == (0, ["three"]), done.stderr
    assert "2 of 3 clips were measured by an earlier run" in done.stdout
    found, expected = (json.loads(path.read_text()) for path in (out, whole))
    assert found["set"] == expected["set"]
    assert [clip["rows"] for clip in found["clips"]] == [clip["rows"] for clip in expected["clips"]]
    assert [path.name for path in tmp_path.iterdir() if "journal" in path.name] == []


def test_a_set_whose_clip_failed_takes_up_the_rest_once_it_is_mended(run_cli, clip, tmp_path, monkeypatch):
    table, out, late = tmp_path / "pairs.csv", tmp_path / "set.json", tmp_path / "late.mp4"
    table.write_text(f"id,generated\none,{clip}\ntwo,late.mp4\n")
    args = ("eval", "--manifest", table, "--metric", "frames", "-o", out)
    assert run_cli(*args).code == 6
    late.write_bytes(clip.read_bytes())
    begun = interrupted(monkeypatch, 99)
    done = run_cli(*args, "--resume")
    assert (done.code, begun) == (0, ["two"]), done.stderr
    assert len(json.loads(out.read_text())["clips"]) == 2


def test_a_set_begins_anew_when_it_may_overwrite(run_cli, clip, tmp_path, monkeypatch):
    table, out = tmp_path / "pairs.csv", tmp_path / "set.json"
    table.write_text(f"id,generated\none,{clip}\ntwo,missing.mp4\n")
    args = ("eval", "--manifest", table, "--metric", "frames", "-o", out, "--overwrite")
    assert run_cli(*args).code == 6
    begun = interrupted(monkeypatch, 99)
    assert run_cli(*args).code == 6
    assert begun == ["one", "two"]


@pytest.mark.usefixtures("tiny_weights")
def test_heads_are_fitted_where_the_weights_are_here(face_clip):
    found = talkhead.evaluate(face_clip, face_clip, metrics=["ard", "beat_align"])
    rows = {row.name: row for row in found.rows}
    assert set(rows) >= {"ard", "are", "geodesic", "beat_align", "ard~mesh", "are~mesh", "beat_align~mesh"}
    assert (rows["ard"].value, rows["ard"].grade, rows["ard"].n_frames) == (0, "paper-like", 12)
    assert rows["ard"].params["angles"] == "3dmm-sadtalker"
    assert str(rows["ard"].params["weights"]).startswith("sadtalker-256 ")
    assert rows["are"].value > 0
    assert rows["beat_align"].reason == "the head does not move" or rows["beat_align"].grade == "paper-like"
    assert "sadtalker-256" in found.weights
    assert {row.name: row.value for row in found.real_rows}["are"] == rows["are"].value


def test_without_weights_a_pose_has_a_proxy_only_and_says_why(clip):
    rows = {row.name: row for row in talkhead.evaluate(clip, clip, metrics=["ard"]).rows}
    assert rows["ard"].reason.startswith("needs the 3DMM fit of sadtalker")
    assert "talkhead weights pull sadtalker" in rows["ard"].reason


def test_what_is_measured_on_request(clip):
    found = talkhead.evaluate(clip, clip, metrics=["ssim_uniform", "lpips_vgg", "lag~loudness", "lse_d_whole"])
    rows = {row.name: row for row in found.rows}
    assert rows["ssim_uniform"].value == pytest.approx(1)
    assert rows["ssim_uniform"].definition == "ssim/skimage-default"
    assert "ssim" not in rows
    assert "lpips-vgg16" in rows["lpips_vgg"].reason
    assert rows["lag~loudness"].reason == "0.4 s are fewer than 4 s"
    assert "syncnet-v2" in rows["lse_d_whole"].reason


def test_a_protocol_crops_what_is_not_square(run_cli, face_clip, ffmpeg, tmp_path):
    wide = tmp_path / "wide.mp4"
    argv = [ffmpeg, "-v", "error", "-i", str(face_clip), "-vf", "pad=512:256:128:0:gray", "-pix_fmt", "yuv420p"]
    subprocess.run([*argv, str(wide)], check=True, stdin=subprocess.DEVNULL)
    out = tmp_path / "out.json"
    done = run_cli("eval", wide, wide, "--protocol", "headgan", "--metric", "l1", "--metric", "steadiness", "-o", out)
    assert done.code == 0, done.stderr
    document = json.loads(out.read_text())
    crop = document["clips"][0]["crop"]
    assert crop["found_in"] == "real"
    x0, y0, x1, y1 = crop["real"]
    assert x1 - x0 == y1 - y0 <= 256
    assert x0 < 256 < x1
    assert document["clips"][0]["size"] == [256, 256]
    assert document["protocol"]["crop"]["over"] == "median"
    rows = {row["name"]: row["value"] for row in document["clips"][0]["rows"]}
    assert (rows["l1"], rows["face_found"]) == (0, 1)
    assert "frames are cropped alike" in done.stdout


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
