"""Codes of one face model as codes of another: `talkhead.pipelines.convert` knows both models and hands in the way."""

from __future__ import annotations

from collections.abc import Callable

from talkhead.coeffs.container import Coeffs
from talkhead.coeffs.layout import space_family
from talkhead.errors import UsageError

Conversion = Callable[[Coeffs, str], Coeffs]
"""Coefficients and the name of a space (with or without its hash) -> the same motion in codes of that space."""


def needs_conversion(coeffs: Coeffs, target: str) -> bool:
    """Whether the codes mean something else than in the target; without codes there is nothing to convert."""
    return (coeffs.id is not None or coeffs.exp is not None) and space_family(coeffs.space) != space_family(target)


def convert_space(coeffs: Coeffs, target: str, conversion: Conversion | None = None) -> Coeffs:
    """The same motion in the codes of another space; coefficients without codes come back as they are.

    Args:
        coeffs: any. target: name of the space, with or without its hash. conversion: knows the way.
    Raises:
        UsageError: nobody knows the way. Others: as `conversion`.
    """
    if not needs_conversion(coeffs, target):
        return coeffs
    if conversion is None:
        raise UsageError(f"no conversion from space {space_family(coeffs.space)} to {space_family(target)}")
    return conversion(coeffs, target)
