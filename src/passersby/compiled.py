"""Compiles loops over arrays to machine code that runs without the interpreter lock (Numba)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compile a loop; its machine code is kept on disk where that is possible.

    Numba keeps it beside the source or in the user's cache folder; in a read-only installation of an
    account without a home it has neither, and compiles in each process. What is kept is used until the
    file of the outermost function changes: after a change of something that it takes from another file,
    remove `__pycache__/*.nbi` of its package.
    """
    try:
        loop = numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:
        loop = numba.njit(nogil=True)(function)
    return cast("Function", loop)


def inlined(function: Function) -> Function:
    """Compile a loop into each compiled loop that calls it: calls cost as much as short fields do."""
    return cast("Function", numba.njit(nogil=True, inline="always")(function))
