"""`compiled`: numba with its cache where one can be kept, without it where nothing is writable."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

import numba

log = logging.getLogger(__name__)

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(**options: Any) -> Callable[[Function], Function]:
    """Compile a function when it is first called; single-threaded, without the interpreter lock.

    Machine code is cached beside the module, else in the user's cache folder, else (or first of all) where
    NUMBA_CACHE_DIR points. On a machine where none of them can be written numba refuses to compile at all; this
    compiles without a cache instead, which costs some seconds in every process.

    Args:
        options: further options of `numba.njit`.
    """

    def decorate(function: Function) -> Function:
        try:
            fast = numba.njit(nogil=True, cache=True, **options)(function)
        except RuntimeError as error:
            log.info("%s is compiled without a cache: %s", function.__name__, error)
            fast = numba.njit(nogil=True, **options)(function)
        result: Function = fast
        return result

    return decorate
