"""How likely the best of many backtests is only the luckiest: combinatorially symmetric cross-validation.

Bailey, Borwein, Lopez de Prado, Zhu (2017). One value is itself noisy: on pure noise its standard deviation between
panels is about 0.2 (mathematical specification, section 10).
"""

from __future__ import annotations

import math
from itertools import combinations
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

AT_ONCE = 4_000_000  # numbers held per chunk of splits
MOST_BLOCKS = 20  # C(20, 10) = 184,756 splits


class Overfitting(NamedTuple):
    """``probability`` that the best in sample is below the median out of sample, and the logits it is counted from.

    ``slope`` is of the chosen trial's Sharpe ratio out of sample on that in sample over the splits (below 0: the better
    it looked, the worse it did), ``loss`` the share of splits where the chosen one lost out of sample.
    """

    probability: float
    mean_logit: float
    logits: Array
    blocks: int
    slope: float
    loss: float


def panel(returns: npt.ArrayLike) -> Array:
    """A matrix of periods by trials. Raises ValueError: not a matrix, one trial, not finite (says where)."""
    m = np.asarray(returns, dtype=np.float64)
    if m.ndim != 2 or m.shape[1] < 2 or m.shape[0] < 4:
        raise ValueError(f"returns of trials need 4 periods (rows) and 2 trials (columns) at least: shape is {m.shape}")
    bad = np.argwhere(~np.isfinite(m))
    if bad.size:
        raise ValueError(f"trial {int(bad[0][1])} has no finite return at period {int(bad[0][0])}")
    return m


def probability_of_overfitting(returns: npt.ArrayLike, blocks: int = 16) -> Overfitting:
    """CSCV over ``returns`` (periods by trials): all ways to choose half of ``blocks`` stretches of time as sample.

    In each the best trial by Sharpe ratio is ranked out of sample, w = rank / (trials + 1), logit ln(w / (1 - w)); the
    probability is the share of logits <= 0. A trial that never varies has Sharpe 0. Raises ValueError for an odd number
    of blocks, more than 20, or fewer than 2 periods a block.
    """
    m = panel(returns)
    if blocks % 2 or not 2 <= blocks <= MOST_BLOCKS:
        raise ValueError(f"{blocks} blocks: an even number from 2 to {MOST_BLOCKS} is needed")
    if m.shape[0] < 2 * blocks:
        raise ValueError(f"{m.shape[0]} periods are too few for {blocks} blocks of 2 or more")
    # sums by block are enough for every split; centring first keeps the squares from cancelling
    centre = m.mean(axis=0)
    edges = np.linspace(0, m.shape[0], blocks + 1).astype(int)[:-1]
    counts = np.diff(np.append(edges, m.shape[0])).astype(np.float64)
    sums = np.add.reduceat(m - centre, edges, axis=0)
    squares = np.add.reduceat((m - centre) ** 2, edges, axis=0)
    halves = np.array(list(combinations(range(blocks), blocks // 2)))
    chosen = np.zeros((len(halves), blocks))
    np.put_along_axis(chosen, halves, 1.0, axis=1)
    step = max(1, AT_ONCE // m.shape[1])
    parts = [_judge(chosen[at : at + step], sums, squares, counts, centre) for at in range(0, len(halves), step)]
    logits, inside, outside = (np.concatenate(column) for column in zip(*parts, strict=True))
    spread = float(inside.var())
    slope = float(((inside - inside.mean()) * (outside - outside.mean())).mean()) / spread if spread > 0.0 else 0.0
    return Overfitting(
        float((logits <= 0.0).mean()), float(logits.mean()), logits, blocks, slope, float((outside < 0.0).mean())
    )


def _judge(chosen: Array, sums: Array, squares: Array, counts: Array, centre: Array) -> tuple[Array, Array, Array]:
    """Logits of some splits, and the chosen trials' Sharpe ratios in and out of sample."""
    inside = _ratios(chosen, sums, squares, counts, centre)
    outside = _ratios(1.0 - chosen, sums, squares, counts, centre)
    best = inside.argmax(axis=1)[:, None]
    own = np.take_along_axis(outside, best, axis=1)
    less, equal = (outside < own).sum(axis=1), (outside == own).sum(axis=1)
    w = (less + (equal + 1) / 2.0) / (outside.shape[1] + 1.0)
    return np.log(w / (1.0 - w)), np.take_along_axis(inside, best, axis=1)[:, 0], own[:, 0]


def _ratios(chosen: Array, sums: Array, squares: Array, counts: Array, centre: Array) -> Array:
    n = (chosen @ counts)[:, None]
    total = chosen @ sums
    spread = np.maximum((chosen @ squares - total**2 / n) / n, 0.0)
    # what rounding leaves of a series that never varies is no spread
    sd = np.where(spread > 1e-24 * (1.0 + centre**2), np.sqrt(spread), math.inf)
    ratios: Array = (total / n + centre) / sd
    return ratios


def blocks_for(periods: int, most: int = 16) -> int:
    """The even number of blocks, at most ``most``, that leaves 4 periods or more in each. ValueError below 8."""
    if periods < 8:
        raise ValueError(f"{periods} periods are too few to split; 8 are needed")
    return max(2, min(most, periods // 4 // 2 * 2))
