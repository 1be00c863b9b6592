"""Terms of a reactive market from the parts that were estimated of a recording, before any simulation."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import numpy.typing as npt

from slipstream.lob.flow.hawkes import stationary_rates
from slipstream.lob.flow.sizes import quantile_mean
from slipstream.simulation.market.aims import CHANGES, DEEP_USD, RESPONSE, SPREAD, TOUCH_USD, aims
from slipstream.simulation.market.flow_fit import DistanceRates, TakerFit
from slipstream.simulation.market.lead_lag import LeadLag, Pursuit
from slipstream.simulation.market.observed import LEVELS, Observed
from slipstream.simulation.market.regimes import Regimes
from slipstream.simulation.market.size_fit import SizeFit, quantile_points
from slipstream.simulation.market.terms import Arrivals, FlowTerms, Makers, Size, Takers, Value

STEPS_NS = (50_000_000, 1_000_000_000)  # between which makers act
LEAN = 0.6826  # E[min(1, |z|) |z|] of a normal z: what takers earn who lean fully at one deviation
MOST_TILT = 0.3  # more would make runs of one side that recordings do not have
FORGOTTEN_S = 120.0  # in which the market forgets what takers taught it: the literature's, a recording cannot tell
RESTING = 3.0  # limit orders at the best price of a side, besides the makers'
FLEETING, WAKE = 2.5, 5  # a second: how fast orders leave that lie up to five ticks behind the best price
SPREADS_NS, LEAST_SPREADS = 100_000_000, 1_000
STEADY = 0.6  # deviation over mean of depth at the best price where makers always keep the same
MOST_NEAR = 64  # distances that count as within the spread


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """What was estimated. ``sells``: None where both sides' sizes are of one law, ``buys``. ``resting``: the law of
    single resting orders, where it could be seen.
    """

    takers: TakerFit
    sizes: SizeFit
    buys: SizeFit
    sells: SizeFit | None
    resting: Size | None
    rates: DistanceRates | None
    pursuit: Pursuit
    regimes: Regimes | None
    anchor: LeadLag | None


def first_terms(seen: Observed, parts: Parts) -> FlowTerms:
    """The whole."""
    figures = aims(seen)
    deep = figures[DEEP_USD]
    extra = max(0.05 * deep, figures[TOUCH_USD] - 0.4 * deep)
    rate = _touch(seen, parts.takers)
    there = max(RESTING, figures[TOUCH_USD] / parts.resting.mean) if parts.resting is not None else RESTING
    chase, sizes = parts.pursuit, parts.sizes
    pull = chase.volatility * math.sqrt(0.5 * chase.lag_s) * 1e4  # bp: deviation of value from the makers' belief
    lean = figures[RESPONSE] / max(LEAN * pull, 1e-9)
    return FlowTerms(
        grid=seen.grid,
        arrivals=_arrivals(parts.takers),
        takers=Takers(
            size=parts.buys.size,
            sell_size=parts.sells.size if parts.sells is not None else None,
            tilt=min(MOST_TILT, max(0.0, 0.5 * lean)),
            tilt_scale=max(pull / 1e4, 1e-7),
            reach=LEVELS - 2,
        ),
        limits=(rate,),
        limits_join=True,
        limit_size=parts.resting or Size.of_median(extra / RESTING / math.exp(0.5), 1.0, 20.0 * extra),
        cancels=_cancels(rate / there, figures[SPREAD], parts.rates),
        makers=Makers(
            levels=LEVELS,
            level_size=deep,
            parts=3.0,
            order=parts.resting,
            touch=0.7 * figures[TOUCH_USD] if parts.resting is not None else 0.0,
            touch_varies=_varies(seen),
            spread=max(1.0, figures[SPREAD] / 1.06),
            spreads=_spreads(seen),
            lag=chase.lag_s,
            learning=max(0.0, 0.5 * figures[RESPONSE] * 1e-4 / math.exp(sizes.sigma**2 / 8.0)),
            learning_size=sizes.median,
        ),
        value=_value(float(np.median(seen.mids())), chase, parts.regimes, parts.anchor),
        step_ns=step_between(1e9 / figures[CHANGES]),
    )


def _arrivals(takers: TakerFit) -> Arrivals:
    """The excitement that both sides share, each at the very rate that was seen: the likelihood need not hit it.

    An excitement of its own for each side is a little more likely, and knows bunches of minutes less well: half
    an hour holds few of them, and the likelihood spends its parameters on what is fast.
    """
    buys, sells = takers.rates
    best = takers.alike
    if not best.prefers_hawkes:
        return Arrivals(mu=(buys, sells))
    return paced(Arrivals(mu=best.mu, alpha=best.alpha, beta=best.beta), np.array([buys, sells]))


def paced(arrivals: Arrivals, rates: npt.NDArray[np.float64]) -> Arrivals:
    """The same excitement at other rates in the long run: mu = (I - N) rates, or in proportion where none is such."""
    branching = np.asarray(arrivals.alpha) / np.asarray(arrivals.beta)
    mu = (np.eye(len(rates)) - branching) @ rates
    if not (mu > 0.0).all():
        mu = np.asarray(arrivals.mu) * rates.sum() / stationary_rates(arrivals.mu, arrivals.alpha, arrivals.beta).sum()
    return msgspec.structs.replace(arrivals, mu=tuple(mu.tolist()))


def _touch(seen: Observed, takers: TakerFit) -> float:
    """Limit orders a second at the best price of a side.

    Best prices change ``(1 - exp(-r b)) / b`` times a second where r things happen in it and blocks last b; takers are
    some of these, and each limit order is two, its coming and its going.
    """
    block = max(takers.block_s, 1e-3)
    changes = float((np.diff(seen.quotes["ns"]) > 0).sum()) / seen.seconds
    happen = -math.log(max(1e-3, 1.0 - changes * block)) / block
    return max(0.05, (happen - sum(takers.alike.counts) / seen.seconds) / 4.0)


def step_between(ns: float) -> int:
    """How often makers act: they move the best prices too."""
    return int(min(STEPS_NS[1], max(STEPS_NS[0], ns)))


def _spreads(seen: Observed) -> Size | None:
    """The law of spreads over time, ticks; None where the time is too short to tell."""
    ns = np.arange(seen.begin_ns, seen.end_ns, SPREADS_NS, dtype=np.int64)
    if len(ns) < LEAST_SPREADS:
        return None
    at = np.maximum(np.searchsorted(seen.quotes["ns"], ns, side="right") - 1, 0)
    points = quantile_points((seen.quotes["ask"] - seen.quotes["bid"])[at].astype(np.float64))
    return Size(mean=quantile_mean(points), quantiles=points)


def _varies(seen: Observed) -> float:
    """How much of the depth at the best price is drawn: deviation over mean of what was seen is the root of 2 where all
    of it is. Orders that come and go alone make `STEADY`.
    """
    touch = np.concatenate([seen.depth["bid_lots"][:, 0], seen.depth["ask_lots"][:, 0]]).astype(np.float64)
    excess = float(touch.var()) / max(1e-12, float(touch.mean()) ** 2) - STEADY**2
    return min(1.0, math.sqrt(max(0.0, excess) / 2.0))


def _cancels(leaves: float, spread: float, rates: DistanceRates | None) -> tuple[float, ...]:
    """The rate at which an order leaves: where the best price is, in its wake, and further off.

    Orders at the best price stay long enough that as many of them leave as come; those that the price has left behind
    go soon; further off as was seen.
    """
    leaving = [x for x in rates.leaving[10:30] if x > 0.0] if rates is not None else []
    far = min(FLEETING, float(np.median(leaving))) if leaving else 0.1
    return (leaves,) * min(MOST_NEAR, max(1, math.ceil(spread))) + (FLEETING,) * WAKE + (far,)


def _value(px: float, chase: Pursuit, regimes: Regimes | None, lead: LeadLag | None) -> Value:
    """The value: mean variance as measured, split into regimes; premium over the anchor as seen."""
    stays, scale, pace = (0.0, 0.0), (1.0, 1.0), (1.0, 1.0)
    if regimes is not None:
        calm, wild = regimes.volatility
        mean = math.sqrt((1.0 - regimes.share_wild) * calm**2 + regimes.share_wild * wild**2)
        stays, scale = regimes.stay_s, (calm / mean, wild / mean)
        pace = regimes.activity
    sd, seconds = (lead.basis_sd, lead.basis_s) if lead is not None else (0.0, FORGOTTEN_S)
    return Value(
        px=px,
        volatility=chase.volatility,
        basis_mean=0.0,
        basis_sd=sd,
        basis_seconds=seconds,
        regime_seconds=stays,
        regime_volatility=scale,
        regime_activity=pace,
    )
