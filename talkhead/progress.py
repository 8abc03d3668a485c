"""How long work tells its caller how far it is; the library itself never prints."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol, TypeVar

Value = TypeVar("Value")


class Progress(Protocol):
    """Receives the stages of a long run."""

    def stage(
        self, name: str, total: int | None, unit: str = "frames"
    ) -> AbstractContextManager[Callable[[int], None]]:
        """One stage of `total` steps (None: unknown); call the result with the steps done since the last call."""
        ...


class NoProgress:
    """Drops everything; the default everywhere."""

    def stage(
        self, name: str, total: int | None, unit: str = "frames"
    ) -> AbstractContextManager[Callable[[int], None]]:
        """A stage nobody watches."""
        return nullcontext(_ignore)


def _ignore(steps: int) -> None:
    del steps


def tracked(values: Iterable[Value], progress: Progress, name: str, total: int | None) -> Iterator[Value]:
    """The same values, one step of stage `name` reported after each was used."""
    with progress.stage(name, total) as advance:
        for value in values:
            yield value
            advance(1)
