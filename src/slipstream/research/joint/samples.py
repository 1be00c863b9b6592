"""Targets and features of one horizon at every decision: price, funding, and the normalised recipe beside them.

Money units: log return and funding paid by a long, both fractions of the notional over the SAME H hours. The price
target is what is left after the market: return less beta times the factor portfolio's return, with beta and portfolio
as they stood at the decision. The factor is estimated on bars of H hours, one series of them for each of the places in
an H-hour cycle that a decision can have. Reference: mathematical specification, sections 9.5, 9.6 and 12.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from slipstream.core.factors.market import RollingFactor, rolling_factor
from slipstream.core.factors.timescale import ahead, trailing
from slipstream.core.factors.weights import WeightMethod, liquidity_weights
from slipstream.core.funding import forecast
from slipstream.core.funding.settlement import BASE_HOURLY
from slipstream.core.signals.idiosyncratic import SPANS, idiosyncratic_momentum
from slipstream.core.signals.volatility import ewma
from slipstream.research.joint.panel import Panel

Array = npt.NDArray[np.float64]


class SampleTerms(msgspec.Struct, frozen=True, kw_only=True):
    """How samples are made. Hours for funding, H-hour bars for price; ``bound`` limits the normalised recipe."""

    window: int = 30
    weight_method: WeightMethod = "sqrt"
    price_spans: tuple[int, ...] = SPANS
    funding_spans: tuple[int, ...] = forecast.SPANS
    funding_warm_up: int = 128
    volatility_hours: int = 128
    bound: float = 10.0


class Samples(NamedTuple):
    """Arrays (T, N), features (spans, T, N). ``price`` is the residual return of the next H hours and ``total`` the
    whole one; ``paid`` the funding of a long in them.
    """

    horizon: int
    width: int
    price: Array
    total: Array
    paid: Array
    price_features: Array
    funding_features: Array
    last_rate: Array
    beta: Array


class Normalised(NamedTuple):
    """The same in each coin's own volatilities: no profit, since price and funding are divided by different numbers."""

    price: Array
    paid: Array
    funding_features: Array
    last_rate: Array
    constant: Array


def factor_by_phase(panel: Panel, width: int, terms: SampleTerms) -> RollingFactor:
    """The rolling factor of bars of ``width`` rows at every decision (as if each were the end of the history)."""
    returns = trailing(panel.returns, width)
    weights = window_weights(panel, width * terms.window, terms.weight_method)
    shapes = [returns.shape, returns.shape, returns.shape[:1], returns.shape, returns.shape, returns.shape[:1]]
    out = RollingFactor(*(np.full(shape, np.nan) for shape in shapes))
    for phase in range(width):
        found = rolling_factor(returns[phase::width], weights[phase::width], terms.window)
        for whole, part in zip(out, found, strict=True):
            whole[phase::width] = part
    return out


def window_weights(panel: Panel, rows: int, method: WeightMethod) -> Array:
    """Weights by the mean volume of a row over the last ``rows`` (fewer at the beginning)."""
    count = np.minimum(np.arange(1, len(panel.stamps) + 1), rows)[:, None]
    base, usd = (_recent(volume, rows) / count for volume in (panel.volume_base, panel.volume_usd))
    return liquidity_weights(base, usd, method)


def _recent(volume: Array, rows: int) -> Array:
    total = np.cumsum(np.nan_to_num(volume), axis=0)
    total[rows:] = total[rows:] - total[:-rows]
    return np.maximum(total, 0.0)


def samples(panel: Panel, horizon: int, terms: SampleTerms) -> Samples:
    """All of one horizon. Raises ValueError where it is not a whole number of bars."""
    width = panel.width(horizon)
    found = factor_by_phase(panel, width, terms)
    momentum = np.full((len(terms.price_spans), *panel.returns.shape), np.nan)
    for phase in range(width):
        momentum[:, phase::width] = idiosyncratic_momentum(found.residual[phase::width], terms.price_spans)
    total = ahead(panel.returns, width)
    # a coin that stops within the horizon leaves the factor's return by its part, not the whole of it
    market = np.nansum(found.portfolio * total, axis=1)
    features = panel.at_decisions(
        forecast.ewma_features(panel.rates, terms.funding_spans, warm_up=terms.funding_warm_up)
    )
    tradable = np.isfinite(panel.returns)
    return Samples(
        horizon=horizon,
        width=width,
        price=total - found.beta * market[:, None],
        total=total,
        paid=panel.at_decisions(forecast.carry(panel.rates, horizon)),
        price_features=momentum,
        funding_features=np.where(tradable, features, np.nan),
        last_rate=np.where(
            tradable & np.isfinite(features[0]), panel.at_decisions(forecast.last_rate(panel.rates, horizon)), np.nan
        ),
        beta=found.beta,
    )


def normalised(panel: Panel, sample: Samples, terms: SampleTerms) -> Normalised:
    """The recipe that reports R² in sigmas: funding of bars over its EWMA deviation, held within ``bound``.

    The deviation is about the EWMA mean, so it is almost nothing for a coin whose rate stands still: its funding is
    then ``bound`` sigmas, and even a constant forecast scores high. That is why it is a diagnostic and no more.
    """
    rate = trailing(panel.rates, panel.hours)
    bars = panel.at_decisions(rate)
    alpha = 2.0 / (terms.volatility_hours / panel.hours + 1.0)
    mean = ewma(bars, alpha)
    deviation = np.sqrt(np.maximum(ewma(bars * bars, alpha) - mean * mean, 0.0))
    deviation = np.where(np.isfinite(bars) & (deviation > 1e-12), deviation, np.nan)

    def bounded(x: Array) -> Array:
        return np.clip(x / deviation, -terms.bound, terms.bound)

    # rates are quoted for 8 hours; features are of one such quote, whatever the horizon
    quote = bounded(8.0 / panel.hours * bars)
    spans = np.stack([ewma(quote, 2.0 / (span + 1.0)) for span in terms.price_spans])
    moves = np.sqrt(ewma(panel.returns**2, alpha) * sample.width)
    return Normalised(
        price=np.clip(sample.price / np.where(moves > 0.0, moves, np.nan), -terms.bound, terms.bound),
        paid=bounded(sample.paid),
        funding_features=np.where(np.isfinite(quote), spans, np.nan),
        last_rate=bounded(sample.width * bars),
        constant=bounded(np.full_like(bars, sample.horizon * BASE_HOURLY)),
    )
