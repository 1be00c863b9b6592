"""Background order flow of one coin: the reactive market's terms, from the figures that are known of the coin.

A local fair price follows the leading exchange's price (plus the basis) with an exponential lag, so that the leader
leads by about that lag. Around it makers keep a ladder of levels; market orders are self-exciting, log-normal in USD,
and lean to where the leader is moving; small orders come and go at the touch.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from slipstream.model.instrument import Instrument
from slipstream.simulation.market.terms import Arrivals, FlowTerms, Grid, Makers, Size, Takers, Value, flow_record
from slipstream.venues.emulator.market.universe import CoinSpec

LADDER = 24  # levels kept on each side
TAG = 1_000_000_000_000_000  # background order ids of coin k start at k of these
LAG_SECONDS = 0.5
EXCITE, CALM_SECONDS, SAME_SIDE = 0.35, 1.5, 0.8  # a taker raises the rate by 0.35 of the base, mostly its own side's
ORDERS_PER_BURST = 1.2  # takers that come close together are told as one market order
TILT, TILT_SCALE = 0.6, 2e-4
TOUCH_RATE = 9.0  # small orders that come and go, a second
MOST_TOUCHES = 4.0  # and on average in one step, however long it is
KEPT = 3_000.0  # orders among which one is drawn to leave


def flow_terms(spec: CoinSpec, perp: Instrument) -> FlowTerms:
    """The terms of a coin's flow, calibrated from its spec."""
    rate = ORDERS_PER_BURST * spec.market_orders / 60.0
    base = rate / (1.0 + EXCITE * CALM_SECONDS * rate)  # of both sides; what excites makes the rest
    same, other = EXCITE * base * SAME_SIDE, EXCITE * base * (1.0 - SAME_SIDE)
    fade = (1.0 / CALM_SECONDS, 1.0 / CALM_SECONDS)
    cap = 0.12 * spec.depth
    # a market order meets several makers: where levels are deep in small orders, it must be smaller than the prints
    median = spec.median_trade * min(1.0, spec.median_trade * (6e-4 + 400.0 / spec.depth))
    sigma = sigma_for_mean(1.15 * spec.volume / (ORDERS_PER_BURST * spec.market_orders), median, cap)
    level = 0.49 * spec.depth / 20.0
    touch = spec.median_trade * min(1.5, max(0.8, 0.02 * level / spec.median_trade))
    return FlowTerms(
        grid=Grid(lot=float(perp.lot), decimals=perp.price_decimals),
        arrivals=Arrivals(mu=(base / 2.0, base / 2.0), alpha=((same, other), (other, same)), beta=(fade, fade)),
        takers=Takers(size=Size.of_median(median, sigma, cap), tilt=TILT, tilt_scale=TILT_SCALE, reach=LADDER - 2),
        limits=(TOUCH_RATE / 4.0,),
        limits_join=True,
        limit_size=Size.of_median(touch, 1.2),
        cancels=(TOUCH_RATE / 2.0 / KEPT,),
        makers=Makers(
            levels=LADDER,
            level_size=level,
            parts=min(6.5, 1.0 + 0.3 * spec.depth / 20.0 / 6_000.0),
            spread=spec.spread_ticks,
            lag=LAG_SECONDS,
        ),
        value=Value(px=spec.px),
        step_ns=50_000_000,
    )


def new_flow(spec: CoinSpec, perp: Instrument, seed: int, place: int) -> Any:
    """The flow's record of coin number ``place`` of a market, which follows given prices."""
    flows = flow_record(flow_terms(spec, perp), seed, place)
    flows["step_ns"] = 0  # its steps are the market's
    flows["tag"] = TAG * (1 + place)
    return flows


def sigma_for_mean(mean: float, median: float, cap: float) -> float:
    """Sigma of a log-normal with a median whose mean, values above ``cap`` cut to it, is ``mean`` (bisection)."""
    low, high = 0.1, 5.0
    z = np.random.Generator(np.random.PCG64(1)).standard_normal(4_000)
    for _ in range(24):
        sigma = 0.5 * (low + high)
        if np.minimum(cap, median * np.exp(sigma * z)).mean() < mean:
            low = sigma
        else:
            high = sigma
    return 0.5 * (low + high)
