"""What Python callers can get wrong where the command line has a parser."""

from __future__ import annotations

from dataclasses import fields
from typing import get_args

import pytest

from talkhead.cli import options
from talkhead.errors import UsageError
from talkhead.pipelines import config
from talkhead.pipelines.config import (
    DEFAULTS,
    MAX_SIZE,
    MIN_SIZE,
    Machine,
    MachineKeywords,
    RenderKeywords,
    RenderSettings,
    check_options,
)
from talkhead.systems.sadtalker import config as sadtalker


@pytest.mark.parametrize(
    "wrong",
    [
        {"framing": "head"},
        {"motion": "both"},
        {"size": MIN_SIZE - 1},
        {"size": MAX_SIZE + 1},
        {"seed": -1},
        {"pose_scale": -1.0},
        {"pose_scale": float("nan")},
    ],
)
def test_wrong_options_are_named(wrong):
    (name,) = wrong
    with pytest.raises(UsageError, match=name):
        check_options(**wrong)


def test_defaults_pass():
    check_options()
    check_options(framing=DEFAULTS.framing, motion=DEFAULTS.motion, size=MIN_SIZE, seed=DEFAULTS.seed)


def words_of(typed):
    return typed.__required_keys__ | typed.__optional_keys__


def test_keywords_are_the_fields_they_become():
    assert words_of(MachineKeywords) <= {field.name for field in fields(Machine)}
    own = {field.name for field in fields(RenderSettings)} - {"machine"}
    assert words_of(RenderKeywords) == own | words_of(MachineKeywords)


def test_options_of_commands_are_keywords_with_the_same_defaults():
    names = ("system", "device", "dtype", "no_download", "accept_licence", "checkpoint")
    picture = {name for name, _, _ in options._PICTURE}
    assert tuple(name for name, _, _ in options._MACHINE) == names
    given = options._as_keywords({name: default for name, _, default in (*options._PICTURE, *options._MACHINE)})
    assert given.keys() == words_of(RenderKeywords) - {"progress"}
    assert len(picture) + len(names) == len(given)
    assert RenderSettings.of(given) == RenderSettings()


@pytest.mark.parametrize("name", ["Framing", "Preprocess", "Blend", "MotionMode", "Codec"])
def test_commands_functions_and_systems_know_the_same_words(name):
    words = get_args(getattr(config, name))
    assert tuple(one.value for one in getattr(options, name)) == words
    if hasattr(sadtalker, name):
        assert get_args(getattr(sadtalker, name)) == words
