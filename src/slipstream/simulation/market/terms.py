"""What a reactive market is made of, and the record that compiled code runs on.

Rates are per second, prices and sizes in quote currency or lots as said, volatilities of log prices. Every part may be
left out: without makers and value, limit orders, cancels and takers alone are the market of Cont, Stoikov and Talreja.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np

from slipstream.lob.flow import draws
from slipstream.lob.flow.hawkes import load_hawkes
from slipstream.lob.flow.placement import set_cancels, set_limits
from slipstream.lob.flow.record import LATEST, new_flows
from slipstream.lob.flow.sizes import quantile_mean, size_terms
from slipstream.model.errors import ConfigError

SECOND = 1_000_000_000


class Grid(msgspec.Struct, frozen=True, kw_only=True):
    """Prices and sizes of a market: the venue's five-figure grid, or a linear one of ``tick_size`` if that is set.

    ``lot`` is in coins.
    """

    lot: float
    decimals: int = 0
    tick_size: float = 0.0


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """A log-normal size by its mean and coefficient of variation, or a law by ``quantiles`` (`lob.flow.sizes`: points
    (share, size)), which then alone counts. Cut at ``cap`` (0: not); lots, or quote currency.
    """

    mean: float = 1.0
    cv: float = 0.0
    cap: float = 0.0
    quote: bool = False
    quantiles: tuple[tuple[float, float], ...] = ()

    @classmethod
    def of_quantiles(cls, quantiles: tuple[tuple[float, float], ...]) -> Size:
        """The law in quote currency that these points are. Raises ValueError that names a point that is wrong."""
        return cls(mean=quantile_mean(quantiles), quote=True, quantiles=quantiles)

    def times(self, factor: float) -> Size:
        """The same law of sizes that are so many times as large."""
        return msgspec.structs.replace(
            self,
            mean=self.mean * factor,
            cap=self.cap * factor,
            quantiles=tuple((share, size * factor) for share, size in self.quantiles),
        )

    @classmethod
    def of_median(cls, median: float, sigma: float, cap: float = 0.0) -> Size:
        """The size in quote currency whose logarithm has that deviation around the median's."""
        variance = sigma * sigma
        return cls(mean=median * math.exp(variance / 2.0), cv=math.sqrt(math.expm1(variance)), cap=cap, quote=True)


class Arrivals(msgspec.Struct, frozen=True, kw_only=True):
    """Self-exciting arrivals (`slipstream.lob.flow.hawkes`): takers that buy, that sell, and perhaps limit orders that
    bid and ask, cancels of bids and of asks, in that order; ``mu`` says how many kinds there are.

    ``alpha[i][j]`` is what an arrival of kind j adds to the rate of kind i, ``beta[i][j]`` how fast it fades.
    """

    mu: tuple[float, ...] = (0.0, 0.0)
    alpha: tuple[tuple[float, ...], ...] = ((0.0, 0.0), (0.0, 0.0))
    beta: tuple[tuple[float, ...], ...] = ((1.0, 1.0), (1.0, 1.0))

    @classmethod
    def poisson(cls, rate: float) -> Arrivals:
        """Takers of either side at a constant rate."""
        return cls(mu=(rate, rate))


class Takers(msgspec.Struct, frozen=True, kw_only=True):
    """Those who take. ``informed`` is the share that knows the value and trades only where the book is wrong by more
    than ``cost`` (a fraction); the others lean to where the leader goes by up to ``tilt``, fully at ``tilt_scale``.

    ``reach``: ticks beyond the touch a market order goes, 0 for any. ``sell_size``: what sellers take, if not as much.
    """

    size: Size = Size()
    sell_size: Size | None = None
    informed: float = 0.0
    cost: float = 0.0
    tilt: float = 0.0
    tilt_scale: float = 2e-4
    reach: int = 0


class Makers(msgspec.Struct, frozen=True, kw_only=True):
    """A ladder of ``levels`` a side, each full at ``level_size`` (quote currency), filled by up to ``parts`` orders.

    With a law of their single orders, ``order``, the first ``fine`` levels are filled by such orders instead: what
    takers trade with then is as many orders as there would be. ``touch`` (quote currency) is what they keep at the best
    price on average, ``touch_varies`` (0..1) of it drawn anew when that changes; 0: always a share of ``level_size``.

    Each step quotes about ``spread`` ticks, or what it draws from the law ``spreads`` (ticks): tight for the most part
    and now and then wide. What makers believe is ``delay_ns`` old and follows with an exponential lag of ``lag``
    seconds. A taker of ``learning_size`` (quote currency) moves the local premium by ``learning``, another by the root
    of its share of that; the premium forgets it within the value's ``basis_seconds``.
    """

    levels: int = 0
    level_size: float = 0.0
    parts: float = 1.0
    spreads: Size | None = None
    order: Size | None = None
    fine: int = 6
    touch: float = 0.0
    touch_varies: float = 0.0
    spread: float = 1.0  # ticks
    lag: float = 0.0
    delay_ns: int = 0
    learning: float = 0.0
    learning_size: float = 1_000.0


class Value(msgspec.Struct, frozen=True, kw_only=True):
    """What the coin is worth. The leader is its price on the leading exchange, the local market's premium over it
    reverts to ``basis_mean`` within ``basis_seconds``.

    Volatilities are per square root of a second; ``factor_volatility`` is the part that coins share. Regimes are calm
    and wild: mean stays in seconds (0: for ever) and multipliers of volatility and of every rate.
    """

    px: float = 0.0
    volatility: float = 0.0
    factor_volatility: float = 0.0
    basis_mean: float = 0.0
    basis_sd: float = 0.0
    basis_seconds: float = 0.0
    regime_seconds: tuple[float, float] = (0.0, 0.0)
    regime_volatility: tuple[float, float] = (1.0, 1.0)
    regime_activity: tuple[float, float] = (1.0, 1.0)


class FlowTerms(msgspec.Struct, frozen=True, kw_only=True):
    """One reactive market.

    ``limits``: rates of limit orders (one side) by distance 1, 2, ... from the other side's best; with ``limits_join``
    by distance 0, 1, ... from their own side's. ``cancels``: the rate at which each resting order leaves by distance
    1, 2, ... from the other side's best, the last for all beyond. ``step_ns``: how often the value moves and makers
    act. ``open_bid``, ``open_ask``: where an empty book without makers is thought to stand, ticks.
    """

    grid: Grid
    arrivals: Arrivals = Arrivals()
    takers: Takers = Takers()
    limits: tuple[float, ...] = ()
    limits_join: bool = False
    limit_size: Size = Size()
    cancels: tuple[float, ...] = ()
    makers: Makers = Makers()
    value: Value = Value()
    step_ns: int = 0
    open_bid: int = -1
    open_ask: int = -1


def flow_record(terms: FlowTerms, seed: int, place: int = 0) -> Any:
    """A one-element array of the flow's record, not begun yet. Raises ConfigError that names the figure.

    ``place`` tells markets of one seed apart; regimes and the factor are common to all of a seed.
    """
    flows = new_flows()
    try:
        _fill(flows[0], terms, seed, place)
    except ValueError as error:
        raise ConfigError(f"reactive market: {error}") from error
    return flows


def _fill(s: Any, terms: FlowTerms, seed: int, place: int) -> None:
    _check(terms)
    s["rng"] = draws.stream(seed, 2 * place)
    s["decimals"] = -1 if terms.grid.tick_size > 0.0 else terms.grid.decimals
    s["tick_size"], s["lot"] = terms.grid.tick_size, terms.grid.lot
    s["last_bid"], s["last_ask"] = terms.open_bid, terms.open_ask
    s["step_ns"] = terms.step_ns
    load_hawkes(s["arrivals"], terms.arrivals.mu, terms.arrivals.alpha, terms.arrivals.beta, seed * 1_000 + place)
    takers = terms.takers
    s["take_size"], s["sell_size"] = _size(takers.size), _size(takers.sell_size or takers.size)
    s["informed"], s["cost"], s["take_reach"] = takers.informed, takers.cost, takers.reach
    s["tilt"], s["tilt_scale"] = takers.tilt, takers.tilt_scale
    s["limit_size"] = _size(terms.limit_size)
    if terms.limits:
        set_limits(s, terms.limits, own=terms.limits_join)
    if terms.cancels:
        set_cancels(s, terms.cancels)
    makers = terms.makers
    s["ladder"], s["level_size"], s["parts"] = makers.levels, makers.level_size, makers.parts
    if makers.spreads is not None:
        s["spreads"] = _size(makers.spreads)
    s["touch"], s["touch_varies"] = makers.touch, makers.touch_varies
    if makers.order is not None:
        s["fine"], s["make_size"] = makers.fine, _size(makers.order)
    s["spread"], s["lag"] = makers.spread, makers.lag
    s["learning"], s["learning_size"] = makers.learning, makers.learning_size
    s["delay_steps"] = -(-makers.delay_ns // terms.step_ns) if makers.delay_ns else 0
    s["regime_activity"] = terms.value.regime_activity
    write_value(s["value"], terms.value, seed, place)
    if terms.value.px > 0.0:
        s["fair"] = s["value"]["leader"] + s["value"]["basis"]
        s["unit"] = math.exp(s["fair"]) * terms.grid.lot


def write_value(v: Any, value: Value, seed: int, place: int) -> None:
    """Write a value into its record; regimes and the factor are those of every market of the seed."""
    v["rng"] = draws.stream(seed, 2 * place + 1)
    v["regime_rng"], v["factor_rng"] = draws.stream(seed, -2), draws.stream(seed, -3)
    v["leader"] = math.log(value.px) if value.px > 0.0 else 0.0
    v["basis"] = v["basis_mean"] = value.basis_mean
    for name in ("volatility", "factor_volatility", "basis_sd", "basis_seconds"):
        v[name] = getattr(value, name)
    v["regime_seconds"], v["regime_volatility"] = value.regime_seconds, value.regime_volatility


def _size(size: Size) -> Any:
    return size_terms(size.mean, size.cv, cap=size.cap, quote=size.quote, quantiles=size.quantiles)


def _check(terms: FlowTerms) -> None:
    """Raises ValueError for what no other function checks."""
    makers, value, takers = terms.makers, terms.value, terms.takers
    numbers = {
        "the lot": (terms.grid.lot, 0.0, math.inf, False),
        "takers' informed share": (takers.informed, 0.0, 1.0, True),
        "takers' tilt": (takers.tilt, 0.0, 1.0, True),
        "takers' tilt_scale": (takers.tilt_scale, 0.0, math.inf, False),
        "takers' cost": (takers.cost, 0.0, 1.0, True),
        "makers' lag": (makers.lag, 0.0, math.inf, True),
        "makers' touch": (makers.touch, 0.0, math.inf, True),
        "makers' touch_varies": (makers.touch_varies, 0.0, 1.0, True),
        "makers' fine levels": (makers.fine, 0, math.inf, True),
        "makers' learning": (makers.learning, 0.0, 0.01, True),
        "makers' learning_size": (makers.learning_size, 0.0, math.inf, False),
        "value's volatility": (value.volatility, 0.0, math.inf, True),
        "value's basis_seconds": (value.basis_seconds, 0.0, math.inf, True),
        **{f"regime {i}'s stay": (value.regime_seconds[i], 0.0, math.inf, True) for i in (0, 1)},
        **{f"regime {i}'s activity": (value.regime_activity[i], 0.0, math.inf, True) for i in (0, 1)},
    }
    for name, (number, low, high, closed) in numbers.items():
        if not (low <= number if closed else low < number) or not number <= high or not math.isfinite(number):
            raise ValueError(f"{name} is {number}: it must lie between {low:g} and {high:g}")
    if terms.step_ns < 0 or makers.levels < 0 or makers.delay_ns < 0 or takers.reach < 0:
        raise ValueError("step_ns, makers' levels and delay_ns and takers' reach must not be negative")
    if makers.levels and not (terms.step_ns and value.px > 0.0 and makers.level_size > 0.0):
        raise ValueError("makers need a step_ns, a value with a price, and a level_size")
    if makers.delay_ns and (not terms.step_ns or makers.delay_ns > (LATEST - 1) * terms.step_ns):
        raise ValueError(f"makers' delay_ns is {makers.delay_ns}: at most {LATEST - 1} steps of {terms.step_ns} ns")
    if makers.learning > 0.0 and not (value.px > 0.0 and terms.step_ns and value.basis_seconds > 0.0):
        raise ValueError("makers' learning needs a value with a price and basis_seconds, and a step_ns")
    if takers.informed > 0.0 and not (value.px > 0.0 and terms.step_ns):
        raise ValueError("informed takers need a value with a price, and a step_ns")


def cont_stoikov_talreja(levels: int = 60, mid: int = 743) -> FlowTerms:
    """The market of Cont, Stoikov and Talreja (2010), as estimated there for a stock: unit orders, rates a minute.

    Limit orders beyond five ticks come at 1.92 / i^0.52; an empty book is thought to stand around tick ``mid``.
    """
    near = (1.85, 1.51, 1.09, 0.88, 0.77)
    rates = np.array([near[i - 1] if i <= len(near) else 1.92 / i**0.52 for i in range(1, levels + 1)]) / 60.0
    return FlowTerms(
        grid=Grid(lot=1.0, tick_size=1.0),
        arrivals=Arrivals.poisson(0.94 / 60.0),
        limits=tuple(rates.tolist()),
        cancels=tuple(theta / 60.0 for theta in (0.71, 0.81, 0.68, 0.56, 0.47)),
        open_bid=mid - 1,
        open_ask=mid,
    )
