"""How training tells its caller how far it is: as `talkhead.pipelines.progress`, which is a sibling."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol


class Progress(Protocol):
    """Receives the stages of a long run."""

    def stage(
        self, name: str, total: int | None, unit: str = "frames"
    ) -> AbstractContextManager[Callable[[int], None]]:
        """One stage of `total` steps (None: unknown); call the result with the steps done since the last call."""
        ...


class NoProgress:
    """Drops everything."""

    def stage(
        self, name: str, total: int | None, unit: str = "frames"
    ) -> AbstractContextManager[Callable[[int], None]]:
        """A stage nobody watches."""
        return nullcontext(lambda steps: None)
