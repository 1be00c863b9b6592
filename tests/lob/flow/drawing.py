"""Streams of random numbers as arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from slipstream.lob.flow import draws

RNG_DTYPE = np.dtype([("rng", np.uint64)])
UNIFORM, EXPONENTIAL, NORMAL, LOGNORMAL, POISSON, BELOW = range(6)


@njit
def _fill(records: Any, kind: int, a: float, b: float, out: Any) -> None:
    s = records[0]
    for i in range(len(out)):
        if kind == UNIFORM:
            out[i] = draws.uniform(s)
        elif kind == EXPONENTIAL:
            out[i] = draws.exponential(s)
        elif kind == NORMAL:
            out[i] = draws.normal(s)
        elif kind == LOGNORMAL:
            out[i] = draws.lognormal(s, a, b)
        elif kind == POISSON:
            out[i] = draws.poisson(s, a)
        else:
            out[i] = draws.below(s, int(a))


def drawn(
    kind: int, n: int, *, seed: int = 1, place: int = 0, a: float = 0.0, b: float = 0.0
) -> npt.NDArray[np.float64]:
    """The first ``n`` numbers of a kind of a stream."""
    records = np.zeros(1, RNG_DTYPE)
    records["rng"] = draws.stream(seed, place)
    out = np.empty(n)
    _fill(records, kind, a, b, out)
    return out
