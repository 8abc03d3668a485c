"""Codes of one face model as codes of another: a table that whoever knows two models fills."""

from __future__ import annotations

from collections.abc import Callable

from talkhead.coeffs.container import Coeffs
from talkhead.coeffs.layout import space_family
from talkhead.errors import UsageError

Conversion = Callable[[Coeffs], Coeffs]
_conversions: dict[tuple[str, str], Conversion] = {}


def register_conversion(source: str, target: str, conversion: Conversion) -> None:
    """Make `conversion` the way from one space to another.

    Args:
        source, target: space names without their hashes, e.g. `bfm`, `meshwarp`. conversion: returns coefficients
            whose `space` is the target's full name.
    """
    _conversions[source, target] = conversion


def convert_space(coeffs: Coeffs, target: str) -> Coeffs:
    """The same motion in the codes of another space; coefficients without codes come back as they are.

    Args:
        coeffs: any. target: name of the space, with or without its hash.
    Raises:
        UsageError: nobody knows the way.
    """
    source, target = space_family(coeffs.space), space_family(target)
    if source == target or (coeffs.id is None and coeffs.exp is None):
        return coeffs
    if (source, target) not in _conversions:
        known = sorted(b for a, b in _conversions if a == source)
        raise UsageError(
            f"no conversion from space {source} to {target}",
            hint="known targets: " + ", ".join(known) if known else f"nothing converts from {source} yet",
        )
    return _conversions[source, target](coeffs)
