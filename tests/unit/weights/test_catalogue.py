from __future__ import annotations

import logging
import os

import pytest

from talkhead.errors import InputError, WeightsError
from talkhead.weights.catalogue import ensure, import_files, path, presence, pull, status, verify
from talkhead.weights.manifest import load_manifest
from talkhead.weights.store import own_path, sha256_of


def states():
    return {one.entry.name: one.state for one in status()}


def test_presence(hub, shelve):
    shelve("brush")
    shelve("canvas", at="mirror")
    there = presence(["painter"], probe=True)
    assert (there.is_complete, there.is_downloadable, there.n_bytes) == (False, True, 10000)
    assert hub.bodies() == []
    ensure("brush")
    assert [entry.name for entry in presence(["painter"]).missing] == ["canvas"]
    ensure("canvas")
    assert presence(["painter"]).is_complete
    assert presence([]).is_complete


def test_unknown_names(hub, shelve):
    shelve("brush")
    with pytest.raises(WeightsError, match="no weights 'brsh'") as caught:
        status(["brsh"])
    assert "'brush'" in caught.value.hint


def test_everything_leaves_out_what_waits_for_an_answer(hub, shelve, caplog):
    refused = {"licence": {"code": "MIT", "weights": "CC-BY-NC-4.0"}, "commercial": "no", "systems": ["critic"]}
    shelve("brush")
    shelve("knife", **refused)
    with caplog.at_level(logging.WARNING):
        assert [one.entry.name for one in pull([])] == ["brush"]
    assert "left out: knife may not be used commercially" in caplog.text
    for named in ("knife", "critic"):
        with pytest.raises(WeightsError, match="may not be used commercially"):
            pull([named])
    assert [one.entry.name for one in pull([], accept=["CC-BY-NC-4.0"])] == ["brush", "knife"]


def test_no_download(hub, shelve):
    shelve("brush")
    for attempt in (lambda: ensure("brush", download=False), lambda: path("brush")):
        with pytest.raises(WeightsError, match="brush is not here") as caught:
            attempt()
        assert "weights pull brush" in caught.value.hint and "weights import" in caught.value.hint
    assert hub.asked == []


def test_a_file_is_hashed_once_until_it_changes(tmp_path, hub):
    file = tmp_path / "file"
    file.write_bytes(b"abc")
    read: list[int] = []
    first = sha256_of(file, advance=read.append)
    assert sha256_of(file, advance=read.append) == first
    assert read == [3]
    file.write_bytes(b"abd")
    os.utime(file, ns=(1, 1))
    assert sha256_of(file, advance=read.append) != first
    assert sha256_of(file, again=True, advance=read.append) != first
    assert read == [3, 3, 3]


def test_a_cache_that_cannot_be_written_only_costs_time(tmp_path, monkeypatch):
    monkeypatch.setenv("TALKHEAD_CACHE", "/proc/nothing")
    file = tmp_path / "file"
    file.write_bytes(b"abc")
    assert sha256_of(file) == sha256_of(file)


def test_verify_reads_everything_again(hub, shelve):
    shelve("brush")
    shelve("canvas")
    shelve("frame")
    found = {name: ensure(name) for name in ("brush", "canvas")}
    before = found["brush"].stat()
    found["brush"].resolve().write_bytes(bytes(5000))
    os.utime(found["brush"], ns=(before.st_atime_ns, before.st_mtime_ns))
    assert states()["brush"] == "verified", "size and time did not change"
    assert {one.entry.name: one.state for one in verify()} == {
        "brush": "damaged",
        "canvas": "verified",
        "frame": "missing",
    }
    assert states()["brush"] == "damaged", "and that is remembered"
    found["canvas"].resolve().write_bytes(b"short")
    assert states()["canvas"] == "damaged"


def test_import_a_file_by_its_hash(hub, shelve, tmp_path):
    content = shelve("brush")
    file = tmp_path / "renamed.bin"
    file.write_bytes(content)
    (done,) = import_files([file])
    assert (done.entry.name, done.path.read_bytes()) == ("brush", content)
    assert ensure("brush", download=False) == done.path
    assert hub.asked == [] and file.exists()
    import_files([done.path])
    assert done.path.read_bytes() == content, "its own copy is left alone"


def test_import_a_folder(hub, shelve, tmp_path, caplog):
    contents = {name: shelve(name) for name in ("brush", "canvas", "frame")}
    folder = tmp_path / "downloads"
    (folder / "deep").mkdir(parents=True)
    (folder / "brush.safetensors").write_bytes(contents["brush"])
    (folder / "deep" / "anything").write_bytes(contents["canvas"])
    (folder / "frame.safetensors").write_bytes(b"half")
    (folder / "notes.txt").write_text("hello")
    with (
        caplog.at_level(logging.INFO, logger="talkhead"),
        pytest.raises(WeightsError, match=r"frame\.safetensors is not frame: it has 4 bytes, expected 5,000"),
    ):
        import_files([folder])
    assert states() == {"brush": "verified", "canvas": "verified", "frame": "missing"}
    assert "imported brush" in caplog.text


def test_imports_that_are_refused(hub, shelve, tmp_path):
    content = shelve("brush")
    other = shelve("canvas", systems=["sculptor"])
    file = tmp_path / "brush.safetensors"
    with pytest.raises(InputError, match="there is no file"):
        import_files([file])
    file.write_bytes(content[::-1])
    with pytest.raises(WeightsError, match=r"brush\.safetensors is not brush: its sha256"):
        import_files([file])
    file.write_bytes(other)
    with pytest.raises(WeightsError, match=r"is canvas \(sculptor\), not brush"):
        import_files([file], name="brush")
    (tmp_path / "photo.jpg").write_bytes(b"x")
    with pytest.raises(WeightsError, match="none of the known weights"):
        import_files([tmp_path / "photo.jpg"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(WeightsError, match="holds no known weights"):
        import_files([tmp_path / "empty"])
    assert states() == {"brush": "missing", "canvas": "missing"}


def test_an_import_replaces_what_the_hub_gave(hub, shelve, tmp_path):
    content = shelve("brush")
    ensure("brush").resolve().write_bytes(b"damaged")
    file = tmp_path / "file"
    file.write_bytes(content)
    import_files([file])
    assert ensure("brush", download=False) == own_path(load_manifest().file("brush"))


def test_weights_of_unknown_hash_wait_for_their_user(hub, shelve, tmp_path):
    content = shelve("brush", at="mirror", sha256="unknown")
    with pytest.raises(WeightsError, match="nobody published the sha256 of brush") as caught:
        ensure("brush")
    assert "--pin" in caught.value.hint
    assert hub.asked == []
    assert "sha256" in presence(["brush"]).why_not
    file = tmp_path / "brush.safetensors"
    file.write_bytes(content)
    with pytest.raises(WeightsError, match="could be brush"):
        import_files([file])
    assert states() == {"brush": "missing"}


def test_a_pinned_download_is_the_only_one_from_then_on(hub, shelve, tmp_path):
    content = shelve("brush", at="mirror", sha256="unknown")
    found = ensure("brush", pin_copy=True)
    assert found.read_bytes() == content
    assert ensure("brush", download=False) == found
    found.write_bytes(content[::-1])
    with pytest.raises(WeightsError, match="is not brush"):
        ensure("brush", download=False)
    hub.files["brush.safetensors"] = content[::-1]
    with pytest.raises(WeightsError, match="sent another file"):
        ensure("brush")
    hub.files["brush.safetensors"] = content
    assert ensure("brush").read_bytes() == content


def test_a_pinned_import(hub, shelve, tmp_path):
    content = shelve("brush", at="mirror", sha256="unknown")
    file = tmp_path / "brush.safetensors"
    file.write_bytes(content)
    import_files([file], pin_copy=True)
    assert ensure("brush", download=False).read_bytes() == content
    assert states() == {"brush": "verified"}
    file.write_bytes(content[::-1])
    with pytest.raises(WeightsError, match="is not brush"):
        import_files([file])
    import_files([file], pin_copy=True)
    assert ensure("brush", download=False).read_bytes() == content[::-1]


def test_bundled_weights_lie_in_the_package():
    lies = path("meshwarp-mouth")
    assert lies.name == "meshwarp_mouth.safetensors" and lies.is_file()
