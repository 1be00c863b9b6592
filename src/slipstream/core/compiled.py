"""Numba's compiler with the types of what it compiles kept; machine code is cached on disk beside the module."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

from numba import njit

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile at the first call; the cache is keyed by the function's own file."""
    return cast("Callable[P, R]", njit(cache=True)(function))
