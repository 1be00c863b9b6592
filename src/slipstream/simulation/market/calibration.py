"""The terms of a reactive market that resembles a recording.

First every part is estimated by itself: takers (`flow_fit`), sizes of market orders and of the orders they traded with
(`size_fit`), value and makers' lag (`lead_lag.pursuit`), regimes (`regimes`), limit orders and cancels by distance,
depth. Then the market is simulated, and what one figure of the terms is mainly there for is corrected by how far the
simulation misses it, a few times (indirect inference by fixed point). What stays missing is written beside it: a
calibration says where it fails.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
import numpy.typing as npt

from slipstream.lob.flow.hawkes import stationary_rates
from slipstream.lob.flow.sizes import quantile_mean
from slipstream.simulation.market.aims import (
    BUYERS,
    CHANGES,
    DEEP_USD,
    ORDERS,
    PRINTS,
    QUICK,
    RESPONSE,
    SLOW,
    SPREAD,
    TOUCH_USD,
    Aim,
    aims,
    variances,
)
from slipstream.simulation.market.first_terms import WAKE, Parts, first_terms, paced, step_between
from slipstream.simulation.market.flow_fit import DistanceRates, TakerFit, distance_rates, fit_takers
from slipstream.simulation.market.lead_lag import LeadLag, Pursuit, lead_lag, pursuit
from slipstream.simulation.market.observed import Observed, check
from slipstream.simulation.market.regimes import Regimes, fit_regimes
from slipstream.simulation.market.size_fit import SizeFit, fit_sides, resting_law
from slipstream.simulation.market.stylised import INTERVALS_S
from slipstream.simulation.market.terms import Arrivals, FlowTerms, Makers, Size
from slipstream.simulation.market.watched_flow import simulate

Floats = npt.NDArray[np.float64]
REGIME_STEP_S = 10.0
MOST_LEARNING = 1e-3
DAMPING = 0.7
MOST_LIMITS = 20.0
LEAST_TOUCH = 0.05  # of what rests at the best price: makers keep so much of it at least


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """Everything estimated of a recording, and the terms made of it."""

    name: str
    seconds: float
    takers: TakerFit
    sizes: SizeFit
    rates: DistanceRates | None
    pursuit: Pursuit
    regimes: Regimes | None
    anchor: LeadLag | None
    aims: tuple[Aim, ...]
    terms: FlowTerms
    resting: Size | None = None
    sells: SizeFit | None = None


def _silent(_done: int, _of: int) -> None:
    """Nobody is told how far it is."""


def calibrate(
    seen: Observed,
    rng: np.random.Generator,
    *,
    anchor: Observed | None = None,
    rounds: int = 8,
    hours: float = 3.0,
    progress: Callable[[int, int], None] = _silent,
) -> Calibration:
    """The whole. ``rounds`` of correction by ``hours`` of simulation each (0: none); ``progress`` is told how
    much of how much is done.

    Raises ValueError where the recording is too short or too empty to estimate a part.
    """
    check(seen)
    progress(0, rounds + 2)
    parts = _parts(seen, rng, anchor)
    wanted = aims(seen)
    terms = first_terms(seen, parts)
    block_ns = max(1_000_000, int(parts.takers.block_s * 1e9))
    had: dict[str, float] = {}
    for turn in range(rounds + 1):
        progress(turn + 1, rounds + 2)
        made = simulate(terms, hours, int(rng.integers(1 << 31)), block_ns=block_ns)
        had = aims(made)
        if turn < rounds:
            terms = corrected(
                terms, wanted, had | {ORDERS: had[ORDERS] * _luck(terms, made)}, DAMPING / (1 + turn // 3)
            )
    return Calibration(
        name=seen.name,
        seconds=seen.seconds,
        takers=parts.takers,
        sizes=parts.sizes,
        rates=parts.rates,
        pursuit=parts.pursuit,
        regimes=parts.regimes,
        anchor=parts.anchor,
        aims=tuple(Aim(name=name, recorded=wanted[name], simulated=had[name]) for name in wanted),
        terms=terms,
        resting=parts.resting,
        sells=parts.sells,
    )


def _parts(seen: Observed, rng: np.random.Generator, anchor: Observed | None) -> Parts:
    """Every part by itself."""
    takers = fit_takers(seen, rng)
    both, buys, sells = fit_sides(seen)
    return Parts(
        takers=takers,
        sizes=both,
        buys=buys,
        sells=sells,
        resting=resting_law(seen),
        rates=distance_rates(seen),
        pursuit=pursuit(INTERVALS_S, variances(seen)),
        regimes=_regimes(seen),
        anchor=lead_lag(seen, anchor) if anchor is not None else None,
    )


def _regimes(seen: Observed) -> Regimes | None:
    """Two states where the recording shows them."""
    ns = np.arange(seen.begin_ns, seen.end_ns, int(REGIME_STEP_S * 1e9), dtype=np.int64)
    returns = np.diff(np.log(seen.mid_at(ns)))
    if len(returns) < 60 or not returns.any():
        return None
    found, wild = fit_regimes(returns, REGIME_STEP_S)
    if not found.worth_it:
        return None
    counts = np.histogram(seen.orders_taken()["ns"], ns)[0]
    paces = [float(counts @ share) / max(1e-9, float(share.sum())) for share in (1.0 - wild, wild)]
    mean = (1.0 - found.share_wild) * paces[0] + found.share_wild * paces[1]
    activity = (paces[0] / mean, paces[1] / mean) if mean > 0.0 else (1.0, 1.0)
    return msgspec.structs.replace(found, activity=activity)


def _luck(terms: FlowTerms, made: Observed) -> float:
    """Market orders that a process of these terms sends in the long run, over those that came to this simulation.

    Arrivals that excite each other scatter widely even in hours, and their mean is known: corrections need not follow
    the scatter. What is left to correct is what blocks merge.
    """
    arrivals = terms.arrivals
    expected = float(stationary_rates(arrivals.mu, arrivals.alpha, arrivals.beta)[:2].sum()) * made.seconds
    return expected / made.arrived if made.arrived else 1.0


def corrected(terms: FlowTerms, wanted: dict[str, float], had: dict[str, float], damping: float = DAMPING) -> FlowTerms:
    """Terms moved towards what is wanted, each figure by how far the one it is there for was missed."""
    by: dict[str, float] = {}
    for name, want in wanted.items():
        miss = want / had[name] if had[name] > 0.0 and want > 0.0 else 1.0
        by[name] = min(4.0, max(0.25, miss)) ** damping
    often = by[CHANGES]
    replace = msgspec.structs.replace
    near = len(terms.cancels) - WAKE - 1
    return replace(
        terms,
        arrivals=_arrivals(terms.arrivals, by[ORDERS], wanted[BUYERS], had[BUYERS], damping),
        limits=tuple(min(MOST_LIMITS, rate * often) for rate in terms.limits),
        cancels=tuple(rate * often if at < near else rate for at, rate in enumerate(terms.cancels)),
        limit_size=terms.limit_size.times(_finer(wanted, had, damping) if terms.makers.order else by[TOUCH_USD]),
        makers=_makers(terms.makers, by, wanted, had, damping),
        value=replace(terms.value, volatility=terms.value.volatility * by[SLOW]),
        step_ns=step_between(terms.step_ns / often),
    )


def _arrivals(arrivals: Arrivals, pace: float, buyers: float, were: float, damping: float) -> Arrivals:
    """More or fewer takers, and more or fewer of them buyers."""
    if not (0.0 < buyers < 1.0 and 0.0 < were < 1.0):
        buyers = were = 0.5
    sides = np.array([(buyers / were) ** damping, ((1.0 - buyers) / (1.0 - were)) ** damping]) * pace
    if (sides == 1.0).all() or len(arrivals.mu) != len(sides):
        return arrivals
    return paced(arrivals, stationary_rates(arrivals.mu, arrivals.alpha, arrivals.beta) * sides)


def _finer(wanted: dict[str, float], had: dict[str, float], damping: float) -> float:
    """What single resting orders are to be multiplied by: a market order that meets smaller ones is more trades.

    Every market order is one trade; it is the further ones that are more or fewer.
    """
    want, was = (max(0.02, some[PRINTS] - 1.0) for some in (wanted, had))
    return min(4.0, max(0.25, was / want)) ** damping


def _spreads(law: Size | None, factor: float) -> Size | None:
    """The law of spreads, so many times as wide; a tick is the least."""
    if law is None or factor == 1.0:
        return law
    points = tuple((share, max(1.0, ticks * factor)) for share, ticks in law.quantiles)
    return Size(mean=quantile_mean(points), quantiles=points)


def _makers(
    makers: Makers, by: dict[str, float], wanted: dict[str, float], had: dict[str, float], damping: float
) -> Makers:
    """The ladder's depth, spread, lag and learning, and the law of its single orders."""
    order, touch = makers.order, makers.touch
    if order is not None:
        order = order.times(_finer(wanted, had, damping))
        touch = max(LEAST_TOUCH * wanted[TOUCH_USD], touch + (wanted[TOUCH_USD] - had[TOUCH_USD]) * damping)
    return msgspec.structs.replace(
        makers,
        level_size=makers.level_size * by[DEEP_USD],
        order=order,
        touch=touch,
        spread=max(0.5, makers.spread * by[SPREAD]),
        spreads=_spreads(makers.spreads, by[SPREAD]),
        lag=min(10.0, max(0.02, makers.lag / by[QUICK])),
        learning=min(MOST_LEARNING, makers.learning * by[RESPONSE]),
    )
