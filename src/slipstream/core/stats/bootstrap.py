"""Stationary bootstrap of Politis and Romano (1994): blocks of geometric length on a circle, so that dependence in time
survives the resampling. Randomness is an argument.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from slipstream.core.stats.performance import Array, series


class Interval(NamedTuple):
    """An estimate with the bounds of its percentile interval."""

    estimate: float
    low: float
    high: float


def indices(n: int, mean_block: float, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """One resample of ``range(n)``."""
    if n < 1 or not mean_block >= 1.0:
        raise ValueError(f"n {n} must be at least 1 and mean_block {mean_block} at least 1")
    starts = rng.random(n) < 1.0 / mean_block
    starts[0] = True
    fresh = rng.integers(0, n, n)
    begun = np.maximum.accumulate(np.where(starts, np.arange(n), 0))
    out: npt.NDArray[np.int64] = (fresh[begun] + np.arange(n) - begun) % n
    return out


def variance_of_mean(x: npt.ArrayLike, mean_block: float) -> float:
    """Variance of the resampled mean in closed form (specification, section 11)."""
    r = series(x)
    n, q = r.size, 1.0 - 1.0 / mean_block
    d = r - r.mean()
    total = float(d @ d) / n
    for k in range(1, n):
        c = float(d[k:] @ d[:-k]) / n
        total += 2.0 * ((1.0 - k / n) * q**k + (k / n) * q ** (n - k)) * c
    return total / n


def interval(
    x: npt.ArrayLike,
    statistic: Callable[[Array], float],
    rng: np.random.Generator,
    *,
    mean_block: float = 10.0,
    draws: int = 1000,
    level: float = 0.95,
) -> Interval:
    """Percentile interval of a statistic of a series."""
    r = series(x)
    drawn = [statistic(r[indices(r.size, mean_block, rng)]) for _ in range(draws)]
    low, high = np.quantile(drawn, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return Interval(statistic(r), float(low), float(high))
