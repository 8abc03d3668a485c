"""`talkhead weights`: exit codes, what is printed, what is written."""

from __future__ import annotations

import json

import pytest

NC = {"commercial": "no", "licence": {"code": "MIT", "weights": "CC-BY-NC-4.0"}}


def last_event(result):
    return json.loads(result.stdout.splitlines()[-1])


def test_list_shows_the_files_of_every_system(run_cli, hub):
    result = run_cli("weights", "list")
    assert result.code == 0
    assert result.stdout.startswith("sadtalker\n")
    for name in ("sadtalker-256", "sadtalker-mapping-crop", "facexlib-wflw-98", "gfpgan-v1.4", "meshwarp-face"):
        assert f"  {name} " in result.stdout


def test_list_as_json(run_cli, hub):
    (event,) = map(json.loads, run_cli("weights", "list", "sadtalker", "facexlib", "--json").stdout.splitlines())
    found = {one["name"]: one for one in event["weights"]}
    assert len(found) == 8 and event["bundled"] == []
    assert found.keys() - {name for name in found if name.startswith("facexlib")} == {
        "sadtalker-256", "sadtalker-512", "sadtalker-mapping-crop", "sadtalker-mapping-full", "bfm-front",
    }  # fmt: skip
    assert found["sadtalker-256"]["state"] == "missing"
    assert found["facexlib-wflw-98"]["sha256"] == "unknown"
    assert found["sadtalker-512"]["sources"][0].startswith("https://huggingface.co/vinthony/")


def test_pull_path_and_verify(run_cli, hub, shelve):
    content = shelve("brush")
    shelve("canvas", at="mirror")
    dry = run_cli("weights", "pull", "painter", "--dry-run")
    assert (dry.code, dry.stdout) == (0, "would download brush, canvas: 0.0 MB\n")
    result = run_cli("weights", "pull", "painter")
    assert result.code == 0
    assert [line.split(":")[0] for line in result.stdout.splitlines()] == ["brush", "canvas"]
    assert "2 files to download" in result.stderr
    path = run_cli("weights", "path", "brush").stdout.strip()
    with open(path, "rb") as file:  # noqa: PTH123 - as a user's script would
        assert file.read() == content
    checked = run_cli("weights", "verify")
    assert checked.code == 0
    assert [line.split()[:2] for line in checked.stdout.splitlines()] == [["verified", "brush"], ["verified", "canvas"]]
    assert run_cli("weights", "pull", "painter", "--dry-run").stdout == "all here\n"
    listed = run_cli("weights", "list", "brush").stdout
    assert "verified" in listed and "not here" not in listed


def test_events_of_a_pull(run_cli, hub, shelve):
    shelve("brush")
    events = [json.loads(line) for line in run_cli("weights", "pull", "brush", "--json").stdout.splitlines()]
    stages = {event["name"]: event for event in events if event["event"] == "stage_end"}
    assert stages["fetching brush"]["done"] == 5000
    assert events[-1]["weights"][0]["state"] == "verified"


def test_damaged_weights(run_cli, hub, shelve):
    from pathlib import Path

    shelve("brush")
    run_cli("weights", "pull", "brush")
    path = Path(run_cli("weights", "path", "brush").stdout.strip())
    path.resolve().write_bytes(bytes(5000))
    result = run_cli("weights", "verify")
    assert (result.code, result.stdout.split()[:2]) == (4, ["damaged", "brush"])
    assert "brush is damaged" in result.stderr and "talkhead weights pull brush" in result.stderr
    assert run_cli("weights", "path", "brush").code == 4
    assert "damaged: brush" in run_cli("doctor").stdout
    assert run_cli("weights", "pull", "brush").code == 0
    assert run_cli("weights", "verify", "brush").code == 0


def test_no_network(run_cli, hub, shelve):
    shelve("brush")
    hub.refusals["someone/painter"] = (503, "")
    result = run_cli("weights", "pull", "brush")
    assert result.code == 4
    error, hint = result.stderr.splitlines()[-2:]
    assert "cannot download brush" in error
    assert "https://huggingface.co/someone/painter" in hint and "talkhead weights import brush.safetensors" in hint
    assert run_cli("weights", "pull", "brush", "--no-download").code == 4
    assert run_cli("weights", "verify").stdout == "no downloads are here\n"
    assert run_cli("weights", "verify", "brush").code == 4


def test_licence(run_cli, hub, shelve):
    shelve("brush", **NC)
    asked = run_cli("weights", "pull", "brush")
    assert asked.code == 4 and "--accept-licence CC-BY-NC-4.0" in asked.stderr
    assert run_cli("weights", "pull", "brush", "--accept-licence", "MIT").code == 2
    assert run_cli("weights", "pull", "brush", "--accept-licence", "CC-BY-NC-4.0").code == 0
    assert run_cli("weights", "path", "brush").code == 0


def test_import(run_cli, hub, shelve, tmp_path):
    content = shelve("brush")
    file = tmp_path / "brush.safetensors"
    file.write_bytes(content)
    result = run_cli("weights", "import", file)
    assert (result.code, result.stdout.split()[:2]) == (0, ["brush:", str(file)])
    assert run_cli("weights", "pull", "brush", "--no-download").code == 0
    file.write_bytes(content[:100])
    refused = run_cli("weights", "import", file)
    assert refused.code == 4 and "is not brush" in refused.stderr
    assert run_cli("weights", "import", tmp_path / "nothing").code == 3


def test_pin(run_cli, hub, shelve):
    shelve("brush", at="mirror", sha256="unknown")
    refused = run_cli("weights", "pull", "brush")
    assert refused.code == 4 and "--pin" in refused.stderr
    assert run_cli("weights", "pull", "brush", "--pin").code == 0
    assert run_cli("weights", "pull", "brush", "--no-download").code == 0


@pytest.mark.parametrize("argv", [["pull", "brush", "--all"], ["pull", "--dry-run"], ["nonsense"], ["path"]])
def test_usage(run_cli, hub, shelve, argv):
    shelve("brush")
    assert run_cli("weights", *argv).code == 2


def test_unknown_name(run_cli, hub, shelve):
    shelve("brush")
    result = run_cli("weights", "pull", "brsh")
    assert result.code == 4 and "did you mean 'brush'?" in result.stderr


@pytest.fixture
def listed(monkeypatch):
    """Has `talkhead systems` list systems of names and weights beside the built-in one."""
    from talkhead import systems
    from talkhead.protocols import SystemInfo

    known = {"meshwarp": systems.info("meshwarp")}
    monkeypatch.setattr(systems, "info", known.__getitem__)

    def add(name, *weights):
        about = {"paper": "p", "licence": "l", "stages": ("render",), "spaces": ("s",), "module": "none"}
        known[name] = SystemInfo(name=name, weights=weights, **about)
        monkeypatch.setattr(systems, "NAMES", tuple(known))

    return add


def test_systems_say_what_is_missing(run_cli, hub, shelve, listed):
    shelve("brush")
    listed("painter", "brush")
    assert "not here: brush (talkhead weights pull painter)" in run_cli("systems").stdout
    run_cli("weights", "pull", "painter")
    assert "weights  here" in run_cli("systems").stdout
    assert run_cli("weights", "list").stdout.startswith("painter\n")


def test_doctor_counts_downloads(run_cli, hub, shelve):
    shelve("brush")
    assert "0 of 1 downloads here" in run_cli("doctor").stdout
    run_cli("weights", "pull", "brush")
    assert "1 of 1 downloads here" in run_cli("doctor").stdout


def test_systems_say_who_hands_their_weights_out(run_cli, hub, shelve, listed):
    shelve("brush")
    shelve("clay", at="", page="https://owner.test/clay", sha256="unknown", size=0)
    listed("sculptor", "clay", "brush")
    ask = "ask for clay.safetensors at https://owner.test/clay, then: talkhead weights import clay.safetensors --pin"
    assert f"not here: clay, brush ({ask}; talkhead weights pull sculptor)" in run_cli("systems").stdout
    (_, found) = json.loads(run_cli("systems", "--json").stdout)["systems"]
    assert found["weights_from"] == [ask, "talkhead weights pull sculptor"]
