"""Stationary bootstrap of Politis and Romano (1994): blocks of geometric length on a circle, so that dependence in time
survives the resampling. Randomness is an argument.
"""

from __future__ import annotations

import math
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
    out: npt.NDArray[np.int64] = many_indices(n, mean_block, 1, rng)[0]
    return out


def many_indices(n: int, mean_block: float, draws: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Resamples of ``range(n)``, one a row."""
    if n < 1 or not mean_block >= 1.0:
        raise ValueError(f"n {n} must be at least 1 and mean_block {mean_block} at least 1")
    starts = rng.random((draws, n)) < 1.0 / mean_block
    starts[:, 0] = True
    fresh = rng.integers(0, n, (draws, n))
    begun = np.maximum.accumulate(np.where(starts, np.arange(n), 0), axis=1)
    out: npt.NDArray[np.int64] = (np.take_along_axis(fresh, begun, axis=1) + np.arange(n) - begun) % n
    return out


class BlockLength(NamedTuple):
    """Mean length of geometric blocks (``stationary``) and length of fixed ones (``circular``), in observations."""

    stationary: float
    circular: float


def block_length(x: npt.ArrayLike) -> BlockLength:
    """The length that makes the bootstrap's variance of the mean most accurate (Politis, White 2004, corrected 2009).

    Long-run variance and its slope come from a flat-top window that ends where autocorrelations stop to matter: the
    first K_n = max(5, log10 n) in a row within 2 sqrt(log10 n / n). Lengths are at most min(3 sqrt n, n / 3), and 1 for
    a series that never varies. Raises ValueError below 8 observations.
    """
    r = series(x, 8)
    n = r.size
    centred = r - r.mean()
    if float(centred @ centred) <= 0.0:
        return BlockLength(1.0, 1.0)
    run = max(5, int(math.log10(n)))
    most = min(n - 2, math.ceil(math.sqrt(n)) + run)
    cross = np.array([float(centred[k:] @ centred[: n - k]) for k in range(most + 1)])
    # each lag's correlation by the energies of the two stretches it compares
    energy = np.cumsum(centred**2)
    ahead = np.array([energy[-1] - energy[k] for k in range(most + 1)])
    behind = np.array([energy[n - k - 2] for k in range(most + 1)])
    scale = np.sqrt(ahead * behind)
    quiet = np.abs(cross) < 2.0 * math.sqrt(math.log10(n) / n) * scale
    starts = [k for k in range(1, most + 1 - run + 1) if quiet[k : k + run].all()]
    width = min(2 * max(starts[0] - 1, 1) if starts else most, most)
    k = np.arange(1, width + 1)
    window = np.where(k <= width / 2.0, 1.0, 2.0 * (1.0 - k / width))
    gammas = cross[1 : width + 1] / n
    slope = 2.0 * float((window * k * gammas).sum())
    long_run = float(cross[0]) / n + 2.0 * float((window * gammas).sum())
    bound = float(math.ceil(min(3.0 * math.sqrt(n), n / 3.0)))
    if long_run == 0.0:
        return BlockLength(bound, bound)
    raw = n * (slope / long_run) ** 2
    return BlockLength(*(max(1.0, min(bound, (part * raw) ** (1.0 / 3.0))) for part in (1.0, 1.5)))


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
