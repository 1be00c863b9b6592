"""The terms of a reactive market that resembles a recording.

First every part is estimated by itself: takers (`flow_fit`), value and makers' lag (`lead_lag.pursuit`), regimes
(`regimes`), limit orders and cancels by distance, depth. Then the market is simulated, and what one figure of the terms
is mainly there for is corrected by how far the simulation misses it, a few times (indirect inference by fixed point).
What stays missing is written beside it: a calibration says where it fails.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np
import numpy.typing as npt

from slipstream.simulation.market.flow_fit import (
    DistanceRates,
    SizeFit,
    TakerFit,
    distance_rates,
    fit_sizes,
    fit_takers,
)
from slipstream.simulation.market.lead_lag import LeadLag, Pursuit, lead_lag, pursuit
from slipstream.simulation.market.observed import LEVELS, Observed, check
from slipstream.simulation.market.regimes import Regimes, fit_regimes
from slipstream.simulation.market.stylised import INTERVALS_S
from slipstream.simulation.market.terms import Arrivals, FlowTerms, Makers, Size, Takers, Value
from slipstream.simulation.market.watched_flow import simulate

Floats = npt.NDArray[np.float64]
STEPS_NS = (50_000_000, 400_000_000)  # between which makers act
REGIME_STEP_S = 10.0
DEEP = slice(5, LEVELS)  # the levels that makers alone fill
LEAN = 0.6826  # E[min(1, |z|) |z|] of a normal z: what takers earn who lean fully at one deviation
MOST_TILT = 0.3  # more would make runs of one side that recordings do not have
MOST_LEARNING = 1e-3
FORGOTTEN_S = 120.0  # in which the market forgets what takers taught it: the literature's, a recording cannot tell
DAMPING = 0.7
RESTING = 3.0  # limit orders at the best price of a side, besides the makers'
FLEETING, WAKE = 2.5, 5  # a second: how fast orders leave that lie up to five ticks behind the best price
MOST_LIMITS = 20.0
SPREAD, CHANGES = "mean spread, ticks", "changes of the best prices a second"
TOUCH_USD, DEEP_USD = "depth at the best price, USD", "depth at levels 6-20, USD each"
ORDERS, SLOW = "market orders a minute", "volatility at 10-30 s, bp per root minute"
QUICK, RESPONSE = "volatility at 0.5 s over that", "response to a market order after 5 s, bp"


class Aim(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of the recording that the terms are corrected for, and what the simulation had in the end."""

    name: str
    recorded: float
    simulated: float


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


def calibrate(
    seen: Observed, rng: np.random.Generator, *, anchor: Observed | None = None, rounds: int = 6, hours: float = 3.0
) -> Calibration:
    """The whole. ``rounds`` of correction by ``hours`` of simulation each (0: none).

    Raises ValueError where the recording is too short or too empty to estimate a part.
    """
    check(seen)
    takers = fit_takers(seen, rng)
    orders = seen.orders_taken()
    sizes = fit_sizes(seen.prices(orders["tick"]) * orders["lots"] * seen.grid.lot)
    wanted = aims(seen)
    chase = pursuit(INTERVALS_S, variances(seen))
    rates = distance_rates(seen)
    regimes = _regimes(seen)
    lead = lead_lag(seen, anchor) if anchor is not None else None
    terms = first_terms(seen, takers, sizes, rates, chase, regimes, lead)
    block_ns = max(1_000_000, int(takers.block_s * 1e9))
    had: dict[str, float] = {}
    for turn in range(rounds + 1):
        had = aims(simulate(terms, hours, int(rng.integers(1 << 31)), block_ns=block_ns))
        if turn < rounds:
            terms = corrected(terms, wanted, had)
    return Calibration(
        name=seen.name,
        seconds=seen.seconds,
        takers=takers,
        sizes=sizes,
        rates=rates,
        pursuit=chase,
        regimes=regimes,
        anchor=lead,
        aims=tuple(Aim(name=name, recorded=wanted[name], simulated=had[name]) for name in wanted),
        terms=terms,
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


def first_terms(
    seen: Observed,
    takers: TakerFit,
    sizes: SizeFit,
    rates: DistanceRates | None,
    chase: Pursuit,
    regimes: Regimes | None,
    lead: LeadLag | None,
) -> FlowTerms:
    """Terms from the parts, before any simulation."""
    px = float(np.median(seen.mids()))
    figures = aims(seen)
    deep, touch = figures[DEEP_USD], figures[TOUCH_USD]
    extra = max(0.05 * deep, touch - 0.4 * deep)
    rate = _touch(seen, takers)
    pull = chase.volatility * math.sqrt(0.5 * chase.lag_s) * 1e4  # bp: deviation of value from the makers' belief
    lean = figures[RESPONSE] / max(LEAN * pull, 1e-9)
    best = takers.alike if takers.alike.prefers_hawkes else None
    flat = sum(takers.alike.counts) / takers.alike.horizon_s / 2.0
    return FlowTerms(
        grid=seen.grid,
        arrivals=Arrivals(mu=best.mu, alpha=best.alpha, beta=best.beta) if best else Arrivals.poisson(flat),
        takers=Takers(
            size=Size.of_median(sizes.median, sizes.sigma, sizes.largest),
            tilt=min(MOST_TILT, max(0.0, 0.5 * lean)),
            tilt_scale=max(pull / 1e4, 1e-7),
            reach=LEVELS - 2,
        ),
        limits=(rate,),
        limits_join=True,
        limit_size=Size.of_median(extra / RESTING / math.exp(0.5), 1.0, 20.0 * extra),
        cancels=_cancels(rate, figures[SPREAD], rates),
        makers=Makers(
            levels=LEVELS,
            level_size=deep,
            parts=3.0,
            spread=max(1.0, figures[SPREAD] / 1.06),
            lag=chase.lag_s,
            learning=max(0.0, 0.5 * figures[RESPONSE] * 1e-4 / math.exp(sizes.sigma**2 / 8.0)),
            learning_size=sizes.median,
        ),
        value=_value(px, chase, regimes, lead),
        step_ns=_step(1e9 / figures[CHANGES]),
    )


def _touch(seen: Observed, takers: TakerFit) -> float:
    """Limit orders a second at the best price of a side.

    Best prices change ``(1 - exp(-r b)) / b`` times a second where r things happen in it and blocks last b; takers are
    some of these, and each limit order is two, its coming and its going.
    """
    block = max(takers.block_s, 1e-3)
    changes = float((np.diff(seen.quotes["ns"]) > 0).sum()) / seen.seconds
    happen = -math.log(max(1e-3, 1.0 - changes * block)) / block
    return max(0.05, (happen - sum(takers.alike.counts) / seen.seconds) / 4.0)


def _step(ns: float) -> int:
    """How often makers act: they move the best prices too."""
    return int(min(STEPS_NS[1], max(STEPS_NS[0], ns)))


def _cancels(rate: float, spread: float, rates: DistanceRates | None) -> tuple[float, ...]:
    """The rate at which an order leaves: where the best price is, in its wake, and further off.

    Orders at the best price stay long enough that `RESTING` of them are there; those that the price has left behind go
    soon; further off as was seen.
    """
    leaving = [x for x in rates.leaving[10:30] if x > 0.0] if rates is not None else []
    far = min(FLEETING, float(np.median(leaving))) if leaving else 0.1
    return (rate / RESTING,) * max(1, round(spread)) + (FLEETING,) * WAKE + (far,)


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


def variances(seen: Observed) -> Floats:
    """Of log-price changes over `INTERVALS_S`."""
    out = []
    for step in INTERVALS_S:
        ns = np.arange(seen.begin_ns, seen.end_ns, int(step * 1e9), dtype=np.int64)
        out.append(float(np.mean(np.diff(np.log(seen.mid_at(ns))) ** 2)))
    return np.array(out)


def aims(seen: Observed) -> dict[str, float]:
    """The figures that terms are corrected for."""
    ns = np.arange(seen.begin_ns, seen.end_ns, 1_000_000_000, dtype=np.int64)
    at = np.maximum(np.searchsorted(seen.quotes["ns"], ns, side="right") - 1, 0)
    worth = (seen.mid_at(np.ascontiguousarray(seen.depth["ns"])) * seen.grid.lot)[:, None]
    depth = (0.5 * (seen.depth["bid_lots"] + seen.depth["ask_lots"]) * worth).mean(axis=0)
    orders = seen.orders_taken()
    orders = orders[(orders["ns"] >= seen.begin_ns) & (orders["ns"] + int(5e9) <= seen.end_ns)]
    when = np.ascontiguousarray(orders["ns"])
    moves = np.log(seen.mid_at(when + int(5e9))) - np.log(seen.mid_at(when - 1))
    root = np.sqrt(variances(seen) / INTERVALS_S * 60.0) * 1e4
    slow = float(np.mean(root[-3:]))
    return {
        SPREAD: float((seen.quotes["ask"] - seen.quotes["bid"])[at].mean()),
        CHANGES: float((np.diff(seen.quotes["ns"]) > 0).sum()) / seen.seconds,
        TOUCH_USD: float(depth[0]),
        DEEP_USD: float(depth[DEEP].mean()),
        ORDERS: len(orders) / max(1.0, seen.seconds - 5.0) * 60.0,
        SLOW: slow,
        QUICK: float(root[1]) / slow,
        RESPONSE: float((orders["side"] * moves).mean()) * 1e4 if len(orders) else 0.0,
    }


def corrected(terms: FlowTerms, wanted: dict[str, float], had: dict[str, float]) -> FlowTerms:
    """Terms moved towards what is wanted, each figure by how far the one it is there for was missed."""
    by: dict[str, float] = {}
    for name, want in wanted.items():
        miss = want / had[name] if had[name] > 0.0 and want > 0.0 else 1.0
        by[name] = min(4.0, max(0.25, miss)) ** DAMPING
    often = math.sqrt(by[CHANGES])
    replace = msgspec.structs.replace
    makers, value = terms.makers, terms.value
    size, pace, near = by[TOUCH_USD], by[ORDERS], len(terms.cancels) - WAKE - 1
    return replace(
        terms,
        arrivals=replace(terms.arrivals, mu=tuple(mu * pace for mu in terms.arrivals.mu)),
        limits=tuple(min(MOST_LIMITS, rate * often) for rate in terms.limits),
        cancels=tuple(rate * often if at < near else rate for at, rate in enumerate(terms.cancels)),
        limit_size=replace(terms.limit_size, mean=terms.limit_size.mean * size, cap=terms.limit_size.cap * size),
        makers=replace(
            makers,
            level_size=makers.level_size * by[DEEP_USD],
            spread=max(0.5, makers.spread * by[SPREAD]),
            lag=min(10.0, max(0.02, makers.lag / by[QUICK])),
            learning=min(MOST_LEARNING, makers.learning * by[RESPONSE]),
        ),
        value=replace(value, volatility=value.volatility * by[SLOW]),
        step_ns=_step(terms.step_ns / often),
    )
