import logging

import pytest

from talkhead.errors import UsageError
from talkhead.pipelines import choose
from talkhead.protocols import SystemInfo


def system(name, *, weights=(), stages=("render",)):
    return SystemInfo(
        name=name, paper="p", licence="l", stages=stages, spaces=("s",), weights=weights, module=f"no.such.{name}"
    )


@pytest.fixture
def registry(monkeypatch):
    """A registry with a built-in and a learned system; the learned one's weights and the device are switches."""
    systems = {"plain": system("plain"), "learned": system("learned", weights=("w",))}
    state = {"weights": False, "cuda": False}
    monkeypatch.setattr(choose, "NAMES", tuple(systems))
    monkeypatch.setattr(choose, "info", systems.__getitem__)
    monkeypatch.setattr(choose, "has_weights", lambda s: not s.weights or state["weights"])
    monkeypatch.setattr(choose, "_is_cuda", lambda device: state["cuda"])
    return state


@pytest.mark.parametrize(
    ("weights", "cuda", "chosen", "why"),
    [
        (False, False, "plain", "no other system has its weights here"),
        (False, True, "plain", "no other system has its weights here"),
        (True, False, "plain", "no CUDA device"),
        (True, True, "learned", "its weights are here and a CUDA device"),
    ],
)
def test_automatic_choice_says_why(registry, caplog, weights, cuda, chosen, why):
    registry.update(weights=weights, cuda=cuda)
    with caplog.at_level(logging.INFO, logger="talkhead"):
        assert choose.choose_system("auto", "render").name == chosen
    assert caplog.messages == [f"system for render: {chosen} ({why})"]


def test_no_device_is_looked_at_when_it_cannot_matter(registry, monkeypatch):
    def fail(device):
        raise AssertionError

    monkeypatch.setattr(choose, "_is_cuda", fail)
    assert choose.choose_system("auto", "render").name == "plain"


def test_a_named_system_is_taken_without_a_word(registry, caplog):
    with caplog.at_level(logging.INFO, logger="talkhead"):
        assert choose.choose_system("learned", "render").name == "learned"
    assert caplog.messages == []


def test_a_system_that_does_not_offer_the_stage(registry):
    with pytest.raises(UsageError, match="plain does not offer pose"):
        choose.choose_system("plain", "pose")


def test_one_precision_only():
    meshwarp = choose.choose_system("meshwarp", "render")
    with pytest.raises(UsageError, match="float32"):
        choose.build(meshwarp, "render", dtype="bfloat16")
