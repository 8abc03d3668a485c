"""The spaces whose codes this talkhead understands, with or without their hash."""

from __future__ import annotations

from talkhead.coeffs.bfm import BFM_SPACE
from talkhead.coeffs.layout import Space, space_family
from talkhead.errors import UsageError
from talkhead.face3d.morphable import load_builtin


def known_spaces() -> tuple[Space, ...]:
    """All of them, the built-in one first."""
    return (load_builtin().space, BFM_SPACE)


def space_of(name: str) -> Space | None:
    """The space with this name; its hash may be missing, or be another build's (codes of which edits then refuse)."""
    return next((space for space in known_spaces() if space.family == space_family(name)), None)


def require_known(name: str) -> Space:
    """The space with this name.

    Raises:
        UsageError: there is none; the hint lists those there are.
    """
    found = space_of(name)
    if found is None:
        raise UsageError(f"unknown space {name!r}", hint=f"known: {', '.join(s.family for s in known_spaces())}")
    return found
