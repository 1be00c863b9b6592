"""Stylised facts of a market, each with an interval, by the same functions for a recording and for a simulation.

Returns are of the mid, in basis points. Intervals are block bootstraps (`blocks`). A figure that a market does not
have (no trades, say) is nan.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from slipstream.simulation.market.blocks import (
    Estimate,
    Floats,
    Ints,
    block_edges,
    block_sums,
    of_sums,
    of_values,
    ratio,
)
from slipstream.simulation.market.observed import Observed, Records, check

BP = 1e4
RETURN_LAGS = np.array([1, 2, 3, 5, 7, 10, 15, 20, 30, 45, 60])  # seconds
SIGN_LAGS: Ints = np.array([1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100])  # market orders
SIGN_FIT = (2, 50)  # lags between which the exponent of their memory is fitted
INTERVALS_S = np.array([0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0])
WINDOWS_S = np.array([1.0, 5.0, 10.0, 30.0])
RESPONSE_S = np.array([0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0])
SPREADS = 10  # ticks told apart
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Everything measured of one market; several figures where a constant of this module says at what."""

    name: str
    seconds: float
    spread_bp: Estimate  # mean, then `QUANTILES`
    spread_ticks: Estimate  # mean, then the shares of 1, 2, ... `SPREADS` ticks, more in the last
    depth_usd: Estimate  # at the 1st to 20th level, mean of both sides
    returns: Estimate  # autocorrelation at `RETURN_LAGS` of returns over a second
    sizes: Estimate  # the same of their absolute values
    kurtosis: Estimate  # of returns over 1 s and 10 s
    signs: Estimate  # autocorrelation of market orders' signs at `SIGN_LAGS`
    sign_exponent: Estimate
    signature: Estimate  # bp per square root of a minute, sampled every `INTERVALS_S`
    trades: Estimate  # a minute: prints, market orders, quote currency
    fano: Estimate  # of market orders in `WINDOWS_S`
    quote_ms: Estimate  # `QUANTILES` of the time between changes of the best prices
    taken_usd: Estimate  # `QUANTILES` of market orders
    response: Estimate  # bp that the mid goes with a market order within `RESPONSE_S`


def measure(seen: Observed, rng: np.random.Generator) -> Facts:
    """All facts. Raises ValueError where there is too little to measure."""
    check(seen)
    edges = block_edges(seen.begin_ns, seen.end_ns)
    orders = seen.orders_taken()
    inside = (orders["ns"] >= seen.begin_ns) & (orders["ns"] <= seen.end_ns)
    orders = orders[inside]
    returns, sizes, kurtosis = _returns(seen, edges, rng)
    signs, exponent = _signs(orders["ns"], orders["side"].astype(np.float64), edges, rng)
    return Facts(
        name=seen.name,
        seconds=seen.seconds,
        spread_bp=_spread_bp(seen, edges, rng),
        spread_ticks=_spread_ticks(seen, edges, rng),
        depth_usd=_depth(seen, edges, rng),
        returns=returns,
        sizes=sizes,
        kurtosis=kurtosis,
        signs=signs,
        sign_exponent=exponent,
        signature=_signature(seen, edges, rng),
        trades=_trades(seen, orders, edges, rng),
        fano=_fano(seen, orders["ns"], edges, rng),
        quote_ms=_spacing(seen, edges, rng),
        taken_usd=_taken(seen, orders, edges, rng),
        response=_response(seen, orders, edges, rng),
    )


def _grid(seen: Observed, step_s: float) -> Ints:
    """Times every ``step_s``."""
    return np.arange(seen.begin_ns, seen.end_ns, int(step_s * 1e9), dtype=np.int64)


def _standing(seen: Observed, ns: Ints) -> Ints:
    """The place of the quote that stood at each time."""
    return np.maximum(np.searchsorted(seen.quotes["ns"], ns, side="right") - 1, 0)


def _spread_bp(seen: Observed, edges: Ints, rng: np.random.Generator) -> Estimate:
    ns = _grid(seen, 1.0)
    at = _standing(seen, ns)
    bid, ask = seen.prices(seen.quotes["bid"]), seen.prices(seen.quotes["ask"])
    spread = ((ask - bid) / (0.5 * (ask + bid)) * BP)[at]
    return of_values(ns, spread, edges, lambda x: [x.mean(), *np.quantile(x, QUANTILES)], rng)


def _spread_ticks(seen: Observed, edges: Ints, rng: np.random.Generator) -> Estimate:
    ns = _grid(seen, 1.0)
    ticks = (seen.quotes["ask"] - seen.quotes["bid"])[_standing(seen, ns)]
    shares = np.minimum(ticks, SPREADS)[:, None] == np.arange(1, SPREADS + 1)[None, :]
    sums = block_sums(ns, np.column_stack([ticks, shares]).astype(np.float64), edges)
    return ratio(sums, block_sums(ns, np.ones(len(ns)), edges), rng)


def _depth(seen: Observed, edges: Ints, rng: np.random.Generator) -> Estimate:
    ns = np.ascontiguousarray(seen.depth["ns"])
    worth = seen.mid_at(ns)[:, None] * seen.grid.lot
    usd = 0.5 * (seen.depth["bid_lots"] + seen.depth["ask_lots"]) * worth
    return ratio(block_sums(ns, usd, edges), block_sums(ns, np.ones(len(ns)), edges), rng)


def _returns(seen: Observed, edges: Ints, rng: np.random.Generator) -> tuple[Estimate, Estimate, Estimate]:
    ns = _grid(seen, 1.0)
    logs = np.log(seen.mid_at(ns)) * BP
    moves = np.diff(logs)
    at = ns[1:]
    kurtosis = []
    for step in (1, 10):
        r = np.diff(logs[::step])
        kurtosis.append(block_sums(ns[::step][1:], np.column_stack([r**4, r**2, np.ones(len(r))]), edges))
    fourth = of_sums(
        np.hstack(kurtosis),
        lambda s: np.stack([s[..., 0] * s[..., 2] / s[..., 1] ** 2, s[..., 3] * s[..., 5] / s[..., 4] ** 2], axis=-1),
        rng,
    )
    plain = _correlation(at, moves - moves.mean(), RETURN_LAGS, edges, rng)
    absolute = _correlation(at, np.abs(moves) - np.abs(moves).mean(), RETURN_LAGS, edges, rng)
    return plain, absolute, fourth


def _correlation(ns: Ints, x: Floats, lags: Ints, edges: Ints, rng: np.random.Generator) -> Estimate:
    """Autocorrelation of a series without mean; pairs belong to the block of the earlier one."""
    return ratio(*_products(ns, x, lags, edges), rng)


def _products(ns: Ints, x: Floats, lags: Ints, edges: Ints) -> tuple[Floats, Floats]:
    over = np.zeros((len(x), len(lags)))
    under = np.zeros((len(x), len(lags)))
    for column, lag in enumerate(lags):
        if lag < len(x):
            over[:-lag, column] = x[:-lag] * x[lag:]
            under[:-lag, column] = x[:-lag] ** 2
    return block_sums(ns, over, edges), block_sums(ns, under, edges)


def _signs(ns: Ints, signs: Floats, edges: Ints, rng: np.random.Generator) -> tuple[Estimate, Estimate]:
    if len(signs) < 2 * SIGN_LAGS[-1]:
        none = np.full(len(SIGN_LAGS), np.nan)
        return Estimate(none, none, none), Estimate(none[:1], none[:1], none[:1])
    over, under = _products(ns, signs - signs.mean(), SIGN_LAGS, edges)
    k = len(SIGN_LAGS)
    near = np.isin(SIGN_LAGS, [lag for lag in SIGN_LAGS if SIGN_FIT[0] <= lag <= SIGN_FIT[1]])

    def exponent(sums: Floats) -> Floats:
        """Minus the slope of log correlation on log lag, of the lags where it is positive."""
        rows = np.atleast_2d(sums[..., :k] / sums[..., k:])
        out = np.full(len(rows), np.nan)
        for place, row in enumerate(rows):
            used = near & (row > 0.0)
            if used.sum() >= 4:
                out[place] = -np.polyfit(np.log(SIGN_LAGS[used]), np.log(row[used]), 1)[0]
        return out

    slope = of_sums(np.hstack([over, under]), exponent, rng)
    return ratio(over, under, rng), Estimate(slope.value, slope.low, slope.high)


def _signature(seen: Observed, edges: Ints, rng: np.random.Generator) -> Estimate:
    sums, times = [], []
    for step in INTERVALS_S:
        ns = _grid(seen, float(step))
        squares = np.diff(np.log(seen.mid_at(ns)) * BP) ** 2
        sums.append(block_sums(ns[1:], squares, edges))
        times.append(block_sums(ns[1:], np.full(len(squares), step / 60.0), edges))
    k = len(INTERVALS_S)
    return of_sums(np.hstack([*sums, *times]), lambda s: np.sqrt(s[..., :k] / s[..., k:]), rng)


def _trades(seen: Observed, orders: Records, edges: Ints, rng: np.random.Generator) -> Estimate:
    usd = seen.prices(orders["tick"]) * orders["lots"] * seen.grid.lot
    prints = seen.prints["ns"]
    columns = [
        block_sums(prints, np.ones(len(prints)), edges),
        block_sums(orders["ns"], np.column_stack([np.ones(len(orders)), usd]), edges),
    ]
    minutes = np.diff(edges)[:, None] / 6e10
    return ratio(np.hstack(columns), minutes, rng)


def _fano(seen: Observed, ns: Ints, edges: Ints, rng: np.random.Generator) -> Estimate:
    columns = []
    for window in WINDOWS_S:
        bounds = np.arange(seen.begin_ns, seen.end_ns, int(window * 1e9))
        counts = np.histogram(ns, bounds)[0].astype(np.float64)
        columns.append(block_sums(bounds[:-1], np.column_stack([counts, counts**2, np.ones(len(counts))]), edges))

    def factor(s: Floats) -> Floats:
        means = s[..., 0::3] / s[..., 2::3]
        return np.asarray((s[..., 1::3] / s[..., 2::3] - means**2) / means, np.float64)

    return of_sums(np.hstack(columns), factor, rng)


def _spacing(seen: Observed, edges: Ints, rng: np.random.Generator) -> Estimate:
    ns = np.ascontiguousarray(seen.quotes["ns"])
    gaps = np.diff(ns) / 1e6
    told = gaps > 0.0
    return of_values(ns[1:][told], gaps[told], edges, lambda x: list(np.quantile(x, QUANTILES)), rng)


def _taken(seen: Observed, orders: Records, edges: Ints, rng: np.random.Generator) -> Estimate:
    if not len(orders):
        none = np.full(len(QUANTILES), np.nan)
        return Estimate(none, none, none)
    usd = seen.prices(orders["tick"]) * orders["lots"] * seen.grid.lot
    at = np.ascontiguousarray(orders["ns"])
    return of_values(at, usd, edges, lambda x: list(np.quantile(x, QUANTILES)), rng)


def _response(seen: Observed, orders: Records, edges: Ints, rng: np.random.Generator) -> Estimate:
    """The mean over market orders of sign x (mid then - mid just before), of those whose ``then`` was seen."""
    ns, side = np.ascontiguousarray(orders["ns"]), orders["side"].astype(np.float64)
    before = np.log(seen.mid_at(ns - 1)) * BP
    over, under = np.zeros((len(ns), len(RESPONSE_S))), np.zeros((len(ns), len(RESPONSE_S)))
    for column, later in enumerate(RESPONSE_S):
        then = ns + int(later * 1e9)
        known = then <= seen.end_ns
        after = np.log(seen.mid_at(then)) * BP
        over[known, column] = (side * (after - before))[known]
        under[known, column] = 1.0
    return ratio(block_sums(ns, over, edges), block_sums(ns, under, edges), rng)
