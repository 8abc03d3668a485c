"""The flow warp against recorded output of the published code."""

import torch

from talkhead.nn.flow import halved, warp


def test_warp(golden, assert_close):
    recorded = {name: torch.from_numpy(value) for name, value in golden("warp").items()}
    assert_close(warp(recorded["src"], recorded["flow"]), recorded["out"], 1e-5, 1e-6)
    assert_close(halved(recorded["flow"]), recorded["half_flow"], 1e-5, 1e-6)
