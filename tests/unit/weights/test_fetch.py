"""Downloads, from a server on this machine that speaks the Hub's protocol."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from talkhead.errors import WeightsError
from talkhead.weights import fetch
from talkhead.weights.catalogue import ensure, presence, pull
from talkhead.weights.store import hub_path, own_path, standing


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(fetch, "PAUSE_S", 0)


@pytest.fixture
def entry():
    from talkhead.weights.manifest import load_manifest

    return lambda name: load_manifest().file(name)


class Watch:
    """Notes the stages and their steps."""

    def __init__(self):
        self.steps = {}

    def stage(self, name, total, unit="frames"):
        import contextlib

        assert unit == "bytes"
        self.steps[name] = [total]
        return contextlib.nullcontext(self.steps[name].append)


def test_from_the_hub_into_its_cache_once(hub, shelve, entry):
    content = shelve("brush")
    watch = Watch()
    path = ensure("brush", progress=watch)
    assert path.read_bytes() == content
    assert path == hub_path(entry("brush"))
    assert not own_path(entry("brush")).exists()
    assert watch.steps["fetching brush"][0] == sum(watch.steps["fetching brush"][1:]) == 5000
    n_asked = len(hub.asked)
    again = Watch()
    assert ensure("brush", progress=again) == path
    assert len(hub.asked) == n_asked, "nothing is asked about what is here"
    assert again.steps == {}, "nor is it read again"


def test_a_branch_is_found_again(hub, shelve):
    shelve("brush", revision="main")
    path = ensure("brush")
    assert ensure("brush", download=False) == path


def test_the_hub_goes_on_where_the_connection_broke(hub, shelve):
    content = shelve("brush")
    hub.cut = [3000]
    watch = Watch()
    assert ensure("brush", progress=watch).read_bytes() == content
    assert [part for _, part in hub.bodies()] == [None, "bytes=3000-"]
    assert sum(watch.steps["fetching brush"][1:]) == 5000


def test_tampered_on_the_hub(hub, shelve, entry):
    """The Hub tells the right hash and sends something else of the same size."""
    content = shelve("brush")
    hub.files["someone/painter/brush.safetensors"] = content[::-1]
    hub.wrong_etag = False
    with pytest.raises(WeightsError, match=r"brush.*sha256") as caught:
        ensure("brush")
    assert "weights import" in caught.value.hint
    assert hub.bodies() == [], "its hash was told beforehand"


def test_tampered_on_the_way(hub, shelve, entry, monkeypatch):
    content = shelve("brush")
    monkeypatch.setattr(fetch, "_look_up", lambda entry, timeout_s: None)
    hub.files["someone/painter/brush.safetensors"] = content[::-1]
    with pytest.raises(WeightsError, match=r"is not brush: its sha256"):
        ensure("brush")
    assert len(hub.bodies()) == 1
    assert standing(entry("brush")).state == "missing", "a bad file does not stay"
    hub.files["someone/painter/brush.safetensors"] = content
    assert ensure("brush").read_bytes() == content


def test_another_size_is_not_downloaded(hub, shelve):
    shelve("brush", size=4999)
    with pytest.raises(WeightsError, match="5,000 bytes, expected 4,999"):
        ensure("brush")
    assert hub.bodies() == []


@pytest.mark.parametrize(
    ("refusal", "message"),
    [
        ((404, "RepoNotFound"), "does not exist, or is private"),
        ((401, "RepoNotFound"), "does not exist, or is private"),
        ((401, ""), "refuses .HTTP 401.: log in"),
        ((403, "GatedRepo"), "is gated"),
        ((503, ""), "HTTP 503"),
    ],
)
def test_refusals_of_the_hub(hub, shelve, refusal, message):
    shelve("brush")
    hub.refusals["someone/painter"] = refusal
    with pytest.raises(WeightsError, match=message) as caught:
        ensure("brush")
    assert "brush" in caught.value.message
    assert "weights import brush.safetensors" in caught.value.hint


def test_missing_file_and_revision(hub, shelve):
    shelve("brush", filename="gone.safetensors")
    with pytest.raises(WeightsError, match=r"has no file gone\.safetensors"):
        ensure("brush")
    shelve("canvas", revision="f" * 40)
    with pytest.raises(WeightsError, match="has no revision"):
        ensure("canvas")


def test_nobody_answers(hub, shelve, monkeypatch):
    from huggingface_hub import constants, file_download

    shelve("brush", at="hub mirror", mirrors=["https://127.0.0.1:9/brush.safetensors"])
    nowhere = "http://127.0.0.1:9/{repo_id}/resolve/{revision}/{filename}"
    for module in (constants, file_download):
        monkeypatch.setattr(module, "HUGGINGFACE_CO_URL_TEMPLATE", nowhere, raising=False)
    with pytest.raises(WeightsError, match="cannot download brush: someone/painter on the Hub cannot be read"):
        ensure("brush")
    assert not presence(["brush"], probe=True).is_downloadable


def test_offline(hub, shelve, monkeypatch):
    from huggingface_hub import constants

    content = shelve("brush")
    ensure("brush")
    shelve("canvas", at="hub mirror")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    asked = len(hub.asked)
    assert ensure("brush").read_bytes() == content
    with pytest.raises(WeightsError, match="canvas is not here, and HF_HUB_OFFLINE"):
        ensure("canvas")
    assert presence(["painter"], probe=True).why_not == "HF_HUB_OFFLINE forbids downloads"
    assert len(hub.asked) == asked


def test_a_mirror_when_the_hub_has_nothing(hub, shelve, entry):
    content = shelve("brush", at="hub mirror")
    hub.refusals["someone/painter"] = (404, "RepoNotFound")
    path = ensure("brush")
    assert (path, path.read_bytes()) == (own_path(entry("brush")), content)
    assert ensure("brush", download=False) == path
    assert sorted(p.name for p in path.parent.iterdir() if p.suffix != ".lock") == ["brush.safetensors"]


def test_a_mirror_goes_on_where_the_connection_broke(hub, shelve):
    content = shelve("brush", at="mirror")
    hub.cut = [2000, 1000]
    watch = Watch()
    assert ensure("brush", progress=watch).read_bytes() == content
    assert [part for _, part in hub.bodies()] == [None, "bytes=2000-", "bytes=3000-"]
    assert sum(watch.steps["fetching brush"][1:]) == 5000


def test_a_later_run_goes_on_too(hub, shelve, entry):
    content = shelve("brush", at="mirror")
    partial = own_path(entry("brush")).with_name("brush.safetensors.partial")
    partial.parent.mkdir(parents=True)
    partial.write_bytes(content[:1234])
    assert ensure("brush").read_bytes() == content
    assert hub.bodies()[0][1] == "bytes=1234-"


def test_a_bad_beginning_is_fetched_again(hub, shelve, entry):
    content = shelve("brush", at="mirror")
    partial = own_path(entry("brush")).with_name("brush.safetensors.partial")
    partial.parent.mkdir(parents=True)
    partial.write_bytes(bytes(1234))
    assert ensure("brush").read_bytes() == content
    assert [part for _, part in hub.bodies()] == ["bytes=1234-", None]


def test_a_mirror_without_ranges_starts_again(hub, shelve):
    content = shelve("brush", at="mirror")
    hub.cut, hub.has_ranges = [2000], False
    watch = Watch()
    assert ensure("brush", progress=watch).read_bytes() == content
    assert sum(watch.steps["fetching brush"][1:]) == 5000


@pytest.mark.parametrize("sent", ["tampered", "short", "long", "cut", "gone"])
def test_bad_mirrors(hub, shelve, entry, sent):
    content = shelve("brush", at="mirror")
    if sent == "gone":
        hub.files.clear()
    elif sent == "cut":
        hub.cut = [0] * 10
    else:
        hub.files["brush.safetensors"] = {"tampered": content[::-1], "short": content[:-1], "long": content + b"x"}[
            sent
        ]
    with pytest.raises(WeightsError, match=r"cannot download brush: https://mirror\.test/brush\.safetensors"):
        ensure("brush")
    assert standing(entry("brush")).state == "missing"
    assert sent == "cut" or not own_path(entry("brush")).with_name("brush.safetensors.partial").exists()


def test_the_next_mirror(hub, shelve):
    content = shelve(
        "brush", at="mirror", mirrors=["https://mirror.test/gone", "https://mirror.test/brush.safetensors"]
    )
    assert ensure("brush").read_bytes() == content


def test_a_damaged_copy_is_replaced(hub, shelve, entry, caplog):
    content = shelve("brush")
    path = ensure("brush")
    path.resolve().write_bytes(bytes(5000))
    with pytest.raises(WeightsError, match="is not brush"):
        ensure("brush", download=False)
    assert ensure("brush").read_bytes() == content
    assert "fetching it anew" in caplog.text


PULL = """
import sys
from pathlib import Path
from talkhead.weights import catalogue, fetch, manifest
manifest.manifest_path = lambda: Path(sys.argv[1])
opened = fetch._opened
fetch._opened = lambda url, *a, **k: opened(url.replace("https://mirror.test", sys.argv[2] + "/mirror"), *a, **k)
print(*(one.state for one in catalogue.pull(["painter"])))
"""


def test_processes_that_pull_the_same_files(hub, shelve, tmp_path, entry):
    """Two at once, through huggingface_hub's own environment variables."""
    contents = {"brush": shelve("brush"), "canvas": shelve("canvas", at="mirror", content=os.urandom(3_000_000))}
    environment = os.environ | {"HF_ENDPOINT": hub.url, "HF_HUB_CACHE": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "0"}
    argv = [sys.executable, "-c", PULL, str(tmp_path / "weights_manifest.yaml"), hub.url]
    running = [subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=120)[0].split() for process in running]
    assert said == [["verified", "verified"]] * 2
    assert hub_path(entry("brush")).read_bytes() == contents["brush"]
    assert own_path(entry("canvas")).read_bytes() == contents["canvas"]
    assert len([path for path, _ in hub.bodies() if path.startswith("/mirror/")]) == 1, "the second one waited"


def test_pull_goes_on_after_a_failure(hub, shelve, entry):
    shelve("brush", filename="gone.safetensors")
    shelve("canvas")
    with pytest.raises(WeightsError, match="1 of 2 files are not here: brush") as caught:
        pull(["painter"])
    assert "weights import" in caught.value.hint
    assert standing(entry("canvas")).state == "verified"


def test_what_must_be_pinned_is_left_out_of_a_system(hub, shelve, caplog):
    shelve("brush")
    shelve("canvas", at="mirror", sha256="unknown")
    assert [one.entry.name for one in pull(["painter"])] == ["brush"]
    assert "canvas is left out" in caplog.text
    with pytest.raises(WeightsError, match="nobody published"):
        pull(["canvas"])
    assert [one.state for one in pull(["painter"], pin_copy=True)] == ["verified", "verified"]


def test_a_part_that_is_longer_than_the_mirrors_file(hub, shelve, entry):
    content = shelve("brush", at="mirror")
    hub.files["brush.safetensors"] = content[:100]
    partial = own_path(entry("brush")).with_name("brush.safetensors.partial")
    partial.parent.mkdir(parents=True)
    partial.write_bytes(content[:1234])
    with pytest.raises(WeightsError, match="has 100 bytes, expected 5,000"):
        ensure("brush")


def test_a_full_disk_is_not_blamed_on_the_network(hub, shelve, monkeypatch):
    import errno

    shelve("brush", at="mirror")

    def fail(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(fetch, "_read_rest", fail)
    with pytest.raises(OSError, match="No space left") as caught:
        ensure("brush")
    assert caught.value.errno == errno.ENOSPC
