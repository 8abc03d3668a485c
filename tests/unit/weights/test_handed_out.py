"""Files that only their owner hands out: never downloaded, imported and pinned by those who have them."""

from __future__ import annotations

import pytest

from talkhead.errors import InputError, WeightsError
from talkhead.weights.catalogue import ensure, import_files, presence, pull, status, tensors, verify
from talkhead.weights.manifest import Licence, WeightFile

PAGE = {
    "page": "https://owner.test/model", "sha256": "unknown", "size": 0, "format": "mat", "filename": "model.mat",
    "commercial": "no", "licence": {"code": "MIT", "weights": "owner-only"},
}  # fmt: skip


@pytest.fixture
def copy(tmp_path):
    path = tmp_path / "here" / "model.mat"
    path.parent.mkdir()
    path.write_bytes(b"numbers" * 100)
    return path


def test_what_is_not_here_is_not_downloaded(shelve, hub):
    shelve("model", at="", **PAGE)
    shelve("brush")
    for bring in (lambda: ensure("model"), lambda: pull(["model"], pin_copy=True)):
        with pytest.raises(WeightsError, match="only its owner hands it out") as failure:
            bring()
        assert "ask for model.mat at https://owner.test/model, then: talkhead weights import model.mat --pin" in str(
            failure.value.hint
        )
    assert presence(["model"], probe=True).why_not == "model is only handed out by its owner"
    pull(["painter"])
    assert [one.state for one in status(["model", "brush"])] == ["missing", "verified"]
    assert not any("model" in request for request in map(str, hub.asked))


def test_a_system_of_nothing_else_cannot_be_pulled(shelve, copy):
    """Rather than that nothing is said and nothing there."""
    shelve("model", at="", **PAGE | {"systems": ["sculptor"]})
    with pytest.raises(WeightsError, match="only its owner hands it out") as failure:
        pull(["sculptor"])
    assert "ask for model.mat at https://owner.test/model" in str(failure.value.hint)
    import_files([copy], pin_copy=True)
    assert [one.state for one in pull(["sculptor"], accept=["owner-only"])] == ["verified"]


def test_a_copy_counts_once_it_is_pinned_and_its_licence_accepted(shelve, copy):
    shelve("model", at="", **PAGE)
    with pytest.raises(WeightsError, match="nobody published its sha256"):
        import_files([copy])
    (done,) = import_files([copy], pin_copy=True)
    assert done.entry.name == "model" and done.path.read_bytes() == copy.read_bytes()
    assert presence(["model"]).is_complete
    with pytest.raises(WeightsError, match="may not be used commercially"):
        ensure("model", download=False)
    assert ensure("model", accept=["owner-only"]) == done.path
    assert verify(["model"])[0].state == "verified"
    with pytest.raises(WeightsError, match="holds no tensors to load: it is a mat file"):
        tensors("model")


def test_the_pinned_copy_is_known_by_any_name_and_no_other_counts(shelve, copy):
    shelve("model", at="", **PAGE)
    import_files([copy], pin_copy=True)
    other = copy.rename(copy.with_name("renamed.bin"))
    assert import_files([other])[0].entry.name == "model"
    copy.write_bytes(b"others")
    with pytest.raises(WeightsError, match="is not model: its sha256 is"):
        import_files([copy])
    where = status(["model"])[0].path
    where.write_bytes(b"damaged")
    with pytest.raises(WeightsError, match="is not model"):
        ensure("model", accept=["owner-only"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"page": "http://owner.test"}, "must start with https://"),
        ({"mirrors": ("https://elsewhere.test/x",)}, "no repo_id and no mirrors"),
        ({"page": ""}, "size is 0"),
    ],
)
def test_entries_that_make_no_sense(change, message):
    fields = {"name": "model", "systems": ("painter",), **PAGE, "licence": Licence(code="MIT", weights="x")} | change
    with pytest.raises(InputError, match=message):
        WeightFile(**fields)
