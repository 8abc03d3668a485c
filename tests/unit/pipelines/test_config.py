"""What Python callers can get wrong where the command line has a parser."""

from __future__ import annotations

import pytest

from talkhead.errors import UsageError
from talkhead.pipelines.config import DEFAULTS, MAX_SIZE, MIN_SIZE, check_options


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
