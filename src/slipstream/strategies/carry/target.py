"""From bars and rates to weights: the one computation that the backtest and the live pod share.

``alpha = price - funding`` of the model, a fraction of the notional over the horizon H. Betas and the covariance are
recomputed here from the bars (the market moves faster than models are trained): one factor and own variances over the
last ``window`` horizons. The book maximises ``w'alpha - risk/2 w'Sw - costs`` with no beta, within gross and coin
bounds, from what is held; a trade's cost is spread over ``hold_horizons``, for that is how long it is meant to last.

Without a model that may be used, the book is half of what is held: nothing grows, and what is neutral stays so. Where
only data are missing for a while (rates after a restart, a book that was not found) it is what is held.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from slipstream.core.costs.model import TransactionCostModel
from slipstream.core.forecast.artefact import Artefact, predict, stale
from slipstream.core.forecast.drift import DriftMonitor, Verdict
from slipstream.core.forecast.features import Features
from slipstream.core.portfolio.cost_aware import OptimiserFailed, solve_cost_aware
from slipstream.core.portfolio.covariance import FactorCovariance
from slipstream.strategies.carry.config import CarryConfig

Array = npt.NDArray[np.float64]
REDUCED = 0.5  # of what is held stays at a rebalance without a forecast
DUST = 1e-9  # a weight that is nothing


class Bounds(msgspec.Struct, frozen=True):
    """What may be held, multiples of capital: gross, each coin (N,); and the capital, USD."""

    capital: float
    gross: float
    coin: Array


class Book(msgspec.Struct, frozen=True):
    """Weights by coin (multiples of capital), what they are expected to earn over the horizon before costs and how.

    ``why`` says why nothing may grow; empty if the model was used. ``out`` names coins that may not be held.
    """

    weights: dict[str, float]
    why: str
    expected: float
    from_price: float
    gross: float
    beta: float
    sd: float
    out: dict[str, str]


class Signals:
    """What Carry knows of its coins after each closed bar."""

    def __init__(self, coins: Sequence[str], config: CarryConfig) -> None:
        self.coins = tuple(coins)
        self.config = config
        self.features = Features(coins, config.spec())
        self.artefact: Artefact | None = None
        self.problem = ""
        known = config.calibrated()
        self.costs = known.model() if known is not None else None
        self.betas = np.full(len(self.coins), np.nan)
        self.drift: DriftMonitor | None = None
        self.verdict = Verdict()
        width = self.features.spec.width
        self._expected: deque[Array] = deque(maxlen=width + 1)
        self._paid: deque[Array] = deque(maxlen=width)
        self.adopt(*config.model())

    @property
    def bars(self) -> int:
        """Bars folded."""
        return self.features.bars

    def adopt(self, artefact: Artefact | None, problem: str = "") -> None:
        """Forecast with another model from now on; None: with none, because of ``problem``."""
        self.artefact, self.problem = artefact, problem
        self.drift = DriftMonitor(artefact.spreads, self.config.drift_terms()) if artefact is not None else None
        self.verdict = Verdict()
        self._expected.clear()

    def update(self, closes: Array, volumes_usd: Array, rates: Array) -> None:
        """One closed bar: close, traded USD and mean hourly funding rate by coin, (N,); NaN where there is none."""
        self.features.update(closes, volumes_usd, rates)
        if self.features.market is not None:
            self.betas = self.features.market.beta
        if self.artefact is None or self.drift is None:
            return
        price, funding = self.features.price(), self.features.funding()
        rows = dict(zip(self.features.spec.names, (*price, *funding), strict=True))
        self._paid.append(self.features.last_rate * self.features.spec.bar_hours)
        self._expected.append(predict(self.artefact, price, funding).paid)
        if len(self._expected) == self._expected.maxlen:
            rows["error_funding"] = np.sum(self._paid, axis=0) - self._expected[0]
        if any(np.isfinite(row).any() for row in rows.values()):
            self.drift.hear(rows)

    def refusal(self, now_ms: int) -> str:
        """Why the model may not be traded on now; empty if it may."""
        if self.artefact is None:
            return self.problem
        if why := stale(self.artefact, now_ms):
            return why
        self.verdict = self.drift.verdict() if self.drift is not None else Verdict()
        return f"drift: {self.verdict.why}" if self.verdict.level == "halt" else ""

    def book(self, now_ms: int, held: Array, bounds: Bounds) -> Book:
        """The book wanted at a time (ms UTC), from weights ``held`` (N,)."""
        why = self.refusal(now_ms)
        if why or self.artefact is None:
            return self._reduced(REDUCED * held, why)
        if self.features.market is None:
            needed = self.features.spec.history + 1
            return self._reduced(held, f"no betas: they need {needed} bars without a gap of three coins at least")
        forecast = predict(self.artefact, self.features.price(), self.features.funding())
        out, most = self._bounds(forecast.total, bounds)
        chosen = np.array([coin not in out for coin in self.coins])
        if not chosen.any():
            return self._reduced(held, f"no coin can be held: {self.coins[0]}: {out[self.coins[0]]}")
        try:
            weights = self._solve(chosen, forecast.total, held, bounds, most)
        except (OptimiserFailed, ValueError) as error:
            return self._reduced(held, f"no book was found: {error}")
        return self._said(
            weights, "", np.where(chosen, forecast.total, 0.0), np.where(chosen, forecast.price, 0.0), out
        )

    def _bounds(self, alpha: Array, bounds: Bounds) -> tuple[dict[str, str], Array]:
        """Who may not be held and why, and the largest weight of everybody."""
        terms, usd = self.config.book, self.features.daily_usd()
        out: dict[str, str] = {}
        for j, coin in enumerate(self.coins):
            if not np.isfinite(alpha[j]):
                out[coin] = "not enough bars or funding rates"
            elif terms.trade_usd > terms.max_share * usd[j]:
                out[coin] = (
                    f"trades {usd[j]:,.0f} USD a day: {terms.trade_usd:,.0f} is above {terms.max_share:.1%} of it"
                )
            elif self.costs is not None and coin not in self.costs.coins:
                out[coin] = f"{self.config.costs} knows no costs of it"
            elif not bounds.coin[j] > 0.0:
                out[coin] = "nothing is granted"
        liquid = terms.max_share * usd / bounds.capital if bounds.capital > 0.0 else np.zeros_like(usd)
        return out, np.minimum(np.minimum(terms.max_coin_weight, bounds.coin), liquid)

    def _solve(self, chosen: npt.NDArray[np.bool_], alpha: Array, held: Array, bounds: Bounds, most: Array) -> Array:
        market, terms = self.features.market, self.config.book
        assert market is not None
        place = np.flatnonzero(chosen[market.known])  # those chosen, among those of the market
        found = market.covariance(terms.covariance_shrink)
        risk = FactorCovariance(
            (found.beta * np.sqrt(found.variance * terms.risk_aversion))[place][:, None],
            found.specific[place] * terms.risk_aversion,
        )
        fee, impact = self._costs(chosen).in_weights(bounds.capital, len(place))
        solved = solve_cost_aware(
            alpha[chosen],
            found.beta[place],
            risk,
            fee=fee / terms.hold_horizons,
            impact=impact / terms.hold_horizons,
            held=held[chosen],
            gross=min(terms.gross_leverage, bounds.gross),
            low=-most[chosen],
            high=most[chosen],
        )
        weights = np.zeros(len(self.coins))
        weights[chosen] = np.where(np.abs(solved.weights) > DUST, solved.weights, 0.0)
        return weights

    def _costs(self, chosen: npt.NDArray[np.bool_]) -> TransactionCostModel:
        """What trading the chosen coins costs: by recorded books, or by today's volatility and volume."""
        if self.costs is not None:
            return self.costs.aligned([coin for coin, on in zip(self.coins, chosen, strict=True) if on])
        terms = self.config.book
        return TransactionCostModel.square_root(
            self.features.sigma_day()[chosen],
            self.features.daily_usd()[chosen],
            coefficient=terms.impact,
            fee=terms.fee,
            spread=terms.half_spread,
        )

    def _reduced(self, held: Array, why: str) -> Book:
        nothing = np.zeros(len(self.coins))
        return self._said(held, why, nothing, nothing, {})

    def _said(self, weights: Array, why: str, alpha: Array, price: Array, out: dict[str, str]) -> Book:
        sd, market = 0.0, self.features.market
        if market is not None:
            sd = market.covariance(self.config.book.covariance_shrink).of(weights[market.known]) ** 0.5
        return Book(
            weights={coin: float(w) for coin, w in zip(self.coins, weights, strict=True) if w},
            why=why,
            expected=float(alpha @ weights),
            from_price=float(price @ weights),
            gross=float(np.abs(weights).sum()),
            beta=float(np.nan_to_num(self.betas) @ weights),
            sd=float(sd),
            out=out,
        )
