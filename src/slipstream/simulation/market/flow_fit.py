"""Who comes to a market, fitted to what was seen: takers, limit orders and cancels by distance."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import numpy.typing as npt

from slipstream.simulation.market.hawkes_fit import HawkesFit, fit
from slipstream.simulation.market.observed import Observed

Floats = npt.NDArray[np.float64]


class DistanceRates(msgspec.Struct, frozen=True, kw_only=True):
    """At ticks 1, 2, ... from the other side's best, of one side: arrivals a second, their mean lots, what rests there
    (mean lots), and the rate at which a lot leaves. ``exact``: orders were counted, not net changes of levels.
    """

    arrivals: tuple[float, ...]
    mean_lots: tuple[float, ...]
    resting_lots: tuple[float, ...]
    leaving: tuple[float, ...]
    exact: bool


class TakerFit(msgspec.Struct, frozen=True, kw_only=True):
    """Market orders: buyers are kind 0, sellers kind 1. ``free`` has figures for each, ``alike`` the same for both."""

    free: HawkesFit
    alike: HawkesFit
    block_s: float
    quiet_share: float  # of the rate of ``alike`` that nobody excited

    @property
    def rates(self) -> tuple[float, float]:
        """Buyers and sellers a second."""
        buys, sells = (count / self.free.horizon_s for count in self.free.counts)
        return buys, sells


def block_seconds(seen: Observed) -> float:
    """How long a block of the exchange is: the gap that one in twenty changes of the best prices falls short of."""
    gaps = np.diff(seen.quotes["ns"])
    gaps = gaps[gaps > 0]
    return float(np.quantile(gaps, 0.05)) / 1e9 if len(gaps) else 0.0


def fit_takers(seen: Observed, rng: np.random.Generator) -> TakerFit:
    """Buyers and sellers as self-exciting arrivals.

    Recorded times are those of blocks; where in its block an arrival was is drawn evenly, since a continuous process
    has no arrivals at one time. Raises ValueError where there are fewer than 20 of a side.
    """
    orders = seen.orders_taken()
    orders = orders[(orders["ns"] >= seen.begin_ns) & (orders["ns"] <= seen.end_ns)]
    block = block_seconds(seen)
    times = np.maximum(0.0, (orders["ns"] - seen.begin_ns) / 1e9 - block * rng.random(len(orders)))
    kinds = np.where(orders["side"] > 0, 0, 1)
    order = np.argsort(times, kind="stable")
    fastest = 2.0 / block if block > 0.0 else math.inf
    alike = fit(times[order], kinds[order], seen.seconds, symmetric=True, fastest=fastest)
    free = fit(times[order], kinds[order], seen.seconds, fastest=fastest, start=alike)
    rate = sum(alike.counts) / seen.seconds
    return TakerFit(free=free, alike=alike, block_s=block, quiet_share=min(1.0, sum(alike.mu) / rate))


def distance_rates(seen: Observed) -> DistanceRates | None:
    """What comes and leaves by distance; None where the recording has no levels."""
    if seen.tally is None:
        return None
    tally = seen.tally
    both = 2.0 * seen.seconds
    resting = tally["present_lots"] / (2.0 * max(1, len(seen.depth)))
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(tally["came"] > 0, tally["came_lots"] / tally["came"], 0.0)
        leaving = np.where(resting > 0.0, tally["left_lots"] / both / resting, 0.0)
    return DistanceRates(
        arrivals=tuple((tally["came"] / both).tolist()),
        mean_lots=tuple(mean.tolist()),
        resting_lots=tuple(resting.tolist()),
        leaving=tuple(leaving.tolist()),
        exact=seen.orders,
    )
