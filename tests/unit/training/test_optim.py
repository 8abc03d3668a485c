"""Rates and averages."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from talkhead.training.config import LoopConfig
from talkhead.training.optim import Averages, rate_factor


def test_constant_then_down_in_a_line():
    config = LoopConfig(steps=10, decay_from=0.6)
    found = [rate_factor(step, config) for step in range(10)]
    assert found == pytest.approx([1, 1, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25])
    assert rate_factor(9, LoopConfig(steps=10, decay_from=1.0)) == 1
    rising = [rate_factor(step, LoopConfig(steps=10, warmup=4, decay_from=1.0)) for step in range(5)]
    assert rising == [0.25, 0.5, 0.75, 1, 1]


def network(value):
    made = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
    nn.init.constant_(made[0].weight, value)
    return made


def test_averages_follow():
    raw = network(1.0)
    averages = Averages({"a": raw, "b": network(5.0)}, ("a",), 0.9)
    nn.init.constant_(raw[0].weight, 2.0)
    averages.update(0)  # decay 0.1
    assert averages.networks["a"][0].weight.item() == pytest.approx(1.9)
    nn.init.constant_(raw[0].weight, 3.0)
    raw[1].running_mean.fill_(7.0)
    averages.update(10_000)
    assert averages.networks["a"][0].weight.item() == pytest.approx(0.9 * 1.9 + 0.1 * 3)
    assert averages.networks["a"][1].running_mean.item() == 7  # statistics are taken, not averaged
    assert averages.final()["b"][0].weight.item() == 5


def test_judging_borrows_the_averages_and_gives_all_back():
    raw = network(1.0).train()
    averages = Averages({"a": raw}, ("a",), 0.9)
    nn.init.constant_(raw[0].weight, 2.0)
    with averages.judged():
        assert raw[0].weight.item() == 1 and not raw.training
        with torch.no_grad():
            raw[0].weight.fill_(1.0)
    assert raw[0].weight.item() == 2 and raw.training and raw[1].training
    assert averages.networks["a"][0].weight.item() == 1


def test_without_a_decay_networks_stand_for_themselves():
    raw = network(1.0)
    averages = Averages({"a": raw}, ("a",), 0.0)
    assert averages.networks == {} and averages.final()["a"] is raw
