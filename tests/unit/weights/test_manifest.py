from __future__ import annotations

import hashlib

import pytest
import yaml

from talkhead.errors import InputError, WeightsError
from talkhead.weights import manifest as module
from talkhead.weights.manifest import PACKAGE, BundledFile, load_manifest, read_manifest

ENTRY = {
    "name": "renderer",
    "repo_id": "someone/something",
    "revision": "0123456789abcdef0123456789abcdef01234567",
    "filename": "sub/renderer.safetensors",
    "size": 10,
    "sha256": "a" * 64,
    "licence": {"code": "MIT", "weights": "CC-BY-NC-4.0"},
    "commercial": "no",
    "systems": ["sadtalker"],
    "format": "safetensors",
}
BUNDLED = {
    "name": "table",
    "path": "data/table.safetensors",
    "size": 3,
    "sha256": hashlib.sha256(b"abc").hexdigest(),
    "licence": "Apache-2.0",
    "systems": ["meshwarp"],
    "provenance": "made up",
}


def write(tmp_path, **content):
    path = tmp_path / "manifest.yaml"
    path.write_text(yaml.safe_dump({"format_version": 1, **content}))
    return path


def test_reads_every_field_and_finds_entries(tmp_path):
    manifest = read_manifest(write(tmp_path, files=[ENTRY], bundled=[BUNDLED]))
    entry = manifest.file("renderer")
    assert (entry.commercial, entry.licence.weights, entry.mirrors) == ("no", "CC-BY-NC-4.0", ())
    assert manifest.of_system("sadtalker") == (entry,)
    assert manifest.of_system("meshwarp") == ()
    with pytest.raises(WeightsError, match="rendrer") as caught:
        manifest.file("rendrer")
    assert "'renderer'" in (caught.value.hint or "")


def test_selects_by_file_and_by_system(tmp_path):
    second = ENTRY | {"name": "second", "systems": ["other", "sadtalker"], "revision": "main"}
    manifest = read_manifest(write(tmp_path, files=[ENTRY, second], bundled=[BUNDLED]))
    assert [e.name for e in manifest.select([])] == ["renderer", "second"]
    assert [e.name for e in manifest.select(["second", "sadtalker"])] == ["second", "renderer"]
    assert [e.name for e in manifest.select(["other"])] == ["second"]
    assert manifest.select(["meshwarp"]) == manifest.select(["table"]) == ()
    with pytest.raises(WeightsError, match="sadtlker"):
        manifest.select(["sadtlker"])


def test_an_unknown_hash_must_be_called_so(tmp_path):
    with pytest.raises(InputError, match="missing sha256"):
        read_manifest(write(tmp_path, files=[{key: value for key, value in ENTRY.items() if key != "sha256"}]))
    assert not read_manifest(write(tmp_path, files=[ENTRY | {"sha256": "unknown"}])).files[0].is_hash_known


def test_plain_yes_and_no_are_words(tmp_path):
    path = write(tmp_path, files=[ENTRY])
    path.write_text(path.read_text().replace("'no'", "no"))
    assert read_manifest(path).files[0].commercial == "no"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sha256": "A" * 64}, "sha256"),
        ({"sha256": "a" * 63}, "sha256"),
        ({"size": 0}, "size is 0"),
        ({"revision": "v1.0"}, "full commit"),
        ({"revision": "main", "sha256": "unknown"}, "full commit"),
        ({"revision": ""}, "belong together"),
        ({"repo_id": "", "revision": ""}, "neither repo_id nor mirrors"),
        ({"filename": "../renderer"}, "no path inside"),
        ({"filename": "/renderer"}, "no path inside"),
        ({"keep": ["a"]}, "keep is for pickled"),
        ({"commercial": "perhaps"}, "expected one of yes, no, unclear"),
        ({"format": "exe"}, "format is 'exe'"),
        ({"mirrors": ["http://example.org/x"]}, "https"),
        ({"licence": {"code": "MIT"}}, "missing weights"),
        ({"name": "Two Words"}, "lower-case"),
        ({"license": "MIT"}, "unknown key 'license'"),
    ],
)
def test_refuses_bad_entries(tmp_path, change, message):
    with pytest.raises(InputError, match=message) as caught:
        read_manifest(write(tmp_path, files=[ENTRY | change]))
    assert "files[0]" in caught.value.message


@pytest.mark.parametrize("path", ["/etc/passwd", "../outside", "data/../../outside", "data\\x"])
def test_bundled_files_stay_in_the_package(tmp_path, path):
    with pytest.raises(InputError, match="leaves the package"):
        read_manifest(write(tmp_path, bundled=[BUNDLED | {"path": path}]))


def test_refuses_other_versions_and_repeated_names(tmp_path):
    with pytest.raises(InputError, match="format_version is 2"):
        read_manifest(write(tmp_path, format_version=2))
    with pytest.raises(InputError, match="names used twice: renderer"):
        read_manifest(write(tmp_path, files=[ENTRY, ENTRY]))


def test_verify_names_missing_and_changed_files(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PACKAGE", tmp_path)
    bundled = BundledFile(**BUNDLED | {"systems": ("meshwarp",)})
    with pytest.raises(WeightsError, match=r"table\.safetensors is missing"):
        bundled.verify()
    bundled.location.parent.mkdir()
    bundled.location.write_bytes(b"abc")
    bundled.verify()
    bundled.location.write_bytes(b"abd")
    with pytest.raises(WeightsError, match=r"table\.safetensors is not the file"):
        bundled.verify()


def test_a_damaged_manifest_is_a_weights_error(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "manifest_path", lambda: write(tmp_path, bundeld=[]))
    load_manifest.cache_clear()
    try:
        with pytest.raises(WeightsError, match="bundeld"):
            load_manifest()
    finally:
        load_manifest.cache_clear()


def test_our_own_manifest_lists_every_bundled_file():
    manifest = load_manifest()
    for entry in manifest.bundled:
        fresh = hashlib.sha256(entry.location.read_bytes()).hexdigest()
        assert fresh == entry.sha256, f"{entry.path} was rebuilt: run python scripts/stamp_manifest.py"
        entry.verify()
    data = {path.relative_to(PACKAGE).as_posix() for path in (PACKAGE / "data").glob("*") if path.is_file()}
    assert {entry.path for entry in manifest.bundled} == data


def test_another_manifest_is_named_by_a_variable(tmp_path, monkeypatch):
    path = write(tmp_path, files=[ENTRY])
    for content, message, hint in (
        (path.read_text(), None, None),
        ("files: 3", "damaged manifest", module.VARIABLE),
        (None, "there is no such file", None),
    ):
        path.unlink() if content is None else path.write_text(content)
        monkeypatch.setenv(module.VARIABLE, str(path))
        load_manifest.cache_clear()
        try:
            if message is None:
                assert [entry.name for entry in load_manifest().files] == [ENTRY["name"]]
                continue
            with pytest.raises(WeightsError, match=message) as caught:
                load_manifest()
            assert hint is None or hint in caught.value.hint
        finally:
            load_manifest.cache_clear()
