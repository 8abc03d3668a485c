from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Literal

import pytest

from talkhead.config import from_mapping, nearest, read_config
from talkhead.errors import InputError


class Mode(Enum):
    FAST = "fast"
    SLOW = "slow"


@dataclass(frozen=True, kw_only=True, slots=True)
class Inner:
    rate: float
    steps: int = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Outer:
    name: str
    inner: Inner
    mode: Mode = Mode.FAST
    answer: Literal["yes", "no"] = "yes"
    folder: Path | None = None
    sizes: tuple[int, ...] = ()
    table: dict[str, float] = field(default_factory=dict)
    parts: tuple[Inner, ...] = ()

    def __post_init__(self) -> None:
        if self.name == "bad":
            raise InputError("name is bad")


def read(tmp_path: Path, text: str) -> Outer:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    return read_config(path, Outer)


def test_reads_nested_values_and_keeps_defaults(tmp_path):
    outer = read(
        tmp_path,
        "name: a\ninner: {rate: 1e-4}\nmode: slow\nanswer: no\nfolder: x/y\nsizes: [1, 2]\ntable: {a: 1}\n"
        "parts:\n  - rate: 2\n    steps: 3\n",
    )
    assert outer == Outer(
        name="a",
        inner=Inner(rate=1e-4),
        mode=Mode.SLOW,
        answer="no",
        folder=Path("x/y"),
        sizes=(1, 2),
        table={"a": 1.0},
        parts=(Inner(rate=2.0, steps=3),),
    )


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("name: a\ninner: {rate: 1, stesp: 2}", "inner: unknown key 'stesp'", "'steps'"),
        ("name: a\ninner: {rate: 1}\nqqq: 2", "unknown key 'qqq'", "known keys: name"),
        ("inner: {rate: 1}", "missing name", None),
        ("name: a\ninner: {}", "inner: missing rate", None),
        ("name: 3\ninner: {rate: 1}", "name: expected str, found int 3", None),
        ("name: a\ninner: {rate: fast}", "inner: rate: expected float", None),
        ("name: a\ninner: {rate: true}", "rate: expected float, found bool", None),
        ("name: a\ninner: {rate: 1, steps: 1.5}", "steps: expected int, found float", None),
        ("name: a\ninner: {rate: 1}\nsizes: 3", "sizes: expected a list", None),
        ("name: a\ninner: {rate: 1}\nsizes: [1, x]", r"sizes\[1\]: expected int", None),
        ("name: a\ninner: {rate: 1}\nmode: quick", "mode is 'quick', expected one of fast, slow", None),
        ("name: a\ninner: {rate: 1}\nanswer: maybe", "answer is 'maybe', expected one of yes, no", None),
        ("name: a\ninner: 4", "inner: expected a mapping", None),
        ("name: a\ninner: {rate: 1}\nname: b", "key 'name' given twice", None),
        ("name: bad\ninner: {rate: 1}", "recipe.yaml: name is bad", None),
        ("name: [unclosed", "is not valid YAML", None),
        ("- a\n- b", "expected a mapping of keys to values, found a list", None),
        ("", "expected a mapping of keys to values, found nothing", None),
        ("name: !!python/object/apply:os.getcwd []\ninner: {rate: 1}", "is not valid YAML", None),
    ],
)
def test_refuses_and_names_what_is_wrong(tmp_path, text, message, hint):
    with pytest.raises(InputError, match=message) as caught:
        read(tmp_path, text)
    assert "recipe.yaml" in caught.value.message
    if hint:
        assert hint in (caught.value.hint or "")


def test_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"absent\.yaml"):
        read_config(tmp_path / "absent.yaml", Outer)


def test_optional_values_may_be_empty():
    assert from_mapping({"name": "a", "inner": {"rate": 1.0}, "folder": None}, Outer, where="x").folder is None
    with pytest.raises(InputError, match="folder"):
        from_mapping({"name": "a", "inner": {"rate": 1.0}, "folder": 3}, Outer, where="x")


def test_nearest_finds_a_slip_of_the_finger_only():
    assert nearest("retime", ["smooth", "retme"]) == "retme"
    assert nearest("blink", ["smooth", "pucker"]) is None
