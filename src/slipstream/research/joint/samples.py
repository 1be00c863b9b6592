"""Targets and features of one horizon at every decision: price, funding, and the normalised recipe beside them.

Money units: log return and funding paid by a long, both fractions of the notional over the SAME H hours. The price
target is what is left after the market: return less beta times the factor portfolio's return, with beta and portfolio
as they stood at the decision. The factor is estimated on bars of H hours, one series of them for each of the places in
an H-hour cycle that a decision can have. Reference: mathematical specification, sections 9.5, 9.6 and 12.

A coin has features only where somebody traded it in every bar of the last day: a price that nobody paid is no price,
and a rate that nobody pays is no money. What is known at the decision says so, nothing later.
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
    """How samples are made. Hours for funding, H-hour bars for price; ``bound`` limits the normalised recipe.

    ``traded_hours``: a coin is left out unless it traded in every bar of so many hours; 0 keeps all that have a bar.
    """

    window: int = 30
    weight_method: WeightMethod = "sqrt_dollar"
    traded_hours: int = 24
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


class FundingSamples(NamedTuple):
    """Funding alone: what a long pays in the next H hours (T, N), its features (spans, T, N), the last rate H times."""

    paid: Array
    features: Array
    last_rate: Array


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


def traded(panel: Panel, hours: int) -> npt.NDArray[np.bool_]:
    """Where a coin (T, N) has a return and volume in each of the bars of the last ``hours`` (0: in none of them)."""
    alive = np.isfinite(panel.returns)
    if hours < 0:
        raise ValueError(f"traded_hours {hours} must not be negative")
    if hours == 0:
        return alive
    bars = -(-hours // panel.hours)
    quiet = trailing((np.nan_to_num(panel.volume_usd) <= 0.0).astype(np.float64), bars)
    found: npt.NDArray[np.bool_] = alive & (quiet == 0.0)
    return found


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
    funding = funding_samples(panel, horizon, terms)
    return Samples(
        horizon=horizon,
        width=width,
        price=total - found.beta * market[:, None],
        total=total,
        paid=funding.paid,
        price_features=np.where(traded(panel, terms.traded_hours), momentum, np.nan),
        funding_features=funding.features,
        last_rate=funding.last_rate,
        beta=found.beta,
    )


def funding_samples(panel: Panel, horizon: int, terms: SampleTerms) -> FundingSamples:
    """The half that needs no market factor."""
    features = panel.at_decisions(
        forecast.ewma_features(panel.rates, terms.funding_spans, warm_up=terms.funding_warm_up)
    )
    tradable = traded(panel, terms.traded_hours)
    last = panel.at_decisions(forecast.last_rate(panel.rates, horizon))
    return FundingSamples(
        paid=panel.at_decisions(forecast.carry(panel.rates, horizon)),
        features=np.where(tradable, features, np.nan),
        last_rate=np.where(tradable & np.isfinite(features[0]), last, np.nan),
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
