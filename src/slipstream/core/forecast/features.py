"""Features of every coin after each closed bar: the one computation that training, backtest and live pod share.

- Price: EWMA momentum, over several spans, of what the market factor leaves of a coin's bar return. Factor and betas
  are those of the last ``window`` bars of the holding period, the newest ending with the bar itself.
- Funding: EWMAs of the mean hourly rate paid in a bar (a fraction of the notional, positive: longs pay).

A missing bar or rate changes no average; a coin without the newest one has no feature. Nothing looks ahead.
Reference: mathematical specification, sections 9.5, 9.6, 9.7 and 12.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from slipstream.core.factors.covariance import FactorCovariance, factor_covariance
from slipstream.core.factors.market import market_factor
from slipstream.core.factors.timescale import aggregate, bars_in
from slipstream.core.factors.weights import WeightMethod, liquidity_weights

Array = npt.NDArray[np.float64]
BOUND = 5.0  # of a momentum, in its own standard deviations
LEAST = 3  # coins that make a market


class FeatureSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What features are. Spans, ``vol_span`` and ``warm_up`` count bars; ``window`` counts bars of the horizon."""

    bar_hours: int = 4
    horizon_hours: int = 24
    window: int = 30
    price_spans: tuple[int, ...] = (2, 4, 8, 16, 32)
    funding_spans: tuple[int, ...] = (1, 2, 6, 18, 42)
    vol_span: int = 64
    warm_up: int = 6
    weight_method: WeightMethod = "sqrt_dollar"

    def __post_init__(self) -> None:
        bars_in(self.horizon_hours, self.bar_hours)
        spans = (*self.price_spans, *self.funding_spans, self.vol_span)
        if not self.price_spans or not self.funding_spans or min(spans) < 1 or self.warm_up < 1 or self.window < 5:
            raise ValueError("features need spans and a warm-up of at least 1 bar, and a window of at least 5 horizons")

    @property
    def width(self) -> int:
        """Bars in the horizon."""
        return bars_in(self.horizon_hours, self.bar_hours)

    @property
    def history(self) -> int:
        """Bars of returns that the factor is estimated on."""
        return self.window * self.width

    @property
    def names(self) -> tuple[str, ...]:
        """Features in the order of a model's coefficients: price's, then funding's."""
        price = [f"momentum_{span}" for span in self.price_spans]
        return (*price, *(f"funding_{span}" for span in self.funding_spans))

    @property
    def hash(self) -> str:
        """What tells two specifications apart."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()[:16]


class Market(msgspec.Struct, frozen=True):
    """The market as of the newest bar. ``known`` (N,) says who belongs to it; ``beta`` and ``portfolio`` (N,) are NaN
    and 0 for the others; ``moves`` (window, known) are the horizons' returns that they were estimated on.
    """

    known: npt.NDArray[np.bool_]
    beta: Array
    portfolio: Array
    weights: Array
    moves: Array

    def covariance(self, shrink: float = 0.25) -> FactorCovariance:
        """Of the known coins, over one horizon. Raises ValueError."""
        return factor_covariance(self.moves, self.weights, shrink=shrink)


class Features:
    """Running features of N coins."""

    def __init__(self, coins: Sequence[str], spec: FeatureSpec) -> None:
        self.coins = tuple(coins)
        self.spec = spec
        n = len(self.coins)
        self.bars = 0
        self.market: Market | None = None
        self.last_return = np.full(n, np.nan)
        self.last_rate = np.full(n, np.nan)
        self._close = np.full(n, np.nan)
        self._returns = np.full((spec.history, n), np.nan)
        self._volumes = np.zeros((spec.history, n))
        self._residual = np.full(n, np.nan)
        self._mean = np.full((len(spec.price_spans), n), np.nan)
        self._square = np.full(n, np.nan)
        self._rate = np.full((len(spec.funding_spans), n), np.nan)
        self._heard = np.zeros(n, dtype=np.int64)

    def update(self, closes: Array, volumes_usd: Array, rates: Array) -> None:
        """One closed bar: close, traded USD and mean hourly funding rate by coin, shape (N,); NaN where there is none.

        A return spans one bar: after a gap the first close makes none.
        """
        seen = np.isfinite(closes) & (closes > 0.0)
        price = np.where(seen, closes, np.nan)
        self.last_return = np.log(price / self._close)
        self._close = price
        for table, row in ((self._returns, self.last_return), (self._volumes, np.nan_to_num(volumes_usd))):
            table[:-1] = table[1:]
            table[-1] = row
        self.bars += 1
        self.market = self._estimate() if self.bars > self.spec.history else None
        self._residual = np.full(len(self.coins), np.nan)
        if self.market is not None:
            market = float(self.market.portfolio @ np.nan_to_num(self.last_return))
            self._residual = self.last_return - self.market.beta * market
        for row, span in zip(self._mean, self.spec.price_spans, strict=True):
            _blend(row, self._residual, 2.0 / (span + 1.0))
        _blend(self._square, self._residual**2, 2.0 / (self.spec.vol_span + 1.0))
        self.last_rate = np.where(seen & np.isfinite(rates), rates, np.nan)
        for row, span in zip(self._rate, self.spec.funding_spans, strict=True):
            _blend(row, self.last_rate, 2.0 / (span + 1.0))
        self._heard += np.isfinite(self.last_rate)

    def _estimate(self) -> Market | None:
        known = np.isfinite(self._returns).all(axis=0)
        usd = self._volumes.mean(axis=0)
        if self.spec.weight_method == "sqrt":
            base = np.divide(usd, self._close, out=np.zeros_like(usd), where=known)
        else:
            base = usd
        known &= usd > 0.0
        moves = aggregate(self._returns[:, known], self.spec.width)
        if known.sum() < LEAST or not (moves.std(axis=0) > 0.0).any():
            return None
        weights = liquidity_weights(base[known], usd[known], self.spec.weight_method)
        found = market_factor(moves, weights)
        beta, portfolio = np.full(len(known), np.nan), np.zeros(len(known))
        beta[known], portfolio[known] = found.beta, found.portfolio
        return Market(known, beta, portfolio, weights, moves)

    def price(self) -> Array:
        """Price features, (spans, N); NaN for a coin without a residual of the newest bar."""
        out = np.full(self._mean.shape, np.nan)
        sd = np.sqrt(self._square)
        good = np.isfinite(self._residual) & (sd > 0.0)
        for row, mean, span in zip(out, self._mean, self.spec.price_spans, strict=True):
            a = 2.0 / (span + 1.0)
            row[good] = np.clip(mean[good] / (sd[good] * np.sqrt(a / (2.0 - a))), -BOUND, BOUND)
        return out

    def funding(self) -> Array:
        """Funding features, (spans, N), a rate an hour; NaN until a coin has ``warm_up`` rates, or lacks the newest."""
        ready = np.isfinite(self.last_rate) & (self._heard >= self.spec.warm_up)
        return np.where(ready, self._rate, np.nan)

    def warmed(self) -> int:
        """How many coins have heard enough of funding."""
        return int((self._heard >= self.spec.warm_up).sum())

    def daily_usd(self) -> Array:
        """Mean traded USD a day over the last week of bars, (N,)."""
        day = round(24 / self.spec.bar_hours)
        held = max(1, min(self.bars, 7 * day, len(self._volumes)))
        out: Array = self._volumes[-held:].mean(axis=0) * day
        return out

    def sigma_day(self) -> Array:
        """A day's volatility over the factor's window, (N,); 0 where nothing is known."""
        total = np.nan_to_num(self._returns**2).sum(axis=0)
        count = np.maximum(np.isfinite(self._returns).sum(axis=0), 1)
        out: Array = np.sqrt(total / count * (24.0 / self.spec.bar_hours))
        return out


def _blend(average: Array, values: Array, alpha: float) -> None:
    """``e <- e + alpha (x - e)`` in place; the first value starts it, NaN leaves it."""
    known = np.isfinite(values)
    fresh = known & ~np.isfinite(average)
    going = known & ~fresh
    average[fresh] = values[fresh]
    average[going] += alpha * (values[going] - average[going])
