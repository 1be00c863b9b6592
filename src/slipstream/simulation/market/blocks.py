"""Intervals for whatever sums over time say: the time is cut into blocks, and the blocks are drawn anew.

A statistic is a function of sums; each block contributes its own. Blocks are longer than what depends on each other
within a market for the most part (a minute, or a twentieth of a short recording), so the spread of the statistic over
resamples is its uncertainty (block bootstrap, Kuensch 1989, of blocks that do not overlap).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
LEAST_BLOCKS, MOST_BLOCKS = 20, 400
BLOCK_S = 60.0
DRAWS = 400
LEVEL = 0.95


class Estimate(NamedTuple):
    """A figure, or several, with the bounds of a 95 % interval."""

    value: Floats
    low: Floats
    high: Floats

    def one(self, place: int = 0) -> tuple[float, float, float]:
        """One of the figures with its bounds."""
        return float(self.value[place]), float(self.low[place]), float(self.high[place])


def block_edges(begin_ns: int, end_ns: int) -> Ints:
    """Where blocks begin and end: minutes, but at least 20 and at most 400 blocks."""
    count = int(min(MOST_BLOCKS, max(LEAST_BLOCKS, (end_ns - begin_ns) / 1e9 // BLOCK_S)))
    return np.linspace(begin_ns, end_ns, count + 1).astype(np.int64)


def block_sums(ns: Ints, values: Floats, edges: Ints) -> Floats:
    """The sums [block, column] of rows [row, column] by their times."""
    rows = values if values.ndim == 2 else values[:, None]
    place = np.clip(np.searchsorted(edges, ns, side="right") - 1, 0, len(edges) - 2)
    out = np.zeros((len(edges) - 1, rows.shape[1]))
    np.add.at(out, place, rows)
    return out


def of_sums(sums: Floats, statistic: Callable[[Floats], Floats], rng: np.random.Generator) -> Estimate:
    """A statistic of the column sums (the last axis) of blocks [block, column]."""
    n = len(sums)
    weights = rng.multinomial(n, np.full(n, 1.0 / n), DRAWS).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return _estimate(statistic(sums.sum(axis=0)), statistic(weights @ sums))


def ratio(over: Floats, under: Floats, rng: np.random.Generator) -> Estimate:
    """Sums over sums, column by column; ``under`` has as many columns, or one."""
    k = over.shape[1]
    return of_sums(np.hstack([over, under]), lambda sums: sums[..., :k] / sums[..., k:], rng)


def of_values(
    ns: Ints, values: Floats, edges: Ints, statistic: Callable[[Floats], Sequence[float]], rng: np.random.Generator
) -> Estimate:
    """A statistic of all values, such as a quantile, whatever their block."""
    place = np.clip(np.searchsorted(edges, ns, side="right") - 1, 0, len(edges) - 2)
    order = np.argsort(place, kind="stable")
    parts = np.split(values[order], np.cumsum(np.bincount(place, minlength=len(edges) - 1))[:-1])
    drawn = []
    for _ in range(DRAWS // 2):
        chosen = [parts[i] for i in rng.integers(0, len(parts), len(parts))]
        some = np.concatenate(chosen)
        drawn.append(statistic(some if len(some) else values))
    return _estimate(np.asarray(statistic(values), np.float64), np.asarray(drawn, np.float64))


def _estimate(value: Floats, drawn: Floats) -> Estimate:
    values, rows = np.atleast_1d(value), drawn.reshape(len(drawn), -1)
    low, high = np.full(len(values), np.nan), np.full(len(values), np.nan)
    known = np.isfinite(rows).any(axis=0)
    if known.any():
        low[known], high[known] = np.nanquantile(rows[:, known], [(1.0 - LEVEL) / 2.0, (1.0 + LEVEL) / 2.0], axis=0)
    return Estimate(values, low, high)
