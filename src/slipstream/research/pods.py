"""Simulated pods: streams of their hourly residual returns, and estimates with intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import beta as beta_law

from slipstream.core.stats.residual import HOURS_A_YEAR, deviation, hedge, new_hedge, new_scale, rescale
from slipstream.research.noise import Draw

Array = npt.NDArray[np.float64]
Tick = Callable[[], None]

BLOCK, WARM = 12, 6  # hours; blocks before the first bet
YEAR = int(HOURS_A_YEAR) // BLOCK  # blocks
HOURLY_VOL = 0.002


class Interval(NamedTuple):
    """An estimate with its 95 % interval."""

    value: float
    low: float
    high: float


def clopper_pearson(hits: int, n: int, confidence: float = 0.95) -> Interval:
    """Exact interval of a proportion."""
    tail = (1.0 - confidence) / 2.0
    low = float(beta_law.ppf(tail, hits, n - hits + 1)) if hits else 0.0
    high = float(beta_law.ppf(1.0 - tail, hits + 1, n - hits)) if hits < n else 1.0
    return Interval(hits / n, low, high)


def mean_interval(values: Array) -> Interval:
    """Mean with its normal interval."""
    mean, error = float(values.mean()), float(values.std(ddof=1)) / math.sqrt(values.size)
    return Interval(mean, mean - 1.96 * error, mean + 1.96 * error)


def plain(draw: Draw, sharpe: Callable[[int], float], pods: int) -> Iterator[Array]:
    """Blocks of hourly residual returns (hours, pods); ``sharpe`` a year, by number of the block."""
    block = 0
    while True:
        yield HOURLY_VOL * (draw(BLOCK) + sharpe(block) / math.sqrt(HOURS_A_YEAR))
        block += 1


def hedged(draw: Draw, market: Draw, pods: int) -> Iterator[Array]:
    """Blocks of residuals of pods without alpha that hold BTC and ETH (betas 0.8, 0.4) in a market that rises."""
    moments = new_hedge(pods)
    while True:
        out = np.empty((BLOCK, pods))
        for row, own, one, two in zip(out, draw(BLOCK), market(BLOCK), market(BLOCK), strict=True):
            btc = 0.006 * (one + 2.0 / math.sqrt(HOURS_A_YEAR))
            eth = 0.7 * btc + 0.005 * two
            moments, row[:] = hedge(moments, HOURLY_VOL * own + 0.8 * btc + 0.4 * eth, btc, eth)
        yield out


def standardised(blocks: Iterator[Array], pods: int) -> Iterator[Array]:
    """Standardised block sums, as the lifecycle makes them: the scale is the one known when the block begins."""
    scale = new_scale(0.2, pods)
    for block in blocks:
        z = block.sum(axis=0) / (deviation(scale) * math.sqrt(BLOCK))
        for row in block:
            scale = rescale(scale, row)
        yield z


def share(x: Interval) -> str:
    """A proportion with its interval, as text."""
    return f"{x.value:.2%} [{x.low:.2%}, {x.high:.2%}]"
