"""Backtest of weights on bars: one pass over time, all coins at once. Nothing after a bar changes anything before it.

- A decision is taken at a bar's close, from what was known then, and sizes positions by equity and prices of then.
- It trades at the next bar's open (or close), at that price, plus what `TransactionCostModel` says: fee, half spread,
  and impact: calibrated from books, or the square-root law ``Y sigma_day sqrt(Q / V_day)``, Y being the average-cost
  coefficient (specification, section 1.4).
- Between decisions units stay, so that weights drift. A coin without a bar is not traded and keeps its last price.
- Funding falls due at settlements after a bar's open up to its close, on units held after the open's trades, valued at
  the mean of open and close. A settlement that the source lacks is charged at the venue's default rate and counted.
- An account that is worth nothing at an open or a close is closed there; what happens between the two is not seen.
- A coin without bars for ``delist_hours`` is closed at its last price, with the costs of a trade, and reported.
- Every order is filled in full: no queue, no partial fill. Judge sizes by ``worst_share`` of a day's volume.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from slipstream.core.costs.calibrated import Calibrated
from slipstream.core.costs.model import TransactionCostModel
from slipstream.core.funding.settlement import BASE_HOURLY
from slipstream.core.signals.bars import Bars

Array = npt.NDArray[np.float64]
DEFAULT_RATE = BASE_HOURLY
PARTS = ("fee", "spread", "impact")


class FundingMissing(ValueError):
    """A perp backtest was asked for without funding."""


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """Fractions of the traded notional. ``maker_share`` of it pays the maker's fee and no half spread.

    ``impact`` is Y of the square-root law. With ``calibrated`` the taker's fee, half spreads and impacts are those of
    recorded books instead, coin by coin, and ``taker_fee``, ``half_spread`` and ``impact`` say nothing.
    """

    taker_fee: float = 0.00045
    maker_fee: float = 0.00015
    maker_share: float = 0.0
    half_spread: float = 0.0002
    impact: float = 1.0
    calibrated: Calibrated | None = None

    @property
    def fee(self) -> float:
        """Fee of a traded dollar."""
        taker = self.taker_fee if self.calibrated is None else self.calibrated.fee
        return self.maker_share * self.maker_fee + (1.0 - self.maker_share) * taker

    def model(self, coins: Sequence[str], sigma_day: Array, daily_usd: Array, notional: Array) -> TransactionCostModel:
        """What trading ``notional`` (N,) USD of these coins costs; volatility and volume (N,) are a day's, as known.

        A coin of which no volatility is known has no impact; where no volume is known, the trade is taken for all of
        it. Raises ValueError for a coin that was not calibrated.
        """
        if self.calibrated is not None:
            return self.calibrated.model().aligned(coins).partly_passive(self.maker_share, self.maker_fee)
        volume = np.where(daily_usd > 0.0, daily_usd, np.where(notional > 0.0, notional, 1.0))
        whole = TransactionCostModel.square_root(
            np.nan_to_num(sigma_day),
            volume,
            coefficient=self.impact,
            fee=self.taker_fee,
            spread=self.half_spread,
            coins=coins,
        )
        return whole.partly_passive(self.maker_share, self.maker_fee)

    def said(self) -> tuple[str, ...]:
        """What trading costs, in words."""
        if self.calibrated is not None:
            some = list(self.calibrated.coins.values())
            half = sorted(1e4 * (1.0 - self.maker_share) * one.half_spread for one in some)
            where = ", ".join(self.calibrated.sources) or "recorded books"
            return (
                f"fee {self.fee:.5%}; half spread {half[0]:.2f} to {half[-1]:.2f} bp and impact of Q^1.5 by coin, "
                f"calibrated from {where}",
            )
        spread = (1.0 - self.maker_share) * self.half_spread
        law = f"impact {self.impact:g} x sigma of a day x sqrt(traded / day's volume)" if self.impact else "no impact"
        return f"fee {self.fee:.5%}, half spread {spread:.5%} of what was traded", law


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What was decided when: ``targets`` maps a bar to the weights (N,) decided at its close, multiples of equity.

    ``sigma_day`` and ``daily_usd`` (T, N) are a day's volatility and traded USD as known at each close.
    """

    targets: Mapping[int, Array]
    sigma_day: Array
    daily_usd: Array


class Closing(msgspec.Struct, frozen=True):
    """A position closed because its coin's bars ended."""

    coin: str
    bar: int
    usd: float


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """``equity`` (T,) USD at closes; ``weights`` (T, N) held then; PnL by coin (N,), USD: price, funding, costs apart.

    ``returns`` (T,) are of equity, bar by bar. ``turnover`` (T,) is traded notional over equity. ``worst_share`` is the
    largest trade as a part of its coin's day. ``funding_gaps`` counts settlements charged at the default rate.
    ``costs`` (fee, spread, impact) and ``funding`` (received; negative: paid) are USD by bar, (T,).
    """

    opened: npt.NDArray[np.int64]
    hours: float
    equity: Array
    returns: Array
    turnover: Array
    weights: Array
    price_pnl: Array
    funding_paid: Array
    costs_paid: Array
    costs: dict[str, Array]
    funding: Array
    closings: tuple[Closing, ...]
    funding_gaps: int
    worst_share: float

    @property
    def coin_pnl(self) -> Array:
        """Net PnL by coin, USD."""
        return self.price_pnl - self.funding_paid - self.costs_paid


def _filled(prices: Array) -> Array:
    """Each price, or the last one before it."""
    places = np.where(np.isfinite(prices), np.arange(len(prices))[:, None], -1)
    last = np.maximum.accumulate(places, axis=0)
    out = np.take_along_axis(prices, np.maximum(last, 0), axis=0)
    return np.where(last >= 0, out, np.nan)


def settled_rates(bars: Bars) -> tuple[Array, Array]:
    """(T, N) what the settlements of each bar sum to, and how many of them the source lacks and are at the base rate.

    A bar without a rate of which no settlement is counted as missing lacks all of them. Raises FundingMissing.
    """
    if bars.funding is None:
        raise FundingMissing('the bars carry no funding: give a funding file, or say funding="none" to leave it out')
    lacking = np.zeros(bars.funding.shape) if bars.funding_gaps is None else bars.funding_gaps.astype(np.float64)
    lacking = np.where(np.isnan(bars.funding) & (lacking == 0.0), bars.hours, lacking)
    return np.nan_to_num(bars.funding) + DEFAULT_RATE * lacking, lacking


class _Run:
    """The account while it is carried along the bars."""

    def __init__(self, bars: Bars, plan: Plan, costs: Costs, capital: float) -> None:
        n = len(bars.coins)
        self.bars, self.plan, self.costs = bars, plan, costs
        self.units = np.zeros(n)
        self.equity = capital
        self.mark = np.full(n, np.nan)
        self.price_pnl, self.funding, self.cost = np.zeros(n), np.zeros(n), np.zeros(n)
        self.gaps, self.worst, self.traded = 0, 0.0, 0.0
        self.rates: Array | None = None
        if bars.funding is not None:
            self.rates, self.lacking = settled_rates(bars)
        self.paid = np.zeros(3)  # fee, half spread, impact of this bar
        # books that were measured do not depend on the day; the square-root law does
        some = np.ones(n)
        self.known = None if costs.calibrated is None else costs.model(bars.coins, some, some, some)

    def revalue(self, prices: Array) -> None:
        """Carry the positions to new prices; NaN leaves a coin where it is."""
        gain = np.where(np.isfinite(prices) & (self.units != 0.0), self.units * (prices - self.mark), 0.0)
        self.price_pnl += gain
        self.equity += float(gain.sum())
        self.mark = np.where(np.isfinite(prices), prices, self.mark)

    def trade(self, wanted: Array, prices: Array, known: int) -> None:
        """Go to ``wanted`` units wherever there is a price; ``known`` is the last closed bar."""
        can = np.isfinite(prices)
        change = np.where(can, wanted - self.units, 0.0)
        usd = np.abs(np.where(can, change * prices, 0.0))
        if not usd.any():
            return
        sigma, day = self.plan.sigma_day[known], self.plan.daily_usd[known]
        law = self.known or self.costs.model(self.bars.coins, sigma, day, usd)
        parts = np.array(law.parts(usd))
        paid = parts.sum(axis=0)
        moved = usd > 0.0
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(day[moved] > 0.0, usd[moved] / day[moved], 1.0)
        self.worst = max(self.worst, float(share.max(initial=0.0)))
        self.paid += parts.sum(axis=1)
        self.cost += paid
        self.equity -= float(paid.sum())
        self.traded += float(usd.sum())
        self.units = self.units + change

    def settle(self, bar: int) -> None:
        """Pay the bar's funding."""
        if self.rates is None:
            return
        middle = (self.bars.open[bar] + self.bars.close[bar]) / 2.0
        held = self.units != 0.0
        value = np.where(held, self.units * np.where(np.isfinite(middle), middle, self.mark), 0.0)
        paid = value * self.rates[bar]
        self.gaps += int(self.lacking[bar][held].sum())
        self.funding += paid
        self.equity -= float(paid.sum())

    def end_if_ruined(self) -> None:
        """An account without equity holds nothing any more."""
        if self.equity <= 0.0:
            self.units = np.zeros(len(self.units))


def backtest(
    bars: Bars,
    plan: Plan,
    *,
    costs: Costs | None = None,
    capital: float = 1_000_000.0,
    execute: Literal["open", "close"] = "open",
    funding: Literal["data", "none"] = "data",
    delist_hours: float = 48.0,
) -> Result:
    """Run a plan over bars. Raises FundingMissing without funding unless ``funding="none"``; ValueError for bad input.

    An account that has lost everything is closed there: the rest of its returns are 0.
    """
    if funding == "data" and bars.funding is None:
        raise FundingMissing('the bars carry no funding: give a funding file, or say funding="none" to leave it out')
    _check(bars, plan, capital)
    if funding == "none":
        bars = msgspec.structs.replace(bars, funding=None, funding_gaps=None)
    run = _Run(bars, plan, costs or Costs(), capital)
    t_max, n = bars.close.shape
    equity, turnover, weights = np.zeros(t_max), np.zeros(t_max), np.zeros((t_max, n))
    paid, received = np.zeros((t_max, 3)), np.zeros(t_max)
    closings: list[Closing] = []
    silent = np.zeros(n)
    pending: Array | None = None
    for t in range(t_max):
        run.traded, run.paid, funding_before = 0.0, np.zeros(3), float(run.funding.sum())
        run.revalue(bars.open[t])
        run.end_if_ruined()
        if pending is not None and execute == "open" and run.equity > 0.0:
            run.trade(pending, bars.open[t], t - 1)
        run.settle(t)
        run.revalue(bars.close[t])
        run.end_if_ruined()
        if pending is not None and execute == "close" and run.equity > 0.0:
            run.trade(pending, bars.close[t], t - 1)
        silent = np.where(np.isfinite(bars.close[t]), 0.0, silent + bars.hours)
        ended = (run.units != 0.0) & (silent >= delist_hours)
        if ended.any():
            closings += [Closing(bars.coins[j], t, float(run.units[j] * run.mark[j])) for j in np.flatnonzero(ended)]
            run.trade(np.where(ended, 0.0, run.units), np.where(ended, run.mark, np.nan), t)
        run.end_if_ruined()
        equity[t], turnover[t] = run.equity, run.traded
        paid[t], received[t] = run.paid, funding_before - float(run.funding.sum())
        if run.equity > 0.0:
            weights[t] = np.where(run.units != 0.0, run.units * run.mark, 0.0) / run.equity
        pending = _units(plan.targets.get(t), run)
    before = np.concatenate([[capital], equity[:-1]])
    alive = before > 0.0
    returns = np.where(alive, equity / np.where(alive, before, 1.0) - 1.0, 0.0)
    return Result(
        opened=bars.opened,
        hours=bars.hours,
        equity=equity,
        returns=returns,
        turnover=np.where(alive, turnover / np.where(alive, before, 1.0), 0.0),
        weights=weights,
        price_pnl=run.price_pnl,
        funding_paid=run.funding,
        costs_paid=run.cost,
        costs=dict(zip(PARTS, paid.T, strict=True)),
        funding=received,
        closings=tuple(closings),
        funding_gaps=run.gaps,
        worst_share=run.worst,
    )


def _units(target: Array | None, run: _Run) -> Array | None:
    if target is None or run.equity <= 0.0:
        return None
    wanted = target != 0.0
    return np.where(wanted, target * run.equity / np.where(wanted, run.mark, 1.0), 0.0)


def _check(bars: Bars, plan: Plan, capital: float) -> None:
    shape = bars.close.shape
    if not (capital > 0.0 and math.isfinite(capital)):
        raise ValueError(f"capital {capital} must be positive, in USD")
    for name in ("sigma_day", "daily_usd"):
        if getattr(plan, name).shape != shape:
            raise ValueError(f"plan.{name} has shape {getattr(plan, name).shape}, the bars {shape}")
    for bar, target in plan.targets.items():
        if not 0 <= bar < shape[0] or target.shape != (shape[1],):
            raise ValueError(
                f"target of bar {bar} has shape {target.shape}: there are {shape[0]} bars of {shape[1]} coins"
            )
        if not np.isfinite(target).all():
            raise ValueError(f"target of bar {bar} holds a weight that is not a number")
        blind = (target != 0.0) & ~np.isfinite(bars.close[bar])
        if blind.any():
            raise ValueError(
                f"target of bar {bar} holds {bars.coins[int(np.flatnonzero(blind)[0])]}, which has no bar then"
            )
