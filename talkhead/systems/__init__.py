"""The registry of systems: one folder and one name each; `info(name)` imports only the folder's cheap `__init__`."""

from __future__ import annotations

import importlib

from talkhead.errors import UsageError
from talkhead.protocols import SystemInfo

NAMES = ("meshwarp", "sadtalker", "headgan")


def info(name: str) -> SystemInfo:
    """The `SystemInfo` of one system.

    Raises:
        UsageError: no system has that name.
    """
    if name not in NAMES:
        raise UsageError(f"unknown system {name!r}", hint="known systems: " + ", ".join(NAMES))
    found: SystemInfo = importlib.import_module(f"talkhead.systems.{name}").SYSTEM
    return found
