"""Recipes: read strictly, overridden by name, written so that they are read back as they are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from talkhead.errors import InputError, UsageError
from talkhead.systems.headgan.config import RELEASE_TRAINING
from talkhead.training.config import LoopConfig
from talkhead.training.recipe import (
    data_of,
    find_setting,
    learning_system,
    parse_setting,
    read_recipe,
    setting_of,
    smallest,
    write_recipe,
)
from tests.unit.training.toy import SYSTEM, ToyConfig


def written(tmp_path, text):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    return path


def test_all_of_it_may_be_left_out(tmp_path):
    found = read_recipe(SYSTEM, None, {})
    assert (found.loop, found.system) == (LoopConfig(), ToyConfig())
    text = "loop: {batch: 2, lr: 1e-4}\nsystem:\n  noise: 1\n  network: {width_mult: 0.5}\n"
    found = read_recipe(SYSTEM, written(tmp_path, text), {"loop.batch": 3, "system.network.width_mult": 0.25})
    assert (found.loop.batch, found.loop.lr, found.system.noise) == (3, 1e-4, 1.0)
    assert found.system.network.width_mult == 0.25


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lop: {}\n", "unknown key 'lop'"),
        ("loop: {stepz: 3}\n", "recipe.yaml: loop: unknown key 'stepz'"),
        ("loop: {steps: many}\n", "loop: steps: expected int"),
        ("system: {network: {width: 1}}\n", "system: network: unknown key 'width'"),
        ("loop: [1]\n", "expected a mapping"),
        ("loop: {steps: 1}\nloop: {}\n", "given twice"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read_recipe(SYSTEM, written(tmp_path, text), {})


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"steps": 3}, "'steps' is no name of a setting"),
        ({"loop.stepz": 3}, "unknown key 'stepz'"),
        ({"loop.batch": 0}, "batch is 0, expected 1"),
        ({"loop.best": "painter.l1"}, "best asks for a validation"),
        ({"system.network": 3}, "expected a mapping"),
    ],
)
def test_overrides_that_do_not_fit(overrides, message):
    with pytest.raises(UsageError, match=message):
        read_recipe(SYSTEM, None, overrides)


def test_settings_of_the_command_line():
    assert parse_setting("loop.lr=1e-4") == ("loop.lr", "1e-4")  # YAML 1.1's text; the config reads it as a number
    assert parse_setting("loop.best=") == ("loop.best", None)
    assert parse_setting("a.b=true") == ("a.b", True)
    for text in ("loop.batch", "=3", "a=[1"):
        with pytest.raises(UsageError, match="--set"):
            parse_setting(text)


def test_what_a_run_wrote_is_read_back(tmp_path):
    found = read_recipe(SYSTEM, None, {"loop.lr": 0.5, "system.hook": "x", "loop.epochs": 2})
    write_recipe(found, "/data/set", tmp_path / "recipe.yaml")
    assert read_recipe(SYSTEM, tmp_path / "recipe.yaml", {}) == found
    assert data_of(tmp_path / "recipe.yaml") == "/data/set"
    assert data_of(tmp_path / "other.yaml") is None
    with pytest.raises(UsageError, match="a recipe of other, not of toy"):
        read_recipe(SYSTEM, written(tmp_path, "name: other\n"), {})


def test_settings_are_found_by_their_last_name():
    assert find_setting(ToyConfig, "width_mult") == "network.width_mult"
    assert find_setting(ToyConfig, "depth") is None
    assert setting_of(SYSTEM, "size", "side") == "system.side"
    with pytest.raises(UsageError, match="toy has no setting depth"):
        setting_of(SYSTEM, "depth")
    assert smallest(SYSTEM)["system.network.width_mult"] < 1


def test_systems_that_learn_nothing():
    with pytest.raises(UsageError, match="meshwarp has nothing to learn"):
        learning_system("meshwarp")


def test_recipes_among_the_examples():
    examples = Path(__file__).resolve().parents[3] / "examples"
    recipes = {path.name: read_recipe(learning_system("headgan"), path, {}) for path in sorted(examples.glob("*.yaml"))}
    assert recipes["headgan_release.yaml"].system == RELEASE_TRAINING
    person = recipes["headgan_person.yaml"]
    assert (person.system.side, person.loop.precision, person.system.gan) == (128, "bfloat16", False)
    finish = recipes["headgan_finish.yaml"].system  # begins with that person's weights
    assert finish.losses.l1_imagined > 0 and replace(finish, losses=person.system.losses) == person.system
