import logging

import pytest

from talkhead.errors import UsageError
from talkhead.pipelines import choose
from talkhead.pipelines.config import Machine
from talkhead.protocols import SystemInfo


def system(name, *, weights=(), stages=("render", "extract"), spaces=("s",), understands=(), **more):
    return SystemInfo(
        name=name,
        paper="p",
        licence="l",
        stages=stages,
        spaces=spaces,
        weights=weights,
        understands=frozenset(understands),
        **more,
        module=f"no.such.{name}",
    )


@pytest.fixture
def registry(monkeypatch):
    """A built-in and a learned system; the learned one's weights, the Hub and the device are switches."""
    systems = {
        "plain": system("plain"),
        "learned": system(
            "learned", weights=("w",), spaces=("codes",), understands=("blend",), sizes=(256,), styles=("natural",)
        ),
    }
    state = {"weights": False, "cuda": False, "why_not": "no address of w answers"}
    monkeypatch.setattr(choose, "NAMES", tuple(systems))
    monkeypatch.setattr(choose, "info", systems.__getitem__)
    monkeypatch.setattr(choose, "has_weights", lambda s: not s.weights or state["weights"])
    monkeypatch.setattr(choose, "_is_cuda", lambda device: state["cuda"])
    monkeypatch.setattr(
        choose, "_to_download", lambda s, m: ("881 MB", state["why_not"] if m.download else "--no-download")
    )
    return state


@pytest.mark.parametrize(
    ("state", "chosen", "why"),
    [
        ({}, "plain", "no CUDA device; --system learned would run here too, but slowly"),
        ({"weights": True}, "plain", "no CUDA device; --system learned would run here too, but slowly"),
        (
            {"cuda": True},
            "plain",
            "learned has no weights here: no address of w answers; talkhead weights pull learned",
        ),
        (
            {"cuda": True, "weights": True},
            "learned",
            "a CUDA device and its weights are here; --system plain needs neither",
        ),
        (
            {"cuda": True, "why_not": ""},
            "learned",
            "a CUDA device and its weights can be downloaded, 881 MB; --system plain needs neither",
        ),
    ],
)
def test_automatic_choice_says_why(registry, caplog, state, chosen, why):
    registry.update(state)
    with caplog.at_level(logging.INFO, logger="talkhead"):
        assert choose.choose_system(Machine(), "render").name == chosen
    assert caplog.messages == [f"system for render: {chosen} ({why})"]


@pytest.mark.parametrize(
    ("wishes", "lacking"),
    [
        ({"articulation": 1.3}, "--articulation"),
        ({"size": 1024}, "--size 1024"),
        ({"pose_style": "lively"}, "--pose-style lively"),
        ({"manner": "clip.mp4"}, "--reference for a manner of moving"),
    ],
)
def test_what_a_learned_system_cannot_do_goes_to_the_built_in_one(registry, caplog, wishes, lacking):
    registry.update(cuda=True, weights=True)
    with caplog.at_level(logging.INFO, logger="talkhead"):
        assert choose.choose_system(Machine(), "render", wishes={"render": wishes}).name == "plain"
    assert caplog.messages == [f"system for render: plain (learned has no {lacking})"]


def test_wishes_that_a_learned_system_can_follow(registry):
    registry.update(cuda=True, weights=True)
    wishes = {"articulation": None, "size": 256, "pose_style": "12", "blend": "poisson"}
    assert choose.choose_system(Machine(), "render", wishes={"render": wishes}).name == "learned"
    wishes["pose_style"] = "natural"
    assert choose.choose_system(Machine(), "render", wishes={"render": wishes}).name == "learned"


def test_wishes_are_for_the_system_that_does_the_stage(registry, monkeypatch):
    speaker = system("speaker", stages=("pose",), styles=("lively",))
    systems = {s.name: s for s in choose.systems_for("render")} | {"speaker": speaker}
    monkeypatch.setattr(choose, "NAMES", tuple(systems))
    monkeypatch.setattr(choose, "info", systems.__getitem__)
    registry.update(cuda=True, weights=True)
    assert choose.choose_system(Machine(), "render", wishes={"pose": {"pose_style": "lively"}}).name == "learned"
    assert choose.choose_system(Machine(), "render", wishes={"pose": {"pose_style": "calm"}}).name == "plain"


def test_no_download_keeps_the_built_in_system(registry):
    registry.update(cuda=True, why_not="")
    assert choose.choose_system(Machine(), "render").name == "learned"
    assert choose.choose_system(Machine(download=False), "render").name == "plain"


def test_the_space_of_codes_decides(registry):
    assert choose.choose_system(Machine(), "render", space="codes").name == "learned"
    assert choose.choose_system(Machine(), "render", space="s-0123abcd").name == "plain"
    assert choose.choose_system(Machine(), "render", space="unheard-of").name == "plain"
    registry.update(cuda=True, weights=True)
    assert choose.choose_system(Machine(), "render", space="s-0123abcd").name == "plain"


def test_measuring_stays_with_the_built_in_system(registry):
    registry.update(cuda=True, weights=True)
    assert choose.choose_system(Machine(), "extract").name == "plain"
    assert choose.choose_system(Machine(), "extract", space="codes").name == "learned"


def test_a_named_system_is_taken_without_a_word(registry, caplog):
    with caplog.at_level(logging.INFO, logger="talkhead"):
        assert choose.choose_system(Machine(system="learned"), "render").name == "learned"
    assert caplog.messages == []


def test_a_system_that_does_not_offer_the_stage(registry):
    with pytest.raises(UsageError, match="plain does not offer pose"):
        choose.choose_system(Machine(system="plain"), "pose")


def test_options_a_system_does_not_have_are_refused(registry):
    plain, learned = choose.systems_for("render")
    assert choose.understood(learned, {"blend": "poisson", "yaw": None}) == {"blend": "poisson"}
    with pytest.raises(UsageError, match="plain has no --blend") as error:
        choose.understood(plain, {"blend": "poisson"})
    assert "learned" in error.value.hint


def test_what_goes_with_a_system(registry):
    _, learned = choose.systems_for("render")
    assert choose.partner(learned, "render").name == "learned"
    assert choose.partner(learned, "pose").name == "learned"  # nobody else offers it


def test_one_precision_only():
    meshwarp = choose.choose_system(Machine(system="meshwarp"), "render")
    with pytest.raises(UsageError, match="float32"):
        choose.build(meshwarp, "render", Machine(dtype="bfloat16"))
