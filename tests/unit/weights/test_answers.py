from __future__ import annotations

import logging

import pytest

from talkhead.errors import UsageError, WeightsError
from talkhead.weights.answers import answers_path
from talkhead.weights.catalogue import ensure, presence

NC = {"commercial": "no", "licence": {"code": "MIT", "weights": "CC-BY-NC-4.0"}}


def test_non_commercial_weights_are_asked_for_once(hub, shelve):
    content = shelve("brush", **NC, note="for research")
    with pytest.raises(WeightsError, match=r"brush may not be used commercially.*for research") as caught:
        ensure("brush")
    assert "--accept-licence CC-BY-NC-4.0" in caught.value.hint
    assert hub.asked == []
    assert "not accepted" in presence(["brush"]).why_not
    assert ensure("brush", accept=["cc-by-nc-4.0"]).read_bytes() == content
    assert ensure("brush").read_bytes() == content
    assert "CC-BY-NC-4.0" in answers_path().read_text()


def test_what_is_here_needs_the_answer_too(hub, shelve):
    shelve("brush", **NC)
    ensure("brush", accept=["CC-BY-NC-4.0"])
    answers_path().unlink()
    with pytest.raises(WeightsError, match="not accepted yet"):
        ensure("brush", download=False)


def test_the_environment_answers(hub, shelve, monkeypatch):
    shelve("brush", **NC)
    monkeypatch.setenv("TALKHEAD_ACCEPT_LICENCES", "Something-Else, CC-BY-NC-4.0")
    assert presence(["brush"]).is_downloadable
    ensure("brush")
    monkeypatch.delenv("TALKHEAD_ACCEPT_LICENCES")
    ensure("brush")


def test_a_misspelt_licence(hub, shelve):
    shelve("brush", **NC)
    with pytest.raises(UsageError, match="CC-BY-NC-4") as caught:
        ensure("brush", accept=["CC-BY-NC-4"])
    assert "'CC-BY-NC-4.0'" in caught.value.hint


def test_unclear_licences_are_told_once(hub, shelve, caplog):
    shelve("brush", commercial="unclear", note="Disputed.")
    shelve("canvas", commercial="unclear", note="Disputed.")
    with caplog.at_level(logging.WARNING, logger="talkhead"):
        ensure("brush")
        ensure("canvas")
        ensure("brush")
    assert caplog.messages == ["weights of painter: commercial use is unclear (licence: Apache-2.0). Disputed."]


def test_damaged_answers(hub, shelve):
    shelve("brush")
    answers_path().parent.mkdir()
    answers_path().write_text("{]")
    with pytest.raises(WeightsError, match=r"weights\.json"):
        ensure("brush")


def test_answers_that_cannot_be_stored_stop_nothing(hub, shelve, tmp_path, monkeypatch):
    shelve("brush", **NC)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TALKHEAD_CONFIG", str(tmp_path / "file"))
    monkeypatch.setenv("TALKHEAD_ACCEPT_LICENCES", "CC-BY-NC-4.0")
    with pytest.raises(WeightsError, match="cannot read"):
        ensure("brush")
    monkeypatch.setenv("TALKHEAD_CONFIG", "/proc/nothing")
    ensure("brush")
